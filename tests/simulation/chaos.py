"""Faults from a seed: what may go wrong at each door, and the crash that ends a house in the middle of anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from kedge.model.errors import Conflict, Unavailable


@dataclass(slots=True)
class Chaos:
    """`level` 0 is a calm world, 1 a rough one. `crash_at` counts down the points at which a house may die.

    `points` counts every such point; `tell` hears of each fault; `died` is called at a crash.
    """

    random: Random
    tell: Callable[[str], None]
    level: float = 0.0
    crash_at: int | None = None
    disk_full: bool = False
    points: int = 0
    died: list[Callable[[], None]] = field(default_factory=list)

    def luck(self, chance: float) -> bool:
        return self.level > 0 and self.random.random() < chance * self.level

    async def point(self, what: str, dead: Callable[[], bool]) -> None:
        """A place at which the process may end. A dead house goes no further: it waits for ever."""
        if not dead():
            self.points += 1
            if self.crash_at is not None:
                self.crash_at -= 1
            if self.crash_at == 0 or (self.crash_at is None and self.luck(0.004)):
                self.crash_at = None
                self.tell(f"CRASH at {what}")
                for call in self.died:
                    call()
        if dead():
            await asyncio.get_running_loop().create_future()

    async def network(self, what: str) -> None:
        """On the way there: it takes time, and may be refused."""
        if self.level > 0:
            await asyncio.sleep(self.random.choice((0.0, 0.01, 0.2, 1.5)))
        if self.luck(0.04):
            self.tell(f"429 {what}")
            raise Unavailable(f"{what}: too many requests", retry_after=self.random.choice((None, 1.0, 30.0)))
        if self.luck(0.03):
            self.tell(f"500 {what}")
            raise Unavailable(f"{what}: internal error")
        if self.luck(0.02):
            self.tell(f"409 {what}")
            raise Conflict(f"{what}: the object has been modified")

    def discovery(self) -> None:
        """What kinds a cluster has can not be told in full."""
        if self.luck(0.02):
            self.tell("partial discovery")
            raise Unavailable("discovery of example.org failed")

    async def worker(self) -> None:
        """A render takes its time, and the worker may die over it."""
        if self.luck(0.1):
            await asyncio.sleep(self.random.choice((0.1, 3.0)))
        if self.luck(0.03):
            self.tell("a worker died")
            raise Unavailable("the renderer did not survive this input")

    async def reply(self, what: str) -> None:
        """On the way back: it was done, and nobody may ever hear of it."""
        if self.luck(0.04):
            self.tell(f"lost reply {what}")
            raise Unavailable(f"{what}: connection reset")

    def disk(self, what: str) -> None:
        if self.disk_full or self.luck(0.01):
            self.tell(f"disk full {what}")
            raise Unavailable("the database cannot be written: the disk is full")
