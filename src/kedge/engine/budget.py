"""How much of the time looks for drift may take, all stacks together. Pure: the moment is a parameter.

A look is a plan, and asks the providers about every resource. However many stacks are due at once, the place in which
one was looked at rests for as long as that took: looks take half of the time of their places at most. Whoever is due
meanwhile is looked at in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SHARE = 0.5
"""The part of the time of their places that looks may take."""
GUESS = 10.0
"""Seconds that a look is taken to need before one has ended."""
_NEAR = 1.0
"""Seconds by which a rest may be cut short: timers are not that exact."""
_GONE = 60.0
"""Seconds after which whoever was told when to come, and did not, is not waited for."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Those at work (`going`) in so many `places`, until when places rest that are free (`rests`, epoch seconds), and
    how many seconds the last one `took`."""

    places: int
    going: int = 0
    rests: tuple[float, ...] = ()
    took: float = GUESS


def rest(took: float) -> float:
    """Seconds for which a place rests after a look."""
    return took * (1 / SHARE - 1)


def resting(rests: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Those that are not over."""
    return tuple(until for until in rests if until > now + _NEAR)


def begins(looks: Looks, before: int, now: float) -> float:
    """When a stack may be looked at that is due, and before which so many others are: `now`, or as far as the last look
    tells. Whoever comes back then asks again."""
    each = looks.took + rest(looks.took)
    taken = [*sorted(resting(looks.rests, now)), *[now + each] * looks.going]
    slots = [*[now] * (looks.places - len(taken)), *taken]
    return slots[before % len(slots)] + before // len(slots) * each


def ahead(waiting: Mapping[str, float], unit: str, now: float) -> int:
    """How many of those that wait came before a unit; `waiting` says, in the order in which they came, when each was
    told to come back."""
    found = 0
    for other, told in waiting.items():
        if other == unit:
            break
        found += comes(told, now)
    return found


def comes(told: float, now: float) -> bool:
    """Whether one that was told when to come back is still waited for."""
    return told + _GONE > now
