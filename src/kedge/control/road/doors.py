"""What the road is given: one value that holds every door."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from kedge.model.declaration import TargetSection
from kedge.model.dossier import Dossier
from kedge.model.fleet import UnitQuery
from kedge.model.installation import Installation
from kedge.model.manifest import Manifest
from kedge.model.operation import Operation
from kedge.model.pair import Scope
from kedge.model.recovery import Recovered
from kedge.model.ref import UnitName
from kedge.model.unit import Unit
from kedge.ports import Clock, Entropy, Renderer, Source, Store, Target

PAGE = 1000
CACHE_BYTES = 32 * 1024 * 1024


class Recollections:
    """What clusters told of units that the store has never seen at work. Each is asked once: what carries a unit's mark
    and is not known is from before the database, or was kept when the unit left Git (see `forget`)."""

    def __init__(self) -> None:
        self._told: dict[str, Recovered] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self.fresh: dict[str, Recovered] = {}

    async def of(self, target: Target, store: Store, home: TargetSection, installation: str) -> Recovered:
        """What the cluster of `home` tells: asked again for a namespace that it was not asked about, where Kedge may
        not ask about all. Raises Unavailable and Denied while the cluster can not be asked."""
        cluster = home.cluster
        async with self._locks.setdefault(cluster, asyncio.Lock()):
            told = self._told.get(cluster)
            if told is None or (told.within is not None and home.namespace not in {"", *told.within}):
                spaces = {home.namespace, *await _namespaces(store, cluster)} - {""}
                told = await target.recover(cluster, installation, spaces)
                self.fresh[cluster] = self._told[cluster] = told
            return told

    def forget(self, cluster: str) -> None:
        """Objects were let go of with their marks: the next new unit asks again."""
        self._told.pop(cluster, None)


async def _namespaces(store: Store, cluster: str) -> set[str]:
    """Where the units of a cluster live. Raises Unavailable."""
    found: set[str] = set()
    page = await store.units(UnitQuery(cluster=cluster, limit=PAGE))
    while True:
        found.update(row.namespace for row in page.items)
        if not page.next:
            return found
        page = await store.units(UnitQuery(cluster=cluster, after=page.next, limit=PAGE))


class RenderedSets:
    """Rendered sets by digest: in memory up to `limit` bytes, behind it the store."""

    def __init__(self, store: Store, limit: int = CACHE_BYTES) -> None:
        self._store = store
        self._limit = limit
        self._size = 0
        self._sets: OrderedDict[str, tuple[Manifest, ...]] = OrderedDict()

    async def get(self, digest: str) -> tuple[Manifest, ...] | None:
        """None when it was never kept or has been collected: render again."""
        found = self._sets.get(digest)
        if found is not None:
            self._sets.move_to_end(digest)
            return found
        stored = await self._store.rendered(digest)
        if stored is not None:
            self.put(digest, stored)
        return stored

    def put(self, digest: str, manifests: tuple[Manifest, ...]) -> None:
        if digest in self._sets:
            return
        self._sets[digest] = manifests
        self._size += _weight(manifests)
        while self._size > self._limit and len(self._sets) > 1:
            _, dropped = self._sets.popitem(last=False)
            self._size -= _weight(dropped)


class RunTime:
    """How far open runs are in their own time: their beginning, and the seconds since in which somebody was at work.

    Deadlines and graces are judged by it: a wall clock that jumps ends no run too early and keeps none too long. While
    no process runs, no time goes by either; after a restart it goes on from what was written down last."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[str, float]] = {}

    def spent(self, run: Operation, monotonic: float) -> float:
        unit = str(run.unit)
        known = self._begun.get(unit)
        if known is None or known[0] != run.id:
            known = self._begun[unit] = (run.id, monotonic - run.spent)
        return monotonic - known[1]

    def over(self, unit: UnitName) -> None:
        self._begun.pop(str(unit), None)


def _weight(manifests: tuple[Manifest, ...]) -> int:
    return sum(len(manifest.body) + 400 for manifest in manifests)


@dataclass(frozen=True, slots=True)
class Doors:
    """Every door of the road."""

    clock: Clock
    entropy: Entropy
    store: Store
    source: Source
    renderer: Renderer
    target: Target
    installation: Installation
    rendered: RenderedSets = field(repr=False)
    recollections: Recollections = field(default_factory=Recollections, repr=False)
    runtime: RunTime = field(default_factory=RunTime, repr=False)

    def now_of(self, run: Operation) -> float:
        """The time in an open run: epoch seconds for as long as no clock jumps and no process ends."""
        return run.started + self.runtime.spent(run, self.clock.monotonic())

    def scope(self, unit: Unit, *, operation: str = "", adopt: bool = False, pin: str = "") -> Scope:
        target, name = unit.target, str(unit.name)
        scope = Scope(self.installation.id, name, target.cluster, target.namespace, operation, adopt, unit.account, pin)
        return replace(scope, tool=unit.tool, timeout=unit.sync.timeout) if unit.tool is not None else scope


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn left behind. `again` is when to come back without an event (epoch seconds), None: only on one.
    `let_go` says that the unit owns less than before the turn: others may have waited for it. `proved`: the turn found
    the unit as Git states. `spoke`: what it puts out is not what it was. `mover`: the unit whose change its values wait
    for, "" for none."""

    dossier: Dossier | None
    again: float | None = None
    let_go: bool = False
    proved: bool = False
    spoke: bool = False
    mover: str = ""
