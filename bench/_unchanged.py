"""What a fleet costs while nothing changes: requests, fetches, renders, writes, CPU, memory and its slope.

In service an unchanged unit has no turn at all but one dry run in six hours. Here every unit is rung, again and again,
as if everything had to be looked at anew (`resync`), and then dry-run at once (`sweep`).
"""

from __future__ import annotations

import asyncio
import gc
import time

from bench._cluster import Tally
from bench._count import Counted
from bench._fleet import Running, quiet
from bench._machine import resident
from bench._target import Target
from kedge.control.shift.queue import Lane
from kedge.control.shift.rounds import WINDOW

ROUNDS = 4


class Watched:
    """What is done while it is open."""

    def __init__(self, live: Running, target: Target) -> None:
        self._live, self._target = live, target
        self._before: Tally | None = None

    async def begin(self) -> Watched:
        self._counted = Counted(self._live.house)
        self._before, self._spent = await self._target.tally(), time.process_time()
        return self

    async def end(self) -> tuple[str, float]:
        """A sentence, and CPU seconds of the house."""
        spent = time.process_time() - self._spent
        self._counted.end()
        asked = (await self._target.tally()).since(self._before) if self._before else ""
        return f"{self._counted}; requests to the cluster: {asked}", spent


async def resync(live: Running, lane: Lane) -> float:
    """Seconds until every unit has had its turn."""
    started = time.perf_counter()
    for name in live.repository.names():
        live.house.shift.turns.ring(f"default/{name}", lane)
    return await quiet(live.house) - started


async def measure(live: Running, target: Target) -> None:
    await hinted(live, target)
    count = live.repository.count
    watched = await Watched(live, target).begin()
    sizes, seconds = [], 0.0
    for _ in range(ROUNDS):
        seconds += await resync(live, Lane.CHANGE)
        gc.collect()
        sizes.append(resident())
    told, spent = await watched.end()
    print(f"   every unit rung, {ROUNDS} times: {ROUNDS * count / seconds:,.0f} units/s; {told}")
    after = ", ".join(f"{size:.0f}" for size in sizes)
    print(f"      {spent / ROUNDS / count * 1e3:.2f} ms CPU a unit; memory after each: {after} MiB")
    watched = await Watched(live, target).begin()
    taken = await resync(live, Lane.SWEEP)
    told, spent = await watched.end()
    print(f"   every unit dry-run at once (in service: over 6 h): {count / taken:,.0f} units/s; {told}")
    print(f"      {spent / count * 1e3:.2f} ms CPU a unit, so {spent:.1f} s in 6 h for {count:,}")


async def hinted(live: Running, target: Target) -> None:
    """A webhook, or a poll, that brings no news."""
    await asyncio.sleep(WINDOW)
    watched = await Watched(live, target).begin()
    await live.push()
    await asyncio.sleep(WINDOW)
    await quiet(live.house)
    told, spent = await watched.end()
    print(f"   a webhook without news: {told}; {spent * 1e3:.0f} ms CPU in {WINDOW:.0f} s")
