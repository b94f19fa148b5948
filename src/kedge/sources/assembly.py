"""Several sources put together as one tree: other sources beside the main one, and what its files name themselves.

Everything is Git objects already, so a new tree is made of the ids of what was fetched: nothing is copied, and what did
not change keeps its id. What the files name is fetched only from where the declaration allows.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pygit2
from pygit2.enums import FileMode

from kedge.model.errors import Invalid, Unavailable, Where
from kedge.model.origin import MAIN, OTHERS, Assembly, assembly_of, of_chart, parts_of
from kedge.model.source import Entry, EntryKind, Revision
from kedge.ports import Snapshot, Source
from kedge.sources import dependencies, lfs, submodules
from kedge.sources.content import Content, Shelf
from kedge.sources.secrets import fits
from kedge.sources.snapshot import FILE_LIMIT, POINTER_SIZE, GitSnapshot
from kedge.sources.tarball import File
from kedge.sources.web import Web

_DEPTH = 5
"""How deep submodules, and charts, may be in one another."""
_MOST = 1_000
"""Files in Git LFS, submodules and charts of one source."""
_BESIDE = FILE_LIMIT
"""Bytes of all the files in Git LFS outside of the unit's folder: what is more is not brought unasked."""


_NOTED = ("repository", "ref", "commit", "version", "digest")


class Stocked(Source, Protocol):
    """A source that keeps what it fetches as Git objects on disk."""

    def objects(self, repository: str) -> Path: ...

    def doubt(self, repository: str) -> None: ...


@dataclass(slots=True)
class _Work:
    """What is put where in the main source's tree: path → (id, mode); and where the objects are."""

    assembly: Assembly
    main: Revision
    puts: dict[str, tuple[str, FileMode]] = field(default_factory=dict)
    places: list[Path] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Chart:
    """A chart below `folder` of its own source, and `at` in what is put together."""

    folder: str
    at: str


