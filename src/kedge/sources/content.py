"""Unpacked archives as Git objects: what came packed is read, compared and kept exactly as commits are.

One bare repository for each place that archives come from, below the data folder. A commit in it has no history and is
made of nothing but the files and the name of what they are, so the same archive is the same commit everywhere. It is a
cache: whatever is wrong with it, it is thrown away and fetched anew.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from kedge.model.errors import Invalid, Unavailable
from kedge.model.source import Revision
from kedge.ports import Snapshot
from kedge.sources import history
from kedge.sources.mirror import folder_of
from kedge.sources.snapshot import FILE_LIMIT, GitSnapshot
from kedge.sources.tarball import File

SIZE_LIMIT = 2 << 30
_BREATH = 1 << 20
"""Bytes that are unpacked before others have their turn."""

Folder = dict[str, "Folder | tuple[pygit2.Oid, FileMode]"]
_PERSON = pygit2.Signature("Kedge", "kedge@localhost", 0, 0)


class Content:
    """Archives of one place, each under a key of the caller's choice."""

    def __init__(self, folder: Path, limit: int = SIZE_LIMIT) -> None:
        self.lock = asyncio.Lock()
        self._folder = folder
        self._limit = limit
        self._open: pygit2.Repository | None = None
        self._suspected = False

    @property
    def repository(self) -> pygit2.Repository:
        """Raises Unavailable where nothing was kept yet."""
        if self._open is None:
            try:
                self._open = pygit2.Repository(str(self._folder), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
            except (pygit2.GitError, KeyError, ValueError):
                raise Unavailable("the archive is not here", hint="it is fetched again") from None
        return self._open

    @property
    def objects(self) -> Path:
        """The folder of the object database."""
        return self._folder / "objects"

    def borrow(self, places: Iterable[Path]) -> None:
        """Have the objects of other databases at hand too, from now on."""
        self._prepare()
        file = self.objects / "info" / "alternates"
        known = file.read_text().splitlines() if file.is_file() else []
        fresh = [str(place.resolve()) for place in places if str(place.resolve()) not in known]
        if fresh:
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join([*known, *dict.fromkeys(fresh), ""]))
            self.close()

    def note(self, key: str, commit: pygit2.Oid) -> None:
        self.repository.references.create(_name(key), commit, force=True)

    def find(self, key: str) -> str | None:
        """The commit that was kept under a key."""
        if self._suspected:
            return None
        with suppress(Unavailable, KeyError, ValueError, pygit2.GitError):
            commit = self.repository.references[_name(key)].peel(pygit2.Commit)
            if commit.tree is not None:
                return str(commit.id)
        return None

    def label(self, commit: str) -> str:
        """What `keep` was told that a commit is."""
        return str(self.repository[commit].peel(pygit2.Commit).message)

    async def keep(self, key: str, label: str, files: Iterable[File]) -> str:
        """Unpack and keep; answers the commit. `label` says what it is: with the files, it makes the commit's id.
        Raises Invalid for files that can not be beside each other, Unavailable where the disk takes nothing."""
        self._prepare()
        top: Folder = {}
        weight = 0
        try:
            for file in files:
                blob = self.repository.create_blob(file.data)
                _place(top, file.path.split("/"), blob, executable=file.executable)
                weight += len(file.data) + 1024
                if weight > _BREATH:
                    weight = 0
                    await asyncio.sleep(0)
            commit = self.commit(label, self._tree(top))
            self.note(key, commit)
        except (pygit2.GitError, OSError, ValueError) as error:
            raise Unavailable(f"an archive can not be kept: {error}", hint="look at the disk") from None
        return str(commit)

    def commit(self, label: str, tree: pygit2.Oid) -> pygit2.Oid:
        return self.repository.create_commit(None, _PERSON, _PERSON, label, tree, [])

    def _tree(self, folder: Folder) -> pygit2.Oid:
        builder = self.repository.TreeBuilder()
        for name, thing in folder.items():
            if isinstance(thing, dict):
                builder.insert(name, self._tree(thing), FileMode.TREE)
            else:
                builder.insert(name, *thing)
        return builder.write()

    def _prepare(self) -> None:
        if self._suspected or (self._folder.exists() and _size(self._folder) > self._limit):
            self.discard()
        if not (self._folder / "HEAD").is_file():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                self._open = pygit2.init_repository(str(self._folder), bare=True)
            except (pygit2.GitError, OSError) as error:
                raise Unavailable(f"an archive can not be kept: {error}", hint="look at the disk") from None

    def close(self) -> None:
        """Have it opened anew."""
        if self._open is not None:
            self._open.free()
        self._open = None

    def discard(self) -> None:
        self.close()
        self._suspected = False
        shutil.rmtree(self._folder, ignore_errors=True)

    def suspect(self) -> None:
        """An object was not there that should be: begin anew at the next fetch."""
        self._suspected = True


