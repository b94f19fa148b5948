"""Executions as Jobs of a real API server, whose pods are run by `tests/parts/kubelet.py`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.executions.scene import PATIENT, Scene
from tests.parts.api import Api
from tests.parts.fixtures import RealCluster
from tests.parts.kubelet import LABEL, Kubelet, lacking
from tests.parts.ports import held_port
from tests.server.driver import Fakes

from kedge.clock import SystemClock, SystemEntropy
from kedge.executions.cluster import Jobs
from kedge.executions.job import Place
from kedge.executions.remote import JobExec, Means
from kedge.kube.client import Client
from kedge.kube.http_transport import open_transport
from kedge.kube.kubeconfig import Access
from kedge.model.execution import Tool
from kedge.model.installation import Installation
from kedge.server.app import build
from kedge.server.serve import Serving, listen
from kedge.spawn import Spawner

NUMBERS = itertools.count(1)
IMAGE = "registry.example/kedge@sha256:" + "0" * 64


@dataclass(frozen=True)
class Runs:
    """A real cluster, and a namespace in it that takes restricted pods only."""

    cluster: RealCluster
    namespace: str


@pytest.fixture(scope="module")
def runs(control_plane: RealCluster) -> Iterator[Runs]:
    if why := lacking():
        pytest.skip(why)
    name = f"runs-{next(NUMBERS)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    control_plane.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    yield Runs(control_plane, name)
    control_plane.api.call("DELETE", f"/api/v1/namespaces/{name}")


@asynccontextmanager
async def standing(runs: Runs, folder: Path, program: Path) -> AsyncIterator[JobScene]:
    """A controller and a node whose pods have `program` for a tool."""
    (folder / "node").mkdir()
    tools = {"KEDGE_TOOLS": str(program.parent)}
    with held_port() as port, Kubelet(runs.cluster.access, runs.namespace, folder / "node", tools) as kubelet:
        one = JobScene(
            folder / "executions",
            program,
            Tool.OPENTOFU,
            access=runs.cluster.access,
            api=runs.cluster.api,
            kubelet=kubelet,
            port=port,
            place=Place("default", runs.namespace, IMAGE, ""),
            installation=Installation(f"inst-{next(NUMBERS)}", b"the key of a test", ""),
        )
        await one.open()
        yield one
        await one.leave()
    for made in one.objects("jobs"):
        runs.cluster.api.call("DELETE", one.path("jobs", made))


@dataclass
class JobScene(Scene):
    """As `Scene`; `open` and `leave` are a controller that comes and goes, with its server. `port` is the server's."""

    exec: Any = field(init=False)
    access: Access = field(default_factory=lambda: Access(""))
    api: Any = None
    kubelet: Any = None
    port: int = 0
    place: Place = Place("default", "runs", IMAGE, "")
    installation: Installation = Installation("inst", b"the key of a test", "")
    bugs: list[str] = field(default_factory=list)

    async def open(self) -> None:
        clock, entropy = SystemClock(), SystemEntropy()
        self.spawner = Spawner(lambda name, error: self.bugs.append(f"{name}: {error!r}"))
        place = replace(self.place, address=f"http://127.0.0.1:{self.port}")

        async def reach() -> Jobs:
            return Jobs(Client(open_transport(self.access), clock, entropy), place, self.installation.id)

        means = Means(reach, self.installation, clock, entropy, self.spawner, self.seal, look=0.2)
        self.exec = JobExec(self.root, place, means)
        self.exec.subscribe(self._ring)
        await self.exec.adopt()
        self.app = build(replace(Fakes().desk(), errands=self.exec))
        self.serving = Serving(self.app, listen("127.0.0.1", self.port))
        self.served = self.spawner.start(self.serving.run(), "server")

    async def leave(self) -> None:
        self.app.state.hub.close()
        self.serving.stop()
        await asyncio.gather(self.served, return_exceptions=True)
        await self.spawner.close()
        await self.exec.close()
        assert self.bugs == []

    def path(self, what: str, one: dict[str, Any]) -> str:
        base = "/apis/batch/v1" if what == "jobs" else "/api/v1"
        return f"{base}/namespaces/{self.place.namespace}/{what}/{one['metadata']['name']}"

    def objects(self, what: str) -> list[dict[str, Any]]:
        """What is in the cluster of this scene: `jobs`, `pods`, `secrets`."""
        api: Api = self.api
        base = "/apis/batch/v1" if what == "jobs" else "/api/v1"
        found = api.call("GET", f"{base}/namespaces/{self.place.namespace}/{what}?labelSelector={LABEL}")["items"]
        return [one for one in found if one["metadata"]["labels"]["kedge.dev/installation"] == self.installation.id]

    async def until(self, what: str, true: Any) -> None:
        try:
            async with asyncio.timeout(PATIENT):
                while not true():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            said = [place.read_text()[-2_000:] for place in self.kubelet.folder.rglob("output")]
            raise AssertionError(f"never: {what}: {self.exec.reports()} {said}") from None
