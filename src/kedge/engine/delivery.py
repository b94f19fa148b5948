"""What a unit should be now (the wish), and how its dossier moves on: pins, removals, failures, what readers see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zlib import crc32

from kedge.engine.advance import held
from kedge.engine.gate import RETRY, pin_expired, retry_at
from kedge.engine.inventory import going
from kedge.engine.moving import departed, leaves
from kedge.engine.windows import from_then_on, is_open, longest_pause
from kedge.model.change import Act
from kedge.model.dossier import Dossier, Shown, Sync, Trouble
from kedge.model.health import Health, Status
from kedge.model.operation import Cause, Did, Operation, Result, Sight
from kedge.model.plan import Plan
from kedge.model.ref import Ref, UnitName
from kedge.model.source import Entry, Read, Revision
from kedge.model.unit import Unit


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the unit should be built from: its declaration and commit, or what a pin froze (`rendered` set)."""

    unit: Unit
    revision: Revision | None
    rendered: str = ""
    removal: bool = False


def wanted(dossier: Dossier) -> Wanted:
    """A pin wins over the declaration in Git, a removal over both (a removed unit is no longer rolled back). What moves
    to another cluster is removed where it is before anything else is wanted.

    Whom the project is written as is no part of a pin: who goes back does not get back to older rights."""
    if dossier.removed is not None:
        return Wanted(departed(dossier, dossier.unit), *in_force(dossier), removal=True)
    wish = Wanted(dossier.unit, dossier.head)
    if dossier.pin is not None:
        pinned = replace(dossier.pin.unit, account=dossier.unit.account)
        wish = Wanted(pinned, dossier.pin.revision, dossier.pin.rendered)
    if leaves(dossier, wish.unit):
        return Wanted(departed(dossier, wish.unit), *in_force(dossier), removal=True)
    return wish


def drift_due(dossier: Dossier, now: float) -> float | None:
    """When drift of a stack is looked for next, None for an application: its period after the plan that was last made,
    a tenth sooner or later, so that stacks that came with one commit spread; and in one of its windows. What was missed
    while none was open is due in the next one."""
    tool = dossier.unit.tool
    last = _last_planned(dossier)
    if tool is None or last is None:
        return None
    spread = crc32(str(dossier.name).encode()) % 1000 / 1000
    due = from_then_on(tool.windows, last + tool.every * (0.9 + spread / 5), spread)
    if due <= now and not is_open(tool.windows, now):
        due = from_then_on(tool.windows, now, spread)
    return due


@dataclass(frozen=True, slots=True)
class Asked:
    """From when on a plan of a stack counts (epoch seconds): what was planned before a person asked, or before drift
    was due to be looked for (`drift`), is not what they want. 0: whatever was planned for the same wish and the same
    state. `held`: drift that was found waits for somebody, and does not go out of sight."""

    since: float = 0.0
    drift: bool = False
    held: bool = False


def asked(dossier: Dossier, now: float) -> Asked:
    wish = dossier.wish
    # No plan can be of after a time to come: a person asked for it before the clock was set back.
    person = wish.at if wish is not None and wish.cause is Cause.SYNC and wish.at <= now else 0.0
    due, plan = drift_due(dossier, now), dossier.plan
    drift = due if due is not None and due <= now else 0.0
    held = plan is not None and plan.whole and plan.drift_only
    return Asked(max(person, drift), drift > person, held)


def unverified_for(unit: Unit, now: float, times: int) -> float | None:
    """Seconds without a look after which a stack's is too old: `times` its own period, the time that a plan may take,
    and that in which no window is open. None for an application, which has no period of its own."""
    tool = unit.tool
    if tool is None:
        return None
    return times * tool.every + unit.sync.timeout + longest_pause(tool.windows, now)


def _last_planned(dossier: Dossier) -> float | None:
    """When the stack was last compared by a plan, whatever came of it."""
    made = dossier.plan.made_at if dossier.plan is not None else None
    times = [at for at in (dossier.verified, made) if at is not None]
    return max(times, default=None)


def followers(leaving: Iterable[Unit]) -> dict[UnitName, tuple[UnitName, ...]]:
    """Of units that leave Git together those that come after each: what is last to come is first to go."""
    units = {unit.name: unit for unit in leaving}
    found: dict[UnitName, tuple[UnitName, ...]] = {}
    for name in sorted(units):
        unit = units[name]
        for upstream in dict.fromkeys((*unit.after, *(given.unit for given in unit.inputs))):
            if upstream in units:
                found[upstream] = (*found.get(upstream, ()), name)
    return found


