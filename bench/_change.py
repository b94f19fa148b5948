"""From a webhook to verified, for one application of many in one repository, and what the others were put through.

Each commit changes one application; the time runs from the webhook (the commit is in the repository by then) until the
record says that the new commit is applied and healthy. Everything done for the other applications is counted.
"""

from __future__ import annotations

import asyncio
import time

from bench._count import Counted
from bench._fleet import Followed, Repository, Running, quiet
from bench._target import Target
from kedge.control.shift.rounds import WINDOW

STRIDE = 7919
"""A prime: the changes are spread over the fleet, each for another application."""


def which(repository: Repository, number: int) -> str:
    return repository.names()[number * STRIDE % repository.count]


async def one(live: Running, followed: Followed, number: int) -> float:
    """Seconds from a push that changes one application until it is settled."""
    head = live.repository.change(number, which(live.repository, number))
    await asyncio.sleep(WINDOW)  # else the wait between two fetches of one repository would be part of it
    started = time.perf_counter()
    await live.push()
    ended = await followed.until(head, 1)
    await quiet(live.house)
    return ended - started


async def bare(live: Running) -> float:
    """Seconds that asking the repository for its head takes: the least that any webhook costs."""
    taken: list[float] = []
    for _ in range(5):
        started = time.perf_counter()
        await live.house.doors.source.fetch(live.repository.url, "main")
        taken.append(time.perf_counter() - started)
    return sorted(taken)[2]


async def measure(live: Running, followed: Followed, target: Target, changes: int) -> None:
    house, repository = live.house, live.repository
    least = await bare(live)
    counted = Counted(house)
    before, turns = await target.tally(), house.shift.vitals()["turns_total"]
    taken = sorted([await one(live, followed, number) for number in range(1, changes + 1)])
    asked = (await target.tally()).since(before)
    turns = house.shift.vitals()["turns_total"] - turns
    counted.end()
    middle, high = taken[len(taken) // 2], taken[-(len(taken) // 20) - 1]
    print(f"   webhook to verified: p50 {middle * 1e3:.0f} ms, p95 {high * 1e3:.0f} ms, most {taken[-1] * 1e3:.0f} ms")
    print(f"      p50 ÷ asking the repository whether anything is new ({least * 1e3:.0f} ms) = {middle / least:.1f}")
    print(f"      for {changes} changes: {turns:.0f} turns, {counted}; cluster: {asked}")
    touched = {f"default/{which(repository, number)}" for number in range(1, changes + 1)}
    others = sum(times for unit, times in counted.units.items() if unit not in touched)
    print(f"      for the other {repository.count - len(touched):,} applications: {others} loads, renders and writes")
