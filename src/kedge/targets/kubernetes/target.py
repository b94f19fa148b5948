"""The port `Target` over Kubernetes clusters: which cluster, and then one function of this room for each verb."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from kedge.engine.actions import Brought, nothing
from kedge.model.change import Act
from kedge.model.dossier import Home
from kedge.model.errors import Denied, Invalid, Unavailable
from kedge.model.health import Ailment
from kedge.model.manifest import Desired, Manifest
from kedge.model.operation import Outcome, Sight
from kedge.model.output import Output, OutputPlace
from kedge.model.pair import Comparison, Known, Scope
from kedge.model.plan import Step, StepKind
from kedge.model.recovery import Recovered
from kedge.model.ref import Ref
from kedge.model.rule import HealthRule
from kedge.ports import Clock, Entropy
from kedge.spawn import Spawner
from kedge.targets.kubernetes.act import Deed, apply, delete, replace
from kedge.targets.kubernetes.compare import compare_set
from kedge.targets.kubernetes.hook import run_hook
from kedge.targets.kubernetes.index import Index
from kedge.targets.kubernetes.judging import Judging
from kedge.targets.kubernetes.live import KubernetesLive
from kedge.targets.kubernetes.place import PlaceCache, place_set
from kedge.targets.kubernetes.putout import read_outputs
from kedge.targets.kubernetes.recover import recovered
from kedge.targets.kubernetes.scopes import read_scopes
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.sites import RENEW, Connect, Means, Reach, Sites
from kedge.targets.kubernetes.slot import Slot, sight_of


class KubernetesTarget:
    """`kedge.ports.Target`. `connect(cluster)` opens a transport; it raises Invalid for an undeclared cluster.

    `reach` says how a cluster is reached now; where it is given, what it says is kept up with. `brought` are the
    actions known for each kind."""

    def __init__(
        self,
        connect: Connect,
        clock: Clock,
        entropy: Entropy,
        spawner: Spawner,
        *,
        reach: Reach | None = None,
        judging: Judging | None = None,
        brought: Brought = nothing,
    ) -> None:
        judging = judging or Judging()
        means = Means(connect, reach, clock, entropy, spawner, judging)
        self._sites = Sites(means, self._ring, self._again)
        self._cache = PlaceCache()
        self._installations: set[str] = set()
        self._rings: list[Callable[[str, Ref, str], None]] = []
        self._live = KubernetesLive(self._site, self._sites.open, spawner, judging.actions(brought))

    @property
    def live(self) -> KubernetesLive:
        return self._live

    async def place(self, scope: Scope, desired: Desired) -> Desired:
        with self._sites.minding(scope.cluster, scope.unit):
            site = await self._site(scope)
            scopes = await read_scopes(site.client.discovery, desired.manifests)
            return place_set(scope, desired, scopes, self._cache)

    async def compare(self, scope: Scope, desired: Desired, known: Sequence[Known], extra: Sequence[Ref]) -> Comparison:
        with self._sites.minding(scope.cluster, scope.unit):
            return await compare_set(await self._site(scope), scope, desired, known, extra)

    async def act(self, scope: Scope, step: Step, manifest: Manifest | None) -> Outcome:
        with self._sites.minding(scope.cluster, scope.unit):
            return await _done(Deed(await self._site(scope), scope, step), manifest)

    async def look(self, scope: Scope, refs: Sequence[Ref]) -> Mapping[Ref, Sight]:
        with self._sites.minding(scope.cluster, scope.unit):
            index = (await self._site(scope)).index
            await index.ready(refs)
            return {ref: _sight(index, ref) for ref in refs}

    async def stop(self, scope: Scope, why: str) -> None:
        return None

    async def outputs(self, scope: Scope, places: Sequence[OutputPlace]) -> Sequence[Output]:
        if not places:
            return ()
        with self._sites.minding(scope.cluster, scope.unit):
            return await read_outputs(await self._site(scope), places)

    async def home(self, scope: Scope) -> Home:
        with self._sites.minding(scope.cluster, scope.unit):
            return await self._sites.home(scope.cluster)

    async def recover(self, cluster: str, installation: str, namespaces: Collection[str] = ()) -> Recovered:
        try:
            site = await self._sites.open(cluster)
        except (Invalid, Denied) as error:
            # No unit is named here that could be rung when the declaration or its secret is mended: ask again.
            raise Unavailable(str(error), retry_after=RENEW) from error
        return await recovered(site, installation, sorted(namespaces))

    def fresh(self, cluster: str, kinds: Collection[tuple[str, str]] = ()) -> float | None:
        site = self._sites.get(cluster)
        return None if site is None else site.index.fresh(kinds)

    def ailment(self, cluster: str) -> Ailment | None:
        return self._sites.ailment(cluster)

    def judge_by(self, rules: Sequence[HealthRule]) -> None:
        self._sites.judge_by(rules)

    def subscribe(self, ring: Callable[[str, Ref, str], None]) -> None:
        self._rings.append(ring)

    async def close(self) -> None:
        """Closes connections. The watches are tasks of the spawner, which ends them."""
        await self._sites.close()

    async def _site(self, scope: Scope) -> Site:
        self._installations.add(scope.installation)
        site = self._sites.get(scope.cluster) or await self._sites.open(scope.cluster)
        return site.acting_as(scope.account)

    def _ring(self, slot: Slot, what: str) -> None:
        if slot.installation in self._installations:
            for ring in self._rings:
                ring(slot.unit, slot.ref, what)

    def _again(self, cluster: str, unit: str) -> None:
        for ring in self._rings:
            ring(unit, Ref("kedge.dev", "Cluster", "", cluster), "health")


async def _done(deed: Deed, manifest: Manifest | None) -> Outcome:
    step = deed.step
    deed.site.index.start([step.ref])
    if step.act is Act.DELETE:
        return await delete(deed)
    if manifest is None:
        raise Invalid(f"step {step.key} has no manifest: the rendered set of its plan is not at hand")
    if step.kind is StepKind.HOOK:
        return await run_hook(deed, manifest)
    return await (replace if step.act is Act.REPLACE else apply)(deed, manifest)


def _sight(index: Index, ref: Ref) -> Sight:
    slot = index.get(ref)
    return Sight(ref, exists=False) if slot is None else sight_of(slot, index.message(slot))
