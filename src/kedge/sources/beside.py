"""A local repository's files with those of other places beside them, put together as a server does, without writing
anything: charts of the same repository that a chart depends on, and what `fetch` brings from elsewhere.
"""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha1

from kedge.model.errors import Invalid, Where
from kedge.model.origin import MAIN, OTHERS, Assembly, assembly_of, chart_of, of_assembly, of_chart, spoken
from kedge.model.source import Entry, EntryKind, Revision, SourceSpec
from kedge.ports import Snapshot
from kedge.sources.dependencies import Dependency, chart_in, dependencies, holds, judge
from kedge.sources.secrets import fits

Fetch = Callable[[str, str], Awaitable[Snapshot]]
"""(repository, ref) → its files."""
LOCAL = ""
"""The repository that is there already, in a source."""
_DEPTH = 5
"""How deep charts may depend on one another, as for a server."""


async def put_together(local: Snapshot, source: SourceSpec, fetch: Fetch | None = None) -> Snapshot:
    """The files of a source whose repository is LOCAL or elsewhere. Raises Invalid for what is elsewhere where nothing
    is fetched, is not allowed, or is not there."""
    assembly = assembly_of(source.ref) or Assembly(source.ref, source.path)
    grafts: dict[str, Graft] = {}
    if source.repository == LOCAL:
        main = local
        if assembly.allow:
            await _gather(Graft(local, source.path), source.path, grafts, _Elsewhere(assembly.allow, fetch))
    else:
        main = await _brought(fetch, source.repository, of_assembly(replace(assembly, others=())))
    if assembly.others and not assembly.path:
        grafts[MAIN] = Graft(main, "")
    for part in assembly.others:
        beside = local if part.repository == LOCAL else await _brought(fetch, part.repository, part.ref)
        grafts[f"{OTHERS}/{part.name}"] = Graft(beside, "")
    return Grafted(main, grafts) if grafts else main


@dataclass(frozen=True, slots=True)
class Graft:
    """A folder of other files."""

    snapshot: Snapshot
    folder: str

    def below(self, path: str) -> Graft:
        return replace(self, folder=posixpath.join(self.folder, path) if path else self.folder)

    @property
    def found(self) -> Entry | None:
        """The folder itself, also where it is the root. What is in a root makes it another one."""
        if self.folder:
            return self.snapshot.entry(self.folder)
        inside = [f"{entry.path} {entry.id}" for entry in self.snapshot.entries("")]
        return Entry("", _identity([self.snapshot.revision.commit, *inside]), EntryKind.FOLDER)


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """What the declaration allows that files name, and who fetches it."""

    allow: tuple[str, ...]
    fetch: Fetch | None


async def _brought(fetch: Fetch | None, repository: str, ref: str) -> Snapshot:
    if fetch is None:
        told = f"{spoken(ref)} of {repository[:200]}".strip()
        raise Invalid(f"{told} is not here, and nothing is fetched", hint="--fetch has it fetched, as a server does")
    return await fetch(repository, ref)


async def _gather(chart: Graft, at: str, grafts: dict[str, Graft], elsewhere: _Elsewhere, depth: int = 1) -> None:
    """What the chart depends on and does not hold, and what that depends on; `at` is where the chart is found."""
    found = chart_in(chart.snapshot, chart.folder)
    if found is None:
        return
    where = Where(posixpath.join(chart.folder, "Chart.yaml"))
    if depth > _DEPTH:
        raise Invalid(f"charts depend on others more than {_DEPTH} deep", where=where)
    for wanted in dependencies(chart.folder, found.text, found.lock):
        if holds(found.held, wanted.name) or not wanted.repository:
            continue
        inside = posixpath.join(at, "charts", wanted.name)
        if wanted.folder:
            graft = replace(chart, folder=wanted.folder)
        else:
            graft = Graft(await _dependency(wanted, elsewhere, where, at), wanted.name)
        entry = graft.snapshot.entry(graft.folder)
        if entry is None or entry.kind is not EntryKind.FOLDER:
            raise Invalid(f"there is no chart {graft.folder}", where=where)
        grafts[inside] = graft
        await _gather(graft, inside, grafts, elsewhere, depth + 1)