class AssembledSource:
    """`kedge.ports.Source` for refs that `kedge.model.origin.of_assembly` makes. `single` says who fetches a part."""

    def __init__(self, data: Path, single: Callable[[str, str], Stocked], web: Web) -> None:
        self._single = single
        self._web = web
        self._shelf = Shelf(data)
        self._settled: dict[tuple[str, str], Revision] = {}

    async def fetch(self, repository: str, ref: str) -> Revision:
        """As `kedge.ports.Source.fetch`: every part is asked, and the result has the main one's author and subject."""
        assembly = assembly_of(ref)
        if assembly is None:
            raise Invalid("nothing is put together here")
        (_, first), *others = parts_of(repository, ref)
        work = _Work(assembly, await self._part(repository, first))
        work.places.append(self._single(repository, first).objects(repository))
        beside = [await self._other(work, *other) for other in others]
        content = self._shelf.content(repository)
        async with content.lock:
            await self._named(work, content)
            content.borrow(work.places)
            commit = _write(content, work, {part.name: id for part, id in zip(assembly.others, beside, strict=True)})
        told = [work.main.version, *work.told]
        origin = work.main.commit
        return replace(work.main, ref=ref, commit=str(commit), version=", ".join(filter(None, told)), origin=origin)

    async def _part(self, repository: str, ref: str) -> Revision:
        """One of the parts, with all its files: which of them the whole is read by, nobody knows yet."""
        source = self._single(repository, ref)
        revision = await source.fetch(repository, ref)
        await source.bring(revision, ("",))
        return revision

    async def _other(self, work: _Work, repository: str, ref: str) -> str:
        """The tree of another source."""
        source, revision = self._single(repository, ref), await self._part(repository, ref)
        work.places.append(source.objects(repository))
        part = work.assembly.others[len(work.told)]
        work.told.append(f"{part.name} {revision.version or revision.short}")
        return _root(source.snapshot(revision))

    async def _named(self, work: _Work, content: Content) -> None:
        """What the files name themselves, as far as it is allowed."""
        snapshot = self._single(work.main.repository, work.assembly.ref).snapshot(work.main)
        if work.assembly.submodules:
            await self._submodules(work, snapshot, work.main.repository, "", 1)
        if work.assembly.lfs:
            await self._large(work, snapshot, content)
        if work.assembly.allow:
            await self._dependencies(work, snapshot)

    async def _dependencies(self, work: _Work, snapshot: Snapshot) -> None:
        folder = work.assembly.path
        await self._beneath(work, snapshot, _Chart(folder, folder), 1)

    async def _beneath(self, work: _Work, snapshot: Snapshot, chart: _Chart, depth: int) -> None:
        """What a chart depends on and does not hold, and what that depends on. A packed chart holds all of it."""
        found = dependencies.chart_in(snapshot, chart.folder)
        if found is None:
            return
        text, lock = found.text, found.lock
        if depth > 1 and all(dependencies.holds(found.held, name) for name in dependencies.names(chart.folder, text)):
            return
        if depth > _DEPTH or len(work.puts) > _MOST:
            raise Invalid(f"charts depend on more than {_MOST} others, or more than {_DEPTH} deep")
        for wanted in dependencies.dependencies(chart.folder, text, lock):
            if dependencies.holds(found.held, wanted.name) or not wanted.repository:
                continue
            at = posixpath.join(chart.at, "charts", wanted.name)
            inside, folder = snapshot, wanted.folder
            if folder:
                entry = snapshot.entry(folder)
                if entry is None or entry.kind is not EntryKind.FOLDER:
                    where = Where(posixpath.join(chart.folder, "Chart.yaml"))
                    raise Invalid(f"there is no chart {folder}", where=where)
                work.puts[at] = (entry.id, FileMode.TREE)
            else:
                inside, folder = await self._dependency(work, wanted, at, locked=lock is not None), wanted.name
            await self._beneath(work, inside, _Chart(folder, at), depth + 1)

    async def _dependency(self, work: _Work, wanted: dependencies.Dependency, at: str, *, locked: bool) -> Snapshot:
        """Puts a chart that another depends on; answers where its files are."""
        self._check(work, wanted.repository, f"the chart's dependency {wanted.name}")
        key = wanted.repository, of_chart(wanted.name, wanted.version)
        source = self._single(*key)
        revision = self._settled.get(key) or await self._part(*key)
        dependencies.judge(wanted, revision.version, wanted.version)
        if locked:
            self._settled[key] = revision  # one version and no other: it is not asked for again
        work.places.append(source.objects(wanted.repository))
        work.told.append(f"{wanted.name} {revision.version}")
        snapshot = source.snapshot(revision)
        entry = snapshot.entry(wanted.name)
        if entry is None:
            raise Invalid(f"the dependency {wanted.name} came without its files")
        work.puts[at] = (entry.id, FileMode.TREE)
        return snapshot

    async def _submodules(self, work: _Work, snapshot: Snapshot, repository: str, below: str, depth: int) -> None:
        text = _read(snapshot, submodules.FILE)
        known = submodules.urls(text) if text is not None else {}
        found = [each for each in snapshot.entries("", recurse=True) if each.kind is EntryKind.SUBMODULE]
        if depth > _DEPTH or len(found) + len(work.puts) > _MOST:
            raise Invalid(f"there are more than {_MOST} submodules, or more than {_DEPTH} in one another")
        for entry in found:
            if entry.path not in known:
                raise Invalid(f"{submodules.FILE} does not name {entry.path}", where=Where(submodules.FILE))
            url = submodules.absolute(repository, known[entry.path])
            self._check(work, url, f"the submodule {posixpath.join(below, entry.path)}")
            source, revision = self._single(url, entry.id), await self._part(url, entry.id)
            inner, at = source.snapshot(revision), posixpath.join(below, entry.path)
            work.places.append(source.objects(url))
            work.puts[at] = (_root(inner), FileMode.TREE)
            await self._submodules(work, inner, url, at, depth + 1)

    async def _large(self, work: _Work, snapshot: Snapshot, content: Content) -> None:
        if not isinstance(snapshot, GitSnapshot):
            return
        pointers = _pointers(snapshot, work.assembly.path)
        if len(pointers) > _MOST:
            raise Invalid(f"there are more than {_MOST} files in Git LFS")
        every = _pointers(snapshot, "") if work.assembly.path else pointers
        beside = every.keys() - pointers.keys()  # a values file, a base: who can tell which of them is read
        if len(every) <= _MOST and sum(every[entry].size for entry in beside) <= _BESIDE:
            pointers = every
        for entry, found in pointers.items():
            key = f"lfs {found.oid}"
            commit = content.find(key)
            if commit is None:
                raw = await lfs.fetch(self._web, work.main.repository, found, FILE_LIMIT)
                commit = await content.keep(key, key, [File("data", raw)])
            blob = content.repository[commit].peel(pygit2.Tree)["data"].id
            work.puts[entry.path] = (str(blob), _mode(entry))

    def _check(self, work: _Work, url: str, what: str) -> None:
        """Raises Invalid for what is not allowed, with the line that allows it."""
        if any(fits(prefix, url) for prefix in work.assembly.allow):
            return
        raise Invalid(
            f"{what} is at {url[:200]}, which the declaration does not allow",
            hint="add the URL, or its beginning, to source.allow",
        )

    async def bring(self, revision: Revision, paths: Sequence[str]) -> None:
        """Its parts came whole."""

    def snapshot(self, revision: Revision) -> Snapshot:
        """As `kedge.ports.Source.snapshot`. Where an object is not there, it is a part that has lost it."""

        def lost() -> None:
            for part in parts_of(revision.repository, revision.ref):
                self._single(*part).doubt(part[0])

        return self._shelf.snapshot(revision, lost)

    def changed(self, before: Revision, after: Revision) -> Sequence[str] | None:
        return self._shelf.changed(before, after)

    def touched(self, revision: Revision, paths: Sequence[str]) -> Revision:
        """The newest commit of the main source that changed what is of it; where it was another, the whole."""
        main = self._main(revision)
        ours = [path.removeprefix(f"{MAIN}/") for path in paths if not path.startswith(f"{OTHERS}/")]
        if main is None or not ours:
            return revision
        found = self._single(main.repository, main.ref).touched(main, ours)
        return replace(found, ref=revision.ref)

    def descends(self, before: Revision, after: Revision) -> bool:
        """Whether the main source's history went on."""
        old, new = self._main(before), self._main(after)
        if old is None or new is None:
            return before.repository == after.repository
        return old.commit == new.commit or self._single(new.repository, new.ref).descends(old, new)

    def _main(self, revision: Revision) -> Revision | None:
        """The main source's own revision, as it was noted when it was put together."""
        try:
            said: Mapping[str, str] = json.loads(self._shelf.content(revision.repository).label(revision.commit))
            repository, ref, commit, version, digest = (said[name] for name in _NOTED)
        except (Unavailable, KeyError, ValueError):
            return None
        return Revision(repository, ref, commit, version=version, digest=digest)


