"""The port `Target` over Kubernetes clusters: which cluster, and then one function of this room for each verb."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from kedge.kube.client import Client
from kedge.kube.transport import Transport
from kedge.model.change import Act
from kedge.model.errors import Invalid
from kedge.model.manifest import Desired, Manifest
from kedge.model.operation import Outcome, Sight
from kedge.model.pair import Comparison, Known, Scope
from kedge.model.plan import Step, StepKind
from kedge.model.ref import Ref
from kedge.ports import Clock, Entropy
from kedge.spawn import Spawner
from kedge.targets.kubernetes.act import Deed, apply, delete, replace
from kedge.targets.kubernetes.compare import compare_set
from kedge.targets.kubernetes.explain import Explainer
from kedge.targets.kubernetes.hook import run_hook
from kedge.targets.kubernetes.index import Index
from kedge.targets.kubernetes.place import PlaceCache, place_set
from kedge.targets.kubernetes.recover import recovered
from kedge.targets.kubernetes.replicas import Autoscalers
from kedge.targets.kubernetes.scopes import read_scopes
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.slot import Slot, sight_of

Connect = Callable[[str], Awaitable[Transport]]


class KubernetesTarget:
    """`kedge.ports.Target`. `connect(cluster)` opens a transport; it raises Invalid for an undeclared cluster."""

    def __init__(self, connect: Connect, clock: Clock, entropy: Entropy, spawner: Spawner) -> None:
        self._connect = connect
        self._clock = clock
        self._entropy = entropy
        self._spawner = spawner
        self._sites: dict[str, Site] = {}
        self._opening = asyncio.Lock()
        self._cache = PlaceCache()
        self._installations: set[str] = set()
        self._rings: list[Callable[[str, Ref, str], None]] = []

    async def place(self, scope: Scope, desired: Desired) -> Desired:
        site = await self._site(scope)
        scopes = await read_scopes(site.client.discovery, desired.manifests)
        return place_set(scope, desired, scopes, self._cache)

    async def compare(self, scope: Scope, desired: Desired, known: Sequence[Known], extra: Sequence[Ref]) -> Comparison:
        return await compare_set(await self._site(scope), scope, desired, known, extra)

    async def act(self, scope: Scope, step: Step, manifest: Manifest | None) -> Outcome:
        site = await self._site(scope)
        site.index.start([step.ref])
        deed = Deed(site, scope, step)
        if step.act is Act.DELETE:
            return await delete(deed)
        if manifest is None:
            raise Invalid(f"step {step.key} has no manifest: the rendered set of its plan is not at hand")
        if step.kind is StepKind.HOOK:
            return await run_hook(deed, manifest)
        return await (replace if step.act is Act.REPLACE else apply)(deed, manifest)

    async def look(self, scope: Scope, refs: Sequence[Ref]) -> Mapping[Ref, Sight]:
        index = (await self._site(scope)).index
        index.start(refs)
        await index.ready(refs)
        return {ref: _sight(index, ref) for ref in refs}

    async def recover(self, cluster: str, installation: str) -> Mapping[str, Sequence[Ref]]:
        return await recovered(await self._open(cluster), installation)

    def fresh(self, cluster: str) -> float | None:
        site = self._sites.get(cluster)
        return None if site is None else site.index.fresh()

    def subscribe(self, ring: Callable[[str, Ref, str], None]) -> None:
        self._rings.append(ring)

    async def close(self) -> None:
        """Closes connections. The watches are tasks of the spawner, which ends them."""
        for site in self._sites.values():
            await site.client.close()

    async def _site(self, scope: Scope) -> Site:
        self._installations.add(scope.installation)
        return self._sites.get(scope.cluster) or await self._open(scope.cluster)

    async def _open(self, cluster: str) -> Site:
        async with self._opening:
            if cluster not in self._sites:
                client = Client(await self._connect(cluster), self._clock, self._entropy)
                index = Index(cluster, client, self._spawner, self._ring)
                explainer = Explainer(client, index)
                self._spawner.start(explainer.run(), f"explain {cluster}")
                self._sites[cluster] = Site(cluster, client, index, Autoscalers(client))
            return self._sites[cluster]

    def _ring(self, slot: Slot, what: str) -> None:
        if slot.installation in self._installations:
            for ring in self._rings:
                ring(slot.unit, slot.ref, what)


def _sight(index: Index, ref: Ref) -> Sight:
    slot = index.get(ref)
    return Sight(ref, exists=False) if slot is None else sight_of(slot, index.message(ref))
