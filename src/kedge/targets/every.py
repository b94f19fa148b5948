"""Every target behind one door: Kubernetes clusters by name, and stacks, which are in none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from kedge.model.action import Doing, Done, Possible
from kedge.model.dossier import Home
from kedge.model.family import ClusterEvents, Family, Lineage, LogWish
from kedge.model.health import Ailment
from kedge.model.manifest import Desired, Manifest
from kedge.model.operation import Outcome, Sight
from kedge.model.output import Output, OutputPlace
from kedge.model.pair import Comparison, Known, Scope
from kedge.model.plan import Step
from kedge.model.recovery import Recovered
from kedge.model.ref import Ref
from kedge.model.rule import HealthRule
from kedge.ports import Live, Log, Target
from kedge.targets.opentofu import OpenTofuTarget


class EveryLive:
    """`kedge.ports.Live`."""

    def __init__(self, clusters: Live, stacks: Live) -> None:
        self._clusters, self._stacks = clusters, stacks

    def _of(self, scope: Scope) -> Live:
        return self._clusters if scope.cluster else self._stacks

    async def family(self, scope: Scope, refs: Sequence[Ref]) -> Family:
        return await self._of(scope).family(scope, refs)

    async def lineage(self, cluster: str, kind: str, namespace: str, name: str) -> Lineage | None:
        return await self._clusters.lineage(cluster, kind, namespace, name)

    async def logs(self, scope: Scope, refs: Sequence[Ref], wish: LogWish) -> Log:
        return await self._of(scope).logs(scope, refs, wish)

    async def events(self, scope: Scope, refs: Sequence[Ref]) -> ClusterEvents:
        return await self._of(scope).events(scope, refs)

    async def restartable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Ref]:
        return await self._of(scope).restartable(scope, refs, text)

    async def restart(self, scope: Scope, ref: Ref, *, dry_run: bool = False) -> str:
        return await self._of(scope).restart(scope, ref, dry_run=dry_run)

    async def scalable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Ref:
        return await self._of(scope).scalable(scope, refs, text)

    async def scale(self, scope: Scope, ref: Ref, replicas: int, *, force: bool = False, dry_run: bool = False) -> str:
        return await self._of(scope).scale(scope, ref, replicas, force=force, dry_run=dry_run)

    async def actions(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Possible]:
        return await self._of(scope).actions(scope, refs, text)

    async def act(self, scope: Scope, doing: Doing, *, dry_run: bool = False) -> Done:
        return await self._of(scope).act(scope, doing, dry_run=dry_run)


class EveryTarget:
    """`kedge.ports.Target`."""

    def __init__(self, clusters: Target, stacks: OpenTofuTarget) -> None:
        self._clusters, self._stacks = clusters, stacks
        self._live = EveryLive(clusters.live, stacks.live)

    @property
    def live(self) -> Live:
        return self._live

    async def place(self, scope: Scope, desired: Desired) -> Desired:
        return await self._clusters.place(scope, desired) if scope.cluster else desired

    async def compare(self, scope: Scope, desired: Desired, known: Sequence[Known], extra: Sequence[Ref]) -> Comparison:
        return await self._of(scope).compare(scope, desired, known, extra)

    async def act(self, scope: Scope, step: Step, manifest: Manifest | None) -> Outcome:
        return await self._of(scope).act(scope, step, manifest)

    async def look(self, scope: Scope, refs: Sequence[Ref]) -> Mapping[Ref, Sight]:
        return await self._of(scope).look(scope, refs)

    async def stop(self, scope: Scope, why: str) -> None:
        await self._of(scope).stop(scope, why)

    async def outputs(self, scope: Scope, places: Sequence[OutputPlace]) -> Sequence[Output]:
        return await self._of(scope).outputs(scope, places)

    def _of(self, scope: Scope) -> Target | OpenTofuTarget:
        return self._clusters if scope.cluster else self._stacks

    async def home(self, scope: Scope) -> Home:
        return await self._clusters.home(scope) if scope.cluster else Home()

    async def recover(self, cluster: str, installation: str, namespaces: Collection[str] = ()) -> Recovered:
        return await self._clusters.recover(cluster, installation, namespaces) if cluster else Recovered({})

    def fresh(self, cluster: str, kinds: Collection[tuple[str, str]] = ()) -> float | None:
        return self._clusters.fresh(cluster, kinds) if cluster else None

    def ailment(self, cluster: str) -> Ailment | None:
        return self._clusters.ailment(cluster) if cluster else None

    def judge_by(self, rules: Sequence[HealthRule]) -> None:
        self._clusters.judge_by(rules)

    def subscribe(self, ring: Callable[[str, Ref, str], None]) -> None:
        self._clusters.subscribe(ring)
        self._stacks.subscribe(ring)

    async def close(self) -> None:
        await self._clusters.close()
