"""A sandbox cluster in a process of its own, for the benchmarks: served over HTTP, and counting what it is asked.

As a program it serves one sandbox until its stdin ends. `GET /bench` answers how often which verb was asked, and the
CPU seconds that it and its field manager have taken.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from bench._machine import child_cpu, children
from kedge import process
from kedge.kube.kubeconfig import Access
from kedge.renderers.fieldmanager import Ask, FieldManager
from kedge.sandbox.core import Sandbox
from kedge.sandbox.faults import Outcome
from kedge.sandbox.fields import ManagedBy
from kedge.sandbox.http import Front, serve
from kedge.sandbox.wire import Request, answer

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "src" / "kedge" / "bin" / "kedge-worker"
WHERE = "/bench"


class Counting:
    """Hands requests to the sandbox and counts them by what they ask for."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._asked: Counter[str] = Counter()

    def meet(self, request: Request) -> Outcome:
        if request.path == WHERE:
            spent = {"sandbox": time.process_time(), "fields": sum(map(child_cpu, children()))}
            return Outcome(answer({"asked": self._asked, "cpu": spent}))
        self._asked[verb(request)] += 1
        return Outcome(self._sandbox.handle(request))


def verb(request: Request) -> str:
    if request.method == "GET":
        return "watch" if request.query.get("watch") else "read"
    if request.query.get("dryRun"):
        return "dry run"
    return {"PATCH": "apply", "POST": "create", "DELETE": "delete"}.get(request.method, request.method)


async def _serve(token: str) -> None:
    manager = FieldManager(str(WORKER), remember=0)
    sandbox = Sandbox(ManagedBy(manager, Ask), time.time, secrets.token_hex)
    served = await serve(sandbox, Front(token=token, meet=Counting(sandbox).meet))
    print(served.url, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await served.close()
    manager.close()


@dataclass(frozen=True, slots=True)
class Tally:
    """What the cluster has been asked, and the CPU seconds it took."""

    asked: Counter[str]
    cpu: Counter[str]

    def since(self, before: Tally) -> Tally:
        return Tally(self.asked - before.asked, self.cpu - before.cpu)

    def __str__(self) -> str:
        return ", ".join(f"{count:,} × {what}" for what, count in sorted(self.asked.items())) or "none"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running sandbox."""

    access: Access
    pid: int
    what: str = "the sandbox, a process of its own"

    @property
    def pids(self) -> frozenset[int]:
        """It, and its field manager."""
        return frozenset((self.pid, *children(self.pid)))

    async def tally(self) -> Tally:
        headers = {"authorization": f"Bearer {self.access.token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.access.server}{WHERE}", headers=headers) as told,
        ):
            value = orjson.loads(await told.read())
        return Tally(Counter(value["asked"]), Counter(value["cpu"]))


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    """A fresh sandbox, ended with the block."""
    token = secrets.token_hex(16)
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"}
    child = await process.spawn([sys.executable, "-m", "bench._cluster", token], env=env, cwd=str(ROOT))
    try:
        url = (await child.read()).decode().strip()
        if not url:
            raise SystemExit(f"the sandbox did not start: {child.last_words}")
        yield Cluster(Access(url, token=token), child.pid)
    finally:
        os.kill(child.pid, signal.SIGTERM)
        await child.gone()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