async def _dependency(wanted: Dependency, elsewhere: _Elsewhere, where: Where, at: str) -> Snapshot:
    """The files of a chart from elsewhere."""
    told = f"the chart's dependency {wanted.name} is at {wanted.repository[:200]}"
    if elsewhere.fetch is None:
        hint = f"--fetch has it fetched; `helm dependency build {at}` puts it where it is found without"
        raise Invalid(f"{told}, and nothing is fetched", where=where, hint=hint)
    if not any(fits(prefix, wanted.repository) for prefix in elsewhere.allow):
        hint = "add the URL, or its beginning, to source.allow"
        raise Invalid(f"{told}, which the declaration does not allow", where=where, hint=hint)
    snapshot = await elsewhere.fetch(wanted.repository, of_chart(wanted.name, wanted.version))
    judge(wanted, snapshot.revision.version, wanted.version)
    return snapshot


def is_elsewhere(source: SourceSpec) -> bool:
    """Whether the main part of a source is a chart or an artifact, which no folder stands for."""
    assembly = assembly_of(source.ref)
    ref = assembly.ref if assembly is not None else source.ref
    return chart_of(ref) is not None or source.repository.startswith("oci://")


class Grafted:
    """`kedge.ports.Snapshot` over another one. `grafts`: path → the folder whose files are found there too."""

    def __init__(self, inner: Snapshot, grafts: Mapping[str, Graft]) -> None:
        self._inner = Graft(inner, "")
        self._grafts = grafts

    @property
    def revision(self) -> Revision:
        return self._inner.snapshot.revision

    def entry(self, path: str) -> Entry | None:
        real = self._real(path)
        found = real.found if path else None
        below = [at for at in self._grafts if at.startswith(f"{path}/")]
        if not below:
            return None if found is None else replace(found, path=path)
        # A folder with something else in it is another folder: what was rendered of one is not taken for the other's.
        ids = [found.id if found is not None else "", *(f"{at} {self._id(at)}" for at in below)]
        return Entry(path, _identity(ids), EntryKind.FOLDER)

    def _id(self, at: str) -> str:
        entry = self._grafts[at].found
        return entry.id if entry is not None else ""

    def entries(self, folder: str, *, recurse: bool = False) -> Sequence[Entry]:
        real, found = self._real(folder), dict[str, Entry]()
        for entry in real.snapshot.entries(real.folder, recurse=recurse):
            path = posixpath.join(folder, posixpath.relpath(entry.path, real.folder or "."))
            found[path] = replace(entry, path=path)
        for at in self._grafts:
            self._add(found, folder, at, recurse=recurse)
        return [found[path] for path in sorted(found)]

    def _add(self, found: dict[str, Entry], folder: str, at: str, *, recurse: bool) -> None:
        """What a graft brings into a folder: itself, the folders on the way to it, and all that is in it."""
        if folder and not at.startswith(f"{folder}/"):
            return
        names = posixpath.relpath(at, folder or ".").split("/")
        for end in range(1, len(names) + 1 if recurse else 2):
            path = posixpath.join(folder, *names[:end])
            entry = self.entry(path)
            if entry is not None:
                found.setdefault(path, entry)
        if recurse:
            found.update((entry.path, entry) for entry in self.entries(at, recurse=True))

    def read(self, entry: Entry) -> bytes:
        real = self._real(entry.path)
        return real.snapshot.read(replace(entry, path=real.folder))

    def _real(self, path: str) -> Graft:
        """Where the files at a path are in truth: the innermost graft counts."""
        above = [at for at in self._grafts if path == at or path.startswith(f"{at}/")]
        if not above:
            return self._inner.below(path)
        at = max(above, key=len)
        return self._grafts[at].below(path[len(at) + 1 :])


def _identity(ids: Sequence[str]) -> str:
    return sha1("\n".join(ids).encode(), usedforsecurity=False).hexdigest()
