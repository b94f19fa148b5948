"""Huge repositories over a real Git server: of more than a first fetch may bring, files come when they are read."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import pytest
from tests.doors.git_http import GitServer

from kedge.model.errors import Absent, Invalid
from kedge.model.source import Revision
from kedge.sources import mirror
from kedge.sources.git import GitSource, Limits
from kedge.sources.mirror import folder_of

from .conftest import LOCAL, Vault

SMALL = Limits(pieces=400_000, depth=20)
FOLDERS = 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    (tmp_path / "served").mkdir()
    found = GitServer(tmp_path / "served")
    yield found
    found.close()


def grow(server: GitServer, name: str, files: Mapping[str, bytes], *, filters: bool = True) -> str:
    """One more commit; answers its id."""
    place = server.folder / name
    if not place.exists():
        server.create(name)
        subprocess.run(["git", "-C", str(place), "config", "uploadpack.allowFilter", str(filters).lower()], check=True)
    known = subprocess.run(["git", "-C", str(place), "rev-parse", "-q", "--verify", "main"], capture_output=True)
    text = [b"commit refs/heads/main\ncommitter Mona <mona@example.com> 1700000000 +0000\ndata 4\nmore\n"]
    text += [b"from refs/heads/main^0\n"] if known.returncode == 0 else []
    text += [b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data) for path, data in files.items()]
    subprocess.run(["git", "-C", str(place), "fast-import", "--quiet"], input=b"".join(text), check=True)
    done = subprocess.run(["git", "-C", str(place), "rev-parse", "main"], capture_output=True, check=True)
    return done.stdout.decode().strip()


def huge() -> dict[str, bytes]:
    """800 kB that nothing packs smaller, in folders of two files each."""
    draw = Random(1)
    paths = [f"apps/{number:03}/{file}.bin" for number in range(FOLDERS) for file in "ab"]
    return {path: draw.randbytes(10_000) for path in paths}


def opened(tmp_path: Path, limits: Limits = SMALL) -> GitSource:
    return GitSource(tmp_path / "data", Vault(), search=os.environ["PATH"], allowed=LOCAL, limits=limits)


def weight(tmp_path: Path, url: str) -> int:
    return sum(file.stat().st_size for file in (folder_of(tmp_path / "data" / "mirrors", url) / "objects").rglob("*"))


def read(source: GitSource, revision: Revision, path: str) -> bytes:
    snapshot = source.snapshot(revision)
    entry = snapshot.entry(path)
    assert entry is not None
    return snapshot.read(entry)


async def test_of_a_huge_repository_only_the_folder_that_is_read_is_fetched(tmp_path: Path, server: GitServer) -> None:
    files = huge()
    commit = grow(server, "huge.git", files)
    source, url = opened(tmp_path), f"{server.url}/huge.git"
    revision = await source.fetch(url, "main")
    assert revision.commit == commit
    assert len(source.snapshot(revision).entries("apps", recurse=True)) == 3 * FOLDERS
    with pytest.raises(Absent, match=r"apps/007/a\.bin has not been fetched yet"):
        read(source, revision, "apps/007/a.bin")
    await source.bring(revision, ("apps/007",))
    assert read(source, revision, "apps/007/a.bin") == files["apps/007/a.bin"]
    assert read(source, revision, "apps/007/b.bin") == files["apps/007/b.bin"]
    assert weight(tmp_path, url) < 100_000


async def test_a_small_repository_is_fetched_whole(tmp_path: Path, server: GitServer) -> None:
    grow(server, "small.git", {"a/b.yaml": b"a: 1\n"})
    source, url = opened(tmp_path), f"{server.url}/small.git"
    revision = await source.fetch(url, "main")
    before = len(server.requests)
    await source.bring(revision, ("",))
    assert read(source, revision, "a/b.yaml") == b"a: 1\n"
    assert len(server.requests) == before


async def test_a_later_commit_of_a_huge_repository_brings_no_file_either(tmp_path: Path, server: GitServer) -> None:
    grow(server, "huge.git", huge())
    source, url = opened(tmp_path), f"{server.url}/huge.git"
    first = await source.fetch(url, "main")
    await source.bring(first, ("apps/000",))
    big = Random(2).randbytes(300_000)
    grow(server, "huge.git", {"elsewhere/big.bin": big, "apps/000/a.bin": b"small now"})
    second = await source.fetch(url, "main")
    assert source.changed(first, second) == ["apps/000/a.bin", "elsewhere/big.bin"]
    assert source.touched(second, ["apps/001"]).commit == first.commit
    await source.bring(second, ("apps/000",))
    assert read(source, second, "apps/000/a.bin") == b"small now"
    assert weight(tmp_path, url) < 100_000


async def test_what_was_brought_once_is_not_asked_for_again(tmp_path: Path, server: GitServer) -> None:
    grow(server, "huge.git", huge())
    source, url = opened(tmp_path), f"{server.url}/huge.git"
    revision = await source.fetch(url, "main")
    await source.bring(revision, ("apps/001", "apps/002/a.bin", "no/such/path"))
    before = len(server.requests)
    await source.bring(revision, ("apps/001", "apps/002/a.bin"))
    again = opened(tmp_path)  # a restart
    await again.bring(revision, ("apps/001", "apps/002/a.bin"))
    assert len(server.requests) == before
    assert len(read(again, revision, "apps/001/a.bin")) == 10_000


async def test_many_who_bring_at_once_bring_all(tmp_path: Path, server: GitServer) -> None:
    files = huge()
    grow(server, "huge.git", files)
    source = opened(tmp_path)
    revision = await source.fetch(f"{server.url}/huge.git", "main")
    await asyncio.gather(*(source.bring(revision, (f"apps/{number:03}",)) for number in range(4)))
    assert all(read(source, revision, f"apps/{number:03}/b.bin") for number in range(4))


async def test_what_is_ignored_is_known_before_anything_is_brought(tmp_path: Path, server: GitServer) -> None:
    grow(server, "huge.git", {**huge(), ".kedgeignore": b"apps/00*\n"})
    source = opened(tmp_path)
    revision = await source.fetch(f"{server.url}/huge.git", "main")
    assert source.snapshot(revision).entry("apps/003") is None
    assert source.snapshot(revision).entry("apps/013") is not None


async def test_a_server_that_hands_out_no_pieces_gives_the_whole(tmp_path: Path, server: GitServer) -> None:
    files = huge()
    grow(server, "whole.git", files, filters=False)
    source = opened(tmp_path)
    revision = await source.fetch(f"{server.url}/whole.git", "main")
    await source.bring(revision, ("apps/001",))
    assert read(source, revision, "apps/001/a.bin") == files["apps/001/a.bin"]


async def test_packs_of_pieces_are_put_together_and_nothing_is_lost(
    tmp_path: Path, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_CONSOLIDATE", 4)
    files = huge()
    grow(server, "huge.git", files)
    source, url = opened(tmp_path), f"{server.url}/huge.git"
    revision = await source.fetch(url, "main")
    for number in range(10):
        await source.bring(revision, (f"apps/{number:03}",))
    packs = list((folder_of(tmp_path / "data" / "mirrors", url) / "objects" / "pack").glob("*.pack"))
    assert len(packs) < 8
    for number in range(10):
        assert read(source, revision, f"apps/{number:03}/a.bin") == files[f"apps/{number:03}/a.bin"]
    grow(server, "huge.git", {"apps/000/a.bin": b"1"})
    newer = await source.fetch(url, "main")
    await source.bring(newer, ("apps/000",))
    assert read(source, newer, "apps/000/a.bin") == b"1"


async def test_a_huge_repository_beyond_every_bound_is_refused(tmp_path: Path, server: GitServer) -> None:
    grow(server, "huge.git", huge())
    source = opened(tmp_path, Limits(mirror=300_000, pieces=100_000))
    revision = await source.fetch(f"{server.url}/huge.git", "main")
    with pytest.raises(Invalid, match=r"more than the 300000( bytes)? that are kept"):
        await source.bring(revision, ("apps",))
