"""What a render asks of its source, and what it is answered: pure over a snapshot."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedge.model.errors import Invalid, Where
from kedge.model.source import Entry, EntryKind, Read
from kedge.ports import Snapshot

Folders = dict[str, dict[str, Any]]


def parent_of(path: str) -> str:
    return path.rpartition("/")[0]


def under(folder: str, name: str) -> str:
    """`name` below `folder`, where "" is the repository's root."""
    return f"{folder}/{name}" if folder else name


def beside(folder: str, written: str, field: str) -> str:
    """A path as a declaration writes it, from `folder` on, as one from the repository's root. Raises Invalid when it
    leads out of the repository.

    The error says nothing of what is there: it is the same whether the target exists or not.
    """
    joined = posixpath.normpath(posixpath.join(folder, written))
    if posixpath.isabs(written) or "\\" in written or joined == ".." or joined.startswith("../"):
        raise Invalid(
            f"“{written}” is not in the repository",
            where=Where(folder, path=field),
            hint="name it relative to source.path",
        )
    return "" if joined == "." else joined


def folder_id(snapshot: Snapshot, folder: str) -> str:
    """The Git id of a folder; the root's changes with every commit, and stands for it as `commit:…`."""
    if not folder:
        return f"commit:{snapshot.revision.commit}"
    entry = snapshot.entry(folder)
    return entry.id if entry is not None else ""


def _folder(folders: Folders, path: str) -> dict[str, Any]:
    """The folder at a path below the root, made known to the folders above it when it is new."""
    if path not in folders:
        above, _, name = path.rpartition("/")
        entry = _folder(folders, above)["entries"].setdefault(name, {"kind": EntryKind.FOLDER.value, "id": ""})
        folders[path] = {"id": entry["id"], "entries": {}}
    return folders[path]


def listing(snapshot: Snapshot, root: str, entries: Iterable[Entry]) -> Folders:
    """Entries below `root`, grouped by folder as the worker wants them. Folders it has no entries of are asked for."""
    folders: Folders = {root: {"id": folder_id(snapshot, root), "entries": {}}}
    for entry in sorted(entries):
        _folder(folders, parent_of(entry.path))["entries"][entry.path.rpartition("/")[2]] = {
            "kind": entry.kind.value,
            "id": entry.id,
        }
    return folders


@dataclass(frozen=True, slots=True)
class Answer:
    """`header` says what stands at the path, `raw` is a file's content."""

    header: dict[str, Any]
    raw: bytes = b""


def look(snapshot: Snapshot, path: str) -> Answer:
    """What is at a path, and of a folder what is in it. A path through a symlink is answered by that symlink."""
    parts = path.split("/") if path else []
    for end in range(1, len(parts)):
        above = snapshot.entry("/".join(parts[:end]))
        if above is None or above.kind is EntryKind.FILE:
            return Answer({"kind": "", "id": ""})
        if above.kind is not EntryKind.FOLDER:
            return Answer({"kind": above.kind.value, "id": above.id})
    entry = snapshot.entry(path) if path else None
    if path and entry is None:
        return Answer({"kind": "", "id": ""})
    if entry is not None and entry.kind is not EntryKind.FOLDER:
        return Answer({"kind": entry.kind.value, "id": entry.id})
    inside = listing(snapshot, path, snapshot.entries(path))[path]["entries"]
    return Answer({"kind": "folder", "id": folder_id(snapshot, path), "entries": inside})


def fetch(snapshot: Snapshot, path: str) -> Answer:
    """A file's content. Raises Invalid over the source's size limit."""
    entry = snapshot.entry(path)
    if entry is None or entry.kind is not EntryKind.FILE:
        return Answer({"kind": "", "id": ""})
    return Answer({"kind": "file", "id": entry.id}, snapshot.read(entry))


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the worker. `wanted` are files that the operation is sure to read, sent along unasked; `after` is
    what is done to every object once it is rendered; `keys` are names and texts of keys for encrypted files."""

    op: str
    options: Mapping[str, Any]
    folders: Folders = field(default_factory=dict)
    wanted: tuple[Entry, ...] = ()
    root: str = ""
    after: Mapping[str, Any] = field(default_factory=dict, repr=False)
    keys: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)


def reads_of(header: Mapping[str, Any]) -> tuple[Read, ...]:
    """The worker's log of questions, in order of path."""
    logged = header.get("reads") or {}
    return tuple(
        Read(path, entry["id"], EntryKind(entry["kind"])) if entry else Read(path, "")
        for path, entry in sorted(logged.items())
    )


def still_true(snapshot: Snapshot, reads: Iterable[Read]) -> bool:
    """Whether every question would be answered the same in this snapshot."""
    return all(_id(snapshot, read) == read.id for read in reads)


def _id(snapshot: Snapshot, read: Read) -> str:
    if read.kind is EntryKind.FOLDER:
        return folder_id(snapshot, read.path)
    entry = snapshot.entry(read.path)
    return entry.id if entry is not None else ""
