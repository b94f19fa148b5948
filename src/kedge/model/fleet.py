"""The fleet as a page shows it: rows, and what is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from kedge.model.dossier import Sync
from kedge.model.health import Status

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One row of the fleet page; everything in it is indexed."""

    name: str
    project: str
    sync: Sync
    health: Status
    why: str
    cluster: str
    namespace: str
    repository: str
    path: str
    commit: str
    author: str
    subject: str
    verified: float | None
    changed: float
    waiting: str
    pinned: bool
    suspended: bool
    version: int


@dataclass(frozen=True, slots=True)
class UnitQuery:
    """Filter of the fleet page: `kind` is app or stack. Worst first; `after` is the opaque cursor of the page
    before."""

    project: str = ""
    kind: str = ""
    health: str = ""
    sync: str = ""
    cluster: str = ""
    text: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    after: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next` is "" on the last page."""

    items: tuple[T, ...]
    next: str = ""
    total: int = 0
