"""Simulated hours per minute: whole histories of the house in virtual time, and runs of `advance` alone.

The limit is the simulation's own loop with nothing to simulate: as many sleeps as it can skip. One process, one core.
"""

from __future__ import annotations

import asyncio
import time
from itertools import count

from tests.simulation import pure, run
from tests.simulation.loop import VirtualLoop, simulate

from bench._machine import sized

SECONDS = sized("BENCH_SECONDS", 30, 5)
FIRST = 5_000


def houses() -> None:
    began, hours, lived, writes, runs = time.perf_counter(), 0.0, 0, 0, 0
    for seed in count(FIRST):
        story = run.run(seed)
        hours, lived = hours + story.seconds / 3600, lived + 1
        writes, runs = writes + story.writes, runs + story.runs
        if (spent := time.perf_counter() - began) > SECONDS:
            break
    print(
        f"   the house: {hours / spent * 60:,.0f} simulated hours a minute, {lived / spent:.1f} histories a second",
        end="",
    )
    print(f" ({lived} with {runs:,} runs and {writes:,} writes)")


def runs_alone() -> None:
    began, lived, runs = time.perf_counter(), 0, 0
    for seed in count(FIRST):
        runs, lived = runs + pure.run_pure(seed).runs, lived + 1
        if (spent := time.perf_counter() - began) > SECONDS / 3:
            break
    print(f"   runs of `advance` alone: {lived / spent:,.0f} seeds a second, {runs / spent:,.0f} runs a second")


def limit() -> None:
    """The loop itself: one sleeper that wakes every simulated minute."""
    loop, minutes = VirtualLoop(), 100_000
    asyncio.set_event_loop(loop)

    async def sleeper() -> None:
        for _ in range(minutes):
            await asyncio.sleep(60.0)

    began = time.perf_counter()
    simulate(sleeper(), loop)
    asyncio.set_event_loop(None)
    print(f"   an empty house that wakes once a minute: {minutes / (time.perf_counter() - began):,.0f} hours a minute")


def main() -> None:
    limit()
    houses()
    runs_alone()


if __name__ == "__main__":
    main()