def pin_note(dossier: Dossier) -> str:
    """What the objects say of the pin that they are applied under, "" for none."""
    pin = dossier.pin
    if pin is None or dossier.removed is not None:
        return ""
    commit = f" ({pin.revision.short})" if pin.revision is not None else ""
    until = datetime.fromtimestamp(pin.expires, UTC).isoformat(timespec="minutes")
    return f"to run {pin.run}{commit} by {pin.actor} until {until}"


def in_force(dossier: Dossier) -> tuple[Revision | None, str]:
    """The newest set that was found in force or that a run was begun for, and its commit; "" for none: a removal runs
    its hooks, and those of a newer one may be what nobody has agreed to yet."""
    rendering, last = dossier.rendering, dossier.last
    if rendering is not None and (rendering.revision == dossier.applied or last is None):
        return rendering.revision, rendering.rendered
    if last is not None and last.rendered:
        return last.revision, last.rendered
    return dossier.applied, ""


def proven(dossier: Dossier) -> bool:
    """Whether the run that has ended just now proves its application to be as Git states: it left it Synced, it knows
    how it left each object, and nothing was committed or asked for while it was at work. Whatever else may have moved
    meanwhile (a value that it reads, a secret), or has a time of its own (a pin), asks for a comparison."""
    unit, run, last = dossier.unit, dossier.last, dossier.rendering
    elsewhere = unit.tool is not None or unit.inputs or unit.outputs or unit.render.secrets
    asked = dossier.wish is not None or dossier.pin is not None or dossier.removed is not None
    if elsewhere or asked or run is None or last is None or last.guessed:
        return False
    known = all(entry.fingerprint for entry in dossier.inventory if not entry.hook)
    newest = (dossier.head, run.rendered) == (last.revision, last.rendered)
    return known and newest and dossier.shown.sync is Sync.SYNCED


def render_holds(reads: Sequence[Read], entries: Mapping[str, Entry | None]) -> bool:
    """Whether every question that a render asked would get the same answer now (the render key)."""
    for read in reads:
        entry = entries.get(read.path)
        if (entry.id if entry is not None else "") != read.id:
            return False
    return True


def worst(sights: Mapping[Ref, Sight]) -> Health:
    """The unit's health: its objects' worst, named. Objects without a notion of health do not count."""
    gated = [sight for sight in sights.values() if sight.gated or not sight.exists]
    if not gated:
        return Health(Status.HEALTHY)
    sight = max(gated, key=lambda s: (Status(s.status).rank, s.ref))
    status = Status(sight.status)
    if status is Status.HEALTHY:
        return Health(status)
    said = sight.message or ("" if sight.exists else "it is not there")
    return Health(status, f"{sight.ref}: {said}" if said else str(sight.ref))


def stumbled(dossier: Dossier, key: str, text: str, now: float, *, again: float | None, lasting: bool) -> Dossier:
    """The dossier after a turn failed. `lasting` errors wait for a new revision; others come back at `again`."""
    before = dossier.trouble
    attempts = before.attempts + 1 if before is not None and before.key == key else 1
    when = None if lasting else (again if again is not None else retry_at(attempts, now) or now + RETRY)
    trouble = Trouble(key, text, attempts, now, when)
    shown = replace(dossier.shown, sync=Sync.UNKNOWN, why=text, applied=False)
    return replace(dossier, trouble=trouble, shown=shown, due=when)


def tried_again(dossier: Dossier) -> Trouble | None:
    """The trouble of a turn that tries again what failed for the same commit, None for any other: it is told once,
    however often that fails in the same way."""
    trouble, head = dossier.trouble, dossier.head
    same = trouble is not None and trouble.key.endswith(f":{head.commit if head is not None else ''}")
    return trouble if same else None


def failed(dossier: Dossier, operation: Operation, now: float) -> Trouble:
    """How a failed operation is retried: the same plan again with backoff, as Argo CD's automated retry; not at all
    where it would end the same. No commit comes for a unit that left Git, so its removal is tried for ever: what held
    it may let go."""
    before = dossier.trouble
    attempts = before.attempts + 1 if before is not None and before.key == operation.rendered else 1
    hopeless = any(outcome.lasting for outcome in operation.outcomes)
    again = None if hopeless else retry_at(attempts, now)
    if again is None and operation.cause is Cause.REMOVAL:
        again = now + RETRY
    return Trouble(operation.rendered, operation.message, attempts, now, again)


