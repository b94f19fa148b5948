"""Archives of strangers: what is taken out of them, and what never is."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bounds import processor

from kedge.model.errors import Invalid
from kedge.sources.tarball import File, Limits, files

from .packing import packed

SMALL = Limits(packed=1 << 20, unpacked=4 << 20, file=1 << 20, entries=100, depth=10)


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found


def test_files_come_out_as_they_went_in():
    raw = packed({"a/b.yaml": "b", "./c": "c", "x" * 150 + "/" + "y" * 120: "long"}, [entry("d", tarfile.DIRTYPE)])
    found = {file.path: file.data for file in files(raw)}
    assert found == {"a/b.yaml": b"b", "c": b"c", "x" * 150 + "/" + "y" * 120: b"long"}
    assert list(files(gzip.decompress(raw))) == list(files(raw))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_long_and_strange_names_is_read(form: int):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=form) as archive:
        for name in ("dir/" * 15 + "name" * 20, "grüße/ä.yaml"):
            archive.addfile(tarfile.TarInfo(name))
    assert [file.path for file in files(held.getvalue())] == ["dir/" * 15 + "name" * 20, "grüße/ä.yaml"]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a\\..\\x",
        "a/\x01",
        ".git/config",
        "a/.GIT/hooks/x",
        "a/.git./x",
        "x/" * 30 + "y",
        "git~1/config",
        "a/.g\u200cit/config",
        ".git::$INDEX_ALLOCATION/config",
        ".git /x",
    ],
)
def test_names_that_climb_or_hide_are_refused(name: str):
    with pytest.raises(Invalid, match="the archive holds a name"):
        list(files(packed({"fine": "", name: "x"}), SMALL))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a named pipe"),
        (tarfile.CONTTYPE, "something that is no file"),
        (tarfile.GNUTYPE_SPARSE, "something that is no file"),
    ],
)
def test_links_devices_and_holes_are_refused_by_name(kind: bytes, told: str):
    with pytest.raises(Invalid, match=f"the archive holds {told}: 'evil'"):
        list(files(packed({"fine": "x"}, [entry("evil", kind, "/etc/passwd")])))


def test_a_bomb_is_refused_before_it_fills_the_memory():
    bomb = gzip.compress(tarfile.TarInfo("a").tobuf() * 400_000)
    tracemalloc.start()
    with pytest.raises(Invalid, match="more than 100 entries"):
        list(files(bomb, SMALL))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_an_archive_packed_by_zstd_is_read_and_bounded_in_the_same_way():
    raw = packed({"a/b.yaml": "a: b", "c": "x" * 100_000})
    plain = gzip.decompress(raw)
    assert list(files(zstandard.compress(plain))) == list(files(raw))
    split = zstandard.compress(plain[:700]) + zstandard.compress(plain[700:])
    assert list(files(split)) == list(files(raw))
    bomb = zstandard.compress(tarfile.TarInfo("a").tobuf() * 400_000)
    tracemalloc.start()
    with pytest.raises(Invalid, match="more than 100 entries"):
        list(files(bomb, SMALL))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_what_zstd_does_not_unpack_is_refused():
    whole = zstandard.compress(gzip.decompress(packed({"a": "b"})))
    far = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    wide = zstandard.ZstdCompressor(compression_params=far).compressobj()
    for raw in (whole[:-20], whole[:4] + b"\xff" * 100, wide.compress(bytes(1 << 20)) + wide.flush()):
        with pytest.raises(Invalid, match=r"not packed by zstd|ends in the middle"):
            list(files(raw))
    with processor(5), pytest.raises(Invalid, match="ends in the middle"):
        list(files(zstandard.compress(b"") * 500_000))


def made_of(kind: bytes, body: bytes) -> bytes:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, len(body)
    return header.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)


def test_headers_that_are_all_there_is_are_refused_at_their_bound():
    # 250 MB of them, packed into one, were three quarters of a minute in which nobody else had a turn.
    records = made_of(b"x", b"5 a=\n" * 13_000) * 3_000
    with processor(10), pytest.raises(Invalid, match="a header of the archive has"):
        list(files(gzip.compress(records, 1)))


def test_packed_streams_without_end_that_hold_nothing_are_refused():
    with processor(5), pytest.raises(Invalid, match="packed in more than"):
        list(files(gzip.compress(b"") * 500_000))


@pytest.mark.parametrize(("begin", "name"), [(b"PK\x03\x04", "zip"), (b"BZh9", "bzip2"), (b"\xfd7zXZ", "xz")])
def test_what_is_packed_in_another_way_is_named(begin: bytes, name: str):
    with pytest.raises(Invalid, match=f"packed by {name}"):
        list(files(begin + bytes(1_000)))


def test_many_middling_files_are_refused_at_the_bound():
    with pytest.raises(Invalid, match="unpacks to more than"):
        list(files(packed({f"f{n}": bytes(1 << 20) for n in range(6)}), SMALL))
    with pytest.raises(Invalid, match="more than 100 entries"):
        list(files(packed({f"f{n}": "" for n in range(101)}), SMALL))


@pytest.mark.parametrize("size", [2 << 30, 8 << 40])
def test_a_file_that_claims_gigabytes_is_refused_unread(size: int):
    big = tarfile.TarInfo("big")
    big.size = size
    raw = big.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(Invalid, match="the file big of the archive has"):
        list(files(gzip.compress(raw), SMALL))


def test_a_negative_size_and_a_header_that_lies_are_refused():
    header = bytearray(tarfile.TarInfo("a").tobuf())
    header[124:136] = b"\xff" * 12
    header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 256)
    with pytest.raises(Invalid, match="a number that is none"):
        list(files(bytes(header)))
    with pytest.raises(Invalid, match="a number that is none"):
        list(files(b"x" * 1024))
    with pytest.raises(Invalid, match="no tar archive"):
        list(files(b"1" * 1024))
    with pytest.raises(Invalid, match="ends in the middle"):
        list(files(packed({"a": "b" * 3000})[:-30]))
    sparse = tarfile.TarInfo("a")
    sparse.pax_headers = {"GNU.sparse.major": "1"}
    with pytest.raises(Invalid, match="with holes"):
        list(files(sparse.tobuf(tarfile.PAX_FORMAT) + bytes(1024)))


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(data: st.DataObject):
    raw = bytearray(gzip.decompress(packed({"a/b": "text", "c" * 120: "more"})))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = list(files(bytes(raw), SMALL))
    except Invalid:
        return
    assert all(isinstance(file, File) and ".." not in file.path.split("/") for file in found)
