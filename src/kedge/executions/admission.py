"""How many executions work at once, and which is next. Pure.

A plan with a large provider holds about 0.8 GB; more than the machine has memory for are slower all together, or die.
Plans that look for drift have what is left: nobody waits for them, and they make way for whoever is waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kedge.model.execution import Task

EACH = 800_000_000
"""Bytes of memory that one is taken to need."""
MAKES_WAY = "makes way for what somebody waits for, and is made again"
_SHARE = 0.75
"""The part of the machine's memory that executions may take."""
_PER_PROCESSOR = 2


@dataclass(frozen=True, slots=True)
class Job:
    """One that waits or works. `since` in epoch seconds, `drift` as in `Execution`; `yields`: told to make way."""

    id: str
    task: Task
    since: float
    drift: bool = False
    yields: bool = False

    @property
    def order(self) -> tuple[bool, bool, float, str]:
        """Applies before plans, drift last, the oldest first."""
        return self.task.plans, self.drift, self.since, self.id


def width(memory: int, processors: int) -> int:
    """How many work at once on a machine with so many bytes of memory: at least one."""
    return max(1, min(int(memory * _SHARE) // EACH, _PER_PROCESSOR * processors))


def drifting(room: int) -> int:
    """How many of these may look for drift: half of them, and at least one."""
    return max(1, room // 2)


def admitted(waiting: Iterable[Job], working: Sequence[Job], room: int) -> list[str]:
    """Who may begin now. The last place is kept for an apply, where there are several: people wait for it, and plans
    may take long."""
    found: list[str] = []
    plans, drifts, taken = sum(one.task.plans for one in working), sum(one.drift for one in working), len(working)
    for one in sorted(waiting, key=lambda one: one.order):
        if taken >= room or (one.task.plans and plans >= max(1, room - 1)):
            continue
        if one.drift and drifts >= drifting(room):
            continue
        found.append(one.id)
        taken += 1
        plans += one.task.plans
        drifts += one.drift
    return found


def yielding(waiting: Iterable[Job], working: Sequence[Job], room: int) -> list[str]:
    """Who of those that look for drift has to make way: the youngest, one for each that waits and is not admitted."""
    waiting = tuple(waiting)
    begins = admitted(waiting, working, room)
    left = sum(not one.drift and one.id not in begins for one in waiting) - sum(one.yields for one in working)
    drifts = sorted((one for one in working if one.drift and not one.yields), key=lambda one: one.order, reverse=True)
    return [one.id for one in drifts[: max(0, left)]]


def told(place: int, room: int) -> str:
    """What is said of one that waits; `place` counts from 1."""
    return f"waits for its turn: {place} of those that wait, {room} at a time"
