"""A packed archive from a stranger → its files. Read as a stream, bounded at every step, refused at the first oddity.

Only files and folders are taken: links, devices and holes are refused, as is every name that does not stay inside.
Nothing is ever written to a path that an archive names.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kedge.model.errors import Invalid

_BLOCK = 512
_SLICE = 64 * 1024
_HEADER = 64 * 1024
"""Bytes that a header with a long name may have."""
_HEADERS = 16 << 20
"""Bytes of all of them: they are taken apart piece by piece, and a few kilobytes may be packed into gigabytes."""
_MEMBERS = 10_000
"""Packed streams in a row, each of which may unpack to nothing."""
_UNFIT = re.compile(r"[\x00-\x1f\x7f\\]")
_RECORD = re.compile(rb"(\d{1,6}) ([^=\n]+)=")
_NAMED = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a named pipe"}
_FILES = (b"0", b"\0")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_WINDOW = 8 << 20
"""Bytes that a decoder of zstd keeps at hand: what every decoder has to, by RFC 8878."""
_OTHERS = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of an archive as it comes, of all that it unpacks to and of one file; names, and folders in one name."""

    packed: int = 64 << 20
    unpacked: int = 256 << 20
    file: int = 16 << 20
    entries: int = 50_000
    depth: int = 50


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class File:
    path: str
    data: bytes
    executable: bool = False


@dataclass(slots=True)
class _Next:
    """What a header before a header says of the one that follows."""

    path: str = ""
    size: int | None = None


def files(raw: bytes, limits: Limits = LIMITS) -> Iterator[File]:
    """The files of a tar archive, packed by gzip, by zstd or not, in its order. Raises Invalid, at the latest when a
    bound is reached; what was answered before is then to be thrown away."""
    stream = _Stream(raw, limits)
    seen, told, extras = 0, _Next(), 0
    while (header := stream.read(_BLOCK)) != bytes(_BLOCK):
        seen += 1
        if seen > limits.entries:
            raise Invalid(f"the archive has more than {limits.entries} entries")
        _check_sum(header)
        size, kind = _number(header[124:136]), header[156:157]
        if kind in (b"x", b"g", b"L", b"K"):
            extras += size
            extra = stream.padded(size, min(_HEADER, max(0, _HEADERS - extras + size)), "a header")
            told = _told(kind, extra, told)
            continue
        path, told_size, told = told.path or _path(header), told.size, _Next()
        size = size if told_size is None else told_size
        if kind == b"5":
            fit(path.rstrip("/") or ".", limits.depth)
            stream.padded(size, 0, f"the folder {path[:100]}")
            continue
        if kind not in _FILES:
            raise Invalid(f"the archive holds {_NAMED.get(kind, 'something that is no file')}: {path[:100]!r}")
        parts = fit(path, limits.depth)
        data = stream.padded(size, limits.file, f"the file {path[:100]}")
        yield File("/".join(parts), data, bool(_number(header[100:108]) & 0o100))


def fit(path: str, depth: int = LIMITS.depth) -> tuple[str, ...]:
    """The parts of a name that stays inside of what it is unpacked to. Raises Invalid for any other."""
    if path.startswith("/") or _UNFIT.search(path) or path.endswith("/"):
        raise Invalid(f"the archive holds a name that can not be unpacked: {path[:100]!r}")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise Invalid(f"the archive holds a name that leads out of it: {path[:100]!r}")
    if any(map(_is_gits, parts)) or len(path) > 1_000 or len(parts) > depth:
        raise Invalid(f"the archive holds a name that is not unpacked: {path[:100]!r}")
    if not parts and path != ".":
        raise Invalid("the archive holds a file without a name")
    return parts


def _is_gits(name: str) -> bool:
    """Whether some file system would take it for Git's own folder, as Git itself refuses them: in other letters, with
    dots and spaces at its end, by its short name, with a stream, with characters that are not seen."""
    return _IGNORED.sub("", name).lower().partition(":")[0].rstrip(". ") in (".git", "git~1")


