"""The cluster that a benchmark runs on: a real API server where `make parts` has built one, else the sandbox.

Both are met over HTTP, and both tell themselves what they were asked and what it cost them: the real one by its audit
log (of the benchmark's account alone) and the system's record of its programs, the sandbox by its own counting.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import orjson
from tests.parts.api import access_of
from tests.parts.cluster import ControlPlane, holding, standing_plane
from tests.parts.programs import missing

from bench._cluster import Tally, cluster
from bench._machine import child_cpu
from kedge.kube.http_transport import open_transport
from kedge.kube.kubeconfig import Access

SANDBOX = "BENCH_SANDBOX"
"""Set: the sandbox, even where the parts are there."""

POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: [admin]}
- {level: None}
"""
CALM, LOOK, LONGEST = 0.25, 1.0, 180.0
"""A cluster is at rest when its programs took less than CALM processors for LOOK seconds."""


class Target(Protocol):
    """A running cluster: how it is reached, and the processes that it is of."""

    @property
    def access(self) -> Access: ...

    @property
    def pids(self) -> frozenset[int]: ...

    @property
    def what(self) -> str: ...

    async def tally(self) -> Tally: ...


@dataclass
class Audited(ControlPlane):
    """A control plane that writes down what its administrator asks. Nobody else is audited: the controllers' own
    requests are not the benchmark's."""

    @property
    def log(self) -> Path:
        return self.folder / "audit.log"

    def api_server(self) -> list[str | Path]:
        policy = self.folder / "audit.yaml"
        policy.write_text(POLICY)
        self.log.touch()
        return [*super().api_server(), f"--audit-policy-file={policy}", f"--audit-log-path={self.log}"]


@dataclass
class Real:
    """A Kubernetes of five programs. `asked` holds what was read of the log up to `_read`."""

    plane: Audited
    access: Access
    asked: Counter[str] = field(default_factory=Counter)
    what: str = "a real API server with its controllers"
    _read: int = 0

    @property
    def pids(self) -> frozenset[int]:
        return frozenset(program.pid for program in self.plane.programs.running.values())

    async def tally(self) -> Tally:
        with self.plane.log.open("rb") as log:
            log.seek(self._read)
            lines = log.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        self._read += sum(map(len, lines))
        self.asked.update(asked for asked in map(verb, lines) if asked)
        cpu = {name: child_cpu(program.pid) for name, program in self.plane.programs.running.items()}
        return Tally(Counter(self.asked), Counter(_grouped(cpu)))


def verb(line: bytes) -> str:
    """What an audited event asked; "" for the second event of a watch: it is told when it begins and when it ends."""
    event = orjson.loads(line)
    asked = str(event["verb"])
    if asked == "watch":
        return "watch" if event["stage"] == "ResponseStarted" else ""
    if event["stage"] != "ResponseComplete":
        return ""
    if "dryRun=All" in event["requestURI"]:
        return "dry run"
    return {"patch": "apply", "get": "read", "list": "read"}.get(asked, asked)


def _grouped(cpu: dict[str, float]) -> dict[str, float]:
    """Seconds by what people ask about: the API server, its store, and everything that works beside a client."""
    others = sum(seconds for name, seconds in cpu.items() if name not in ("kube-apiserver", "etcd"))
    return {"API server": cpu.get("kube-apiserver", 0.0), "etcd": cpu.get("etcd", 0.0), "controllers": others}


@asynccontextmanager
async def target() -> AsyncIterator[Target]:
    """A fresh cluster, ended with the block."""
    lacking = missing()
    if lacking or os.environ.get(SANDBOX):
        print(f"   on the sandbox: {lacking or f'{SANDBOX} is set'}", flush=True)
        async with cluster() as sandbox:
            yield sandbox
        return
    with standing_plane(Audited) as plane, holding(plane.folder):
        found = Real(plane, access_of(plane.kubeconfig))
        print(f"   on {found.what}", flush=True)
        yield found


async def at_rest(found: Target) -> None:
    """Wait until the cluster has nothing left to do: its controllers go on working after a client has ended."""
    waited = 0.0
    while waited < LONGEST:
        before = sum(map(child_cpu, found.pids))
        await asyncio.sleep(LOOK)
        waited += LOOK
        if sum(map(child_cpu, found.pids)) - before < CALM * LOOK:
            return


async def make_namespace(access: Access, name: str) -> None:
    body = orjson.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    headers = {"content-type": "application/json", "accept": "application/json"}
    transport = open_transport(access)
    answer = await transport.request("POST", "/api/v1/namespaces", {}, headers, body)
    await transport.close()
    if answer.status != 201:
        raise SystemExit(f"the namespace {name} could not be made: {answer.status} {answer.body[:300]!r}")
