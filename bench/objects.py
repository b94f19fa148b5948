"""Objects a second from a commit to verified, beside a bare loop; one change among them; what the fleet holds.

A commit declares applications of four objects (ServiceAccount, Service, Deployment of no replicas, Ingress), a second
one changes two of each, further ones change one application each. The house works them off until its record says of
every application that it is settled. The bare loops send the same bodies to the same cluster, to namespaces of their
own, before the house and after it in mirrored order, for a cluster gets slower with what it holds: one applies, the
other dry-runs each object and then applies it. The cluster is a real API server where `make parts` has built one. A
machine that others share is now fast, now slow, so all of it can be done in several rounds, each on a new cluster.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import _change, _unchanged
from bench._bare import Wish, bare
from bench._cluster import Tally
from bench._fleet import FIRST_LOOK, FOUR, NAMESPACE, Followed, Repository, Running, good, quiet, running
from bench._machine import helpers_cpu, helpers_resident, resident, sized
from bench._target import Target, at_rest, make_namespace, target

COUNT = sized("BENCH_APPLICATIONS", 1000, 100)
CHANGES = sized("BENCH_CHANGES", 20, 5)
MOST = sized("BENCH_MOST", 5000, 250)
"""How many applications there are in the end, to see what each holds of memory."""
ROUNDS = sized("BENCH_ROUNDS", 1, 1)
TWO = ("service.yaml", "deployment.yaml")
"""What the second commit changes. The Deployment's template is among it: its controller makes a new ReplicaSet."""
LAPS = {"declared": tuple(FOUR), "changed": TWO}
DRY, WET = "dry run, apply", "apply"


@dataclass(frozen=True, slots=True)
class Lap:
    """Seconds, and what they were spent on: requests, and CPU seconds by process (`client`: who asks). The cluster's
    are counted until it is at rest again."""

    objects: int
    seconds: float
    client: float
    tally: Tally
    renderers: float = 0.0
    seen: float = 0.0

    @property
    def rate(self) -> float:
        return self.objects / self.seconds

    def _each(self) -> dict[str, float]:
        """Milliseconds of CPU an object."""
        spent = {"client": self.client, "renderers": self.renderers, **self.tally.cpu}
        return {who: seconds / self.objects * 1e3 for who, seconds in spent.items() if seconds}

    @property
    def spent(self) -> float:
        """That of all processes."""
        return sum(self._each().values())

    def cost(self) -> str:
        return ", ".join([f"{who} {took:.2f}" for who, took in self._each().items()] + [f"all {self.spent:.1f}"])


async def rival(found: Target, namespace: str, names: tuple[str, ...], tried: bool) -> dict[str, Lap]:
    """A bare loop over a namespace of its own: by lap."""
    await make_namespace(found.access, namespace)
    laps: dict[str, Lap] = {}
    for number, (what, files) in enumerate(LAPS.items()):
        access = found.access
        wish = Wish(access.server, access.ca, access.token, namespace, names, files, number, tried)
        before = await found.tally()
        told = await bare(wish)
        await at_rest(found)
        after = (await found.tally()).since(before)
        laps[what] = Lap(len(names) * len(files), told.seconds, told.cpu, after, seen=told.seen)
    return laps


async def rivals(found: Target, when: str, order: Sequence[str]) -> dict[str, dict[str, Lap]]:
    names = tuple(Repository(Path(), COUNT, FOUR).names())
    return {how: await rival(found, f"bare-{when}-{number}", names, how == DRY) for number, how in enumerate(order)}


async def lap(live: Running, followed: Followed, found: Target, commit: Callable[[], str], objects: int) -> Lap:
    """One commit that concerns every application, from the webhook to the last of them settled."""
    await asyncio.sleep(FIRST_LOOK)
    head = commit()
    before, spent, helped = await found.tally(), time.process_time(), helpers_cpu(found.pids)
    started = time.perf_counter()
    await live.push()
    ended = await followed.until(head, live.repository.count, print)
    await quiet(live.house)
    spent, helped = time.process_time() - spent, helpers_cpu(found.pids) - helped
    await at_rest(found)
    if (count := await good(live.house)) != live.repository.count:
        raise SystemExit(f"only {count} of {live.repository.count} applications are Synced and Healthy")
    return Lap(objects, ended - started, spent, (await found.tally()).since(before), helped)


