"""Cold start: applications that are declared already, in one repository and in as many repositories as there are.

A house with an empty data folder begins on them and works until its record says of each that it is settled; then it is
ended and begun again on what it has kept. The limit is what nobody can leave out, done bare in the same run: git's own
clone of every repository (eight at once, newest commit alone, no working tree), a render of every folder by the
same worker, and a loop of dry run and apply of the same objects.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pygit2

from bench._bare import Wish, bare
from bench._count import Counted
from bench._fleet import BRANCH, DECLARED, FOUR, NAMESPACE, PATIENCE, Followed, Repository, good, quiet
from bench._machine import helpers_cpu, resident, sized
from bench._target import Target, at_rest, make_namespace, target
from bench.renders import WIDTH, WORKER, Files, Forgetful, worker
from kedge import process
from kedge.compose import Parts, open_house
from kedge.control.road.enlist import AdminRoot
from kedge.control.shift.rounds import AT_ONCE
from kedge.house import House
from kedge.renderers.render import WorkerRenderer
from kedge.renderers.worker import Pool

COUNT = sized("BENCH_APPLICATIONS", 1000, 60)
WHO = pygit2.Signature("Mona", "mona@example.com", 1_700_000_000, 0)
APART = DECLARED.replace("{{path: apps/{0}}}", '{{repository: "{1}", ref: main, path: apps/{0}}}')


@dataclass(frozen=True, slots=True)
class Fleet:
    """Applications that are declared in `admin`; `urls` are the repositories that they are in."""

    what: str
    admin: str
    urls: tuple[str, ...]


def together(folder: Path) -> Fleet:
    """All of them in the repository that declares them."""
    repository = Repository(folder, COUNT, FOUR)
    repository.begin()
    repository.declare()
    return Fleet(f"{COUNT:,} applications in one repository", repository.url, (repository.url,))


def apart(folder: Path) -> Fleet:
    """Each in a repository of its own."""
    names = Repository(folder, COUNT, FOUR).names()
    urls = [(folder / f"{name}.git").as_uri() for name in names]
    for name in names:
        write(folder / f"{name}.git", {f"apps/{name}/{file}": text.format(name, 0) for file, text in FOUR.items()})
    declared = {f".kedge/{name}.yaml": APART.format(name, url) for name, url in zip(names, urls, strict=True)}
    write(folder / "admin.git", declared)
    return Fleet(f"{COUNT:,} applications in {COUNT:,} repositories", (folder / "admin.git").as_uri(), tuple(urls))


def write(place: Path, files: dict[str, str]) -> None:
    """A bare repository of one commit."""
    repository = pygit2.init_repository(str(place), bare=True, initial_head=BRANCH)
    index = pygit2.Index()
    for path, text in files.items():
        blob = repository.create_blob(text.encode())
        index.add(pygit2.IndexEntry(path, blob, pygit2.enums.FileMode.BLOB))
    tree = index.write_tree(repository)
    repository.create_commit(f"refs/heads/{BRANCH}", WHO, WHO, "begin", tree, [])


@asynccontextmanager
async def living(data: Path, fleet: Fleet, found: Target) -> AsyncIterator[House]:
    """A house on `data`, composed and not yet at work."""
    data.mkdir(parents=True, exist_ok=True)
    environ = {"PATH": os.environ["PATH"], "HOME": str(data)}
    parts = Parts(data, environ, access=found.access, poll=3600.0)
    async with open_house(parts, AdminRoot(fleet.admin, BRANCH)) as house:
        yield house


async def began(fleet: Fleet, found: Target, data: Path) -> float:
    """Seconds from nothing until every application is settled."""
    empty, helped, spent = resident(), helpers_cpu(found.pids), time.process_time()
    started = time.perf_counter()
    async with living(data, fleet, found) as house:
        followed, counted, before = Followed(house), Counted(house), await found.tally()
        await house.start()
        ended = await followed.all(COUNT, print)
        await quiet(house)
        spent, helped = time.process_time() - spent, helpers_cpu(found.pids) - helped
        asked = (await found.tally()).since(before)
        counted.end()
        if (count := await good(house)) != COUNT:
            raise SystemExit(f"only {count} of {COUNT} applications are Synced and Healthy")
        gc.collect()
        print(f"   {fleet.what}: from nothing to settled {ended - started:.1f} s; {counted}; cluster: {asked}")
        print(
            f"      CPU: {spent:.1f} s here, {helped:.1f} s in its children that still run; memory {resident():.0f}",
            end="",
        )
        print(f" MiB, {empty:.0f} before")
    return ended - started


async def resumed(fleet: Fleet, found: Target, data: Path) -> None:
    """A second life on what the first has kept: until every source has been asked and every unit looked at."""
    started, spent = time.perf_counter(), time.process_time()
    async with living(data, fleet, found) as house:
        counted, before = Counted(house), await found.tally()
        opened = time.time()
        await house.start()
        await verified(house, opened)
        since = await quiet(house)
        asked = (await found.tally()).since(before)
        counted.end()
    spent = time.process_time() - spent
    print(f"      begun again on what is kept: {since - started:.1f} s, {spent:.1f} s CPU; {counted}; cluster: {asked}")


async def verified(house: House, since: float) -> None:
    """Wait until every source has answered this life, and nobody is due."""
    while True:
        asked = house.shift.rounds.asked()
        if asked and all(answered is not None and answered >= since for _, answered in asked.values()):
            return
        if time.time() - since > PATIENCE:
            raise SystemExit("the sources did not answer")
        await asyncio.sleep(0.05)


async def cloned(fleet: Fleet, folder: Path) -> float:
    """Seconds for git's own clones of every repository there is, as many at once as Kedge has."""
    left = iter(enumerate(dict.fromkeys((fleet.admin, *fleet.urls))))

    async def lane() -> None:
        for number, url in left:
            argv = ["git", "clone", "-q", "--bare", "--depth=1", url, str(folder / str(number))]
            await process.run(argv, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}, timeout=60)

    started = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    taken = time.perf_counter() - started
    shutil.rmtree(folder)
    return taken