def _pointers(snapshot: GitSnapshot, folder: str) -> dict[Entry, lfs.Pointer]:
    """What stands for a file in Git LFS, in a folder and below."""
    small = [entry for entry in snapshot.entries(folder, recurse=True) if 0 < entry.size <= POINTER_SIZE]
    return {entry: found for entry in small if (found := lfs.pointer(snapshot.raw(entry))) is not None}


def _write(content: Content, work: _Work, others: Mapping[str, str]) -> pygit2.Oid:
    """The tree of all, and the commit that stands for it."""
    repository, main = content.repository, work.main
    root = main_tree = _tree_of(content, work)
    if others:
        beside = repository.TreeBuilder()
        for name, tree in others.items():
            beside.insert(name, pygit2.Oid(hex=tree), FileMode.TREE)
        builder = repository.TreeBuilder() if not work.assembly.path else repository.TreeBuilder(main_tree)
        if not work.assembly.path:
            builder.insert(MAIN, main_tree, FileMode.TREE)
        builder.insert(OTHERS, beside.write(), FileMode.TREE)
        root = builder.write()
    said = {name: value for name, value in asdict(main).items() if isinstance(value, str)}
    commit = content.commit(json.dumps({name: said[name] for name in _NOTED}), root)
    content.note(f"assembled {commit}", commit)
    return commit


def _tree_of(content: Content, work: _Work) -> pygit2.Oid:
    """The main source's tree with what is put into it, the outermost first."""
    repository = content.repository
    held = repository.get(work.main.commit)
    if held is None:
        raise Unavailable(f"{work.main.short} of {work.main.repository} is not at hand", hint="it is fetched again")
    tree = held.peel(pygit2.Tree).id
    for path in sorted(work.puts, key=lambda path: path.count("/")):
        identity, mode = work.puts[path]
        tree = _put(repository, tree, path.split("/"), pygit2.Oid(hex=identity), mode)
    return tree


def _put(
    repository: pygit2.Repository, tree: pygit2.Oid | None, parts: Sequence[str], thing: pygit2.Oid, mode: FileMode
) -> pygit2.Oid:
    """The tree with one thing in it, at the path that `parts` make."""
    builder = repository.TreeBuilder(tree) if tree is not None else repository.TreeBuilder()
    name, *rest = parts
    if rest:
        below = builder.get(name)
        inner = below.id if below is not None and below.filemode == FileMode.TREE else None
        thing, mode = _put(repository, inner, rest, thing, mode), FileMode.TREE
    builder.insert(name, thing, mode)
    return builder.write()


def _root(snapshot: Snapshot) -> str:
    """The id of a snapshot's whole tree."""
    if not isinstance(snapshot, GitSnapshot):
        raise Invalid("only what is kept as Git objects can be put together")
    return snapshot.tree


def _read(snapshot: Snapshot, path: str) -> bytes | None:
    entry = snapshot.entry(path)
    return snapshot.read(entry) if entry is not None and entry.kind is EntryKind.FILE else None


def _mode(entry: Entry) -> FileMode:
    return FileMode.BLOB_EXECUTABLE if entry.executable else FileMode.BLOB
