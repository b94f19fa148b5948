"""Questions about commits, answered by comparing tree ids: the cost follows the change, not the repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pygit2
from pygit2.enums import FileMode

from kedge.sources.snapshot import find, name_of

BOUND = 2_000
"""Commits that a search walks at most."""


def changed(before: pygit2.Tree, after: pygit2.Tree) -> list[str]:
    """Paths of files (symlinks and submodules too) that differ, ordered. Equal folders are not opened."""
    found: list[str] = []
    waiting: list[tuple[str, pygit2.Object | None, pygit2.Object | None]] = [("", before, after)]
    while waiting:
        prefix, left, right = waiting.pop()
        for name, one, other in _different(left, right):
            path = prefix + name
            folders = (one if _is_folder(one) else None, other if _is_folder(other) else None)
            if any(node is not None and not _is_folder(node) for node in (one, other)):
                found.append(path)
            if folders != (None, None):
                waiting.append((f"{path}/", *folders))
    return sorted(set(found))


def _different(
    left: pygit2.Object | None, right: pygit2.Object | None
) -> Iterator[tuple[str, pygit2.Object | None, pygit2.Object | None]]:
    ours, theirs = _by_name(left), _by_name(right)
    for name, node in (ours | theirs).items():
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None or one.id != other.id or one.filemode != other.filemode:
            yield name_of(node), one, other


def _by_name(folder: pygit2.Object | None) -> dict[bytes, pygit2.Object]:
    return {bytes(node.raw_name or b""): node for node in folder.peel(pygit2.Tree)} if folder is not None else {}


def _is_folder(node: pygit2.Object | None) -> bool:
    return node is not None and node.filemode == FileMode.TREE


def touched(commit: pygit2.Commit, paths: Sequence[str], bound: int = BOUND) -> pygit2.Commit:
    """The newest commit that changed one of `paths` against its parent; the start when it is not found in `bound`.

    At a merge the walk follows the first parent that has the paths as the merge has them, as `git log` does; a merge
    that has them as no parent does is what changed them.
    """
    start, here = commit, _ids(commit, paths)
    for _ in range(bound):
        same = None
        for parent in commit.parents:
            if parent.tree_id == commit.tree_id or _ids(parent, paths) == here:
                same = parent
                break
        if same is None:
            return commit
        commit = same
    return start


def _ids(commit: pygit2.Commit, paths: Sequence[str]) -> list[tuple[object, object]]:
    tree = commit.tree
    found = [find(tree, path) if path else tree for path in paths]
    return [(node.id, node.filemode) if node is not None else (None, None) for node in found]
