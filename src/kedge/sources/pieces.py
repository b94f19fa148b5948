"""Which files of a commit are not here: of a repository that is fetched in pieces. Reads folders only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import pygit2
from pygit2.enums import FileMode

from kedge.model.errors import Unavailable
from kedge.model.source import Revision
from kedge.sources.snapshot import find

_FILES = (FileMode.BLOB, FileMode.BLOB_EXECUTABLE, FileMode.LINK)


@dataclass(slots=True)
class Missing:
    """Ids of `files` that are not here, and of the `folders` that all files are here of once those are."""

    files: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)


def missing(repository: pygit2.Repository, revision: Revision, paths: Sequence[str], known: Collection[str]) -> Missing:
    """What at and below `paths` is not here; folders that are `known` are not looked through again. Raises Unavailable
    where the commit or a folder of it is not here."""
    found, odb = Missing(), repository.odb
    asked: set[str] = set()
    try:
        tree = repository[revision.commit].peel(pygit2.Tree)
        waiting = [node for path in paths if (node := find(tree, path) if path else tree) is not None]
        while waiting:
            node = waiting.pop()
            identity = str(node.id)
            if node.filemode in _FILES:
                if identity not in asked and node.id not in odb:
                    asked.add(identity)
                    found.files.append(identity)
            elif node.filemode != FileMode.COMMIT and identity not in known and identity not in found.folders:
                found.folders.add(identity)
                waiting += node.peel(pygit2.Tree)
    except (KeyError, ValueError, pygit2.GitError):
        raise Unavailable(
            f"commit {revision.short} of {revision.repository} is not here", hint="it is fetched again"
        ) from None
    return found
