"""One commit's files, straight from the object database: no checkout, no working tree, no symlink ever followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sys import intern

import pygit2
from pygit2.enums import FileMode, ObjectType, Option

from kedge.model.errors import Absent, Invalid, Unavailable, Where
from kedge.model.source import Entry, EntryKind, Revision
from kedge.sources import ignore

FILE_LIMIT = 16 * 1024 * 1024
MOST_ENTRIES = 200_000
"""Bound of one listing: a hostile tree may name the same folder again and again, on every level."""
LARGEST = 16 << 20
"""Bytes of a folder: some 400,000 names."""
LONGEST = 4_096
"""Characters of a path: a tree of a few megabytes may be folders in one another whose paths fill gigabytes."""

# libgit2 remembers no tree of more than 4 KiB by itself: a folder of 5,000 would be read and parsed anew for each path.
TREE_REMEMBERED, TREES_REMEMBERED = 4 << 20, 32 << 20
pygit2.option(Option.SET_CACHE_OBJECT_LIMIT, ObjectType.TREE, TREE_REMEMBERED)
pygit2.option(Option.SET_CACHE_MAX_SIZE, TREES_REMEMBERED)

POINTER, POINTER_SIZE = b"version https://git-lfs.github.com/spec/v1\n", 1024
"""How what stands for a file in Git LFS begins, and how large it is at most."""

_FETCHED = "source.lfs: true has those below source.path fetched, and others of 16 MiB together"

KINDS = {
    FileMode.BLOB: EntryKind.FILE,
    FileMode.BLOB_EXECUTABLE: EntryKind.FILE,
    FileMode.TREE: EntryKind.FOLDER,
    FileMode.LINK: EntryKind.SYMLINK,
    FileMode.COMMIT: EntryKind.SUBMODULE,
}


def name_of(node: pygit2.Object) -> str:
    """A tree entry's name as text: bytes that are no UTF-8 are written out (`\\xe9`), so that it can be stored."""
    return bytes(node.raw_name or b"").decode("utf-8", "backslashreplace")