async def rendered(names: Sequence[str]) -> float:
    """Seconds for a render of every folder by the worker, with nothing remembered."""
    pool = Pool(str(WORKER), process.spawn, size=WIDTH)
    renderer, left = WorkerRenderer(pool, "bench", Forgetful()), iter(names)

    async def lane() -> None:
        for name in left:
            files = Files({f"apps/{name}/{file}": text.format(name, 0).encode() for file, text in FOUR.items()})
            await worker(renderer, files, f"apps/{name}")(0)

    started = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(2 * WIDTH)))
    taken = time.perf_counter() - started
    await pool.close()
    return taken


async def applied(found: Target, namespace: str, names: tuple[str, ...]) -> float:
    """Seconds for a loop that dry-runs and applies every object."""
    await make_namespace(found.access, namespace)
    access = found.access
    told = await bare(Wish(access.server, access.ca, access.token, namespace, names, tuple(FOUR), 0, tried=True))
    await at_rest(found)
    return told.seconds


async def compare(folder: Path, fleet: Fleet, tag: str) -> None:
    """One fleet on a cluster of its own, with its limit."""
    names = tuple(Repository(folder, COUNT, FOUR).names())
    async with target() as found:
        await applied(found, "warm", names[: max(20, COUNT // 10)])
        limits = {
            "clones": await cloned(fleet, folder / f"clones-{tag}"),
            "renders": await rendered(names),
            "dry run, apply": await applied(found, "bare", names),
        }
        await make_namespace(found.access, NAMESPACE)
        taken = await began(fleet, found, folder / f"data-{tag}")
        await at_rest(found)
        await resumed(fleet, found, folder / f"data-{tag}")
    total = sum(limits.values())
    told = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in limits.items())
    print(f"      bare, one after the other: {told}; all {total:.1f} s, which is {total / taken:.0%} of Kedge's time")


FLEETS = {"one": together, "many": apart}


def one(tag: str) -> None:
    """One fleet, in this process: the memory it tells of is its own."""
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as name:
        folder = Path(name) / tag
        if tag == "many":
            folder.mkdir()
        asyncio.run(compare(Path(name), FLEETS[tag](folder), tag))


def main() -> None:
    for tag in FLEETS:
        subprocess.run([sys.executable, "-m", "bench.cold", tag], check=True)


if __name__ == "__main__":
    one(sys.argv[1])
