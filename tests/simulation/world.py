"""Everything outside the house: repository, cluster, disk and people. It outlives every crash."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tests.doors.json_renderer import JsonRenderer, manifest_of
from tests.doors.memory_cluster import UNIT, MemoryCluster
from tests.doors.memory_fleet import MemoryFleet
from tests.doors.memory_source import REPOSITORY, MemorySource
from tests.doors.memory_store import INSTALLATION, MemoryStore
from tests.doors.memory_target import CLUSTER_SCOPED, MemoryTarget
from tests.simulation.chaos import Chaos
from tests.simulation.house import FusedStore, House
from tests.simulation.loop import BEGIN, SeededEntropy, VirtualClock, VirtualLoop
from tests.simulation.witness import Witness

from kedge.engine.hooks import is_hook
from kedge.model.dossier import Dossier
from kedge.model.enlistment import Enlisted, Enlistment, Head, RootState
from kedge.model.manifest import Desired
from kedge.model.ref import Ref
from kedge.model.unit import Unit
from kedge.ports import Snapshot, Target


class Broken(AssertionError):
    """An invariant does not hold; the story says how it came to that."""


class Mortal(JsonRenderer):
    """A renderer whose workers may die."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos

    async def render(self, snapshot: Snapshot, unit: Unit) -> Desired:
        await self._chaos.worker()
        return await super().render(snapshot, unit)


CLUSTERS = ("default", "far")
ROOTS = ("admin", "team")


