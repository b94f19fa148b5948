"""Whether a cluster answers us, and a breaker: one that does not is not asked by everybody at once.

          LOSSES in a row                   time is up
    shut ────────────────► open: told at once ────────► one question goes through
     ▲                      ▲                                │      │
     │                      └────────── no answer ───────────┘      │
     └───────────────────────────────── any answer ─────────────────┘

Without it, the units of a cluster that is away would each wait for it to be late, in places that others need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kedge.kube.transport import Lost
from kedge.model.health import Ailment, Sickness
from kedge.ports import Clock

LOSSES = 3
FIRST, MOST = 1.0, 15.0
TELL = 5.0
"""Seconds between two tellings that a cluster is well again: one that wavers must not keep its units turning."""


@dataclass(frozen=True, slots=True)
class Ailing:
    """An ailment with its beginning in monotonic seconds: a clock that jumps makes it neither older nor younger."""

    reason: str
    since: float
    kind: Sickness = Sickness.CLOSED

    def told(self, clock: Clock) -> Ailment:
        return Ailment(self.reason, clock.now() - (clock.monotonic() - self.since), self.kind)


class Pulse:
    """Told of every exchange with one cluster. `recovered` is called when it answers after it was really away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._losses = 0
        self._pause = FIRST
        self._until = 0.0
        self._reason, self._hint = "", ""
        self._serious = False
        self._told = -TELL
        self._ailing: Ailing | None = None
        self.recovered: Callable[[], None] = _nobody

    @property
    def ailment(self) -> Ailment | None:
        return self._ailing.told(self._clock) if self._ailing is not None else None

    @property
    def away(self) -> bool:
        """Whether the breaker is open, or was when the question under way was let through."""
        return self._losses >= LOSSES

    def admit(self, what: str) -> None:
        """Raises Lost, at once, while the breaker is open; now and then one question is let through."""
        if not self.away:
            return
        left = self._until - self._clock.monotonic()
        if left > 0:
            raise Lost(what, self._reason, hint=self._hint, retry_after=left)
        self._open(min(MOST, self._pause * 2))

    def lost(self, error: Lost) -> None:
        """No answer came."""
        self._reason, self._hint = error.reason, error.hint
        self._losses += 1
        if self._losses == LOSSES:
            self._open(FIRST)
        self._serious = self._serious or self._losses >= LOSSES
        self._ail(error.reason, Sickness.UNREACHABLE)

    def refused(self, reason: str) -> None:
        """It answered, and does not know us (401): whoever we ask for, the answer is the same."""
        self._shut()
        self._serious = True
        self._ail(reason, Sickness.REFUSED)

    def troubled(self, reason: str) -> None:
        """It answered that it can not answer (429, 503)."""
        self._shut()
        self._ail(reason, Sickness.THROTTLED)

    def answered(self) -> None:
        self._shut()
        serious, self._serious, self._ailing = self._serious, False, None
        if serious and self._clock.monotonic() - self._told >= TELL:
            self._told = self._clock.monotonic()
            self.recovered()

    def _open(self, pause: float) -> None:
        self._pause = pause
        self._until = self._clock.monotonic() + pause

    def _shut(self) -> None:
        self._losses = 0

    def _ail(self, reason: str, kind: Sickness) -> None:
        since = self._ailing.since if self._ailing is not None else self._clock.monotonic()
        self._ailing = Ailing(reason, since, kind)


def _nobody() -> None:
    return None
