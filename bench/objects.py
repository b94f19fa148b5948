"""Objects a second from a commit to verified, beside a bare loop of dry run and apply.

A commit declares applications of four objects (ServiceAccount, Service, Deployment of no replicas, Ingress), a
second one changes every object. The whole house works them off against a sandbox cluster in a process of its own, until
its record says of every application that it is settled. The bare loop sends the same bodies to a fresh sandbox, dry run
and then apply of each, many at once, and does nothing with the answers.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import yaml

from bench._cluster import Cluster, Tally, cluster
from bench._fleet import FIRST_LOOK, FOUR, NAMESPACE, Followed, Repository, good, make_namespace, quiet, running
from bench._machine import child_cpu, children, helpers_resident, resident, sized
from kedge.kube.aiohttp_transport import open_transport
from kedge.kube.client import APPLY

COUNT = sized("BENCH_APPLICATIONS", 1000, 100)
AT_ONCE = 32
PLURALS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
}


@dataclass(frozen=True, slots=True)
class Lap:
    """Seconds, and what they were spent on: requests, and CPU seconds by process (`client`: who asks)."""

    seconds: float
    tally: Tally
    client: float
    renderers: float = 0.0


def bodies(number: int, names: Iterable[str]) -> list[tuple[str, bytes]]:
    """Path and body of every object of a round, as a client would send it."""
    found: list[tuple[str, bytes]] = []
    for name in names:
        for text in FOUR.values():
            value = yaml.safe_load(text.format(name, number))
            value["metadata"]["namespace"] = NAMESPACE
            found.append((f"{PLURALS[value['kind']].format(NAMESPACE)}/{name}", orjson.dumps(value)))
    return found


async def bare(target: Cluster, objects: Sequence[tuple[str, bytes]]) -> float:
    """Seconds for a dry run and an apply of every object, `AT_ONCE` objects at a time."""
    transport = open_transport(target.access)
    headers = {"content-type": APPLY, "accept": "application/json"}
    query = {"fieldManager": "bare", "force": "true"}
    left = iter(objects)

    async def lane() -> None:
        for path, body in left:
            for asked in ({**query, "dryRun": "All"}, query):
                answer = await transport.request("PATCH", path, asked, headers, body)
                if answer.status not in (200, 201):
                    raise SystemExit(f"PATCH {path}: {answer.status} {answer.body[:300]!r}")

    started = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    taken = time.perf_counter() - started
    await transport.close()
    return taken


async def bare_laps(names: Sequence[str]) -> list[Lap]:
    laps: list[Lap] = []
    async with cluster() as target:
        await make_namespace(target.access)
        for number in (0, 1):
            objects = bodies(number, names)
            before, spent = await target.tally(), time.process_time()
            seconds = await bare(target, objects)
            spent = time.process_time() - spent
            laps.append(Lap(seconds, (await target.tally()).since(before), spent))
    return laps


async def house_laps(folder: Path, names: int) -> tuple[list[Lap], tuple[float, float]]:
    """Its laps, and the MiB that the house and its renderers hold after them."""
    repository = Repository(folder / "fleet", names, FOUR)
    repository.begin()
    laps: list[Lap] = []
    async with cluster() as target:
        await make_namespace(target.access)
        async with running(folder / "data", repository, target) as live:
            followed = Followed(live.house)
            for commit in (repository.declare, lambda: repository.change(1)):
                await asyncio.sleep(FIRST_LOOK)
                head = commit()
                before, spent, helped = await target.tally(), time.process_time(), _helpers(target)
                started = time.perf_counter()
                await live.push()
                ended = await followed.until(head, names, print)
                await quiet(live.house)
                after = (await target.tally()).since(before)
                laps.append(Lap(ended - started, after, time.process_time() - spent, _helpers(target) - helped))
                if (count := await good(live.house)) != names:
                    raise SystemExit(f"only {count} of {names} applications are Synced and Healthy")
            gc.collect()
            return laps, (resident(), helpers_resident(target.pid))


def _helpers(target: Cluster) -> float:
    """CPU seconds of the processes that render; the sandbox tells of itself."""
    return sum(child_cpu(pid) for pid in children() if pid != target.pid)


async def measure(folder: Path) -> None:
    """The bare loop goes before and after the house, so that a machine that others use too is as busy for both."""
    names, empty = Repository(folder, COUNT, FOUR).names(), resident()
    first = await bare_laps(names)
    ours, (full, workers) = await house_laps(folder, COUNT)
    last = await bare_laps(names)
    for what, laps, lap in zip(("declared", "changed"), zip(first, last, strict=True), ours, strict=True):
        _tell(what, laps, lap)
    print(f"   memory: {full:.0f} MiB, of which {empty:.0f} MiB are there before anything is opened; beside it the")
    print(f"      renderers' processes: {workers:.0f} MiB")


def _tell(what: str, rivals: tuple[Lap, Lap], lap: Lap) -> None:
    count = COUNT * len(FOUR)
    seconds = sum(rival.seconds for rival in rivals) / 2
    cpu = sum(rival.client for rival in rivals) / 2
    both = " and ".join(f"{rival.seconds:.1f}" for rival in rivals)
    print(f"   {count:,} objects of {COUNT:,} applications {what} by one commit:")
    print(f"      bare loop   {seconds:6.2f} s  {count / seconds:6.0f} objects/s ({both} s)   {_spent(rivals[0])}")
    print(f"      the house   {lap.seconds:6.2f} s  {count / lap.seconds:6.0f} objects/s   {_spent(lap)}")
    print(f"      the house ÷ bare = {seconds / lap.seconds:.0%}; its CPU ÷ the bare client's = {lap.client / cpu:.1f}")
    print(f"      CPU of the whole, an object: bare {_whole(rivals[0]):.1f} ms, the house {_whole(lap):.1f} ms")
    print(f"      asked: {lap.tally}")


def _whole(lap: Lap) -> float:
    """Milliseconds of CPU an object, of client, renderers and sandbox together."""
    return (lap.client + lap.renderers + sum(lap.tally.cpu.values())) / COUNT / len(FOUR) * 1e3


def _spent(lap: Lap) -> str:
    renderers = f"renderers {lap.renderers:.1f}, " if lap.renderers else ""
    cpu = lap.tally.cpu
    return f"CPU s: client {lap.client:.1f}, {renderers}sandbox {cpu['sandbox']:.1f}, its fields {cpu['fields']:.1f}"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
