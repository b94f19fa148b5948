"""The witness of stacks: sees every plan, every change of the cloud, every write to the store, and knows what may never
be. It judges by the tool's own account, by people's approvals and by the files, never by asking the house."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.doors import tiny_iac
from tests.doors.memory_tool import Job
from tests.doors.tiny_iac import State, Thing
from tests.simulation.witness import Witness

from kedge.model.declaration import Heal, When
from kedge.model.dossier import Dossier, Sync
from kedge.model.execution import Task
from kedge.model.operation import Cause
from kedge.model.plan import Plan
from kedge.model.record import Record
from kedge.model.ref import stack_ref
from kedge.model.unit import Input, Unit

if TYPE_CHECKING:
    from tests.simulation.stack_world import StackWorld

SECRET = "cl0ud-s3cr3t"
"""What every secret that the cloud makes up begins with."""
Deeds = tuple[tuple[str, str, str], ...]
HOLD_NOTHING = ("output", "null_resource")
JUST_NOW = 60.0
"""Seconds in which a turn that has looked at another unit may still be under way."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A plan: what it would do, of which code and values, when it looked at the world."""

    unit: str
    deeds: Deeds
    variables: dict[str, Any]
    content: str
    at: float


@dataclass(slots=True)
class Applied:
    """An apply. `ended` is None while it is at work; `acts` once it holds the lock and changes things."""

    id: str
    unit: str
    begun: float
    deeds: Deeds = ()
    content: str = ""
    acts: bool = False
    ended: float | None = None
    good: bool = False


@dataclass(slots=True)
class Begun:
    """What was known when a run began: its unit as declared, why, who had agreed to what, and when."""

    unit: Unit
    cause: Cause
    asked: bool
    drift: bool
    yes: tuple[tuple[str, Deeds], ...]
    at: float