class _Stream:
    """What an archive unpacks to, piece by piece, and no further than the bound."""

    def __init__(self, raw: bytes, limits: Limits) -> None:
        if len(raw) > limits.packed:
            raise Invalid(f"the archive has {len(raw)} bytes, more than the {limits.packed} that are read")
        other = next((name for begin, name in _OTHERS.items() if raw.startswith(begin)), "")
        if other:
            raise Invalid(f"the archive is packed by {other}", hint="only tar is read, packed by gzip or zstd or not")
        self._raw = memoryview(raw)
        self._place = 0
        self._left = limits.unpacked
        self._limit = limits.unpacked
        self._packed = raw[:2] == _GZIP
        self._unpack = _unzstd(raw) if raw.startswith(_ZSTD) else None
        self._inflate = zlib.decompressobj(wbits=31)
        self._members = 1
        self._ready = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._ready) < size:
            more = self._more()
            if not more:
                raise Invalid("the archive ends in the middle")
            self._left -= len(more)
            if self._left < 0:
                raise Invalid(f"the archive unpacks to more than the {self._limit} bytes that are read")
            self._ready += more
        found = bytes(self._ready[:size])
        del self._ready[:size]
        return found

    def padded(self, size: int, limit: int, what: str) -> bytes:
        """Contents and what fills up their last block."""
        if not 0 <= size <= limit:
            raise Invalid(f"{what} of the archive has {size} bytes, and at most {limit} are read")
        return self.read(-(-size // _BLOCK) * _BLOCK)[:size]

    def _more(self) -> bytes:
        if self._unpack is not None:
            return self._unpack(_SLICE)
        if not self._packed:
            return self._slice()
        while True:
            held = self._inflate.unconsumed_tail
            if self._inflate.eof:  # several packed streams in a row are one
                held, self._inflate = self._inflate.unused_data, zlib.decompressobj(wbits=31)
                self._members += 1
                if self._members > _MEMBERS:
                    raise Invalid(f"the archive is packed in more than {_MEMBERS} pieces")
            given = held or self._slice()
            if not given:
                return b""
            try:
                more = self._inflate.decompress(given, _SLICE)
            except zlib.error as error:
                raise Invalid(f"the archive is not packed by gzip, or broken: {error}") from None
            if more:
                return more

    def _slice(self) -> bytes:
        piece = bytes(self._raw[self._place : self._place + _SLICE])
        self._place += len(piece)
        return piece


def _unzstd(raw: bytes) -> Callable[[int], bytes]:
    """Answers at most as many bytes as it is asked for, b"" at the end."""
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(raw, read_across_frames=True)

    def read(size: int) -> bytes:
        try:
            return reader.read(size)
        except zstandard.ZstdError as error:
            raise Invalid(f"the archive is not packed by zstd, or broken: {error}") from None

    return read


def _check_sum(header: bytes) -> None:
    if sum(header) - sum(header[148:156]) + 8 * 32 != _number(header[148:156]):
        raise Invalid("the archive is no tar archive, or broken")


def _number(field: bytes) -> int:
    """Octal digits, or binary where they do not suffice. Never negative."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if text and not re.fullmatch(rb"[0-7]+", text):
        raise Invalid("the archive holds a number that is none")
    return int(text or b"0", 8)


def _path(header: bytes) -> str:
    name, prefix = _text(header[:100].split(b"\0")[0]), _text(header[345:500].split(b"\0")[0])
    return f"{prefix}/{name}" if prefix and header[257:262] == b"ustar" and header[262:264] != b" \0" else name


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid(f"the archive holds a name that is no text: {raw[:100]!r}") from None


def _told(kind: bytes, extra: bytes, before: _Next) -> _Next:
    if kind == b"L":
        return _Next(_text(extra.split(b"\0")[0]), before.size)
    if kind != b"x":
        return before  # what holds for the whole archive, and long targets of links, say nothing that is asked
    path, size, place = before.path, before.size, 0
    while place < len(extra):
        match = _RECORD.match(extra, place)
        end = place + int(match[1]) if match else 0
        if match is None or end <= match.end() - 1 or end > len(extra):
            raise Invalid("the archive holds a header that can not be read")
        value = extra[match.end() : end - 1]
        if match[2].startswith(b"GNU.sparse"):
            raise Invalid("the archive holds a file with holes")
        if match[2] == b"path":
            path = _text(value)
        if match[2] == b"size":
            size = _number_of(value)
        place = end
    return _Next(path, size)


def _number_of(text: bytes) -> int:
    if not re.fullmatch(rb"\d{1,15}", text):
        raise Invalid("the archive holds a number that is none")
    return int(text)
