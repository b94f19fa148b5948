"""The witness sees every write to the cluster and to the store, and knows what may never be.

It judges by its own account of the world (files, people's approvals, what it saw), never by asking the house.
"""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.doors.memory_cluster import Thing, Write

from kedge.model.change import Act
from kedge.model.dossier import Dossier, Sync
from kedge.model.operation import Did, Operation
from kedge.model.plan import Plan
from kedge.model.record import Record
from kedge.model.ref import Ref

if TYPE_CHECKING:
    from tests.simulation.world import World

CANARY = "c4n4ry-s3cr3t"
ENCODED = b64encode(CANARY.encode()[:12]).decode()
"""What its base64 begins with, whatever comes after it."""


INSTANT = 0.01
"""Seconds in which nobody can tell what came first."""


@dataclass(slots=True)
class Witness:
    """`writes` counts Kedge's writes to the cluster, `begun` its operations, `acting` who is at work on what."""

    world: World
    writes: int = 0
    begun: int = 0
    remembered: dict[str, Dossier] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    agreed: defaultdict[str, list[tuple[str, frozenset[tuple[str, str]]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    made: dict[str, tuple[Ref, str, str]] = field(default_factory=dict)
    rules: dict[str, tuple[str, str]] = field(default_factory=dict)
    cancelled: dict[str, float] = field(default_factory=dict)
    hooks: dict[tuple[str, Ref], str] = field(default_factory=dict)

    def wrote(self, write: Write) -> None:
        """I1, I2, I4: a deletion is owned, meant and agreed to; what is made is in the inventory; all is on record."""
        self.world.tell(f"cluster: {write.hand} {write.act} {write.ref}")
        if write.act == "gone":
            self.made.pop(write.thing.uid, None)
            return
        if write.hand != "kedge":
            if write.act == "delete" and (write.thing.operation, write.ref) in self.hooks:
                self.hooks[write.thing.operation, write.ref] = "taken away"
            return
        self.writes += 1
        self._on_record(write)
        if write.act == "delete":
            self._may_delete(write)
        else:
            self._in_inventory(write)

    def _on_record(self, write: Write) -> None:
        dossier = self.remembered.get(write.unit)
        operation = dossier.operation if dossier is not None else None
        # A request that was on its way when a person cancelled the run arrives all the same.
        sent = self.world.sent.get(str(write.ref), -1e9)
        if sent <= self.cancelled.get(write.operation, -1e9) + INSTANT:
            return
        if operation is None or operation.id != write.operation:
            self.world.broke(f"I4 {write.act} {write.ref} by {write.unit} is in no open operation on record")
        if write.operation not in self.operations:
            self.world.broke(f"I4 {write.act} {write.ref}: nothing says that operation {write.operation} began")

    def _in_inventory(self, write: Write) -> None:
        dossier = self.remembered.get(write.unit)
        if dossier is None or write.ref not in {entry.ref for entry in dossier.inventory}:
            self.world.broke(f"I2 {write.ref} was made for {write.unit} and is not in its inventory")
        self.made[write.thing.uid] = (write.ref, write.unit, write.cluster)
        key = (write.operation, write.ref)
        if write.ref.kind == "Job" and write.act == "create":
            self._hook_again(key, dossier)

    def _hook_again(self, key: tuple[str, Ref], dossier: Dossier | None) -> None:
        """I7: within one operation, a hook that has been made is not made again. Its object is the only witness until
        its making is on record: when another hand deletes it before, nobody can know."""
        operation = dossier.operation if dossier is not None else None
        steps = {step.key for step in self.plans[key[0]].steps if step.ref == key[1]} if key[0] in self.plans else set()
        outcomes = operation.outcomes if operation is not None else ()
        known = any(outcome.step in steps and outcome.did is not Did.CLEARING for outcome in outcomes)
        if key in self.hooks and (known or self.hooks[key] == "made"):
            self.world.broke(f"I7 hook {key[1]} ran twice in operation {key[0]}")
        self.hooks[key] = "made"

    def _may_delete(self, write: Write) -> None:
        dossier = self.remembered.get(write.unit)
        plan = self.plans.get(write.operation)
        if dossier is None or plan is None:
            self.world.broke(f"I1 {write.ref} deleted without a plan on record")
            return
        hook = any(step.ref == write.ref and (step.generate_name or step.kind == "hook") for step in plan.steps)
        if not hook and write.thing.owner != write.unit:
            self.world.broke(f"I1 {write.ref} deleted though it belongs to “{write.thing.owner}”, not to {write.unit}")
        if write.ref not in {entry.ref for entry in dossier.inventory}:
            self.world.broke(f"I1 {write.ref} deleted though it is not in the inventory of {write.unit}")
        if not hook:
            self._gated(write, plan)
        if not hook and not plan.removal:
            self._left_git(write, plan)

    def _gated(self, write: Write, plan: Plan) -> None:
        when, on_remove = self.rules[write.operation]
        asked = on_remove != "delete" if plan.removal else when != "never"
        stateful = write.ref.kind in ("PersistentVolumeClaim", "Namespace")
        if asked and (stateful or plan.removal) and plan.needs is None:
            self.world.broke(f"I1 {write.ref} deleted without asking anybody")

    def _left_git(self, write: Write, plan: Plan) -> None:
        unit = self.remembered[write.unit].unit
        commit = plan.revision.commit if plan.revision is not None else ""
        wanted = self.world.wanted(unit, commit) if commit in self.world.source.commits else None
        if wanted is None or write.ref in wanted:
            self.world.broke(f"I1 {write.ref} deleted though {commit[:7]} wants it")

    def recorded(self, record: Record, after: Dossier) -> None:
        """I3, I5 to I9, at every write to the store."""
        name, before = str(after.name), self.remembered.get(str(after.name))
        self._canary(record)
        if record.forget:
            self.remembered.pop(name, None)
            self.made = {uid: what for uid, what in self.made.items() if what[1] != name}
            if record.operation is not None:
                self._ended(record, before)
            return
        self.remembered[name] = after
        self._approvals(name, before, after)
        if record.operation is not None:
            if record.operation.id not in self.operations:
                self._began(name, before, after, record)
            elif not record.operation.open:
                self._ended(record, before)
        self._inventory_covers(name, after)
        if after.shown.sync is Sync.SYNCED and (before is None or before.verified != after.verified):
            self._synced(name, after)

    def _approvals(self, name: str, before: Dossier | None, after: Dossier) -> None:
        fresh = [given for given in after.approvals if before is None or given not in before.approvals]
        if after.plan is not None and fresh:
            seen = frozenset((change.ref.key, change.act.value) for change in after.plan.changes)
            self.agreed[name] += [(approval.person, seen) for approval in fresh]

    def _began(self, name: str, before: Dossier | None, after: Dossier, record: Record) -> None:
        operation, plan = record.operation, record.plan
        if operation is None or plan is None:
            return
        self.begun += 1
        self.world.tell(f"run {name} #{operation.number} {operation.cause}: {plan.summary()}")
        if before is not None and before.operation is not None:
            self.world.broke(f"I5 {name} began run {operation.number} while {before.operation.number} was open")
        self.operations[operation.id] = operation
        self.plans[operation.id] = plan
        unit = after.pin.unit if after.pin is not None and after.removed is None else after.unit
        self.rules[operation.id] = (unit.approve.when.value, unit.on_remove.value)
        if not any(event.kind == "operation.started" for event in record.events):
            self.world.broke(f"I4 run {operation.number} of {name} began without an event")
        if plan.needs is not None:
            self._covered(name, plan, plan.needs.count)

    def _covered(self, name: str, plan: Plan, count: int) -> None:
        """I6: every change of a plan that needs approval was in a plan that enough people agreed to."""
        for change in plan.changes:
            key = (change.ref.key, change.act.value)
            if len({person for person, seen in self.agreed[name] if key in seen}) < count:
                self.world.broke(f"I6 {change.act} {change.ref} of {name} runs without the approval it needs")

    def _ended(self, record: Record, before: Dossier | None) -> None:
        operation = record.operation
        if operation is None or operation.open:
            return
        self.world.tell(f"ended {operation.unit} #{operation.number} {operation.result}: {operation.message[:90]}")
        if operation.result == "Cancelled":
            self.cancelled[operation.id] = self.world.loop.time()
        if operation.result == "Succeeded":
            self.agreed.pop(str(operation.unit), None)
        if not any(event.kind.startswith("operation.") for event in record.events):
            self.world.broke(f"I4 run {operation.number} of {operation.unit} ended without an event")

    def _inventory_covers(self, name: str, after: Dossier) -> None:
        """I2: whatever Kedge made or took over, still lives and still carries its name is in an inventory. What a unit
        that may keep its objects leaves in another cluster is nobody's."""
        owned, here = {entry.ref for entry in after.inventory}, after.cluster or after.unit.target.cluster
        for ref in owned:
            thing = self.world.clusters[here].things.get(ref)
            if thing is not None and thing.owner == name:
                self.made[thing.uid] = (ref, name, here)
        for uid, (ref, unit, cluster) in list(self.made.items()):
            thing = self.world.clusters[cluster].things.get(ref)
            if unit != name or thing is None or thing.uid != uid or thing.terminating or thing.owner != name:
                continue
            if cluster != here and self._may_leave(after):
                del self.made[uid]
            elif cluster != here or ref not in owned:
                self.world.broke(f"I2 {ref} lives in {cluster} and fell out of the inventory of {name}")

    def _may_leave(self, after: Dossier) -> bool:
        unit = after.pin.unit if after.pin is not None and after.removed is None else after.unit
        return unit.on_remove.value == "keep"

    def answers_for(self, thing: Thing) -> bool:
        """Whether a unit of today made or took over this object. What a unit kept when it left Git is nobody's, also
        when a unit of the same name comes later."""
        return thing.uid in self.made

    def _synced(self, name: str, after: Dossier) -> None:
        """I3: who says Synced has compared: the cluster was as wanted at that moment, or a change is on its way."""
        revision = after.applied
        if after.pin is not None or revision is None or revision.commit not in self.world.source.commits:
            return
        why = self.world.differs(after.unit, revision.commit)
        since = after.last.started if after.last is not None and after.last.finished == after.verified else None
        if why and not self.world.stirred(since):
            self.world.broke(f"I3 {name} says Synced at {revision.short}, but {why}")

    def _canary(self, record: Record) -> None:
        """I8: what is secret is neither in what people read nor in what is told."""
        shown = (record.events, record.dossier, record.operation, record.plan)
        if self._tells(repr(shown)):
            self.world.broke(f"I8 a secret shows in the record of {record.dossier.name}")

    def _tells(self, text: str) -> bool:
        return CANARY in text or ENCODED in text


def refs_of(plan: Plan, act: Act) -> set[Ref]:
    return {change.ref for change in plan.changes if change.act is act}


__all__ = ["CANARY", "Any", "Witness", "refs_of"]
