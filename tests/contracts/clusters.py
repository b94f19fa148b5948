"""The ways to a cluster that the contracts run over, and a house around each: the sandbox as a function, and over HTTP.

Another cluster joins by one more parameter of `cluster`: nothing here knows what is behind the transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.doors.kube_world import namespace, ref, rendered, step
from tests.doors.sandbox_transport import SandboxTransport

import kedge
from kedge.clock import SystemClock, SystemEntropy
from kedge.kube.http_transport import open_transport
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import Transport
from kedge.model.change import Act
from kedge.model.errors import Invalid
from kedge.model.operation import Outcome, Sight
from kedge.model.pair import Comparison, Scope
from kedge.model.ref import Ref
from kedge.ports import Target
from kedge.renderers.fieldmanager import Ask, FieldManager
from kedge.sandbox import Request, Sandbox
from kedge.sandbox.fields import ManagedBy
from kedge.sandbox.http import Front, serve
from kedge.spawn import Spawner
from kedge.targets.kubernetes import KubernetesTarget

WEB = Scope("inst-1", "shop/web@prod", "default", "web", operation="op-1")
API = replace(WEB, unit="shop/api@prod")
SETTINGS = ref("ConfigMap", "settings")
DEPLOYED = ref("Deployment", "web", group="apps")
MAPS = "/api/v1/namespaces/web/configmaps"
WORKER = Path(kedge.__file__).parent / "bin" / "kedge-worker"
PATIENCE = 30.0


@pytest.fixture(scope="module")
def fields() -> Iterator[Any]:
    if not WORKER.exists():
        pytest.skip("the native worker is not built: make setup")
    manager = FieldManager(str(WORKER))
    yield ManagedBy(manager, Ask)
    manager.close()


@dataclass(slots=True)
class House:
    """A target, a way to the same cluster for other people's hands, and the rings that were heard."""

    target: Target
    transport: Transport
    rang: asyncio.Event = field(default_factory=asyncio.Event)
    rings: list[tuple[str, Ref, str]] = field(default_factory=list)

    def ring(self, unit: str, what: Ref, how: str) -> None:
        self.rings.append((unit, what, how))
        self.rang.set()

    async def deploy(self, *objects: dict[str, Any], scope: Scope = WEB, act: Act = Act.CREATE) -> list[Outcome]:
        placed = await self.target.place(scope, rendered(*objects))
        return [await self.target.act(scope, step(m, act), m) for m in placed.manifests]

    async def compare(self, *objects: dict[str, Any], scope: Scope = WEB, **more: Any) -> Comparison:
        placed = await self.target.place(scope, rendered(*objects))
        return await self.target.compare(scope, placed, more.get("known", ()), more.get("extra", ()))

    async def sight(self, what: Ref) -> Sight:
        return (await self.target.look(WEB, [what]))[what]

    async def until(self, what: Ref, good: Callable[[Sight], bool]) -> Sight:
        """Looks whenever it rings, until what is seen is good."""
        async with asyncio.timeout(PATIENCE):
            while not good(sight := await self.sight(what)):
                await self.rang.wait()
                self.rang.clear()
            return sight

    async def hand(self, method: str, path: str, body: Any = None, manager: str = "kubectl-edit") -> Any:
        """Somebody else's request; a PATCH is a merge patch."""
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        raw = orjson.dumps(body) if body is not None else b""
        query = {"fieldManager": manager} if method in ("PATCH", "POST") else {}
        answer = await self.transport.request(method, path, query, {"content-type": content}, raw)
        assert answer.status < 300, answer.body
        return orjson.loads(answer.body)


async def over_handle(fields: Any) -> AsyncIterator[Transport]:
    clock, entropy = SystemClock(), SystemEntropy()
    sandbox = Sandbox(fields, clock.now, entropy.token)

    async def settle(_method: str, _path: str) -> None:
        pump()

    def pump() -> None:
        nonlocal timer
        sandbox.settle()
        timer.cancel()
        due = sandbox.due()
        timer = loop.call_later(1.0 if due is None else max(0.001, due - clock.now()), pump)

    loop = asyncio.get_running_loop()
    timer = loop.call_soon(pump)
    yield SandboxTransport(sandbox, Request, after=settle)
    timer.cancel()


async def over_http(fields: Any) -> AsyncIterator[Transport]:
    clock, entropy = SystemClock(), SystemEntropy()
    served = await serve(Sandbox(fields, clock.now, entropy.token), Front(token="t0ken"))
    transport = open_transport(Access(served.url, token="t0ken"))
    yield transport
    await transport.close()
    await served.close()


@pytest.fixture(params=[over_handle, over_http], ids=["handle", "http"])
async def cluster(request: pytest.FixtureRequest, fields: Any) -> AsyncIterator[Transport]:
    async for transport in request.param(fields):
        yield transport


@pytest.fixture
async def house(cluster: Transport) -> AsyncIterator[House]:
    async def connect(name: str) -> Transport:
        if name != "default":
            raise Invalid(f"there is no cluster {name}")
        return cluster

    bugs: list[BaseException] = []
    spawner = Spawner(lambda _name, error: bugs.append(error))
    target = KubernetesTarget(connect, SystemClock(), SystemEntropy(), spawner)
    made = House(target, cluster)
    target.subscribe(made.ring)
    await made.hand("POST", "/api/v1/namespaces", namespace("web"))
    yield made
    await spawner.close()
    await target.close()
    assert bugs == []
