"""A rollback by Git: what a commit has to put back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a commit on top of `base` puts back as commit `then` has it: each of `paths` (files; absent then: they go),
    and the unit's declaration, which is in `file` now and was in `source` then ("" where it is not in this repository).
    `run` is the run that is gone back to, 0 for a mere commit; `notes` are sentences about what it leaves undone."""

    repository: str
    ref: str
    base: str
    then: str
    run: int
    paths: tuple[str, ...]
    file: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drafted:
    """A tree that is written but on no branch yet: its id, the files that differ from its base, and the patch."""

    tree: str
    base: str
    files: tuple[str, ...]
    patch: str
