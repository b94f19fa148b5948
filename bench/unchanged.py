"""What a fleet of 5,000 costs while nothing changes: writes, renders, requests, seconds, memory and its slope.

The fleet of `change`, settled. A resync rings every unit, as if everything had to be looked at again; the sweep does
the same and dry-runs every object, which in service is spread over six hours. The memory is that of the control plane's
process alone: the cluster and the renderers are processes of their own.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from pathlib import Path

from bench._cluster import Cluster, cluster
from bench._count import Counted
from bench._fleet import ONE, Repository, house_over, make_namespace, push, quiet, sized
from bench._machine import resident
from bench.change import settle
from kedge.control.shift.queue import Lane
from kedge.house import House

COUNT = sized("BENCH_FLEET", 5000)
ROUNDS = 4


async def resync(house: House, repository: Repository, lane: Lane) -> float:
    """Seconds until every unit has had its turn."""
    started = time.perf_counter()
    for name in repository.names():
        house.shift.turns.ring(f"default/{name}", lane)
    return await quiet(house) - started


async def measure(folder: Path, target: Cluster) -> None:
    empty = resident()
    await make_namespace(target.access)
    repository = Repository(folder / "fleet", COUNT, ONE)
    repository.begin()
    async with house_over(folder / "data", repository, target) as house:
        await settle(house, repository)
        gc.collect()
        print(f"   resident: {empty:.0f} MiB before, {resident():.0f} MiB with the fleet settled")
        counted = Counted(house)
        before, spent = await target.tally(), time.process_time()
        grown: list[float] = []
        for number in range(ROUNDS):
            taken = await resync(house, repository, Lane.CHANGE)
            gc.collect()
            grown.append(resident())
            print(f"   resync {number + 1}: {COUNT / taken:,.0f} units/s, {taken:.1f} s; resident {grown[-1]:.1f} MiB")
        asked, spent = (await target.tally()).since(before), time.process_time() - spent
        print(
            f"   all {ROUNDS}: {counted}; cluster: {asked}; {spent / ROUNDS / COUNT * 1e3:.2f} ms CPU a unit and resync"
        )
        print(f"   slope: {(grown[-1] - grown[0]) / (ROUNDS - 1):+.2f} MiB a resync")
        await hinted(house, repository, target)
        counted, before = Counted(house), await target.tally()
        taken = await resync(house, repository, Lane.SWEEP)
        asked = (await target.tally()).since(before)
        print(f"   sweep: {COUNT / taken:,.0f} units/s; {counted}; cluster: {asked}")


async def hinted(house: House, repository: Repository, target: Cluster) -> None:
    """A webhook, or a poll, that brings no news."""
    counted, before = Counted(house), await target.tally()
    await asyncio.sleep(1.0)
    push(house, repository)
    await asyncio.sleep(1.0)
    await quiet(house)
    print(f"   a poll without news: {counted}; cluster: {(await target.tally()).since(before)}")


async def run(folder: Path) -> None:
    async with cluster() as target:
        await measure(folder, target)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as folder:
        asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    main()
