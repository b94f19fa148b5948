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


@dataclass(frozen=True, slots=True)
class Ailment:
    """Why a cluster is of no use just now, as one sentence, and since when (epoch seconds)."""

    reason: str
    since: float