def shown_synced(dossier: Dossier, health: Health) -> Shown:
    sentence = health.message if health.status is not Status.HEALTHY else ""
    last = dossier.last
    if last is not None and last.result is Result.FAILED and not sentence and not _only_waited(last):
        sentence = f"run {last.number} failed: {last.message}"
    if dossier.pin is not None and not sentence:
        sentence = f"pinned to run {dossier.pin.run} by {dossier.pin.actor}: {dossier.pin.reason}"
    if dossier.suspended and not sentence:
        sentence = f"suspended {dossier.suspended}"
    if dossier.overruled:
        more = f" (and {len(dossier.overruled) - 1} more)" if len(dossier.overruled) > 1 else ""
        return _all_applied(f"{dossier.overruled[0]}{more}", sentence, health)
    return Shown(Sync.SYNCED, health, sentence)


def _only_waited(run: Operation) -> bool:
    """Whether a failed run had done everything, and waited in vain for something to be gone. It is gone by now."""
    done = {outcome.did for outcome in run.outcomes}
    return Did.DELETED in done and done <= {Did.DELETED, Did.SETTLED, Did.KEPT}


def _all_applied(rest: str, sentence: str, health: Health) -> Shown:
    """Git's wish is applied, and `rest` is what others make of it: never Synced, and nothing that waits for another
    apply."""
    return Shown(Sync.OUT_OF_SYNC, health, f"{rest}; {sentence}" if sentence else rest, applied=True)


def shown_verified(dossier: Dossier, sights: Mapping[Ref, Sight], left: Collection[Ref], now: float) -> Shown:
    """Desired equals live, except for what is being deleted. Of that, `left` has left Git: it is not waited for, and
    its health is not the unit's any more. The rest vanishes, and is made anew."""
    staying = {ref: sight for ref, sight in sights.items() if ref not in left}
    health, again = worst(staying), going(staying)
    if again:
        sentence = f"{again[0]} {held(sights[again[0]])}: it is made anew once it is gone"
        return Shown(Sync.OUT_OF_SYNC, health, sentence)
    shown = shown_synced(dossier, health)
    leaving = [ref for ref in going(sights) if ref in left]
    if leaving:
        more = f" (and {len(leaving) - 1} more)" if len(leaving) > 1 else ""
        sentence = health.message if health.status is not Status.HEALTHY else ""
        shown = _all_applied(f"{leaving[0]} left Git and {held(sights[leaving[0]])}{more}", sentence, health)
    expired = pin_expired(dossier, now)
    return replace(shown, why=expired) if expired else shown


def shown_held(dossier: Dossier, plan: Plan, waiting: str, health: Health) -> Shown:
    drifted = tuple(str(change.ref) for change in plan.changes if change.drift)
    if not dossier.inventory and plan.changes:
        health = _not_ours_yet(plan)
    return Shown(Sync.OUT_OF_SYNC, health, f"{plan.summary()}; {waiting}", drifted)


def _not_ours_yet(plan: Plan) -> Health:
    """A unit that has nothing is not healthy: there is nothing of it, or what is there is somebody else's."""
    if all(change.act is Act.CREATE for change in plan.changes):
        return Health(Status.MISSING, "nothing of it is there yet")
    return Health(Status.UNKNOWN, "nothing of it is managed by this unit yet")


def shown_running(dossier: Dossier, operation: Operation, health: Health) -> Shown:
    sentence = operation.waiting or f"run {operation.number} is at work"
    why = f"run {operation.number}: {sentence}"
    return replace(dossier.shown, sync=Sync.OUT_OF_SYNC, health=health, why=why, applied=False)


def settled(dossier: Dossier) -> bool:
    """Whether units that come after this one may go on: what Git states is applied, and healthy. What the cluster
    overrules, or a finalizer holds that left Git, may stay so for ever and holds nobody up."""
    shown, idle = dossier.shown, dossier.operation is None
    return idle and (shown.sync is Sync.SYNCED or shown.applied) and shown.health.status is Status.HEALTHY


def under_way(dossier: Dossier) -> bool:
    """Whether it is being changed, or is to be: what it puts out may be something else afterwards. A repair of drift
    that waits is not meant to change that."""
    plan = dossier.plan
    return dossier.operation is not None or (plan is not None and not plan.empty and not plan.drift_only)


def finished(operation: Operation, result: Result, message: str, now: float) -> Operation:
    return replace(operation, result=result, message=message, finished=now, waiting="")