class Scales:
    """What folders weigh, before they are opened: a few megabytes of pack may be a folder of gigabytes. Each is weighed
    once."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._odb = repository.odb
        self._known: set[pygit2.Oid] = set()

    def weigh(self, folder: pygit2.Oid) -> None:
        """Raises Invalid for a folder that is too large to be opened. One that is not here weighs nothing."""
        if folder in self._known:
            return
        try:
            size = int(self._odb.read_header(folder)[1])
        except (KeyError, ValueError, pygit2.GitError):
            return
        if size > LARGEST:
            raise Invalid(f"a folder has {size} bytes of names, and at most {LARGEST} are read", where=Where())
        self._known.add(folder)


def find(tree: pygit2.Tree, path: str, scales: Scales | None = None) -> pygit2.Object | None:
    """The object at a path below a tree, or None. Goes through folders only. Raises Invalid for one that `scales` find
    too large."""
    node: pygit2.Object = tree
    for name in path.split("/"):
        if node.type != ObjectType.TREE or not name or name in (".", ".."):
            return None
        if scales is not None:
            scales.weigh(node.id)
        try:
            # pygit2 (1.21) never lets go of the name it is asked for: of each, one is enough.
            node = node.peel(pygit2.Tree)[intern(name)]
        except (KeyError, UnicodeEncodeError):
            return None
    return node


class GitSnapshot:
    """`kedge.ports.Snapshot` over one commit. File sizes are read from the objects' headers, not their contents.

    `lost` is told when an object is not there. Of a repository that is `partial`, files that are not here have no size,
    and to read one raises Absent.
    """

    def __init__(
        self,
        repository: pygit2.Repository,
        revision: Revision,
        limit: int = FILE_LIMIT,
        lost: Callable[[], None] = lambda: None,
        *,
        partial: bool = False,
    ) -> None:
        self._partial = partial
        self._repository = repository
        self._lost = lost
        self._revision = revision
        self._limit = limit
        self._scales = Scales(repository)
        try:
            commit = repository[revision.commit].peel(pygit2.Commit)
            self._scales.weigh(commit.tree_id)
            self._tree: pygit2.Tree = commit.peel(pygit2.Tree)
        except (KeyError, ValueError, pygit2.GitError):
            raise self._missing() from None
        self._rules = self._ignoring()

    @property
    def revision(self) -> Revision:
        return self._revision

    @property
    def tree(self) -> str:
        """The id of all its files."""
        return str(self._tree.id)

    def entry(self, path: str) -> Entry | None:
        path = path.strip("/")
        node = find(self._tree, path, self._scales) if path else None
        if node is None or (self._rules and self._rules.ignores(path, folder=node.filemode == FileMode.TREE)):
            return None
        return self._entry(node, path)

    def entries(self, folder: str, *, recurse: bool = False) -> Sequence[Entry]:
        folder = folder.strip("/")
        top = find(self._tree, folder, self._scales) if folder else self._tree
        rules = self._rules
        if top is None or top.type != ObjectType.TREE or (rules and folder and rules.ignores(folder, folder=True)):
            return ()
        found: list[Entry] = []
        waiting: list[tuple[str, pygit2.Object]] = [(f"{folder}/" if folder else "", top)]
        while waiting:
            prefix, tree = waiting.pop()
            for node in self._inside(tree):
                path = prefix + name_of(node)
                if len(path) > LONGEST:
                    text = f"a path is longer than {LONGEST} characters: folders are in one another without end"
                    raise Invalid(text, where=Where(path[:100]))
                if rules and rules.ignores(path, folder=node.filemode == FileMode.TREE):
                    continue
                entry = self._entry(node, path)
                found.append(entry)
                if len(found) > MOST_ENTRIES or (rules and rules.too_many(len(found))):
                    raise Invalid(f"there are more files than are listed: {len(found)}", where=Where(folder))
                if recurse and entry.kind is EntryKind.FOLDER:
                    waiting.append((f"{path}/", node))
        return sorted(found)

    def read(self, entry: Entry) -> bytes:
        """Raises Invalid over the limit, for what has no content and for what is not in Git itself; Unavailable when
        the object is not here."""
        raw = self.raw(entry)
        if raw.startswith(POINTER) and len(raw) <= POINTER_SIZE:
            told = f"{entry.path} is kept in Git LFS, and what is in Git only stands for it"
            raise Invalid(told, where=Where(entry.path), hint=_FETCHED)
        return raw

    def raw(self, entry: Entry) -> bytes:
        """What Git itself has."""
        if entry.kind not in (EntryKind.FILE, EntryKind.SYMLINK):
            raise Invalid(f"{entry.path} is a {entry.kind}, which has no content", where=Where(entry.path))
        if self._partial and entry.id not in self._repository:
            raise Absent(entry.path)
        size = entry.size or self._size(entry.id)
        if size > self._limit:
            raise Invalid(
                f"{entry.path} has {size} bytes, more than the {self._limit} that are read", where=Where(entry.path)
            )
        try:
            return bytes(self._repository[entry.id].read_raw())
        except (KeyError, ValueError, pygit2.GitError):
            raise self._missing() from None

    def _ignoring(self) -> ignore.Rules | None:
        """The rules of this commit; None where it has none, which costs a look at the root."""
        node = find(self._tree, ignore.FILE)
        if node is None or node.type != ObjectType.BLOB:
            return None
        if self._size(node.id) > ignore.SIZE:  # before it is unpacked: a few kilobytes may become gigabytes
            raise ignore.too_large()
        return ignore.read(bytes(node.peel(pygit2.Blob).read_raw()))

    def seen(self, paths: Sequence[str]) -> Sequence[str]:
        """Those of paths that are not ignored."""
        return self._rules.seen(paths) if self._rules is not None else paths

    def _inside(self, tree: pygit2.Object) -> list[pygit2.Object]:
        self._scales.weigh(tree.id)
        try:
            return list(tree.peel(pygit2.Tree))
        except (KeyError, pygit2.GitError):
            raise self._missing() from None

    def _entry(self, node: pygit2.Object, path: str) -> Entry:
        mode = node.filemode  # made anew at each question, which costs as much as all the rest
        kind = KINDS.get(mode, EntryKind.FILE)
        size = self._size(node.id) if kind is EntryKind.FILE else 0
        return Entry(path, str(node.id), kind, size, mode == FileMode.BLOB_EXECUTABLE)

    def _size(self, identity: pygit2.Oid | str) -> int:
        try:
            return int(self._repository.odb.read_header(identity)[1])
        except (KeyError, ValueError, pygit2.GitError):
            if self._partial:
                return 0
            raise self._missing() from None

    def _missing(self) -> Unavailable:
        self._lost()
        revision = self._revision
        return Unavailable(f"commit {revision.short} of {revision.repository} is not here", hint="it is fetched again")
