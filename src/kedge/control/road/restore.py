"""Restore: which files of a repository a commit has to put back, so that Git wants of a unit what it wanted once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from kedge.control.road.doors import Doors
from kedge.control.road.render import rendered
from kedge.model.dossier import Dossier, Pin
from kedge.model.errors import Invalid
from kedge.model.origin import MAIN, OTHERS, assembly_of, parts_of, prefixes_of, spoken
from kedge.model.restoration import Restoration
from kedge.model.source import EntryKind, Revision
from kedge.model.unit import Unit
from kedge.ports import Snapshot

_SHOWN = 5
"""Paths that are named of each other unit that reads them."""


async def restoration(doors: Doors, dossier: Dossier, pin: Pin) -> Restoration:
    """What leads from the newest commit back to the state of `pin`. Changes nothing.

    Raises Invalid where that state came from elsewhere or does not render any more, Unavailable when Git does not
    answer.
    """
    source = dossier.unit.source
    if pin.revision is None or pin.unit.source.repository != source.repository:
        elsewhere = pin.unit.source.repository if pin.revision is not None else "no repository"
        raise Invalid(
            f"{dossier.name} came from {elsewhere} then, not from {source.repository}",
            hint="without --via git, a rollback pins what was in force",
        )
    base = await doors.source.fetch(source.repository, source.ref)
    if base.digest:
        raise Invalid(
            f"{dossier.name} is built from {spoken(source.ref)} of {source.repository}: no commit puts that back",
            hint="change the version in its declaration, or roll back without --via git",
        )
    here = await _declared_here(doors, dossier, base)
    unit_then = pin.unit if here else dossier.unit
    paths = {*await _read(doors, pin.revision, unit_then), *await _read_now(doors, base, dossier)}
    own, before = _own(base), _own(pin.revision)
    now, then = doors.source.snapshot(own), doors.source.snapshot(before)
    brought = _brought(paths, (doors.source.snapshot(base), doors.source.snapshot(pin.revision)), (now, then))
    moved = tuple(_moved(now, then, _own_paths(base, paths)))
    return Restoration(
        source.repository,
        own.ref,
        own.commit,
        before.commit,
        pin.run,
        moved,
        dossier.unit.where.file if here else "",
        pin.unit.where.file if here else "",
        (*_notes(dossier, pin.unit, here=here), *brought, *await _also_read(doors, dossier, moved)),
    )


def _own(revision: Revision) -> Revision:
    """Of what is put together the main source: a commit puts back files of that alone."""
    return replace(revision, ref=parts_of(revision.repository, revision.ref)[0][1], commit=revision.known)


def _own_paths(revision: Revision, paths: Iterable[str]) -> Iterable[str]:
    """Where the files are in the main source's own repository. What others brought is nowhere in it."""
    assembly = assembly_of(revision.ref)
    beside = assembly is not None and assembly.others and not assembly.path
    return (path.removeprefix(f"{MAIN}/") if beside else path for path in paths)


def _brought(paths: Iterable[str], whole: Sequence[Snapshot], own: Sequence[Snapshot]) -> list[str]:
    """A note on folders with files of other sources and of charts that are depended on: no file of the main one's."""
    found: dict[str, None] = {}
    for path in sorted(paths):
        outer, dependency, rest = path.rpartition("/charts/")
        beside = path.startswith(f"{OTHERS}/")
        if not (beside or dependency) or not any(_is_file(snapshot, path) for snapshot in whole):
            continue
        if beside or not any(_is_file(snapshot, path) for snapshot in own):
            found["/".join(path.split("/")[:2]) if beside else f"{outer}/charts/{rest.split('/')[0]}"] = None
    return [f"what is in {', '.join(found)} comes from elsewhere and stays as it is: look at it too"] if found else []


def _is_file(snapshot: Snapshot, path: str) -> bool:
    entry = snapshot.entry(path)
    return entry is not None and entry.kind is not EntryKind.FOLDER


async def _read(doors: Doors, revision: Revision, unit: Unit) -> list[str]:
    """A chart is one read, of its folder, whatever is in it."""
    paths = [read.path for read in (await rendered(doors, revision, unit)).reads]
    snapshot = doors.source.snapshot(revision)
    charts = [path for path in paths if snapshot.entry(f"{path}/Chart.yaml".lstrip("/")) is not None]
    return [*paths, *(entry.path for path in charts for entry in snapshot.entries(path, recurse=True))]


async def _read_now(doors: Doors, revision: Revision, dossier: Dossier) -> list[str]:
    """What does not render is a reason to go back: then all that is in the folder counts as read."""
    try:
        return await _read(doors, revision, dossier.unit)
    except Invalid:
        last = dossier.rendering.reads if dossier.rendering is not None else ()
        inside = doors.source.snapshot(revision).entries(dossier.unit.source.path, recurse=True)
        return [*(read.path for read in last), *(entry.path for entry in inside)]


def _moved(now: Snapshot, then: Snapshot, paths: Iterable[str]) -> list[str]:
    """Those of the paths that are a file (or a link) in one of the two and not the same in both."""
    found: list[str] = []
    for path in sorted(paths):
        before, after = then.entry(path) if path else None, now.entry(path) if path else None
        folders = [entry for entry in (before, after) if entry is not None and entry.kind is EntryKind.FOLDER]
        if before != after and not folders:
            found.append(path)
    return found


async def _also_read(doors: Doors, dossier: Dossier, moved: Collection[str]) -> list[str]:
    """A sentence for each other unit that reads what goes back, or a folder above it: it goes back with it. A chart is
    read as a folder."""
    part = parts_of(dossier.unit.source.repository, dossier.unit.source.ref)[0]
    found: dict[str, list[str]] = {}
    for key in await doors.store.sources():
        for prefix in prefixes_of(*key, part):
            wanted = {path: {*_above(f"{prefix}{path}")} for path in moved}
            for unit, reads in await doors.store.readers(*key):
                shared = sorted(path for path, above in wanted.items() if above.intersection(reads))
                if shared and unit != str(dossier.name):
                    found.setdefault(unit, []).extend(shared)
    return [f"{unit} reads of it too, and goes back with it: {_few(paths)}" for unit, paths in sorted(found.items())]


def _above(path: str) -> Iterable[str]:
    """The path, and every folder that it is in."""
    yield path
    while path:
        path = path.rpartition("/")[0]
        yield path


def _few(paths: Sequence[str]) -> str:
    return ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")


async def _declared_here(doors: Doors, dossier: Dossier, base: Revision) -> bool:
    """Whether the unit's declaration is in the repository and at the ref that its files come from."""
    for root in await doors.store.roots():
        if root.name == dossier.unit.root and root.revision is not None:
            return (root.revision.repository, root.revision.ref) == (base.repository, _own(base).ref)
    return False


def _notes(dossier: Dossier, unit: Unit, *, here: bool) -> Iterable[str]:
    if not here and unit.digest != dossier.unit.digest:
        yield f"the declaration of {dossier.name} was another one then, and is in another repository: look at it too"
    if here and dossier.name.environment:
        yield f"its declaration is that of every environment of {dossier.name.project}/{dossier.name.name}"
