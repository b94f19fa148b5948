"""Git in memory: scripted commits of path → bytes, with the faults of a remote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha1

from kedge.model.errors import Invalid, Unavailable
from kedge.model.source import Entry, EntryKind, Revision

REPOSITORY = "https://git.example/shop.git"


@dataclass(slots=True)
class Commit:
    revision: Revision
    parent: str
    files: Mapping[str, bytes]


@dataclass(slots=True)
class MemorySource:
    """`kedge.ports.Source`. `commit` moves a branch; `unreachable` makes every fetch fail."""

    commits: dict[str, Commit] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    unreachable: bool = False
    fetches: int = 0

    def commit(
        self, files: Mapping[str, bytes], ref: str = "main", *, time: float = 0.0, parent: str | None = None
    ) -> Revision:
        """Put a commit on `ref`. Another `parent` than its head is a force push."""
        above = self.heads.get(ref, "") if parent is None else parent
        lines = [above, str(len(self.commits)), *(f"{path} {_id(data)}" for path, data in sorted(files.items()))]
        name = sha1("\n".join(lines).encode()).hexdigest()
        revision = Revision(REPOSITORY, ref, name, "Mona", "mona@example.com", f"change {len(self.commits)}", time)
        self.commits[name] = Commit(revision, above, dict(files))
        self.heads[ref] = name
        return revision

    def files(self, ref: str = "main") -> dict[str, bytes]:
        return dict(self.commits[self.heads[ref]].files) if ref in self.heads else {}

    async def fetch(self, repository: str, ref: str) -> Revision:
        self.fetches += 1
        if self.unreachable or repository != REPOSITORY:
            raise Unavailable(f"{repository} does not answer", hint="it is asked again")
        found = [name for name in self.commits if len(ref) >= 4 and name.startswith(ref)]
        name = self.heads.get(ref) or (found[0] if found else None)
        if name is None:
            raise Invalid(f"{repository} has no ref {ref}")
        return self.commits[name].revision

    async def bring(self, revision: Revision, paths: Sequence[str]) -> None:
        """Everything is here."""

    def snapshot(self, revision: Revision) -> MemorySnapshot:
        if revision.commit not in self.commits:
            raise Unavailable(f"commit {revision.short} is not here")
        return MemorySnapshot(revision, self.commits[revision.commit].files)

    def changed(self, before: Revision, after: Revision) -> Sequence[str] | None:
        if before.commit not in self.commits:
            return None
        old, new = self.commits[before.commit].files, self.commits[after.commit].files
        return sorted(path for path in {**old, **new} if old.get(path) != new.get(path))

    def touched(self, revision: Revision, paths: Sequence[str]) -> Revision:
        return revision

    def descends(self, before: Revision, after: Revision) -> bool:
        name = after.commit
        while name and name != before.commit:
            name = self.commits[name].parent
        return bool(name)


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    revision: Revision
    files: Mapping[str, bytes]

    def entry(self, path: str) -> Entry | None:
        if path in self.files:
            return Entry(path, _id(self.files[path]), EntryKind.FILE, len(self.files[path]))
        below = self._below(path)
        if not below:
            return None
        listing = "\n".join(f"{name} {_id(self.files[name])}" for name in below)
        return Entry(path, _id(listing.encode()), EntryKind.FOLDER)

    def entries(self, folder: str, *, recurse: bool = False) -> Sequence[Entry]:
        base = f"{folder}/" if folder else ""
        names: dict[str, None] = {}
        for path in self._below(folder):
            rest = path.removeprefix(base)
            names[base + (rest if recurse else rest.split("/")[0])] = None
        return [entry for name in names if (entry := self.entry(name)) is not None]

    def read(self, entry: Entry) -> bytes:
        return self.files[entry.path]

    def _below(self, folder: str) -> list[str]:
        base = f"{folder}/" if folder else ""
        return sorted(path for path in self.files if path.startswith(base))


def _id(data: bytes) -> str:
    return sha1(data).hexdigest()
