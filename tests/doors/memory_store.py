"""The store in memory: versions, claims and history enforced as by the real one. It outlives the house."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kedge.engine.delivery import followers
from kedge.model.dossier import Dossier
from kedge.model.enlistment import Enlisted, Enlistment, Head, RootState
from kedge.model.errors import Conflict, Invalid
from kedge.model.event import Event
from kedge.model.fleet import Page, UnitQuery, UnitRow
from kedge.model.installation import Installation
from kedge.model.manifest import Manifest
from kedge.model.operation import Operation
from kedge.model.plan import Plan
from kedge.model.record import Record
from kedge.model.ref import Ref, UnitName
from kedge.model.rule import HealthRule
from kedge.model.source import Revision
from kedge.model.unit import Unit

INSTALLATION = Installation("sim", b"k" * 32, "key")


class MemoryStore:
    """`kedge.ports.Store`, as far as the road and the shift use it."""

    def __init__(self) -> None:
        self.dossiers: dict[str, Dossier] = {}
        self.history: defaultdict[str, dict[int, Operation]] = defaultdict(dict)
        self.declared: dict[tuple[str, int], Unit] = {}
        self.plans: dict[str, Plan] = {}
        self.sets: dict[str, tuple[Manifest, ...]] = {}
        self.told: list[Event] = []
        self.known_heads: dict[tuple[str, str], Head] = {}
        self.known_roots: dict[str, RootState] = {}

    async def installation(self) -> Installation:
        return INSTALLATION

    async def load(self, name: UnitName) -> Dossier | None:
        dossier = self.dossiers.get(str(name))
        if dossier is None:
            return None
        return replace(dossier, head=self._head(dossier.unit))

    def _head(self, unit: Unit) -> Revision | None:
        head = self.known_heads.get((unit.source.repository, unit.source.ref))
        return head.revision if head is not None else None

    async def record(self, record: Record) -> Dossier:
        dossier, name = record.dossier, str(record.dossier.name)
        before = self.dossiers.get(name)
        if before is None or before.version != dossier.version:
            raise Conflict(f"{name} has moved on")
        claims = await self.claims(
            dossier.cluster or dossier.unit.target.cluster, [entry.ref for entry in dossier.inventory]
        )
        for ref, owner in claims.items():
            if owner != name:
                raise Invalid(f"{ref} of {name} is already claimed by {owner}")
        self.told.extend(record.events)
        if record.plan is not None:
            self.plans[record.plan.id] = record.plan
        if record.operation is not None:
            if record.operation.number not in self.history[name]:
                unit = dossier.pin.unit if dossier.pin is not None else dossier.unit
                self.declared[name, record.operation.number] = unit
            self.history[name][record.operation.number] = record.operation
        if record.rendered is not None:
            self.sets[record.rendered[0]] = record.rendered[1]
        kept = replace(dossier, version=dossier.version + 1)
        if record.forget:
            del self.dossiers[name]
        else:
            self.dossiers[name] = kept
        return kept

    async def enlist(self, enlistment: Enlistment) -> Enlisted:
        state, wanted = enlistment.state, {str(unit.name): unit for unit in enlistment.units}
        added, changed, removed, refused = [], [], [], []
        for name, unit in wanted.items():
            before = self.dossiers.get(name)
            if before is None:
                self.dossiers[name] = Dossier(unit.name, unit)
                added.append(name)
            elif before.unit.root != unit.root and before.removed is None:
                refused.append(name)
            elif before.unit != unit or before.removed is not None:
                self.dossiers[name] = replace(before, unit=unit, removed=None, followers=(), version=before.version + 1)
                changed.append(name)
        if state.complete:
            gone = {
                name: before
                for name, before in self.dossiers.items()
                if before.unit.root == state.name and name not in wanted and before.removed is None
            }
            after = followers(before.unit for before in gone.values())
            for name, before in gone.items():
                first, version = after.get(before.name, ()), before.version + 1
                self.dossiers[name] = replace(before, removed=state.at, followers=first, version=version)
                removed.append(name)
        self.known_roots[state.name] = state
        self.told.extend(enlistment.events)
        return Enlisted(tuple(added), tuple(changed), tuple(removed), tuple(refused))

    async def wakeups(self) -> Sequence[tuple[str, float | None]]:
        return [(name, dossier.due) for name, dossier in sorted(self.dossiers.items())]

    async def readers(self, repository: str, ref: str) -> Sequence[tuple[str, tuple[str, ...]]]:
        found = []
        for name, dossier in sorted(self.dossiers.items()):
            if (dossier.unit.source.repository, dossier.unit.source.ref) == (repository, ref):
                rendering = dossier.rendering
                found.append((name, tuple(read.path for read in rendering.reads) if rendering else ("",)))
        return found

    async def rules(self) -> Sequence[HealthRule]:
        return ()

    async def units(self, query: UnitQuery) -> Page[UnitRow]:
        """Every unit of a cluster at once, and of each no more than where it lives and how it stands."""
        found = [dossier for dossier in self.dossiers.values() if query.cluster in ("", dossier.unit.target.cluster)]
        return Page(tuple(map(_row, found)), total=len(found))

    async def sources(self) -> Sequence[tuple[str, str]]:
        pairs = {(d.unit.source.repository, d.unit.source.ref) for d in self.dossiers.values()}
        return sorted(pairs)

    async def heads(self) -> Sequence[Head]:
        return [self.known_heads[key] for key in sorted(self.known_heads)]

    async def set_head(self, head: Head, events: tuple[Event, ...] = ()) -> None:
        self.known_heads[head.repository, head.ref] = head
        self.told.extend(events)

    async def forget_head(self, repository: str, ref: str) -> None:
        self.known_heads.pop((repository, ref), None)

    async def roots(self) -> Sequence[RootState]:
        return list(self.known_roots.values())

    async def claims(self, cluster: str, refs: Sequence[Ref]) -> Mapping[Ref, str]:
        wanted, found = set(refs), {}
        for name, dossier in self.dossiers.items():
            if (dossier.cluster or dossier.unit.target.cluster) == cluster:
                found.update({entry.ref: name for entry in dossier.inventory if entry.ref in wanted})
        return found

    async def operations(self, unit: str, before: int = 0, limit: int = 50) -> Sequence[Operation]:
        numbers = sorted((n for n in self.history[unit] if not before or n < before), reverse=True)
        return [self.history[unit][number] for number in numbers[:limit]]

    async def operation(self, unit: str, number: int) -> Operation | None:
        return self.history[unit].get(number)

    async def plan(self, plan: str) -> Plan | None:
        return self.plans.get(plan)

    async def frozen(self, unit: str, number: int) -> Unit | None:
        return self.declared.get((unit, number))

    async def rendered(self, digest: str) -> tuple[Manifest, ...] | None:
        return self.sets.get(digest)

    async def events(self, after: int = 0, unit: str = "", limit: int = 100) -> Sequence[Event]:
        numbered = [replace(event, id=number) for number, event in enumerate(self.told, 1)]
        return [event for event in numbered if event.id > after and unit in ("", event.unit)][:limit]

    async def latest(self, unit: str = "", before: int = 0, limit: int = 100) -> Sequence[Event]:
        found = [event for event in await self.events(0, unit, 1 << 30) if not before or event.id < before]
        return found[::-1][:limit]

    async def note(self, events: tuple[Event, ...]) -> None:
        self.told.extend(events)

    async def close(self) -> None:
        return None


def _row(dossier: Dossier) -> UnitRow:
    unit, shown = dossier.unit, dossier.shown
    return UnitRow(
        name=str(dossier.name),
        project=dossier.name.project,
        sync=shown.sync,
        health=shown.health.status,
        why=shown.why,
        cluster=unit.target.cluster,
        namespace=unit.target.namespace,
        repository=unit.source.repository,
        path=unit.source.path,
        commit="",
        author="",
        subject="",
        verified=dossier.verified,
        changed=0.0,
        waiting="",
        pinned=dossier.pin is not None,
        suspended=bool(dossier.suspended),
        version=dossier.version,
    )
