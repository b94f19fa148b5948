"""May this happen to a state: be read, locked, written, let go, brought home, pushed, rolled back?

Each takes what is known and answers what is to become of it, or raises with the reason. A write needs the lock that its
own execution took, by the id that it took it with: after the lock was broken, the same run can never write again
(fencing). Lineage and serial count as in OpenTofu's and Terraform's own `state push`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kedge.model.errors import Conflict, Denied, Invalid
from kedge.model.event import Event
from kedge.model.person import AUTOMATION
from kedge.model.state import Locked, Origin, StateChange, StateFacts, StateGrant, StateLock, StateText, StateVersion

EMPTY = "deleted"
"""The digest of a version that holds nothing."""


@dataclass(frozen=True, slots=True)
class Will:
    """What a person wants with a state, and why. `force` goes past the rules of lineage and serial."""

    actor: str
    reason: str
    at: float
    force: bool = False


def grant(facts: StateFacts, execution: str, token: str, at: float, *, writes: bool) -> StateChange:
    """The same grant again for the same execution. Raises Conflict for one that is over, or that was given another."""
    known = facts.grant
    if known is None:
        return StateChange(facts.lock, StateGrant(execution, facts.unit, token, writes, at))
    if known.ended is not None:
        raise Conflict(f"the execution {execution} is over: it gets no access to a state any more")
    if (known.unit, known.writes) != (facts.unit, writes):
        raise Conflict(f"the execution {execution} has access to the state of {known.unit}, of another kind")
    return StateChange(facts.lock, known)


def lock(facts: StateFacts, wish: StateLock) -> StateChange:
    """`wish` as the tool asks for it. The same lock again for the same wish: its first answer may have been lost."""
    known = _writer(facts, "lock")
    held = facts.lock
    if held is not None and (held.execution, held.id) == (known.execution, wish.id):
        return StateChange(held, known)
    if held is not None:
        raise Locked(f"the state of {facts.unit} is locked by {holder(held)}", held)
    base = facts.newest.number if facts.newest is not None else 0
    return StateChange(replace(wish, base=base), replace(known, base=base))


def unlock(facts: StateFacts, id: str, at: float) -> StateChange:
    """Let the execution's own lock go. `id` "" means: whatever it holds. Nothing held is nothing to do."""
    known = _writer(facts, "unlock")
    held = facts.lock
    if held is None:
        return StateChange(None, known)
    if held.execution != known.execution or (id and id != held.id):
        raise Locked(f"the state of {facts.unit} is locked by {holder(held)}: this run does not hold it", held)
    return StateChange(None, known, events=_written(facts, held, at))


def write(facts: StateFacts, id: str, text: StateText, at: float) -> StateChange:
    """A new version by the holder of the lock `id`. The same content again changes nothing: the first answer may have
    been lost on its way."""
    known = _holder(facts, id, "write")
    newest = facts.there
    if newest is not None:
        _follows(facts.unit, newest, text)
        if newest.digest == text.digest:
            return StateChange(facts.lock, known)
    made = version(facts, text, Origin.WRITTEN, at)
    return StateChange(facts.lock, known, replace(made, execution=known.execution))


def delete(facts: StateFacts, id: str, at: float) -> StateChange:
    """An empty version by the holder of the lock. The protocol sends no id with it; then the execution's own counts."""
    known = _holder(facts, id or (facts.lock.id if facts.lock is not None else ""), "delete")
    if facts.there is None:
        return StateChange(facts.lock, known)
    made = replace(_emptied(facts, at), execution=known.execution)
    event = _event(facts, "state.deleted", at, f"the tool deleted the state in {known.execution}")
    return StateChange(facts.lock, known, made, (event,))


def revoke(facts: StateFacts, at: float) -> StateChange:
    """The asker is proven to be over: its access ends, and so does its lock."""
    known = facts.grant
    if known is None:
        return StateChange(facts.lock)
    ended = known if known.ended is not None else replace(known, ended=at)
    held = facts.lock
    if held is None or held.execution != known.execution:
        return StateChange(held, ended)
    told = f"the lock of {holder(held)} is broken: its execution is proven to be over"
    events = (_event(facts, "state.lock-broken", at, told), *_written(facts, held, at))
    return StateChange(None, ended, events=events)


