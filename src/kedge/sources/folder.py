"""A plain directory as a snapshot, for the commands that work offline.

Files' ids are the Git object ids that they would have, so an offline render asks and answers as one from a commit does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path

import pygit2

from kedge.model.errors import Invalid, Where
from kedge.model.source import Entry, EntryKind, Revision
from kedge.ports import Snapshot
from kedge.sources.snapshot import GitSnapshot

FILE_LIMIT = 16 * 1024 * 1024
_SKIPPED = frozenset({".git"})


class FolderSnapshot:
    """`kedge.ports.Snapshot` over a directory. Symlinks are reported as such and never followed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        if not self._root.is_dir():
            raise Invalid(f"{root} is not a directory", hint="give the directory that holds the files")
        self._revision = Revision(self._root.as_uri(), "", "0" * 40, subject="files on disk")

    @property
    def revision(self) -> Revision:
        return self._revision

    def entry(self, path: str) -> Entry | None:
        parts = [part for part in path.split("/") if part]
        if ".." in parts or not _reachable(self._root, parts):
            return None
        return self._entry("/".join(parts)) if parts else None

    def entries(self, folder: str, *, recurse: bool = False) -> Sequence[Entry]:
        parts = [part for part in folder.split("/") if part]
        place = self._root.joinpath(*parts)
        if ".." in parts or not _reachable(self._root, parts) or not place.is_dir() or place.is_symlink():
            return ()
        found: list[Entry] = []
        for name in sorted(_listed(place)):
            entry = None if name in _SKIPPED else self._entry("/".join((*parts, name)))
            if entry is None:
                continue
            found.append(entry)
            if recurse and entry.kind is EntryKind.FOLDER:
                found += self.entries(entry.path, recurse=True)
        return found

    def read(self, entry: Entry) -> bytes:
        place = self._root / entry.path
        if entry.kind is EntryKind.SYMLINK:
            return os.readlink(place).encode()
        if entry.size > FILE_LIMIT:
            raise Invalid(f"{entry.path} has {entry.size} bytes, more than {FILE_LIMIT}", where=Where(entry.path))
        return place.read_bytes()

    def _entry(self, path: str) -> Entry | None:
        try:
            found = os.lstat(self._root / path)
        except OSError:
            return None
        if stat.S_ISLNK(found.st_mode):
            return Entry(path, _id(os.readlink(self._root / path).encode()), EntryKind.SYMLINK)
        if stat.S_ISDIR(found.st_mode):
            return Entry(path, self._tree(path), EntryKind.FOLDER)
        if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_LIMIT:
            return None
        body = (self._root / path).read_bytes()
        return Entry(path, _id(body), EntryKind.FILE, len(body), bool(found.st_mode & stat.S_IXUSR))

    def _tree(self, path: str) -> str:
        """Covers what is listed, and no more: what a file holds is in the file's own id, and a folder on the way
        down may hold the whole disk."""
        try:
            found = sorted(
                f"{entry.name} {entry.is_dir(follow_symlinks=False)}" for entry in os.scandir(self._root / path)
            )
        except OSError:
            return _id(b"")
        return _id("\n".join(found).encode("utf-8", "surrogateescape"))


def _listed(place: Path) -> list[str]:
    try:
        return os.listdir(place)
    except OSError as error:
        raise Invalid(f"it can not be read: {error.strerror}", where=Where(str(place))) from error


def _reachable(root: Path, parts: Sequence[str]) -> bool:
    """No part on the way is a symlink: what lies behind one is not in the tree."""
    place = root
    for part in parts[:-1]:
        place = place / part
        if place.is_symlink():
            return False
    return True


def _id(body: bytes) -> str:
    return sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


def snapshot_at(root: Path, ref: str) -> Snapshot:
    """A local repository's files at `ref`; "" is its working tree. Raises Invalid where there is no such commit."""
    if not ref:
        return FolderSnapshot(root)
    try:
        repository = pygit2.Repository(str(root))
        commit = repository.revparse_single(ref).peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise Invalid(
            f"{root} has no commit “{ref}”", hint="give a branch, a tag or a commit of this repository"
        ) from error
    revision = Revision(
        root.as_uri(),
        ref,
        str(commit.id),
        commit.author.name,
        commit.author.email,
        commit.message.partition("\n")[0],
        float(commit.commit_time),
    )
    return GitSnapshot(repository, revision)
