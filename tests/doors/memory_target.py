"""The smallest Target: Kedge's hand on a `MemoryCluster`, with a watch index that may lag behind."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tests.doors.json_renderer import of_body
from tests.doors.memory_cluster import UNIT, MemoryCluster, Thing
from tests.doors.memory_live import MemoryLive

from kedge.engine.hooks import is_hook
from kedge.engine.outputs import at_path
from kedge.model.change import Act
from kedge.model.dossier import Home
from kedge.model.errors import Conflict, Unavailable
from kedge.model.manifest import Desired, Manifest, digest_of
from kedge.model.operation import Did, Outcome, Sight
from kedge.model.output import Output, OutputPlace
from kedge.model.pair import Comparison, Known, Owner, Pair, Presumed, Scope, Seen
from kedge.model.plan import DeletePolicy, Step, StepKind
from kedge.model.recovery import Recovered
from kedge.model.ref import Ref
from kedge.model.rule import HealthRule

CLUSTER_SCOPED = ("Namespace", "CustomResourceDefinition")


async def _calm(what: str) -> None:
    return None


@dataclass(slots=True)
class MemoryTarget:
    """`kedge.ports.Target`. `before` and `after` are awaited around each act (faults). `lags()` is how late the watch
    hears of a change, each time that it does (seconds; never: with the next list). `stale()` says of an object whether
    a list is from before it changed; `discover()` is asked before a set is placed."""

    cluster: MemoryCluster
    before: Callable[[str], Awaitable[None]] = _calm
    after: Callable[[str], Awaitable[None]] = _calm
    lags: Callable[[], Sequence[float]] = lambda: (0.0,)
    stale: Callable[[], bool] = lambda: False
    discover: Callable[[], None] = lambda: None
    index: dict[Ref, Sight] = field(default_factory=dict)
    rings: list[Callable[[str, Ref, str], None]] = field(default_factory=list)
    owners: dict[Ref, str] = field(default_factory=dict)
    synced_at: float = 0.0
    closed: bool = False
    homes: dict[str, Home] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.relist()
        self.cluster.watchers.append(self._heard)

    def relist(self) -> None:
        """Read everything anew, as after a lost watch."""
        self.synced_at = self.cluster.now()
        for ref in sorted({*self.index, *self.cluster.things}):
            if not self.stale():
                self._see(ref)

    def _heard(self, ref: Ref) -> None:
        for number, lag in enumerate(self.lags()):
            self.cluster.later(lag, partial(self._see, ref, number > 0)) if lag else self._see(ref, number > 0)

    def _see(self, ref: Ref, again: bool = False) -> None:
        if self.closed:
            return
        thing, before = self.cluster.things.get(ref), self.index.get(ref)
        if thing is not None:
            self.index[ref] = thing.sight(self.cluster.now())
            self.owners[ref] = thing.owner or self.owners.get(ref, "")
        else:
            self.index.pop(ref, None)
        if (again or before != self.index.get(ref)) and (unit := self.owners.get(ref)):
            for ring in self.rings:
                ring(unit, ref, "health")

    async def stop(self, scope: Scope, why: str) -> None:
        return None

    async def outputs(self, scope: Scope, places: Sequence[OutputPlace]) -> Sequence[Output]:
        await self.before("outputs")
        things = [(place, self.cluster.things.get(place.ref)) for place in places]
        live = [(place, at_path(thing.body, place.path)) for place, thing in things if thing is not None]
        return [Output(place.name, json.dumps(value)) for place, value in live if value is not None]

    async def place(self, scope: Scope, desired: Desired) -> Desired:
        self.discover()
        placed = [self._placed(scope, manifest) for manifest in desired.manifests]
        placed.sort(key=lambda manifest: (manifest.ref, manifest.generate_name))
        return replace(desired, manifests=tuple(placed), digest=digest_of(tuple(placed)))

    def _placed(self, scope: Scope, manifest: Manifest) -> Manifest:
        body = json.loads(manifest.body)
        if manifest.ref.kind not in CLUSTER_SCOPED:
            body["metadata"].setdefault("namespace", scope.namespace)
        body["metadata"].setdefault("annotations", {})[UNIT] = scope.unit
        return replace(of_body(body), where=manifest.where, holes=manifest.holes)

    async def compare(self, scope: Scope, desired: Desired, known: Sequence[Known], extra: Sequence[Ref]) -> Comparison:
        await self.before("compare")
        remembered = {entry.ref: entry for entry in known}
        pairs: list[Pair] = []
        unchanged, prints = [], []
        for manifest in desired.manifests:
            if is_hook(manifest):
                continue
            seen, before = self.index.get(manifest.ref), remembered.get(manifest.ref)
            same = seen and before and (before.digest, before.fingerprint) == (manifest.digest, seen.fingerprint)
            if same and not seen.terminating:
                unchanged.append(manifest.ref)
                prints.append(before)
                continue
            thing = self.cluster.things.get(manifest.ref)
            pairs.append(_pair(scope, manifest, thing))
            if thing is not None:
                prints.append(Known(manifest.ref, manifest.digest, thing.fingerprint))
        for ref in extra:
            thing = self.cluster.things.get(ref)
            if thing is not None:
                pairs.append(Seen(ref, deepcopy(thing.body), None, uid=thing.uid))
        return Comparison(tuple(pairs), tuple(unchanged), tuple(prints))

    async def act(self, scope: Scope, step: Step, manifest: Manifest | None) -> Outcome:
        what = f"{step.act} {step.ref}"
        await self.before(what)
        outcome = self._delete(scope, step) if step.act is Act.DELETE else self._apply(scope, step, manifest)
        await self.after(what)
        return outcome

    def _delete(self, scope: Scope, step: Step) -> Outcome:
        thing = self.cluster.things.get(step.ref)
        if thing is None:
            return Outcome(step.key, Did.SETTLED)
        if thing.owner != scope.unit:
            return Outcome(step.key, Did.KEPT, "it no longer carries our label")
        if step.uid and thing.uid != step.uid:
            raise Conflict(f"{step.ref} was made anew since the plan")
        self.cluster.delete(step.ref, "kedge", scope.unit, scope.operation)
        self._learn(step.ref)
        return Outcome(step.key, Did.DELETED, uid=thing.uid)

    def _apply(self, scope: Scope, step: Step, manifest: Manifest | None) -> Outcome:
        if manifest is None:
            return Outcome(step.key, Did.FAILED, "its rendered set is no longer kept")
        body: dict[str, Any] = json.loads(manifest.body)
        body["metadata"]["name"] = step.ref.name
        thing = self.cluster.things.get(step.ref)
        if step.kind is StepKind.HOOK and thing is not None:
            mine = thing.operation == scope.operation
            if thing.terminating or (not mine and DeletePolicy.BEFORE_CREATION in step.policies):
                self.cluster.delete(step.ref, "kedge", scope.unit, scope.operation)
                return Outcome(step.key, Did.CLEARING, uid=thing.uid)
            if mine:
                return Outcome(step.key, Did.APPLIED, name=step.ref.name, uid=thing.uid, fingerprint=thing.fingerprint)
        operation = scope.operation if step.kind is StepKind.HOOK else ""
        if thing is not None and thing.terminating:
            return Outcome(step.key, Did.FAILED, "it is being deleted")
        if thing is None or (thing.body, thing.operation) != (body, operation):  # else nothing happens to it
            thing = self.cluster.apply(step.ref, body, "kedge", scope.unit, scope.operation)
        thing.operation = operation
        self.owners[step.ref] = scope.unit
        self._learn(step.ref)
        return Outcome(step.key, Did.APPLIED, name=step.ref.name, uid=thing.uid, fingerprint=thing.fingerprint)

    def _learn(self, ref: Ref) -> None:
        """The API's reply is news too: the index never shows less than what we were answered."""
        thing = self.cluster.things.get(ref)
        if thing is not None:
            self.index[ref] = thing.sight(self.cluster.now())

    async def look(self, scope: Scope, refs: Sequence[Ref]) -> Mapping[Ref, Sight]:
        return {ref: self.index.get(ref) or Sight(ref, exists=False) for ref in refs}

    async def recover(self, cluster: str, installation: str, namespaces: Collection[str] = ()) -> Recovered:
        found: dict[str, list[Ref]] = {}
        for ref, thing in sorted(self.cluster.things.items()):
            if thing.owner and not thing.operation:
                found.setdefault(thing.owner, []).append(ref)
        return Recovered(found)

    def judge_by(self, rules: Sequence[HealthRule]) -> None:
        self.rules = tuple(rules)

    async def home(self, scope: Scope) -> Home:
        return self.homes.get(scope.cluster, Home())

    def ailment(self, cluster: str) -> None:
        return None

    def fresh(self, cluster: str, kinds: Collection[tuple[str, str]] = ()) -> float | None:
        return self.synced_at

    def subscribe(self, ring: Callable[[str, Ref, str], None]) -> None:
        self.rings.append(ring)

    @property
    def live(self) -> Any:
        """Nothing runs here: there is nothing to look at or to restart."""
        return MemoryLive(broken=Unavailable("this target is a memory: nothing runs in it"))

    async def close(self) -> None:
        self.closed = True
        if self._heard in self.cluster.watchers:
            self.cluster.watchers.remove(self._heard)


def _pair(scope: Scope, manifest: Manifest, thing: Thing | None) -> Pair:
    predicted, why = json.loads(manifest.body), "it holds what is not known yet" if manifest.holes else ""
    if thing is None and why:
        return Presumed(manifest.ref, manifest, why)
    if thing is None:
        return Seen(manifest.ref, None, predicted, manifest)
    owner = Owner("unit", thing.owner) if thing.owner and thing.owner != scope.unit else None
    return Seen(manifest.ref, deepcopy(thing.body), predicted, manifest, owner, uid=thing.uid, untried=why)
