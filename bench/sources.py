"""Huge repositories: what it costs to fetch one, to follow it, and to read it; against git's own clone.

A repository of 100,000 files and 10,000 commits is made by `git fast-import` (a tenth of both when quick). A rival is
`git clone`, with a working tree and whole, and `--depth=1`: what a controller that checks out would do. A heavy one
(files as large as people write them) is met over a real Git server, in pieces and whole.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from tests.doors.git_http import GitServer

from bench._machine import resident, sized
from kedge.model.version import parse
from kedge.sources.address import Allowed
from kedge.sources.git import GitSource, Limits
from kedge.sources.index import choose
from kedge.sources.tarball import files

FILES = sized("BENCH_FILES", 100_000, 10_000)
COMMITS = sized("BENCH_COMMITS", 10_000, 1_000)
IN_FOLDER = 100


class Nobody:
    async def credential(self, url: str) -> Mapping[str, str]:
        return {}


BODY = sized("BENCH_BODY", 500, 500)
"""Words in a file of the heavy repository: of 100,000 files with so many, 250 MB are left when packed."""
HEAVY_COMMITS = sized("BENCH_HEAVY_COMMITS", 1_000, 100)


def path_of(number: int) -> str:
    return f"apps/{number // IN_FOLDER // 100:03}/{number // IN_FOLDER:05}/{number % IN_FOLDER:02}.yaml"


def history() -> Iterator[bytes]:
    """A stream for fast-import: all files, then a file a commit."""
    body = "kind: ConfigMap\nmetadata: {{name: c{0}}}\ndata: {{text: {1}}}\n"
    who = b"Mona <mona@example.com>"
    for commit in range(COMMITS):
        yield b"commit refs/heads/main\ncommitter %s %d +0000\ndata 6\nchange\n" % (who, 1_700_000_000 + commit)
        for number in range(FILES) if commit == 0 else [commit * 7919 % FILES]:
            text = body.format(number, f"{commit}-{number * 2654435761 % 2**64:x}" * 3).encode()
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (path_of(number).encode(), len(text), text)


def heavy() -> Iterator[bytes]:
    """The same with files as large as people write them, of words that do not pack away."""
    draw = Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(4_000)]
    who = b"Mona <mona@example.com>"
    for commit in range(HEAVY_COMMITS):
        yield b"commit refs/heads/main\ncommitter %s %d +0000\ndata 6\nchange\n" % (who, 1_700_000_000 + commit)
        for number in range(FILES) if commit == 0 else [commit * 7919 % FILES]:
            text = f"kind: ConfigMap\ndata: {{text: {' '.join(draw.choices(words, k=BODY))}}}\n".encode()
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (path_of(number).encode(), len(text), text)


def make(bare: Path, lines: Iterator[bytes]) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", str(bare)], check=True)
    with subprocess.Popen(["git", "-C", str(bare), "fast-import", "--quiet"], stdin=subprocess.PIPE) as importing:
        assert importing.stdin is not None
        importing.stdin.writelines(lines)
        importing.stdin.close()
    subprocess.run(["git", "-C", str(bare), "config", "uploadpack.allowFilter", "true"], check=True)
    return bare


def size(folder: Path) -> float:
    """MiB on disk."""
    return sum(place.stat().st_size for place in folder.rglob("*") if place.is_file()) / 2**20


def said(what: str, started: float, more: str = "") -> None:
    print(f"{what:<44} {time.perf_counter() - started:8.2f} s   {more}", flush=True)


def rival(url: str, to: Path, *more: str) -> None:
    started = time.perf_counter()
    subprocess.run(["git", "clone", "-q", *more, url, str(to)], check=True)
    said(f"git clone {' '.join(more)}".strip(), started, f"{size(to):6.0f} MiB on disk")
    shutil.rmtree(to)


def push(bare: Path, text: bytes) -> None:
    stream = b"commit refs/heads/main\ncommitter M <m@e> %d +0000\ndata 4\nmore\nfrom refs/heads/main^0\n" % time.time()
    stream += b"M 100644 inline %s\ndata %d\n%s\n" % (path_of(FILES // 2).encode(), len(text), text)
    subprocess.run(["git", "-C", str(bare), "fast-import", "--quiet"], input=stream, check=True)


async def measure(folder: Path, bare: Path, depth: int) -> None:
    url, data = f"file://{bare}", folder / f"data-{depth}"
    source = GitSource(
        data, Nobody(), search=os.environ["PATH"], allowed=Allowed(local=True), limits=Limits(depth=depth)
    )
    name = f"kedge, {depth} commits" if depth else "kedge, all commits"
    started = time.perf_counter()
    revision = await source.fetch(url, "main")
    said(f"{name}: first fetch", started, f"{size(data):6.0f} MiB on disk")
    started = time.perf_counter()
    await source.fetch(url, "main")
    said(f"{name}: nothing new", started)
    push(bare, name.encode())
    started = time.perf_counter()
    newer = await source.fetch(url, "main")
    changed = source.changed(revision, newer)
    said(f"{name}: one file changed", started, f"{len(changed or ())} path to look at")
    started = time.perf_counter()
    snapshot = source.snapshot(newer)
    for entry in snapshot.entries(path_of(0).rpartition("/")[0]):
        snapshot.read(entry)
    said(f"{name}: a folder of {IN_FOLDER} read", started)
    started = time.perf_counter()
    found = snapshot.entries("", recurse=True)
    said(f"{name}: all {len(found)} entries listed", started, f"{resident(os.getpid()):6.0f} MiB resident")
    shutil.rmtree(data)


async def in_pieces(folder: Path, url: str, limits: Limits, how: str) -> None:
    """One folder of a heavy repository, over a real Git server: fetched, and read."""
    data = folder / f"data-{limits.pieces}"
    plain = Allowed(local=True, plain=True, loopback=True)
    source = GitSource(data, Nobody(), search=os.environ["PATH"], allowed=plain, limits=limits)
    started = time.perf_counter()
    revision = await source.fetch(url, "main")
    said(f"heavy, {how}: first fetch", started, f"{size(data):6.0f} MiB on disk")
    started = time.perf_counter()
    at = path_of(0).rpartition("/")[0]
    await source.bring(revision, (at,))
    snapshot = source.snapshot(revision)
    for entry in snapshot.entries(at):
        snapshot.read(entry)
    said(f"heavy, {how}: a folder of {IN_FOLDER} read", started, f"{size(data):6.0f} MiB on disk")
    shutil.rmtree(data)


def pieces(folder: Path) -> None:
    (folder / "served").mkdir()
    started = time.perf_counter()
    bare = make(folder / "served" / "heavy.git", heavy())
    said(f"made {FILES} files of {BODY} words in {HEAVY_COMMITS} commits", started, f"{size(bare):6.0f} MiB on disk")
    server = GitServer(folder / "served")
    url = f"{server.url}/heavy.git"
    asyncio.run(in_pieces(folder, url, Limits(), "in pieces"))
    asyncio.run(in_pieces(folder, url, Limits(pieces=4 << 30), "whole"))
    rival(url, folder / "clone", "--bare", "--depth=1")
    rival(url, folder / "clone", "--bare", "--depth=1", "--filter=blob:none")
    server.close()


def index() -> bytes:
    """As large an index as public chart repositories have: 200 charts of 100 versions, about 20 MB."""
    lines = ["apiVersion: v1", "entries:"]
    for chart in range(200):
        lines.append(f"  chart-{chart}:")
        for number in range(sized("BENCH_VERSIONS", 100, 20)):
            lines += ["  - apiVersion: v2", "    appVersion: 1.2.3", '    created: "2026-01-02T03:04:05Z"']
            lines += [f"    description: {'what it is for, at some length ' * 25}", f"    digest: {number:063x}a"]
            lines += [f"    name: chart-{chart}", "    urls:", f"    - chart-{chart}-1.{number}.0.tgz"]
            lines += [f"    version: 1.{number}.0"]
    return "\n".join([*lines, "generated: now", ""]).encode()


def charts() -> None:
    raw = index()
    started = time.perf_counter()
    for chart in range(200):
        choose(raw, f"chart-{chart}", parse(">=1 <2"))
    said(f"index of {len(raw) / 1e6:.0f} MB: 200 charts chosen", started)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for number in range(2_000):
            entry = tarfile.TarInfo(f"web/templates/{number}.yaml")
            entry.size = 5_000
            archive.addfile(entry, io.BytesIO(os.urandom(2_500) * 2))
    started = time.perf_counter()
    count = sum(1 for _ in files(packed.getvalue()))
    said(f"archive of {len(packed.getvalue()) / 1e6:.0f} MB: {count} files unpacked", started)


def main() -> None:
    charts()
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as name:
        folder, started = Path(name), time.perf_counter()
        bare = make(folder / "huge.git", history())
        subprocess.run(["git", "-C", str(bare), "repack", "-adq"], check=True)
        said(f"made {FILES} files in {COMMITS} commits", started, f"{size(bare):6.0f} MiB on disk")
        for depth in (Limits().depth, 0):
            asyncio.run(measure(folder, bare, depth))
        rival(f"file://{bare}", folder / "clone")
        rival(f"file://{bare}", folder / "clone", "--depth=1")
        pieces(folder)


if __name__ == "__main__":
    main()