def bring_home(facts: StateFacts, text: StateText, at: float) -> StateChange:
    """What the asker could not send: kept if nobody has locked or written since it had the lock."""
    known, held, newest = facts.grant, facts.lock, facts.newest
    if known is None or known.unit != facts.unit or known.base is None:
        raise Conflict(f"the execution never held the lock of the state of {facts.unit}: what it left is not its state")
    if held is not None and held.execution != known.execution:
        raise Locked(f"the state of {facts.unit} is locked by {holder(held)} by now", held)
    if facts.there is not None and facts.there.digest == text.digest:
        return StateChange(held, known)
    number = newest.number if newest is not None else 0
    own = newest is not None and newest.execution == known.execution
    if number != known.base and not own:
        raise Conflict(
            f"the state of {facts.unit} has moved on to version {number} since {known.execution} had its lock",
        )
    if facts.there is not None:
        _follows(facts.unit, facts.there, text)
    made = replace(version(facts, text, Origin.BROUGHT_HOME, at), execution=known.execution)
    told = f"brought home what {known.execution} could not send: serial {text.serial}"
    return StateChange(held, known, made, (_event(facts, "state.brought-home", at, told, made),))


def leave_behind(facts: StateFacts, text: StateText, execution: str, at: float) -> StateChange:
    """What could not be brought home is kept beside the versions, for a person to compare and choose."""
    made = replace(version(facts, text, Origin.LEFT, at), execution=execution)
    told = f"what {execution} could not send is kept as version {made.number}: the state has moved on without it"
    return StateChange(facts.lock, facts.grant, made, (_event(facts, "state.left-behind", at, told, made),))


def push(facts: StateFacts, text: StateText, will: Will) -> StateChange:
    """A person's own state in place of what there is. Raises Conflict where it does not follow, unless forced."""
    _free(facts, "pushed to")
    there = facts.there
    if will.force and not will.reason:
        raise Invalid("a forced push needs a reason", hint="--reason TEXT")
    if there is not None and there.digest == text.digest:
        raise Invalid(f"the state of {facts.unit} is the same already: version {there.number}")
    if there is not None and not will.force:
        _follows(facts.unit, there, text, "--force --reason TEXT pushes it all the same")
    made = replace(version(facts, text, Origin.PUSHED, will.at), actor=will.actor, reason=will.reason)
    told = f"pushed serial {text.serial} with {_count(text.resources)}"
    forced = " against the rules of lineage and serial" if will.force else ""
    return StateChange(None, version=made, events=(_event(facts, "state.pushed", will, told + forced, made),))


def rollback(facts: StateFacts, text: StateText, to: int, will: Will) -> StateChange:
    """`text` is what version `to` held, under the next serial. Raises Invalid where it is in force already."""
    _free(facts, "rolled back")
    if not will.reason:
        raise Invalid("a rollback of a state needs a reason", hint="--reason TEXT")
    if facts.newest is not None and to == facts.newest.number:
        raise Invalid(f"version {to} of the state of {facts.unit} is the newest already", hint="kedge state versions")
    if text.serial != next_serial(facts):
        raise Conflict(f"the state of {facts.unit} has moved on meanwhile: look at it again")
    made = replace(version(facts, text, Origin.ROLLED_BACK, will.at), actor=will.actor, reason=will.reason)
    told = f"rolled back to version {to}: serial {text.serial} with {_count(text.resources)}"
    return StateChange(None, version=made, events=(_event(facts, "state.rolled-back", will, told, made),))


def next_serial(facts: StateFacts) -> int:
    """The serial of what is written over the newest version."""
    return facts.newest.serial + 1 if facts.newest is not None else 1


def break_lock(facts: StateFacts, id: str, will: Will, *, dead: bool) -> StateChange:
    """A person breaks the lock `id`, whose execution is the asker. `dead`: that it is over is proven. Else it has to be
    forced, and the execution can not write any more, whatever it still does."""
    held, known = facts.lock, facts.grant
    if held is None or held.id != id:
        raise Conflict(f"the state of {facts.unit} is not locked by {id[:40]} any more: look again")
    if not dead and not will.force:
        raise Conflict(
            f"the state of {facts.unit} is locked by {holder(held)}, which is not known to be over",
            hint="wait for it; --force --reason TEXT breaks its lock, and it can not write any more",
        )
    if not dead and not will.reason:
        raise Invalid("to break the lock of a run that may be at work needs a reason", hint="--reason TEXT")
    told = f"broke the lock of {holder(held)}" + ("" if dead else ", which may still be at work")
    events = (_event(facts, "state.lock-broken", will, told), *_written(facts, held, will.at))
    barred = replace(known, barred=f"its lock was broken by {will.actor}") if known is not None else None
    return StateChange(None, barred, events=events)


