"""A repository in memory, and a pool of real workers over it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kedge import process
from kedge.model.errors import Invalid
from kedge.model.ref import UnitName
from kedge.model.source import Entry, EntryKind, Revision, SourceSpec
from kedge.model.unit import RenderSpec, TargetSection, Unit
from kedge.renderers.render import WorkerRenderer
from kedge.renderers.worker import Limits, Pool

CHECKOUT = Path(__file__).resolve().parents[2]
WORKER = Path(os.environ.get("KEDGE_WORKER") or CHECKOUT / "src" / "kedge" / "bin" / "kedge-worker")
"""Another than the tree's may be tried."""


class Link(str):
    """A symlink's target."""


class Submodule(str):
    """A submodule's commit."""


@dataclass
class Repository:
    """`kedge.ports.Snapshot` over a dict of path → text, bytes, Link or Submodule. Counts what is read."""

    files: Mapping[str, str | bytes]
    commit: str = "c0ffee0"
    read_paths: list[str] = field(default_factory=list)

    @property
    def revision(self) -> Revision:
        return Revision("https://git.example/repo", "main", self.commit)

    def _content(self, path: str) -> bytes:
        content = self.files[path]
        return content if isinstance(content, bytes) else content.encode()

    def entry(self, path: str) -> Entry | None:
        if path in self.files:
            content = self._content(path)
            kinds = {Link: EntryKind.SYMLINK, Submodule: EntryKind.SUBMODULE}
            kind = kinds.get(type(self.files[path]), EntryKind.FILE)
            return Entry(path, hashlib.sha1(b"blob" + content).hexdigest(), kind, len(content))
        below = sorted(name for name in self.files if name.startswith(f"{path}/"))
        if not below:
            return None
        whole = hashlib.sha1(b"tree")
        for name in below:
            whole.update(name.encode() + b"\0" + self._content(name) + b"\0")
        return Entry(path, whole.hexdigest(), EntryKind.FOLDER)

    def entries(self, folder: str, *, recurse: bool = False) -> Sequence[Entry]:
        prefix = f"{folder}/" if folder else ""
        names = [name for name in self.files if name.startswith(prefix)]
        if not recurse:
            names = list({prefix + name[len(prefix) :].split("/")[0] for name in names})
        return sorted(entry for name in names if (entry := self.entry(name)) is not None)

    def read(self, entry: Entry) -> bytes:
        self.read_paths.append(entry.path)
        content = self._content(entry.path)
        if len(content) > 20 << 20:
            raise Invalid("larger than the source reads")
        return content


def folder_of(root: Path, prefix: str = "") -> dict[str, str | bytes]:
    """The files below a folder on disk, as a repository's."""
    found: dict[str, str | bytes] = {}
    for path in sorted(root.rglob("*")):
        name = prefix + path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = Link(os.readlink(path))
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


DETECT = RenderSpec()


def unit_of(path: str = "", render: RenderSpec = DETECT, name: str = "web") -> Unit:
    return Unit(UnitName("shop", name), "root", SourceSpec("r", "main", path), TargetSection(namespace="shop"), render)


@pytest.fixture
def worker() -> str:
    if not WORKER.exists():
        pytest.skip("the native worker is not built: run scripts/build_native.py")
    return str(WORKER)


@pytest.fixture
async def pool(worker: str) -> AsyncIterator[Pool]:
    pool = Pool(worker, process.spawn, size=2)
    yield pool
    await pool.close()


@pytest.fixture
async def impatient(worker: str) -> AsyncIterator[Pool]:
    """A pool whose deadline is short enough for inputs that never end."""
    pool = Pool(worker, process.spawn, size=1, limits=Limits(deadline=1.5))
    yield pool
    await pool.close()


@pytest.fixture
def renderer(pool: Pool) -> WorkerRenderer:
    return WorkerRenderer(pool, "test")


@pytest.fixture
def shared() -> Path:
    """The folder of shared test data. Skips where there is none."""
    place = Path(os.environ.get("KEDGE_SHARED") or CHECKOUT.parent / "shared")
    if not (place / "cases").is_dir():
        pytest.skip("the shared cases are not here: set KEDGE_SHARED")
    return place


@pytest.fixture
def oracle() -> Callable[[str], str]:
    """Finds a command line to compare with. Skips where it is not there."""

    def find(name: str) -> str:
        import shutil

        built = Path(os.environ.get("KEDGE_CACHE") or Path.home() / ".cache" / "kedge") / "parts" / "bin" / name
        found = str(built) if built.exists() else shutil.which(name)
        if not found:
            pytest.skip(f"{name} is not here to compare with: run scripts/build_oracles.py")
        return found

    return find


@pytest.fixture
def repository() -> type[Repository]:
    return Repository


@pytest.fixture
def link() -> type[Link]:
    return Link


@pytest.fixture
def submodule() -> type[Submodule]:
    return Submodule


@pytest.fixture
def unit() -> Callable[..., Unit]:
    return unit_of


@pytest.fixture
def load() -> Callable[..., dict[str, str | bytes]]:
    return folder_of
