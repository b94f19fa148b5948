"""One repository with 5,000 applications: what one change costs, what no change costs, and the memory of it all.

The applications (one ConfigMap each) are declared by one commit and settled once; `_change` and `_unchanged` measure on
that fleet. The cluster is a sandbox in a process of its own, met over HTTP as any cluster is (only the demo's stands in
the process of `kedge up`). House, server, store and renderers are composed as `kedge up` composes them; the repository
is a real one, met by its file URL; a push is told by a signed webhook over HTTP. Polling is off.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from pathlib import Path

from bench import _change, _unchanged
from bench._cluster import Cluster, cluster
from bench._fleet import FIRST_LOOK, NAMESPACE, ONE, Followed, Repository, Running, good, quiet, running
from bench._machine import helpers_resident, resident, sized
from bench._target import make_namespace

COUNT = sized("BENCH_FLEET", 5000, 500)
CHANGES = sized("BENCH_CHANGES", 20, 10)


async def settle(live: Running) -> Followed:
    """Declare the fleet and wait until all of it is good."""
    followed, repository = Followed(live.house), live.repository
    await asyncio.sleep(FIRST_LOOK)
    head = repository.declare()
    started = time.perf_counter()
    await live.push()
    ended = await followed.until(head, repository.count, print)
    await quiet(live.house)
    print(f"   {repository.count:,} applications declared by one commit: settled in {ended - started:.1f} s")
    if (count := await good(live.house)) != repository.count:
        raise SystemExit(f"only {count} of {repository.count} applications are Synced and Healthy")
    return followed


async def measure(folder: Path, target: Cluster) -> None:
    empty = resident()
    await make_namespace(target.access, NAMESPACE)
    repository = Repository(folder / "fleet", COUNT, ONE)
    repository.begin()
    async with running(folder / "data", repository, target.access) as live:
        followed = await settle(live)
        await _change.measure(live, followed, target, CHANGES)
        gc.collect()
        full = resident()
        print(
            f"   memory: {full:.0f} MiB, of which {empty:.0f} MiB are there before anything is opened; "
            f"{(full - empty) / COUNT * 1024:.1f} KiB an application; beside it the renderers' processes: "
            f"{helpers_resident(target.pids):.0f} MiB"
        )
        await _unchanged.measure(live, target)


async def run(folder: Path) -> None:
    async with cluster() as target:
        await measure(folder, target)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as folder:
        asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    main()