@dataclass
class StackWitness(Witness):
    """`yes` are approvals by unit: who, and of which deeds. `spoke` is when a unit put out something else, `pushed`
    when people touched its state, `in_force` the code and the values that were found, or made, to be there last."""

    world: StackWorld
    seen: dict[str, Seen] = field(default_factory=dict)
    applied: dict[str, list[Applied]] = field(default_factory=dict)
    yes: dict[str, list[tuple[str, Deeds]]] = field(default_factory=dict)
    began: dict[str, Begun] = field(default_factory=dict)
    spoke: dict[str, float] = field(default_factory=dict)
    pushed: dict[str, float] = field(default_factory=dict)
    in_force: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> float:
        return self.world.loop.time()

    # -- the tool ------------------------------------------------------------------------------------------------------

    def begins(self, job: Job) -> None:
        """S6, S10: an apply is of an open run on record, and no other is at work on that state."""
        if job.execution.task is not Task.APPLY:
            return
        name, id = job.unit, job.execution.id
        dossier = self.remembered.get(name)
        run = dossier.operation if dossier is not None else None
        if run is None or f"apply-{run.id}" != id:
            self.world.broke(f"S10 {id} of {name} is of no open run on record")
        elif dossier is not None and stack_ref(name) not in {entry.ref for entry in dossier.inventory}:
            self.world.broke(f"S10 {id} was begun for {name}, which owns nothing on record")
        others = [one.id for one in self.applied.get(name, ()) if one.ended is None]
        if others:
            self.world.broke(f"S6 {id} of {name} is begun while {others[0]} is at work")
        self.applied.setdefault(name, []).append(Applied(id, name, self.now))

    def planned(self, job: Job, shown: dict[str, Any], state: State) -> None:
        variables, deeds = json.loads(job.execution.variables), tuple(sorted(tiny_iac.deeds(shown)))
        content = f"{sorted((file.path, file.content) for file in job.execution.files)} {sorted(variables.items())}"
        self.seen[job.execution.id] = Seen(job.unit, deeds, variables, content, self.now)

    def applies(self, job: Job, saved: dict[str, Any], state: State) -> None:
        """S1, S3: what is applied now is what the run was begun for, and what was agreed to or needs no word."""
        apply = self._apply(job.execution.id)
        begun = self.began.get(job.execution.id.removeprefix("apply-"))
        plan = self.plans.get(job.execution.id.removeprefix("apply-"))
        if apply is None or begun is None or plan is None:
            self.world.broke(f"S10 {job.execution.id} applies, and nothing says that its run began")
            return
        deeds: Deeds = tuple(sorted(tiny_iac.deeds(saved["shown"])))
        apply.deeds, apply.acts = deeds, True
        seen = self.seen.get(saved["id"])
        if seen is not None and self.in_force.get(job.unit) != seen.content:
            self.in_force.pop(job.unit, None)
        apply.content = seen.content if seen is not None else ""
        planned = [step.artifact.partition(":")[0] for step in plan.steps]
        if planned != [saved["id"]]:
            self.world.broke(f"S1 {apply.id} applies {saved['id']}, and its run was begun for {planned}")
        why = _needs_a_word(begun, plan, deeds)
        people = {person for person, agreed in begun.yes if agreed == deeds}
        if why and len(people) < begun.unit.approve.count:
            self.world.broke(f"{why} of {job.unit} without the approval of exactly that: {[d[:2] for d in deeds]}")
        if not why and not begun.asked and not begun.yes:
            self._unattended(job.unit, begun)

    def _unattended(self, name: str, begun: Begun) -> None:
        if begun.drift and begun.unit.sync.heal is Heal.NEVER:
            self.world.broke(f"S1 drift of {name} is repaired, and healing is off")
        if not begun.drift and not begun.unit.sync.auto:
            self.world.broke(f"S1 a commit of {name} is applied, and automatic sync is off")

    def clouded(self, act: str, thing: Thing, execution: str) -> None:
        """S1: each change is one of the plan that is applied, by an apply that may."""
        if not execution:
            return
        apply = self._apply(execution)
        if apply is None or not apply.acts or apply.ended is not None:
            self.world.broke(f"S6 {execution} changes {thing.address}, and is not at work on its state")
        elif not any(address == thing.address and act in acts for address, acts, _ in apply.deeds):
            self.world.broke(f"S1 {execution} does {act} {thing.address}, which is not in its plan")

    def over(self, job: Job, good: bool) -> None:
        apply = self._apply(job.execution.id)
        if apply is not None:
            apply.ended, apply.good = self.now, good
            if good:
                self.in_force[job.unit] = apply.content

    def _apply(self, id: str) -> Applied | None:
        return next((one for kept in self.applied.values() for one in kept if one.id == id), None)

    def touched(self, name: str) -> None:
        """People have given a stack another state."""
        self.pushed[name] = self.now

    # -- the store -----------------------------------------------------------------------------------------------------

    def recorded(self, record: Record, after: Dossier) -> None:
        name, before = str(after.name), self.remembered.get(str(after.name))
        super().recorded(record, after)
        if record.forget:
            self.spoke[name] = self.now
            self.in_force.pop(name, None)
            self.yes.pop(name, None)
            return
        if before is None or before.outputs != after.outputs:
            self.spoke[name] = self.now
        new = before is None or before.shown.sync is not Sync.SYNCED or before.verified != after.verified
        if after.unit.tool is not None and after.shown.sync is Sync.SYNCED and new:
            self._in_sync(name, after)

    def _canary(self, record: Record) -> None:
        """S7: what a stack puts out in secret is in nothing that is stored, rendered sets included."""
        super()._canary(record)
        if any(SECRET.encode() in each.body for each in (record.rendered or ("", ()))[1]):
            self.world.broke(f"S7 a secret is in the rendered set of {record.dossier.name}")

    def _tells(self, text: str) -> bool:
        if SECRET in text:
            self.world.broke("S7 what a stack puts out in secret is in a record")
        return super()._tells(text)

    def _approvals(self, name: str, before: Dossier | None, after: Dossier) -> None:
        super()._approvals(name, before, after)
        fresh = [given for given in after.approvals if before is None or given not in before.approvals]
        for step in after.plan.steps if after.plan is not None and fresh else ():
            saw = self.seen.get(step.artifact.partition(":")[0])
            if saw is not None:
                self.yes.setdefault(name, []).extend((given.person, saw.deeds) for given in fresh)

    def _began(self, name: str, before: Dossier | None, after: Dossier, record: Record) -> None:
        super()._began(name, before, after, record)
        run, plan = record.operation, record.plan
        if run is None or plan is None:
            return
        unit = after.pin.unit if after.pin is not None and after.removed is None else after.unit
        asked = before is not None and (before.wish is not None or before.pin is not None)
        drift = self._is_drift(name, plan)
        self.began[run.id] = Begun(unit, run.cause, asked, drift, tuple(self.yes.get(name, ())), self.now)
        if plan.holes:
            self.world.broke(f"S2 {name} begins a run with the holes {plan.holes}")
        if any(b"\xe2\x80\xb9" in each.body for each in (record.rendered or ("", ()))[1]):
            self.world.broke(f"S2 a hole is in what {name} applies")
        if plan.removal or after.pin is not None:
            return
        if not drift:
            for upstream in after.unit.after:
                self._not_overtaken(name, str(upstream))
        if run.cause is Cause.COMMIT:
            for given in after.unit.inputs:
                self._right_value(after.unit, given, record, plan)

    def _is_drift(self, name: str, plan: Plan) -> bool:
        """Whether nothing of the wish has moved since it was true."""
        artifacts = [step.artifact.partition(":")[0] for step in plan.steps if step.artifact]
        seen = self.seen.get(artifacts[0]) if artifacts else None
        known = self.in_force.get(name)
        return plan.drift_only if seen is None or known is None else known == seen.content

    def _ended(self, record: Record, before: Dossier | None) -> None:
        super()._ended(record, before)
        if record.operation is not None and record.operation.result == "Succeeded":
            self.yes.pop(str(record.operation.unit), None)

    def _inventory_covers(self, name: str, after: Dossier) -> None:
        """Of a stack, its state says what it has."""
        if after.unit.tool is None:
            super()._inventory_covers(name, after)

    def _synced(self, name: str, after: Dossier) -> None:
        if after.unit.tool is None and not self._stirred(after.unit):
            super()._synced(name, after)

    def _stirred(self, unit: Unit) -> bool:
        """Whether a value that the unit reads moved so lately that its turn may not have seen it."""
        last = self.remembered.get(str(unit.name))
        run = last.last if last is not None else None
        begun = self.began.get(run.id) if run is not None else None
        since = self.now - JUST_NOW
        if begun is not None and last is not None and run is not None and run.finished == last.verified:
            since = min(since, begun.at - JUST_NOW)
        return any(self._moved(str(given.unit)) > since for given in unit.inputs)

    def _moved(self, name: str) -> float:
        """When what a unit puts out may have become something else last."""
        applies = [self.now if one.ended is None else one.ended for one in self.applied.get(name, ())]
        return max([-1e9, self.spoke.get(name, -1e9), self.pushed.get(name, -1e9), *applies])

    def _in_sync(self, name: str, after: Dossier) -> None:
        """S8: who says Synced of a stack has an apply that did everything, or an empty plan of later than the last
        apply; and the state is as Git says."""
        if self.now - self.pushed.get(name, -1e9) < JUST_NOW or after.removed is not None:
            return
        last = self.applied[name][-1] if self.applied.get(name) else None
        since = max(last.ended or 0.0 if last is not None else -1.0, self.pushed.get(name, -1.0))
        found = [seen for seen in self.seen.values() if seen.unit == name and not seen.deeds and seen.at >= since]
        empty = bool(found)
        if found:
            self.in_force[name] = found[-1].content
        done = last is not None and last.good and since == last.ended
        if (last is not None and last.ended is None) or not (empty or done):
            self.world.broke(
                f"S8 {name} says Synced, and no plan after {last.id if last else 'its last state'} was empty"
            )
        if after.pin is not None or after.applied is None or self._stirred(after.unit):
            return
        left = self.world.left_to_do(after.unit, after.applied.commit)
        if left and self.world.given(after.unit, after.applied.commit) is not None:
            self.world.broke(f"S8 {name} says Synced at {after.applied.short}, but {left} is left")

    # -- order and values ----------------------------------------------------------------------------------------------

    def _not_overtaken(self, name: str, upstream: str) -> None:
        """S5: what a unit comes after is there, at the newest commit that anybody has heard of."""
        before = self.remembered.get(upstream)
        if before is None or before.operation is not None:
            self.world.broke(f"S5 {name} overtakes {upstream}, which is {'at work' if before else 'not known'}")
            return
        head = self.world.known_head(before.unit)
        moved = max(self.pushed.get(upstream, -1e9), self.spoke.get(upstream, -1e9))
        if before.pin is not None or head is None or self._stirred(before.unit) or self.now - moved < JUST_NOW:
            return
        if before.unit.tool is None:
            why = "" if self.world.stirred(None) else self.world.lacks(before.unit, head)
        else:
            why = self.world.left_to_do(before.unit, head)
        if why:
            self.world.broke(f"S5 {name} overtakes {upstream} at {head[:7]}: {why}")

    def _right_value(self, unit: Unit, given: Input, record: Record, plan: Plan) -> None:
        """S4: a reader is given the value that is there, and that stays when what Git says by now is applied."""
        name, upstream = str(unit.name), str(given.unit)
        known = self.remembered.get(upstream)
        if known is None or self.now - self.pushed.get(upstream, -1e9) < JUST_NOW:
            return
        if known.operation is not None:
            self.world.broke(f"S4 {name} reads {given} while {upstream} is at work")
            return
        used = self._used(unit, given, record, plan)
        there = self.world.put_out(known, given.output)
        if used is not None and used != there:
            self.world.broke(f"S4 {name} is applied with {used!r} for {given}, which is {there!r}")
        if used is not None:
            self._to_stay(name, known, given)

    def _to_stay(self, name: str, known: Dossier, given: Input) -> None:
        """Neither the value, nor one that it may be made of, is about to be another one."""
        there, expected = self.world.put_out(known, given.output), self.world.expected(known, given.output)
        if expected is not None and there != expected:
            self.world.broke(f"S4 {name} is applied with {there!r} for {given}, which is about to be {expected!r}")
        for further in known.unit.inputs if known.pin is None else ():
            behind = self.remembered.get(str(further.unit))
            if behind is not None and self.now - self.pushed.get(str(further.unit), -1e9) > JUST_NOW:
                self._to_stay(name, behind, further)

    def _used(self, unit: Unit, given: Input, record: Record, plan: Plan) -> str | None:
        """What stands for an input in what is applied; None where nothing does."""
        if unit.tool is not None:
            seen = self.seen.get(plan.steps[0].artifact.partition(":")[0]) if plan.steps else None
            wired = [var for var, value in json.loads(unit.tool.variables).items() if value == {"$input": given.name}]
            return str(seen.variables[wired[0]]) if seen is not None and wired else None
        bodies = [json.loads(each.body) for each in (record.rendered or ("", ()))[1]]
        urls = [body["spec"]["url"] for body in bodies if "url" in (body.get("spec") or {})]
        return str(urls[0]).partition("<")[2].partition(">")[0] if urls else None


def _needs_a_word(begun: Begun, plan: Plan, deeds: Deeds) -> str:
    """Which rule asks for a person, "" for none."""
    stateful = [
        address
        for address, acts, _ in deeds
        if ("delete" in acts or "forget" in acts) and address.partition(".")[0] not in HOLD_NOTHING
    ]
    if stateful:
        return f"S3 {stateful[0]} goes or is replaced"
    if plan.removal:
        return "S3 all goes"
    tool = begun.unit.tool
    gentle = all("delete" not in acts and "forget" not in acts for _, acts, _ in deeds)
    repairs = tool is not None and tool.harmless and begun.drift and gentle
    if begun.unit.approve.when is When.ALWAYS and deeds and not repairs:
        return "S1 a plan is applied"
    return ""
