"""A Kubernetes target over a sandbox, without HTTP and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from hashlib import sha256
from typing import Any

import orjson
from tests.doors.sandbox_transport import SandboxTransport
from tests.simulation.loop import SeededEntropy, VirtualClock, VirtualLoop, simulate

from kedge.engine.hooks import is_hook
from kedge.model.change import Act
from kedge.model.manifest import Desired, Manifest, digest_of
from kedge.model.operation import Outcome, Sight
from kedge.model.pair import Comparison, Known, Scope
from kedge.model.plan import Phase, Step, StepKind
from kedge.model.ref import Ref
from kedge.sandbox import Options, Request, Sandbox
from kedge.spawn import Spawner
from kedge.targets.kubernetes import KubernetesTarget

WEB = Scope("inst-1", "shop/web@prod", "default", "web", operation="op-1")


def manifest(obj: dict[str, Any]) -> Manifest:
    """A rendered manifest, as a renderer gives it."""
    metadata = obj.get("metadata", {})
    body = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
    group = obj["apiVersion"].rpartition("/")[0]
    ref = Ref(group, obj["kind"], metadata.get("namespace", ""), metadata.get("name", ""))
    return Manifest(
        ref,
        obj["apiVersion"],
        body,
        sha256(body).hexdigest(),
        tuple(sorted((metadata.get("annotations") or {}).items())),
        metadata.get("generateName", ""),
    )


def rendered(*objects: dict[str, Any]) -> Desired:
    manifests = tuple(map(manifest, objects))
    return Desired(manifests, digest_of(manifests))


def config_map(
    name: str, namespace: str = "", annotations: dict[str, str] | None = None, **data: str
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name} | ({"namespace": namespace} if namespace else {})
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(name: str = "web", image: str = "web:1", replicas: int | None = 2, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    stated = {"replicas": replicas} if replicas is not None else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {**stated, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


def job(name: str = "migrate", generate: str = "", **annotations: str) -> dict[str, Any]:
    named = {"generateName": generate} if generate else {"name": name}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "job:1"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**named, "annotations": annotations or {"argocd.argoproj.io/hook": "PreSync"}},
        "spec": {"template": template},
    }


def namespace(name: str = "web") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def definition(group: str = "example.org", kind: str = "Widget", scope: str = "Namespaced") -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": {"kind": kind, "plural": plural}, "scope": scope, "versions": [version]},
    }


def step(what: Manifest | Ref, act: Act = Act.CREATE, **more: Any) -> Step:
    """A step of a plan about a placed manifest (or, for a deletion, a ref)."""
    ref = what.ref if isinstance(what, Manifest) else what
    hook = isinstance(what, Manifest) and is_hook(what)
    given: dict[str, Any] = {
        "key": f"{more.pop('key', 'Sync')}:{ref.key}",
        "kind": StepKind.HOOK if hook else StepKind.CHANGE,
        "act": act,
        "ref": ref,
        "phase": Phase.PRE_SYNC if hook else Phase.SYNC,
    }
    return Step(**{**given, **more})


class World:
    """One sandbox, one target, and other people's hands."""

    def __init__(self, fields: Any, loop: VirtualLoop) -> None:
        self.clock = VirtualClock(loop)
        entropy = SeededEntropy(7)
        self.sandbox = Sandbox(fields, self.clock.now, entropy.token, Options())
        self.transport = SandboxTransport(self.sandbox, Request, after=self._settle)
        self.bugs: list[BaseException] = []
        self.spawner = Spawner(lambda _name, error: self.bugs.append(error))
        self.rings: list[tuple[str, str, str]] = []
        self.target = self.make_target(entropy)
        self.spawner.start(self._tick(), "controllers")

    def make_target(self, entropy: Any) -> KubernetesTarget:
        async def connect(_cluster: str) -> SandboxTransport:
            return self.transport

        target = KubernetesTarget(connect, self.clock, entropy, self.spawner)
        target.subscribe(lambda unit, ref, what: self.rings.append((unit, str(ref), what)))
        return target

    async def _settle(self, _method: str, _path: str) -> None:
        self.sandbox.settle()

    async def _tick(self) -> None:
        while True:
            self.sandbox.settle()
            due = self.sandbox.due()
            wait = 0.5 if due is None else due - self.clock.now()
            await asyncio.sleep(min(0.5, max(0.01, wait)))

    # -- Kedge ---------------------------------------------------------------------------------------------------------

    async def place(self, *objects: dict[str, Any], scope: Scope = WEB) -> Desired:
        return await self.target.place(scope, rendered(*objects))

    async def compare(
        self, *objects: dict[str, Any], scope: Scope = WEB, known: tuple[Known, ...] = (), extra: tuple[Ref, ...] = ()
    ) -> Comparison:
        return await self.target.compare(scope, await self.place(*objects, scope=scope), known, extra)

    async def deploy(self, *objects: dict[str, Any], scope: Scope = WEB, act: Act = Act.CREATE) -> list[Outcome]:
        placed = await self.place(*objects, scope=scope)
        return [await self.target.act(scope, step(m, act), m) for m in placed.manifests]

    async def look(self, *refs: Ref, scope: Scope = WEB) -> list[Sight]:
        seen = await self.target.look(scope, refs)
        return [seen[ref] for ref in refs]

    async def until(self, ref: Ref, status: str) -> Sight:
        """Waits (in virtual time) until the object has a status."""
        for _ in range(200):
            (sight,) = await self.look(ref)
            if sight.exists and sight.status == status:
                return sight
            await asyncio.sleep(0.1)
        raise AssertionError(f"{ref} is {sight.status}: {sight.message}")

    # -- other hands ---------------------------------------------------------------------------------------------------

    def call(self, method: str, url: str, body: Any = None, content: str = "application/json") -> Any:
        """Anybody's request, such as `kubectl` makes; answers the parsed body. The controllers react at once."""
        answer = self.sandbox.handle(Request.of(method, url, body, {"content-type": content}))
        assert answer.status < 300, answer.body
        self.sandbox.settle()
        return answer.json()

    def merge(self, url: str, change: dict[str, Any], manager: str = "kubectl-edit") -> Any:
        return self.call("PATCH", f"{url}?fieldManager={manager}", change, "application/merge-patch+json")

    def applied(self, url: str, body: dict[str, Any], manager: str) -> Any:
        return self.call("PATCH", f"{url}?fieldManager={manager}&force=true", body, "application/apply-patch+yaml")

    def get(self, url: str) -> Any:
        return self.call("GET", url)

    def missing(self, url: str) -> bool:
        return bool(self.sandbox.handle(Request.of("GET", url)).status == 404)


def staged(scene: Callable[[World], Coroutine[Any, Any, None]]) -> Callable[[Any], None]:
    """A test in virtual time. Its world has a namespace `web`; escaped errors of tasks fail it."""

    @wraps(scene)
    def play(fields: Any) -> None:
        loop = VirtualLoop()

        async def program() -> None:
            world = World(fields, loop)
            world.call("POST", "/api/v1/namespaces", namespace())
            try:
                await scene(world)
            finally:
                await world.spawner.close()
                await world.target.close()
            assert not world.bugs, world.bugs

        simulate(program(), loop)

    del play.__wrapped__
    return play


def ref(kind: str, name: str, namespace: str = "web", group: str = "") -> Ref:
    return Ref(group, kind, namespace, name)


CONFIG_MAPS = "/api/v1/namespaces/web/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/web/deployments"
JOBS = "/apis/batch/v1/namespaces/web/jobs"
