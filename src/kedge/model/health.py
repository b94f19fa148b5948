"""Health of an object or a unit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Best to worst, as Argo CD's gitops-engine orders them."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    MISSING = "Missing"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"

    @property
    def rank(self) -> int:
        return _ORDER[self]


_ORDER = {status: rank for rank, status in enumerate(Status)}


@dataclass(frozen=True, slots=True)
class Health:
    """A status and a sentence that a person can act on."""

    status: Status
    message: str = ""


class Sickness(StrEnum):
    """What kind of trouble a cluster is in."""

    CLOSED = "closed"
    """It can not be opened: its declaration or its secret is at fault."""
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    """It does not know us (401)."""
    THROTTLED = "throttled"
    """It answers that it has no time for us (429, 503)."""


@dataclass(frozen=True, slots=True)
class Ailment:
    """Why a cluster is of no use just now, as one sentence, and since when (epoch seconds)."""

    reason: str
    since: float
    kind: Sickness = Sickness.CLOSED