class World:
    """`clusters` are there from the beginning, `cluster` is the first of them. `story` is what happened; `house`
    the life that is being lived. Once `well`, nothing falls ill. `sent` says when the request about an object was sent
    last, `amid` is who acts when the next one has been done."""

    def __init__(self, seed: int | str, loop: VirtualLoop, clusters: Sequence[str] = CLUSTERS[:1]) -> None:
        self.loop = loop
        self.random = Random(f"world {seed}")
        self.story: list[str] = []
        self.broken: list[str] = []
        self.clock = VirtualClock(loop)
        self.entropy = SeededEntropy(f"entropy {seed}")
        self.chaos = Chaos(Random(f"chaos {seed}"), self.tell)
        self.source = MemorySource()
        self.renderer = Mortal(self.chaos)
        self.store = MemoryStore()
        self.installation = INSTALLATION
        self.units: dict[str, Unit] = {}
        self.clusters = {
            name: MemoryCluster(self.loop.time, self._later, self._rollout, self._linger, name=name)
            for name in clusters
        }
        self.cluster = self.clusters[clusters[0]]
        self.witness = self.make_witness()
        for cluster in self.clusters.values():
            cluster.witness = self.witness.wrote
        self.sent: dict[str, float] = {}
        self.amid: Callable[[], Awaitable[None]] | None = None
        self.witnessed_store = FusedStore(self.store, Chaos(Random(0), self.tell), lambda: False, self.witness.recorded)
        self.house: House | None = None
        self.lives = 0
        self.well = False
        self._stirred = self._stirred_at = -1e9

    def make_witness(self) -> Witness:
        return Witness(self)

    def tell(self, line: str) -> None:
        self.story.append(f"{self.loop.time() - BEGIN:10.2f} {line}")

    def broke(self, rule: str) -> None:
        """Remember a broken invariant: raising inside the house could be caught by it."""
        self.tell(f"BROKEN {rule}")
        self.broken.append(rule)

    def bug(self, name: str, error: BaseException) -> None:
        self.broke(f"{name} ended with {type(error).__name__}: {error}")

    def stir(self) -> None:
        """Another hand is at work: until the watch has told of it, nobody can know."""
        self._stirred = self.loop.time()
        self._stirred_at = self.clock.now()

    def stirred(self, since: float | None) -> bool:
        """Whether another hand was at work just now, or since the wall clock said `since`."""
        return self.loop.time() - self._stirred < 40.0 or (since is not None and self._stirred_at >= since)

    def check(self) -> None:
        if self.broken:
            raise Broken(self.broken[0])

    async def live(self) -> None:
        """Compose a house. Whatever was in the memory of the one before is lost."""
        self.lives += 1
        self.house = House(self)
        self.chaos.died = [self._die]
        await self.house.open()

    def _die(self) -> None:
        if self.house is not None:
            self.house.dead = True

    async def revive(self) -> None:
        """After a crash, a new house takes over; nothing to do while the old one lives."""
        if self.house is not None and self.house.dead:
            await self.house.close()
            await self.live()

    def make_target(self, house: House) -> Target:
        async def before(what: str) -> None:
            self.sent[what.partition(" ")[2]] = self.loop.time()
            await self.chaos.point(f"before {what}", lambda: house.dead)
            await self.chaos.network(what)
            await self.chaos.point(f"sent {what}", lambda: house.dead)

        async def after(what: str) -> None:
            if self.amid is not None:
                person, self.amid = self.amid, None
                await person()
            await self.chaos.point(f"after {what}", lambda: house.dead)
            await self.chaos.reply(what)

        stale, discover = (lambda: self.chaos.luck(0.1)), self.chaos.discovery
        each = {
            name: MemoryTarget(cluster, before, after, self._lags, stale, discover)
            for name, cluster in self.clusters.items()
        }
        target = MemoryFleet(each) if len(each) > 1 else next(iter(each.values()))
        house.spawner.start(self._relist(target), "relist")
        return target

    async def _relist(self, target: MemoryTarget | MemoryFleet) -> None:
        quiet = 0
        while True:
            await asyncio.sleep(30.0)
            # In calm weather the watch misses nothing: what a relist would find was found by the first ones.
            quiet = 0 if self.chaos.level else quiet + 1
            if quiet < 3 or quiet % 30 == 0:
                target.relist()

    def _lags(self) -> Sequence[float]:
        """A change may be heard of late, twice or not at all."""
        if self.chaos.luck(0.05):
            return ()
        if not self.chaos.level:
            return (0.0,)
        first = self.chaos.random.choice((0.0, 0.0, 0.1, 2.0))
        return (first, first + 1.0) if self.chaos.luck(0.05) else (first,)

    def _later(self, seconds: float, call: Any) -> object:
        return self.loop.call_later(seconds, call)

    def _rollout(self, ref: Ref, body: Mapping[str, Any]) -> tuple[float, bool]:
        if ref.kind not in ("Deployment", "Job"):
            return 0.0, False
        spec = body.get("spec") or {}
        return float(spec.get("seconds", 1.0)), bool(spec.get("sick")) and not self.well

    def _linger(self, ref: Ref) -> float:
        return self.chaos.random.choice((0.0, 0.0, 3.0, 40.0)) if self.chaos.level else 0.0

    def recover(self) -> None:
        """Nothing falls ill any more, and what is ill gets well: not all of it is in Git, where it could be mended."""
        self.well = True
        for cluster in self.clusters.values():
            for ref in sorted(ref for ref, thing in cluster.things.items() if thing.sick):
                cluster.things[ref].sick = False
                cluster.changed(ref)

    async def enlist(self, units: Mapping[str, Unit]) -> None:
        """The roots say now which units there are. Who was refused a name asks again once all have been read."""
        self.units = dict(units)
        refused = [root for root in ROOTS if (await self._read(root)).refused]
        for root in refused:
            await self._read(root)

    async def _read(self, root: str) -> Enlisted:
        state = RootState(root, None, True, (), self.clock.now())
        mine = tuple(unit for unit in self.units.values() if unit.root == root)
        news = await self.store.enlist(Enlistment(state, mine))
        told = f"+{','.join(news.added)} ~{','.join(news.changed)} -{','.join(news.removed)} !{','.join(news.refused)}"
        self.tell(f"root {root}: {told}")
        for name in (*news.added, *news.changed, *news.removed):
            if self.house is not None:
                self.house.adopt(name)
        return news

    async def dossier(self, name: str) -> Dossier | None:
        from kedge.model.ref import UnitName

        return await self.store.load(UnitName.parse(name))

    def wanted(self, unit: Unit, commit: str) -> dict[Ref, dict[str, Any]] | None:
        """What a commit says a unit should be, worked out without the house; None when it does not render."""
        files = self.source.commits[commit].files
        base, found = f"{unit.source.path}/", {}
        if not any(path.startswith(base) for path in files):
            return None
        for path, data in files.items():
            if not path.startswith(base) or not path.endswith(".json"):
                continue
            data = self.filled(unit, data)
            try:
                body = json.loads(data)
            except ValueError:
                return None
            manifest = manifest_of(data, path)
            if is_hook(manifest):
                continue
            meta = body["metadata"]
            if manifest.ref.kind not in CLUSTER_SCOPED:
                meta.setdefault("namespace", unit.target.namespace)
            meta.setdefault("annotations", {})[UNIT] = str(unit.name)
            found[replace(manifest.ref, namespace=meta.get("namespace", ""))] = body
        return found

    def filled(self, unit: Unit, data: bytes) -> bytes:
        """A file with the values that the unit is given."""
        return data

    def excused(self, name: str) -> bool:
        """Whether nobody can take away what left Git."""
        return False

    def effort(self) -> tuple[int, ...]:
        """What counts as doing something: at rest none of it grows."""
        return self.witness.writes, self.witness.begun

    def differs(self, unit: Unit, commit: str) -> str:
        """Why the cluster is not what a commit says, "" when it is, and of one that reads others: no commit says
        their values."""
        if unit.inputs:
            return ""
        return self.compared(unit, commit)

    def compared(self, unit: Unit, commit: str) -> str:
        wanted, cluster = self.wanted(unit, commit), self.clusters[unit.target.cluster]
        if wanted is None:
            return f"{commit[:7]} does not render"
        for ref, body in wanted.items():
            thing = cluster.things.get(ref)
            if thing is None or thing.terminating:
                return f"{ref} is missing"
            if thing.body != body:
                return f"{ref} is {thing.body}, not {body}"
        for ref, thing in cluster.things.items():
            ours = thing.owner == str(unit.name) and not thing.operation and self.witness.answers_for(thing)
            if ours and ref not in wanted and unit.sync.prune:
                return f"{ref} is still there"
        return ""

    async def head(self) -> Head:
        revision = await self.source.fetch(REPOSITORY, "main")
        return Head(REPOSITORY, "main", revision, self.clock.now())
