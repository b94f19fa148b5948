"""Plain manifests: which files of a folder are read. Pure over the folder's entries."""

from __future__ import annotations

from collections.abc import Iterable

from kedge.model.errors import Invalid, Where
from kedge.model.rendering import DirectorySection
from kedge.model.source import Entry, EntryKind
from kedge.ports import Snapshot
from kedge.renderers.globs import matches
from kedge.renderers.questions import Call, listing

SUFFIXES = (".yaml", ".yml", ".json")
MOST_FILES = 20_000


def select(folder: str, section: DirectorySection, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The files to read, in order of path: suffix, `recurse`, `include` and `exclude` as Argo CD's directory source.

    Kedge's own declarations (`kedge.yaml` and `.kedge/` at the repository's root) are no manifests. Raises Invalid for
    a symlink or submodule that stands where a manifest is expected; others are left alone.
    """
    prefix = f"{folder}/" if folder else ""
    chosen = []
    for entry in entries:
        name = entry.path.removeprefix(prefix)
        if entry.kind is EntryKind.FOLDER or not name.endswith(SUFFIXES) or _is_ours(entry.path):
            continue
        if ("/" in name and not section.recurse) or not _admitted(section, name):
            continue
        if entry.kind is not EntryKind.FILE:
            raise Invalid(
                f"{entry.path} is a {_WORDS[entry.kind]}, which a render never follows",
                where=Where(entry.path),
                hint="put the file itself there, or name it in directory.exclude",
            )
        chosen.append(entry)
    if len(chosen) > MOST_FILES:
        raise Invalid(f"{folder or 'the repository'} holds more than {MOST_FILES} manifests", where=Where(folder))
    return tuple(sorted(chosen))


_WORDS = {EntryKind.SYMLINK: "symbolic link", EntryKind.SUBMODULE: "Git submodule"}


def _is_ours(path: str) -> bool:
    return path in ("kedge.yaml", "kedge.yml") or path.startswith(".kedge/")


def _admitted(section: DirectorySection, name: str) -> bool:
    if section.exclude and matches(section.exclude, name):
        return False
    return not section.include or matches(section.include, name)


def call(snapshot: Snapshot, folder: str, section: DirectorySection) -> Call:
    """The request for a folder of plain manifests. Raises as `select`."""
    entries = snapshot.entries(folder, recurse=section.recurse)
    files = select(folder, section, entries)
    known = listing(snapshot, folder, files)
    return Call("plain", {"folder": folder, "files": [file.path for file in files]}, known, files, folder)