def holder(held: StateLock) -> str:
    """Who holds a lock, in words."""
    told = ", ".join(part for part in (held.operation, held.who) if part)
    return f"{held.execution} ({told})" if told else held.execution


def version(facts: StateFacts, text: StateText, origin: Origin, at: float) -> StateVersion:
    """The next version, made from a text."""
    return StateVersion(
        unit=facts.unit,
        number=facts.last + 1,
        serial=text.serial,
        lineage=text.lineage,
        digest=text.digest,
        size=len(text.content),
        resources=len(text.resources),
        at=at,
        origin=origin,
    )


def _emptied(facts: StateFacts, at: float) -> StateVersion:
    serial, lineage = next_serial(facts), facts.newest.lineage if facts.newest is not None else ""
    return version(facts, StateText(serial, lineage, EMPTY), Origin.DELETED, at)


def _writer(facts: StateFacts, what: str) -> StateGrant:
    known = facts.grant
    if known is None or known.unit != facts.unit or known.ended is not None:
        raise Denied(f"this run has no access to the state of {facts.unit}")
    if not known.writes:
        raise Denied(f"this run may only read the state of {facts.unit}: it can not {what}")
    if known.barred and what != "unlock":
        raise Conflict(f"this run can not {what} the state of {facts.unit} any more: {known.barred}")
    return known


def _holder(facts: StateFacts, id: str, what: str) -> StateGrant:
    known, held = _writer(facts, what), facts.lock
    if held is None:
        raise Conflict(f"this run does not hold the lock of the state of {facts.unit}: it can not {what}")
    if (held.execution, held.id) != (known.execution, id):
        raise Conflict(f"the state of {facts.unit} is locked by {holder(held)}: this run can not {what}")
    return known


def _free(facts: StateFacts, what: str) -> None:
    if facts.lock is not None:
        raise Locked(
            f"the state of {facts.unit} is locked by {holder(facts.lock)}: it is not {what} meanwhile",
            facts.lock,
            hint=f"wait for it, or kedge state unlock {facts.unit}",
        )


def _follows(unit: str, newest: StateVersion, text: StateText, hint: str = "") -> None:
    """Raises Conflict where a text is not a later state of the same lineage (or the newest itself)."""
    if text.lineage != newest.lineage:
        raise Conflict(f"this state has another lineage than the one of {unit}: it is of something else", hint=hint)
    if text.serial < newest.serial:
        raise Conflict(f"this state has serial {text.serial}, the one of {unit} {newest.serial} already", hint=hint)
    if text.serial == newest.serial and text.digest != newest.digest:
        raise Conflict(f"the state of {unit} has another content under serial {newest.serial} already", hint=hint)


def _written(facts: StateFacts, held: StateLock, at: float) -> tuple[Event, ...]:
    """What was written under a lock is told once, when the lock goes."""
    newest = facts.newest
    if newest is None or newest.number <= held.base or newest.execution != held.execution:
        return ()
    told = f"{held.execution} wrote {_versions(newest.number - held.base)}: serial {newest.serial}"
    return (_event(facts, "state.written", at, f"{told}, {_resources(newest.resources)}", newest),)


def _event(facts: StateFacts, kind: str, by: Will | float, told: str, made: StateVersion | None = None) -> Event:
    actor, reason, at = (by.actor, by.reason, by.at) if isinstance(by, Will) else (AUTOMATION.name, "", by)
    before = facts.there.digest[:16] if facts.there is not None and made is not facts.newest else ""
    after = made.digest[:16] if made is not None else ""
    return Event(kind, at, actor, facts.unit, reason, before=before, after=after, message=told)


def _versions(number: int) -> str:
    return "1 version" if number == 1 else f"{number} versions"


def _resources(number: int) -> str:
    return "1 resource" if number == 1 else f"{number} resources"


def _count(resources: tuple[str, ...]) -> str:
    return _resources(len(resources))
