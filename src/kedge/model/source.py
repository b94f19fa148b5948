"""Where bytes come from: repositories, revisions and what was read of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_COMMIT = re.compile(r"[0-9a-f]{8,}")


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
    artifact (`sha256:…`), `origin` the main source's own commit where several are put together; all are "" elsewhere.
    Then `commit` is of Kedge's own making: it stands for the bytes, and nobody else knows it."""

    repository: str
    ref: str
    commit: str
    author: str = ""
    email: str = ""
    subject: str = ""
    time: float = 0.0
    version: str = ""
    digest: str = ""
    origin: str = ""

    @property
    def known(self) -> str:
        """What people know it by: the version of what is packed (else its digest), the commit of all else."""
        return (self.version or self.digest) if self.digest else (self.origin or self.commit)

    @property
    def short(self) -> str:
        return shortened(self.known)

    def called(self, text: str) -> bool:
        """Whether a person may mean it by `text`: its version or digest, or at least 4 digits of a commit."""
        if text and text in (self.version, self.digest):
            return True
        return len(text) >= 4 and any(commit.startswith(text) for commit in (self.commit, self.origin))


def shortened(known: str) -> str:
    """As it is shown beside other things: a commit by its first digits, a version whole."""
    return known[:7] if _COMMIT.fullmatch(known) else known[:19] if known.startswith("sha256:") else known


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
