"""Commands: what people ask for. They never act: they write a wish and ring the bell; the road does the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from kedge.control.road.doors import Doors
from kedge.control.road.preview import PIN_SECONDS, patiently, preview_rollback, rollback_pin
from kedge.control.road.propose import Proposal, propose
from kedge.control.road.restore import restoration
from kedge.engine.delivery import finished
from kedge.engine.gate import agreed_to, may_approve
from kedge.model.dossier import Approval, Dossier, Pin, Wish
from kedge.model.errors import Conflict, Denied, Invalid
from kedge.model.event import Event
from kedge.model.operation import Cause, Result
from kedge.model.person import Person
from kedge.model.record import Record
from kedge.model.ref import UnitName
from kedge.model.restoration import Restoration
from kedge.model.unit import Unit
from kedge.ports import Ring

_TRIES = 8


Ask = Callable[[Unit], Awaitable[None]]
"""Have what a unit is read from looked at now; returns when that look is over."""


async def _nobody(unit: Unit) -> None:
    """Nobody looks: what is known counts."""


@dataclass(frozen=True, slots=True)
class Commands:
    """Every command loads the dossier, changes it, records who asked and why, and rings.

    Raises Invalid for an unknown unit or a wish that makes no sense now, Denied where the person may not.
    """

    doors: Doors
    ring: Ring
    ask: Ask = _nobody

    async def dossier(self, name: UnitName) -> Dossier:
        dossier = await self.doors.store.load(name)
        if dossier is None:
            raise Invalid(f"there is no unit {name}", hint="kedge get lists them")
        return dossier

    async def sync(self, person: Person, name: UnitName, reason: str) -> Dossier:
        """Apply now what Git wants, hooks included, whatever automation is set to. Git is asked first: what it wants is
        not what it wanted at the last poll."""
        await self.ask((await self.dossier(name)).unit)
        wish = Wish(Cause.SYNC, person.name, reason, self.doors.clock.now())

        async def change(dossier: Dossier) -> Dossier:
            return replace(dossier, wish=wish)

        return await self._record(name, change, "unit.sync", person, reason)

    async def suspend(self, person: Person, name: UnitName, reason: str) -> Dossier:
        """Stop automation until `resume`. A running operation goes on to its end."""

        async def change(dossier: Dossier) -> Dossier:
            return replace(dossier, suspended=f"by {person.name}{f': {reason}' if reason else ''}")

        return await self._record(name, change, "unit.suspended", person, reason)

    async def resume(self, person: Person, name: UnitName, reason: str) -> Dossier:
        """End a suspension or a pin: automation follows Git again."""

        async def change(dossier: Dossier) -> Dossier:
            if not dossier.suspended and dossier.pin is None:
                raise Invalid(f"{name} is neither suspended nor pinned")
            return replace(dossier, suspended="", pin=None)

        return await self._record(name, change, "unit.resumed", person, reason)

    async def cancel(self, person: Person, name: UnitName, reason: str) -> Dossier:
        """End the running operation where it stands, and suspend, so that it does not begin again at once. The apply of
        a stack is asked to end, and its run is over when it has."""
        before = await self.dossier(name)
        if before.operation is not None and before.plan is not None and before.plan.whole:
            scope = self.doors.scope(before.unit, operation=before.operation.id)
            await self.doors.target.stop(scope, f"cancelled by {person.name}")

        async def change(dossier: Dossier) -> Dossier:
            if dossier.operation is None:
                raise Invalid(f"{name} has no run to cancel")
            if dossier.plan is not None and dossier.plan.whole:
                return replace(dossier, suspended=f"by {person.name}: {reason or 'run cancelled'}", wish=None)
            ended = finished(dossier.operation, Result.CANCELLED, f"cancelled by {person.name}", self.doors.clock.now())
            why = f"by {person.name}: {reason or 'run cancelled'}"
            return replace(dossier, operation=None, last=ended, suspended=why, wish=None)

        return await self._record(name, change, "operation.cancelled", person, reason)

    async def approve(
        self, person: Person, name: UnitName, effects: str, reason: str, *, break_glass: bool = False
    ) -> Dossier:
        """Agree to the pending plan's effects. `effects` must be (a prefix, at least 4 long, of) what was shown: an
        approval is of what a person saw, not of whatever is pending by now."""

        async def change(dossier: Dossier) -> Dossier:
            plan = dossier.plan
            if plan is None or plan.needs is None:
                raise Invalid(f"{name} has no plan that waits for approval")
            if dossier.operation is not None:
                # It would count for the next plan of the same effects, which nobody has seen yet.
                raise Invalid(f"run {dossier.operation.number} of {name} is at work on this plan: nothing waits")
            if len(effects) < 4 or not plan.effects.startswith(effects):
                raise Conflict(
                    f"the plan of {name} has other effects by now ({plan.effects[:12]}…): look at it again",
                    hint=f"kedge diff {name}",
                )
            given = Approval(
                plan.effects,
                agreed_to(plan),
                person.name,
                person.groups,
                reason,
                self.doors.clock.now(),
                break_glass,
                plan.holes,
                plan.id,
            )
            if not break_glass and not may_approve(given, plan.needs.by):
                raise Denied(f"{person.name} may not approve {name}: needs {', '.join(plan.needs.by)}")
            if break_glass and not reason:
                raise Invalid("breaking the glass needs a reason", hint="--reason TEXT")
            # One yes of a person to the same effects is enough: more of them would push out what others said.
            same = (given.person, given.effects, given.break_glass)
            others = [a for a in dossier.approvals if (a.person, a.effects, a.break_glass) != same]
            return replace(dossier, approvals=(*others, given)[-20:])

        kind = "plan.glass-broken" if break_glass else "plan.approved"
        return await self._record(name, change, kind, person, reason)

    async def plan(self, name: UnitName) -> Proposal:
        """A fresh plan of what Git wants now; records nothing."""
        dossier = await self.dossier(name)
        return await patiently(self.doors, lambda: propose(self.doors, dossier, sweep=True, aside=True))

    async def preview(
        self, person: Person, name: UnitName, to: str, reason: str = "", lasting: float = PIN_SECONDS
    ) -> tuple[Pin, Proposal]:
        """What a rollback would do, exactly; records nothing."""
        dossier = await self.dossier(name)
        pin = await rollback_pin(self.doors, dossier, to, person, reason, lasting)
        return pin, await preview_rollback(self.doors, dossier, pin)

    async def restoration(self, person: Person, name: UnitName, to: str) -> Restoration:
        """What a commit would have to put back for the same; records nothing."""
        dossier = await self.dossier(name)
        return await restoration(self.doors, dossier, await rollback_pin(self.doors, dossier, to, person, ""))

    async def rollback(
        self, person: Person, name: UnitName, to: str, reason: str, *, lasting: float = PIN_SECONDS, effects: str = ""
    ) -> Dossier:
        """Pin the unit to an earlier state. `effects`, where given, are those of the preview the person saw; the
        rollback is refused when it would do something else by now. An approval of what was shown comes with it."""
        if not reason:
            raise Invalid("a rollback needs a reason", hint="--reason TEXT")
        pin, proposal = await self.preview(person, name, to, reason, lasting)
        if effects and proposal.plan.effects != effects:
            raise Conflict(f"the rollback of {name} would do something else by now: look at it again")

        async def change(dossier: Dossier) -> Dossier:
            return replace(dossier, pin=pin, trouble=None)

        return await self._record(name, change, "unit.pinned", person, reason)

    async def _record(
        self, name: UnitName, change: Callable[[Dossier], Awaitable[Dossier]], kind: str, person: Person, reason: str
    ) -> Dossier:
        for attempt in range(_TRIES):
            before = await self.dossier(name)
            # Due now: until the turn that this rings for, what is shown is from before it.
            after = replace(await change(before), due=self.doors.clock.now())
            event = self._event(kind, before, after, person, reason)
            ended = after.last if before.operation is not None and after.operation is None else None
            try:
                recorded = await self.doors.store.record(Record(after, (event,), operation=ended))
            except Conflict:
                if attempt == _TRIES - 1:
                    raise
                continue
            self.ring(name, kind)
            return recorded
        raise Conflict(f"{name} is too busy just now: try again")

    def _event(self, kind: str, before: Dossier, after: Dossier, person: Person, reason: str) -> Event:
        revision = after.pin.revision if after.pin is not None else before.head
        return Event(
            kind=kind,
            time=self.doors.clock.now(),
            actor=person.name,
            unit=str(before.name),
            reason=reason,
            commit=revision.known if revision is not None else "",
            before=before.last.rendered if before.last is not None else "",
            after=after.pin.rendered if after.pin is not None else "",
            message=_said(kind, before, after),
        )


def _said(kind: str, before: Dossier, after: Dossier) -> str:
    """What a person did, as the history tells it."""
    if kind == "unit.pinned" and after.pin is not None:
        return f"pinned to run {after.pin.run}"
    if kind in ("plan.approved", "plan.glass-broken") and before.plan is not None:
        word = "approved" if kind == "plan.approved" else "broke the glass for"
        told = f"{word} effects {before.plan.effects[:12]}: {before.plan.summary()}"
        return f"{told}, before {', '.join(before.plan.holes)} is there" if before.plan.holes else told
    if kind == "operation.cancelled" and before.operation is not None:
        return f"cancelled run {before.operation.number}, and suspended"
    return {"unit.sync": "asked for a sync", "unit.suspended": "suspended", "unit.resumed": "resumed"}.get(kind, kind)
