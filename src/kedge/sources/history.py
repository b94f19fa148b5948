"""Questions about commits, answered by comparing tree ids: the cost follows the change, not the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pygit2
from pygit2.enums import FileMode

from kedge.sources.snapshot import LONGEST, Scales, find, name_of

BOUND = 2_000
"""Commits that a search walks at most."""

MOST = 100_000
"""Paths that a comparison tells of at most."""

_ENTRY = re.compile(rb"[0-7]+ [^\0]+\0.{20}", re.DOTALL)


def changed(
    before: pygit2.Tree, after: pygit2.Tree, bound: int = MOST, scales: Scales | None = None
) -> list[str] | None:
    """Paths of files (symlinks and submodules too) that differ, ordered. Equal folders are not opened.

    None when there are more than `bound`, or one is longer than any that is read: a tree may name one folder a million
    times over, or a million in one another. Raises Invalid for a folder that `scales` find too large."""
    found: set[str] = set()
    waiting: list[tuple[str, pygit2.Object | None, pygit2.Object | None]] = [("", before, after)]
    opened = 0
    while waiting:
        prefix, left, right = waiting.pop()
        opened += 1
        if scales is not None:
            for folder in (left, right):
                if folder is not None:
                    scales.weigh(folder.id)
        for one, other in _different(left, right):
            path = prefix + "".join(name_of(node) for node in (one or other,) if node is not None)
            if len(path) > LONGEST:
                return None
            folders = (one if _is_folder(one) else None, other if _is_folder(other) else None)
            if any(node is not None and not _is_folder(node) for node in (one, other)):
                found.add(path)
            if folders != (None, None):
                waiting.append((f"{path}/", *folders))
        if opened + len(waiting) + len(found) > bound:
            return None
    return sorted(found)


def _different(
    left: pygit2.Object | None, right: pygit2.Object | None
) -> Iterator[tuple[pygit2.Object | None, pygit2.Object | None]]:
    """Pairs of one name of which one is missing or another. Only they become objects: a folder may hold thousands."""
    ours, theirs = _entries(left), _entries(right)
    old = {_name(entry): _node(left, ours[entry]) for entry in ours if entry not in theirs}
    new = {_name(entry): _node(right, theirs[entry]) for entry in theirs if entry not in ours}
    for name in old | new:
        yield old.get(name), new.get(name)


def _entries(folder: pygit2.Object | None) -> dict[bytes, int]:
    """What a folder's bytes say of each thing in it (mode, name, id), and its place there. Nothing is opened."""
    if folder is None:
        return {}
    return {entry: place for place, entry in enumerate(_ENTRY.findall(folder.peel(pygit2.Tree).read_raw()))}


def _name(entry: bytes) -> bytes:
    return entry[entry.index(b" ") + 1 : -21]


def _node(folder: pygit2.Object | None, place: int) -> pygit2.Object | None:
    return folder.peel(pygit2.Tree)[place] if folder is not None else None


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
