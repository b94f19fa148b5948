"""From a webhook to verified, for one application of 5,000 in one repository, and what the others were put through.

One repository declares the fleet, one ConfigMap each. After all are settled, twenty commits change one application
each; for every one the time runs from the push (the commit is in the repository by then) until the record says that the
new commit is applied and healthy. Everything that was done for the other applications is counted.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench._cluster import Cluster, cluster
from bench._count import Counted
from bench._fleet import ONE, Followed, Repository, good, house_over, make_namespace, push, quiet, sized
from kedge.control.shift.rounds import WINDOW
from kedge.house import House

COUNT = sized("BENCH_FLEET", 5000)
CHANGES = sized("BENCH_CHANGES", 20)


async def settle(house: House, repository: Repository) -> Followed:
    """Declare the fleet and wait until all of it is good."""
    followed = Followed(house)
    head = repository.declare()
    started = time.perf_counter()
    push(house, repository)
    ended = await followed.until(head, repository.count, print)
    await quiet(house)
    print(f"   {repository.count:,} applications declared by one commit: settled in {ended - started:.1f} s")
    if (count := await good(house)) != repository.count:
        raise SystemExit(f"only {count} of {repository.count} applications are Synced and Healthy")
    return followed


def which(repository: Repository, number: int) -> int:
    """The application that a change is for: another one each time, all over the fleet."""
    return number * 7919 % repository.count


async def one(house: House, repository: Repository, followed: Followed, number: int) -> float:
    """Seconds from a push that changes one application until it is settled."""
    head = repository.change(number, repository.names()[which(repository, number)])
    await asyncio.sleep(WINDOW)
    started = time.perf_counter()
    push(house, repository)
    ended = await followed.until(head, 1)
    await quiet(house)
    return ended - started


async def measure(folder: Path, target: Cluster) -> None:
    await make_namespace(target.access)
    repository = Repository(folder / "fleet", COUNT, ONE)
    repository.begin()
    async with house_over(folder / "data", repository, target) as house:
        followed = await settle(house, repository)
        counted = Counted(house)
        before = await target.tally()
        turns = house.shift.vitals()["turns_total"]
        taken = sorted([await one(house, repository, followed, number) for number in range(1, CHANGES + 1)])
        asked = (await target.tally()).since(before)
        turns = house.shift.vitals()["turns_total"] - turns
    middle, high = taken[len(taken) // 2], taken[-(len(taken) // 20) - 1]
    print(f"   webhook to verified: p50 {middle * 1e3:.0f} ms, p95 {high * 1e3:.0f} ms, most {taken[-1] * 1e3:.0f} ms")
    print(f"   for {CHANGES} changes: {turns:.0f} turns, {counted}; cluster: {asked}")
    touched = {f"default/{repository.names()[which(repository, number)]}" for number in range(1, CHANGES + 1)}
    others = sum(times for unit, times in counted.units.items() if unit not in touched)
    print(f"   for the other {COUNT - len(touched):,} applications: {others} loads, renders and writes")


async def run(folder: Path) -> None:
    async with cluster() as target:
        await measure(folder, target)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as folder:
        asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    main()
