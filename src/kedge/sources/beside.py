"""A repository's files with charts of it where another chart of it looks for what it depends on (`file://`): what is
put together offline, where nothing is fetched and nothing written.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha1

from kedge.model.errors import Invalid, Where
from kedge.model.source import Entry, EntryKind, Revision
from kedge.ports import Snapshot
from kedge.sources.dependencies import chart_in, dependencies, holds

_DEPTH = 5
"""How deep charts may depend on one another, as for a server."""


def with_neighbours(snapshot: Snapshot, folder: str) -> Snapshot:
    """The files with every chart of the same repository that the one in `folder` depends on. Raises Invalid for one
    from elsewhere, or that is not there."""
    grafts: dict[str, str] = {}
    _gather(snapshot, folder, folder, grafts, 1)
    return Grafted(snapshot, grafts) if grafts else snapshot


def _gather(snapshot: Snapshot, folder: str, at: str, grafts: dict[str, str], depth: int) -> None:
    found = chart_in(snapshot, folder)
    if found is None:
        return
    where = Where(posixpath.join(folder, "Chart.yaml"))
    if depth > _DEPTH:
        raise Invalid(f"charts depend on others more than {_DEPTH} deep", where=where)
    for wanted in dependencies(folder, found.text, found.lock):
        if holds(found.held, wanted.name) or not wanted.repository:
            continue
        if not wanted.folder:
            raise Invalid(
                f"the chart's dependency {wanted.name} is at {wanted.repository[:200]}, which only a server fetches",
                where=where,
                hint=f"`helm dependency build {folder}` puts it where it is found offline, too",
            )
        entry = snapshot.entry(wanted.folder)
        if entry is None or entry.kind is not EntryKind.FOLDER:
            raise Invalid(f"there is no chart {wanted.folder}", where=where)
        inside = posixpath.join(at, "charts", wanted.name)
        grafts[inside] = wanted.folder
        _gather(snapshot, wanted.folder, inside, grafts, depth + 1)


class Grafted:
    """`kedge.ports.Snapshot` over another one. `grafts`: path → the folder whose files are found there too."""

    def __init__(self, inner: Snapshot, grafts: Mapping[str, str]) -> None:
        self._inner = inner
        self._grafts = grafts

    @property
    def revision(self) -> Revision:
        return self._inner.revision

    def entry(self, path: str) -> Entry | None:
        found = self._inner.entry(self._real(path))
        below = [at for at in self._grafts if at.startswith(f"{path}/")]
        if not below:
            return None if found is None else replace(found, path=path)
        # A folder with something else in it is another folder: what was rendered of one is not taken for the other's.
        ids = [found.id if found is not None else "", *(f"{at} {self._id(at)}" for at in below)]
        identity = sha1("\n".join(ids).encode(), usedforsecurity=False).hexdigest()
        return Entry(path, identity, EntryKind.FOLDER)

    def _id(self, at: str) -> str:
        entry = self._inner.entry(self._grafts[at])
        return entry.id if entry is not None else ""

    def entries(self, folder: str, *, recurse: bool = False) -> Sequence[Entry]:
        real, found = self._real(folder), dict[str, Entry]()
        for entry in self._inner.entries(real, recurse=recurse):
            path = posixpath.join(folder, posixpath.relpath(entry.path, real or "."))
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
        return self._inner.read(replace(entry, path=self._real(entry.path)))

    def _real(self, path: str) -> str:
        """Where the files at a path are in truth: the innermost graft counts."""
        above = [at for at in self._grafts if path == at or path.startswith(f"{at}/")]
        if not above:
            return path
        at = max(above, key=len)
        return self._grafts[at] + path[len(at) :]
