"""Renders per second: the worker against the command lines it takes the place of.

The worker is driven as the controller drives it: a pool of two children, frames over pipes, results as manifests. The
memory of earlier renders is off, so that every render is rendered. A command line starts anew for each render, two at
a time, which is how a controller without a worker would use it. Rivals that are not on this machine are left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import _heavy
from bench._machine import resident, sized
from kedge import process
from kedge.model.declaration import TargetSection
from kedge.model.ref import UnitName
from kedge.model.source import Entry, EntryKind, Revision, SourceSpec
from kedge.model.unit import Unit
from kedge.renderers.fieldmanager import Ask, FieldManager
from kedge.renderers.memory import Memory
from kedge.renderers.render import WorkerRenderer
from kedge.renderers.worker import Pool

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "src" / "kedge" / "bin" / "kedge-worker"
FIXTURES = ROOT / "tests" / "renderers" / "fixtures"
SECONDS = sized("BENCH_SECONDS", 3, 1)
WIDTH = 2

Work = Callable[[int], Awaitable[object]]


@dataclass(frozen=True)
class Files:
    """A folder on disk, read once, as a snapshot."""

    contents: Mapping[str, bytes]

    @property
    def revision(self) -> Revision:
        return Revision("bench", "main", "0" * 40)

    def entry(self, path: str) -> Entry | None:
        if (content := self.contents.get(path)) is not None:
            return Entry(path, hashlib.sha1(content).hexdigest(), EntryKind.FILE, len(content))
        below = any(name.startswith(f"{path}/") for name in self.contents)
        return Entry(path, f"folder {path}", EntryKind.FOLDER) if below else None

    def entries(self, folder: str, *, recurse: bool = False) -> Sequence[Entry]:
        prefix = f"{folder}/" if folder else ""
        names = {name for name in self.contents if name.startswith(prefix)}
        if not recurse:
            names = {prefix + name[len(prefix) :].split("/")[0] for name in names}
        return sorted(entry for name in names if (entry := self.entry(name)) is not None)

    def read(self, entry: Entry) -> bytes:
        return self.contents[entry.path]


def read_folder(root: Path) -> Files:
    return Files({path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()})


class Forgetful(Memory):
    """Remembers nothing."""

    def keep(self, key: str, past: object) -> None: ...


async def rate(work: Work) -> float:
    """How often a second `work` is done, `WIDTH` at a time."""
    await work(0)
    started, done = time.perf_counter(), 0

    async def lane() -> None:
        nonlocal done
        while time.perf_counter() - started < SECONDS:
            done += 1
            await work(done)

    await asyncio.gather(*(lane() for _ in range(WIDTH)))
    return done / (time.perf_counter() - started)


def program(name: str) -> str | None:
    built = Path(os.environ.get("KEDGE_CACHE") or Path.home() / ".cache" / "kedge") / "parts" / "bin" / name
    return str(built) if built.exists() else shutil.which(name)


def command(argv: Sequence[str], cwd: Path) -> Work:
    async def work(_: int) -> object:
        env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
        done = await process.run(argv, env=env, timeout=60, cwd=str(cwd))
        if done.code:
            raise SystemExit(f"{argv[0]} failed: {done.stderr}")
        return done

    return work


def worker(renderer: WorkerRenderer, files: Files, path: str) -> Work:
    unit = Unit(UnitName("bench", "web"), "bench", SourceSpec("bench", "main", path), TargetSection(namespace="shop"))
    return lambda _: renderer.render(files, unit)


def shared_apps() -> Path | None:
    """The folder of example applications, where it is beside the checkout."""
    place = Path(os.environ.get("KEDGE_SHARED") or ROOT.parent / "shared") / "cases" / "example-apps"
    return place if place.is_dir() else None


def jsonnet_files() -> dict[str, bytes]:
    """Twenty objects that a library's function makes."""
    head = "{make(n):: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'c%d' % n}, data: {key: 'value %d' % n}}}"
    program = "local lib = import 'lib.libsonnet'; [lib.make(n) for n in std.range(1, 20)]"
    return {"jsonnet/all.jsonnet": program.encode(), "jsonnet/lib.libsonnet": head.encode()}


async def examples(renderer: WorkerRenderer) -> None:
    """Applications as people write them."""
    folder = shared_apps()
    if folder is None:
        print(f"{'examples':<10} the example applications are not here: set KEDGE_SHARED")
        return
    files = read_folder(folder)
    for name in ("helm-guestbook", "sock-shop", "jsonnet-guestbook-tla"):
        print(f"{'example':<10} {name:<21} {await rate(worker(renderer, files, name)):4.0f} renders/s")
    if helm := program("helm"):
        theirs = await rate(command([helm, "template", "web", "helm-guestbook", "-n", "shop"], folder))
        print(f"{'example':<10} helm-guestbook, helm  {theirs:4.1f} renders/s")


def plain_files() -> dict[str, bytes]:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{0}}}\ndata:\n  key: value {0}\n"
    return {f"plain/{n}.yaml": text.format(n).encode() for n in range(20)}


