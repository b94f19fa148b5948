"""How many executions work at once, and which is next. Pure.

A plan with a large provider holds about 0.8 GB; more than the machine has memory for are slower all together, or die.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kedge.model.execution import Task

EACH = 800_000_000
"""Bytes of memory that one is taken to need."""
_SHARE = 0.75
"""The part of the machine's memory that executions may take."""
_PER_PROCESSOR = 2


@dataclass(frozen=True, slots=True)
class Waiting:
    """One that has not begun: `since` in epoch seconds."""

    id: str
    task: Task
    since: float


def width(memory: int, processors: int) -> int:
    """How many work at once on a machine with so many bytes of memory: at least one."""
    return max(1, min(int(memory * _SHARE) // EACH, _PER_PROCESSOR * processors))


def admitted(waiting: Iterable[Waiting], working: Sequence[Task], room: int) -> list[str]:
    """Who may begin now: applies before plans, the oldest first. The last place is kept for an apply, where there are
    several: people wait for it, and plans may take long."""
    found: list[str] = []
    plans = sum(task.plans for task in working)
    taken = len(working)
    for one in sorted(waiting, key=lambda one: (one.task.plans, one.since, one.id)):
        if taken >= room or (one.task.plans and plans >= max(1, room - 1)):
            continue
        found.append(one.id)
        taken += 1
        plans += one.task.plans
    return found


def told(place: int, room: int) -> str:
    """What is said of one that waits; `place` counts from 1."""
    return f"waits for its turn: {place} of those that wait, {room} at a time"
