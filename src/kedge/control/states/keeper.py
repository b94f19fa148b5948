"""What people do with states: read, push, roll back, unlock. Each can be tried first, and each is on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kedge.control.states.backend import StateBackend
from kedge.engine import states, stateview
from kedge.engine.gate import may_approve
from kedge.engine.statefile import read_state, renumbered
from kedge.engine.states import Will
from kedge.engine.stateview import StateDifference, StateView
from kedge.model.declaration import ApproveSection
from kedge.model.dossier import Approval
from kedge.model.errors import Conflict, Denied, Invalid
from kedge.model.event import Event
from kedge.model.person import Person
from kedge.model.ref import UnitName
from kedge.model.state import Origin, StateChange, StateFacts, StateText, StateVersion
from kedge.ports import Store

_LOOKED = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and how. `newest` is the number of the version that the person saw as the newest, 0 for any."""

    person: Person
    reason: str = ""
    dry_run: bool = False
    force: bool = False
    break_glass: bool = False
    newest: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What was done, or would be, as a sentence; `version` is the one that came of it."""

    text: str
    version: StateVersion | None = None


@dataclass(frozen=True, slots=True)
class StateKeeper:
    """People's way to the states. Raises Invalid where there is none, Denied, Conflict. What they change is looked at
    by the unit's next turn, which `ring` asks for."""

    backend: StateBackend
    store: Store
    ring: Callable[[UnitName, str], None] = lambda unit, why: None

    async def version(self, unit: UnitName, number: int = 0) -> StateVersion:
        """0: the newest. Raises Invalid where it is not kept."""
        store = self.backend.store
        if not number:
            newest = (await store.facts(str(unit))).newest
            if newest is None:
                raise Invalid(f"{unit} has no state", hint="kedge state list")
            return newest
        found = await store.versions(str(unit), number + 1, 1)
        if not found or found[0].number != number:
            raise Invalid(f"version {number} of the state of {unit} is not kept", hint=f"kedge state versions {unit}")
        return found[0]

    async def before(self, version: StateVersion) -> StateVersion | None:
        """The version that was the newest before; None where there was none, or it is not kept."""
        found = await self.backend.store.versions(version.unit, version.number, _LOOKED)
        return next((each for each in found if each.origin is not Origin.LEFT), None)

    async def content(self, version: StateVersion) -> bytes:
        return await self.backend.store.content(version.unit, version.number) or b""

    async def view(self, version: StateVersion) -> StateView:
        """What may be shown of it."""
        content, key = await self.content(version), self._key
        return await self.backend.store.beside(lambda: stateview.view(content, key), version.size)

    async def differences(self, before: StateVersion | None, after: StateVersion) -> tuple[StateDifference, ...]:
        old, new = await self.content(before) if before is not None else b"", await self.content(after)
        return await self.backend.store.beside(lambda: stateview.differences(old, new, self._key), len(old) + len(new))

    async def pull(self, unit: UnitName, number: int, asked: Asked) -> bytes:
        """The state in clear, secrets and all: that is on record."""
        version = await self.version(unit, number)
        content = await self.content(version)
        told = f"read version {version.number} of the state in clear"
        event = Event(
            "state.pulled",
            self._now,
            asked.person.name,
            str(unit),
            asked.reason,
            before=version.digest[:16],
            message=told,
        )
        await self.backend.store.turn(str(unit), "", lambda facts: StateChange(facts.lock, events=(event,)))
        return content

    async def push(self, unit: UnitName, content: bytes, asked: Asked) -> Told:
        """A person's own state in place of the newest."""
        glass = await self._trusted(unit, asked)
        facts = await self.backend.store.facts(str(unit))
        text, will = await self.backend.named(facts, content), self._will(asked)
        return await self._done(unit, asked, lambda facts: states.push(facts, text, will), (text, glass))

    async def rollback(self, unit: UnitName, to: int, asked: Asked) -> Told:
        """What version `to` held, under the next serial."""
        glass = await self._trusted(unit, asked)
        version = await self.version(unit, to)
        facts = await self.backend.store.facts(str(unit))
        content = await self.content(version)
        if not content:
            raise Invalid(f"version {to} of the state of {unit} is a deletion: there is nothing to go back to")
        serial, key, will = states.next_serial(facts), self._key, self._will(asked)
        text = await self.backend.store.beside(
            lambda: read_state(renumbered(content, serial, version.lineage), key), len(content)
        )
        return await self._done(unit, asked, lambda facts: states.rollback(facts, text, to, will), (text, glass))

    async def unlock(self, unit: UnitName, asked: Asked) -> Told:
        """Break the lock: of a run that is proven to be over, or by force."""
        glass = await self._trusted(unit, asked) if asked.force else ()
        held = (await self.backend.store.facts(str(unit))).lock
        if held is None:
            raise Invalid(f"the state of {unit} is not locked")
        known = await self.backend.store.granted(held.execution)
        dead = (known is not None and known.ended is not None) or self.backend.over(held.execution)
        will, id = self._will(asked), held.id
        return await self._done(
            unit,
            asked,
            lambda facts: states.break_lock(facts, id, will, dead=dead),
            (None, glass),
            held.execution,
        )

    async def _done(
        self,
        unit: UnitName,
        asked: Asked,
        decide: Callable[[StateFacts], StateChange],
        with_: tuple[StateText | None, tuple[Event, ...]],
        execution: str = "",
    ) -> Told:
        text, more = with_

        def decided(facts: StateFacts) -> StateChange:
            if asked.newest and facts.newest is not None and facts.newest.number != asked.newest:
                raise Conflict(f"the state of {unit} is at version {facts.newest.number} by now: look at it again")
            change = decide(facts)
            return StateChange(change.lock, change.grant, change.version, (*change.events, *more))

        if asked.dry_run:
            change = decided(await self.backend.store.facts(str(unit), execution))
        else:
            change = await self.backend.store.turn(str(unit), execution, decided, text)
            self.ring(unit, "state")
        return Told(change.events[0].message, change.version)

    async def _trusted(self, unit: UnitName, asked: Asked) -> tuple[Event, ...]:
        """Whoever may approve the unit's plans may do this, where one person's approval is enough; anybody else has to
        break the glass, which is loud."""
        dossier = await self.store.load(unit)
        rule = dossier.unit.approve if dossier is not None else ApproveSection()
        person = asked.person
        agreed = may_approve(Approval("", (), person.name, person.groups, "", self._now), rule.by)
        if agreed and rule.count <= 1:
            return ()
        if not asked.break_glass:
            who = f"{rule.count} of {', '.join(rule.by) or 'those who may approve'}"
            raise Denied(
                f"{person.name} may not touch the state of {unit}{' alone' if agreed else ''}: needs {who}",
                hint="--break-glass --reason TEXT does it all the same, loudly",
            )
        if not asked.reason:
            raise Invalid("breaking the glass needs a reason", hint="--reason TEXT")
        told = "broke the glass for the state"
        return (Event("state.glass-broken", self._now, person.name, str(unit), asked.reason, message=told),)

    def _will(self, asked: Asked) -> Will:
        return Will(asked.person.name, asked.reason, self._now, asked.force)

    @property
    def _now(self) -> float:
        return self.backend.clock.now()

    @property
    def _key(self) -> bytes:
        return self.backend.installation.effects_key
