"""Where bytes come from: repositories, revisions and what was read of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class SourceSpec:
    """What a unit wants to be built from. `path` is from the repository's root, "" is the root itself."""

    repository: str
    ref: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """One commit that a (repository, ref) resolved to. `time` is the committer's clock, in epoch seconds.

    `version` is the tag or version that was chosen where a range was asked for, `digest` that of a packed chart or
    artifact (`sha256:…`); both are "" elsewhere."""

    repository: str
    ref: str
    commit: str
    author: str = ""
    email: str = ""
    subject: str = ""
    time: float = 0.0
    version: str = ""
    digest: str = ""

    @property
    def short(self) -> str:
        return self.commit[:7]


class EntryKind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One entry of a tree. `path` is from the repository's root; `id` is its Git object id; `size` in bytes (files)."""

    path: str
    id: str
    kind: EntryKind
    size: int = 0
    executable: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Read:
    """One question that a render asked of its source: a file or folder and its id, or "" when it was not there."""

    path: str
    id: str
    kind: EntryKind = EntryKind.FILE