async def grown(live: Running, followed: Followed, found: Target, empty: float) -> None:
    """Memory, as the fleet grows to MOST."""
    sizes: dict[int, float] = {}
    count = COUNT
    while True:
        gc.collect()
        sizes[count] = resident()
        if count >= MOST:
            break
        more = min(MOST, count * 5 // 2)
        repository = replace(live.repository, count=more)
        live = replace(live, repository=repository)
        first, count = count, more
        await asyncio.sleep(FIRST_LOOK)
        head = repository.declare(first)
        await live.push()
        await followed.until(head, count - first, print)
        await quiet(live.house)
    told = ", ".join(f"{size:.0f} MiB at {count:,} applications" for count, size in sizes.items())
    print(f"   memory: {empty:.0f} MiB before anything is opened, {told}")
    each = (sizes[count] - sizes[COUNT]) / (count - COUNT) * 1024 if count > COUNT else 0.0
    print(f"      {each:.0f} KiB an application of four objects; beside it the renderers' processes hold", end=" ")
    print(f"{helpers_resident(found.pids):.0f} MiB")


Rivals = Mapping[str, tuple[Lap, Lap]]
"""Before and after Kedge, by what the loop does."""


async def measure(folder: Path, found: Target, last: bool) -> dict[str, Lap]:
    """The house: its laps, and in the `last` round one change among the fleet, a fleet that does not change, and a
    larger one."""
    repository, empty = Repository(folder / "fleet", COUNT, FOUR), resident()
    repository.begin()
    await make_namespace(found.access, NAMESPACE)
    async with running(folder / "data", repository, found.access) as live:
        followed, files = Followed(live.house), LAPS["declared"]
        commits = {"declared": repository.declare, "changed": lambda: repository.change(CHANGES + 1, files=TWO)}
        laps = {
            what: await lap(live, followed, found, commit, COUNT * len(LAPS[what])) for what, commit in commits.items()
        }
        if last:
            print(f"   one commit changes one application of {len(files)} objects:")
            await _change.measure(live, followed, found, CHANGES)
            await _unchanged.measure(live, found)
            await grown(live, followed, found, empty)
        return laps


async def once(folder: Path, last: bool) -> dict[str, tuple[Lap, Rivals]]:
    """A round on a cluster of its own: of each lap Kedge's, and the rivals'."""
    folder.mkdir()
    async with target() as found:
        await rival(found, "warm", tuple(Repository(Path(), max(20, COUNT // 10), FOUR).names()), tried=True)
        before = await rivals(found, "before", (WET, DRY))
        ours = await measure(folder, found, last)
        after = await rivals(found, "after", (DRY, WET))
    return {what: (ours[what], {how: (before[how][what], after[how][what]) for how in (DRY, WET)}) for what in LAPS}


async def run(folder: Path) -> None:
    rounds = []
    for number in range(ROUNDS):
        rounds.append(await once(folder / str(number), number == ROUNDS - 1))
        for what, (ours, others) in rounds[-1].items():
            _tell(what, ours, others)
    for what in LAPS if ROUNDS > 1 else ():
        _tell_all(what, [found[what] for found in rounds])


def _tell(what: str, ours: Lap, others: Rivals) -> None:
    print(f"   {ours.objects:,} objects of {COUNT:,} applications {what} by one commit:")
    print(f"      {'Kedge':<16}{ours.seconds:6.1f} s  {ours.rate:5.0f} objects/s   ms CPU each: {ours.cost()}")
    for how, (one, two) in others.items():
        seconds, seen = (one.seconds + two.seconds) / 2, (one.seen + two.seen) / 2
        both = f"{one.seconds:.1f} s before, {two.seconds:.1f} after"
        print(f"      {how:<16}{seconds:6.1f} s  {one.objects / seconds:5.0f} objects/s ({both})   {one.cost()}")
        print(f"      {'':<16}then {two.cost()}")
        print(f"      {'':<16}Kedge reaches {seconds / ours.seconds:.0%}; {seen / ours.seconds:.0%} of that", end="")
        print(f" loop and the wait until the controller has seen every Deployment ({seen:.1f} s)")
    print(f"      asked by Kedge: {ours.tally}; by the bare loops: {others[DRY][0].tally}")


def _tell_all(what: str, rounds: Sequence[tuple[Lap, Rivals]]) -> None:
    """Kedge beside the loop that dry-runs and applies, round by round: in time, and in processor time of all."""
    pairs = [(ours, others[DRY]) for ours, others in rounds]
    times = [statistics.mean(lap.seconds for lap in both) / ours.seconds for ours, both in pairs]
    spent = [statistics.mean(lap.spent for lap in both) / ours.spent for ours, both in pairs]
    print(f"   {what}, {len(rounds)} rounds: Kedge reaches {_middle(times)} of dry run and apply", end="")
    print(f", {_middle(spent)} by processor time")


def _middle(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.0%} ({', '.join(f'{ratio:.0%}' for ratio in ratios)})"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as folder:
        asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    main()