async def compare(renderer: WorkerRenderer) -> None:
    helm, kustomize, kubectl = program("helm"), program("kustomize"), program("kubectl")
    folders = {"kustomize": FIXTURES / "kustomize", "helm": FIXTURES / "helm"}
    rivals: dict[str, list[tuple[str, Sequence[str] | None]]] = {
        "kustomize": [
            ("kustomize build", kustomize and [kustomize, "build", "overlay"]),
            ("kubectl kustomize", kubectl and [kubectl, "kustomize", "overlay"]),
        ],
        "helm": [("helm template", helm and [helm, "template", "web", "chart", "-n", "shop", "--include-crds"])],
    }
    for tool, path in (("kustomize", "overlay"), ("helm", "chart")):
        ours = await rate(worker(renderer, read_folder(folders[tool]), path))
        print(f"{tool:<10} worker            {ours:8.0f} renders/s")
        for name, argv in rivals[tool]:
            if not argv:
                print(f"{tool:<10} {name:<17} not on this machine")
                continue
            theirs = await rate(command(argv, folders[tool]))
            print(f"{tool:<10} {name:<17} {theirs:8.1f} renders/s   worker ÷ it = {ours / theirs:.0f}")
    plain = await rate(worker(renderer, Files(plain_files()), "plain"))
    print(f"{'plain':<10} worker            {plain:8.0f} renders/s of 20 files")
    jsonnet = await rate(worker(renderer, Files(jsonnet_files()), "jsonnet"))
    print(f"{'jsonnet':<10} worker            {jsonnet:8.0f} renders/s of 20 objects")
    await examples(renderer)


def overlays() -> Path | None:
    """The folder of overlays from open repositories, where it is beside the checkout."""
    folder = shared_apps()
    place = folder.parent / "kustomize" if folder is not None else None
    return place if place is not None and place.is_dir() else None


async def real(renderer: WorkerRenderer) -> None:
    """Overlays of open repositories, one after the other, all of them over and over."""
    folder, kustomize = overlays(), program("kustomize")
    if folder is None:
        return
    cases = [(case, build_of(case)) for case in sorted(folder.iterdir())]
    works = [worker(renderer, read_folder(case / "input"), "" if path == "." else path) for case, path in cases]
    ours = await rate(lambda number: works[number % len(works)](number))
    print(f"{'overlays':<10} worker            {ours:8.0f} renders/s of {len(cases)} real overlays")
    if kustomize:
        rivals = [command([kustomize, "build", path], case / "input") for case, path in cases]
        theirs = await rate(lambda number: rivals[number % len(rivals)](number))
        print(f"{'overlays':<10} kustomize build   {theirs:8.1f} renders/s   worker ÷ it = {ours / theirs:.0f}")


def build_of(case: Path) -> str:
    lines = (case / "case.yaml").read_text().splitlines()
    return next(line.partition(":")[2].strip().strip("'\"") for line in lines if line.startswith("build:"))


async def memory() -> None:
    """What one heavy render holds."""
    helm, kustomize = program("helm"), program("kustomize")
    chart, overlay = _heavy.chart(), _heavy.overlay()
    mine = await _heavy.held(WORKER, chart, "chart", Files(chart))
    theirs = _heavy.rival([helm, "template", "web", "chart"], chart) if helm else None
    _heavy.told("a chart", mine, theirs)
    mine = await _heavy.held(WORKER, overlay, "overlay", Files(overlay))
    theirs = _heavy.rival([kustomize, "build", "overlay"], overlay) if kustomize else None
    _heavy.told("an overlay", mine, theirs)


async def remembered(pool: Pool) -> None:
    """What an unchanged unit costs: its questions are put to the snapshot again, and nothing is rendered."""
    ours = await rate(worker(WorkerRenderer(pool, "bench"), read_folder(FIXTURES / "kustomize"), "overlay"))
    print(f"{'kustomize':<10} unchanged         {ours:8.0f} answers/s")


def fields() -> None:
    """Field management alone, blocking, each request another."""
    manager = FieldManager(str(WORKER), remember=0)
    head = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"d"},"data":{"k":"%d"}}'
    live = manager.apply(None, (head % 0).encode(), Ask("bench")).body
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        done += 1
        manager.apply(live, (head % done).encode(), Ask("bench"))
    print(f"{'fields':<10} apply             {done / (time.perf_counter() - started):8.0f} objects/s")
    manager.close()


async def measure() -> None:
    children: list[process.Child] = []

    async def spawn(*args: Any, **kwargs: Any) -> process.Child:
        children.append(await process.spawn(*args, **kwargs))
        return children[-1]

    pool = Pool(str(WORKER), spawn, size=WIDTH)
    started = time.perf_counter()
    await pool.versions()
    print(f"{'worker':<10} ready after       {(time.perf_counter() - started) * 1000:8.0f} ms")
    await compare(WorkerRenderer(pool, "bench", Forgetful()))
    await real(WorkerRenderer(pool, "bench", Forgetful()))
    await remembered(pool)
    most = max(resident(child.pid) for child in children if child.alive)
    print(f"{'worker':<10} resident          {most:8.0f} MiB each")
    await pool.close()
    await memory()


def main() -> None:
    if not WORKER.exists():
        print("the native worker is not built: run scripts/build_native.py")
        return
    asyncio.run(measure())
    fields()


if __name__ == "__main__":
    main()