class Shelf:
    """The content of many places, by their URL: what every source of archives answers alike."""

    def __init__(self, data: Path, file_limit: int = FILE_LIMIT) -> None:
        self._data = data
        self._file_limit = file_limit
        self._contents: dict[str, Content] = {}

    def content(self, repository: str) -> Content:
        if repository not in self._contents:
            self._contents[repository] = Content(folder_of(self._data, repository))
        return self._contents[repository]

    def snapshot(self, revision: Revision, lost: Callable[[], None] = lambda: None) -> GitSnapshot:
        """As `kedge.ports.Source.snapshot`. `lost` is told too when an object is not there."""
        content = self.content(revision.repository)
        if revision.commit not in content.repository:  # thrown away since: that alone is no damage
            text = f"{revision.subject or revision.commit} of {revision.repository} is not here"
            raise Unavailable(text, hint="it is fetched again")

        def missing() -> None:
            content.suspect()
            lost()

        return GitSnapshot(content.repository, revision, self._file_limit, missing)

    def changed(self, before: Revision, after: Revision) -> Sequence[str] | None:
        """As `kedge.ports.Source.changed`."""
        if before.repository != after.repository:
            return None
        return changed_in(lambda: self.content(after.repository).repository, before, after)

    def descends(self, before: Revision, after: Revision) -> bool:
        """As `kedge.ports.Source.descends`: another version follows the one before; another archive under the name of
        the same version does not."""
        return before.repository == after.repository and (
            before.version != after.version or before.digest == after.digest
        )


class OnShelf:
    """The half of `kedge.ports.Source` that asks nobody, of sources whose archives stand on a shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def objects(self, repository: str) -> Path:
        return self._shelf.content(repository).objects

    def doubt(self, repository: str) -> None:
        self._shelf.content(repository).suspect()

    async def bring(self, revision: Revision, paths: Sequence[str]) -> None:
        """An archive came whole."""

    def snapshot(self, revision: Revision) -> Snapshot:
        return self._shelf.snapshot(revision)

    def changed(self, before: Revision, after: Revision) -> Sequence[str] | None:
        return self._shelf.changed(before, after)

    def touched(self, revision: Revision, paths: Sequence[str]) -> Revision:
        """An archive has no history: it is what brought every file of it."""
        return revision

    def descends(self, before: Revision, after: Revision) -> bool:
        return self._shelf.descends(before, after)


def changed_in(repository: Callable[[], pygit2.Repository], before: Revision, after: Revision) -> Sequence[str] | None:
    """Paths that differ between two commits of one object database; None where one is not at hand."""
    try:
        held = repository()
        return history.changed(held[before.commit].peel(pygit2.Tree), held[after.commit].peel(pygit2.Tree))
    except (Unavailable, KeyError, ValueError, pygit2.GitError):
        return None


def _place(top: Folder, parts: Sequence[str], blob: pygit2.Oid, *, executable: bool) -> None:
    folder = top
    for part in parts[:-1]:
        below = folder.setdefault(part, {})
        if not isinstance(below, dict):
            raise Invalid(f"the archive holds {'/'.join(parts)[:100]!r} below a file")
        folder = below
    if parts[-1] in folder:
        raise Invalid(f"the archive holds {'/'.join(parts)[:100]!r} twice")
    folder[parts[-1]] = (blob, FileMode.BLOB_EXECUTABLE if executable else FileMode.BLOB)


def _name(key: str) -> str:
    return f"refs/kedge/{sha256(key.encode()).hexdigest()[:40]}"


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder / "objects"):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
