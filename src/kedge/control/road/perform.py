"""Perform: plan → settled target. The only caller of `Target.act`.

A loop over the pure `engine.advance`: it says what comes next, this does it and writes down what came of it. The loop
holds nothing that is not in the operation, so a crash anywhere is answered by running it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from kedge.control.road.doors import Doors
from kedge.engine import inventory
from kedge.engine.advance import Apply, Fail, Finish, Look, Pause, advance, observe, takes_a_witness
from kedge.engine.delivery import failed, finished, pin_note, shown_running, shown_synced, wanted, worst
from kedge.engine.gate import remembered_heals
from kedge.engine.moving import departed
from kedge.engine.outputs import places, published
from kedge.model.change import Act
from kedge.model.dossier import Dossier, Shown, Sync
from kedge.model.errors import Awaited, Conflict, Denied, KedgeError, Unavailable
from kedge.model.event import Event
from kedge.model.health import Health, Status
from kedge.model.manifest import Manifest
from kedge.model.operation import Cause, Operation, Outcome, Result, Sight
from kedge.model.output import Published
from kedge.model.pair import Scope
from kedge.model.plan import Step
from kedge.model.record import Record
from kedge.model.ref import Ref
from kedge.model.unit import Unit

AT_ONCE = 500
"""Steps after which a long run writes down how far it has come."""
_TRIES = 8
_AWAITED = 15.0
_NOTED = 60.0
"""Seconds of its own time after which an open run is written down although nothing has come of it: a restart gives it
no more than these."""


async def perform(doors: Doors, dossier: Dossier) -> Dossier:
    """Carry the open operation as far as it goes now: to its end, or to a pause.

    Raises Unavailable and Conflict from the target after what was done has been written down.
    """
    operation, plan = dossier.operation, dossier.plan
    if operation is None or plan is None:
        return dossier
    manifests = await _manifests(doors, operation)
    adopt = any(change.adopts for change in plan.changes)
    scope = doors.scope(
        departed(dossier, wanted(dossier).unit), operation=operation.id, adopt=adopt, pin=pin_note(dossier)
    )
    looked = False
    while True:
        move = advance(operation, plan, doors.now_of(operation), looked=looked)
        match move:
            case Look(refs):
                operation = observe(operation, plan, await doors.target.look(scope, refs), doors.now_of(operation))
                looked = True
            case Apply(steps):
                dossier, operation = await _ready(doors, dossier, operation, steps)
                operation, error = await _act(doors, scope, operation, steps[:AT_ONCE], manifests)
                looked = False
                if error is None and len(steps) > AT_ONCE:
                    dossier = await _progress(doors, dossier, operation, len(plan.steps))
                if error is not None:
                    why = _hopeless(operation, steps, error, doors.now_of(operation))
                    if not why and isinstance(error, Awaited):
                        return await _await(doors, dossier, operation, error)
                    if not why:
                        await _pause(doors, dossier, replace(operation, waiting=str(error)), None)
                        raise error
                    operation = replace(operation, failing=why)
            case Fail(why):
                operation = replace(operation, failing=why)
            case Pause(waiting, until):
                return await _pause(doors, dossier, replace(operation, waiting=waiting), until)
            case Finish(result, message):
                return await _finish(doors, dossier, operation, result, message)


async def _progress(doors: Doors, dossier: Dossier, operation: Operation, steps: int) -> Dossier:
    """What people see of a run of thousands while it is at work, and what a crash need not do again."""
    told = replace(operation, waiting=f"{len(operation.outcomes)} of {steps} steps are done")

    def running(current: Dossier) -> Record:
        shown = shown_running(current, told, current.shown.health)
        return Record(replace(current, operation=told, shown=shown), operation=told)

    return await write_down(doors, dossier, running)


def _hopeless(operation: Operation, steps: tuple[Step, ...], error: KedgeError, now: float) -> str:
    """Why trying again would not help, "" where it may. The run then fails: one that could go on for ever would never
    be planned anew. A conflict over a deletion says that another object stands there than the one that was planned."""
    if operation.failing:
        return ""
    if isinstance(error, Conflict) and any(step.act is Act.DELETE for step in steps):
        return str(error)
    return f"timed out: {error}" if now >= operation.deadline else ""


async def _ready(
    doors: Doors, dossier: Dossier, operation: Operation, steps: tuple[Step, ...]
) -> tuple[Dossier, Operation]:
    """Before each act: the run must still be open on record (a person may have cancelled it), and what a hook has
    done is written down before its object, the only other witness, is deleted. Raises Conflict when the run is over."""
    current = await _still_open(doors, dossier)
    if dossier.plan is not None and takes_a_witness(operation, dossier.plan, steps):
        current = await write_down(
            doors, current, lambda now: Record(replace(now, operation=operation), (), None, operation)
        )
    return current, operation


async def _still_open(doors: Doors, dossier: Dossier) -> Dossier:
    current = await doors.store.load(dossier.name)
    if current is None or current.operation is None or dossier.operation is None:
        raise Conflict(f"the run of {dossier.name} is over")
    if current.operation.id != dossier.operation.id:
        raise Conflict(f"the run of {dossier.name} is over")
    return current


async def write_down(doors: Doors, dossier: Dossier, state: Callable[[Dossier], Record]) -> Dossier:
    """Record the run's state, and how far it is in its time, over what people and roots wrote meanwhile: an approval or
    a sync that comes in while a run is at work must not undo what is known of it. Raises Conflict when it is over."""
    for _ in range(_TRIES):
        try:
            return await doors.store.record(_timed(doors, state(dossier)))
        except Conflict:
            dossier = await _still_open(doors, dossier)
    raise Conflict(f"{dossier.name} is too busy just now")


def _timed(doors: Doors, record: Record) -> Record:
    run = record.operation
    if run is None:
        return record
    run = replace(run, spent=doors.runtime.spent(run, doors.clock.monotonic()))
    dossier = record.dossier
    if dossier.operation is None:
        return replace(record, dossier=replace(dossier, last=run), operation=run)
    return replace(record, dossier=replace(dossier, operation=run), operation=run)


async def _manifests(doors: Doors, operation: Operation) -> Mapping[str, Manifest]:
    kept = await doors.rendered.get(operation.rendered) if operation.rendered else ()
    return {manifest.digest: manifest for manifest in kept or ()}


async def _act(
    doors: Doors, scope: Scope, operation: Operation, steps: tuple[Step, ...], manifests: Mapping[str, Manifest]
) -> tuple[Operation, KedgeError | None]:
    """Do the steps at once. What was done is kept even when a neighbour's outcome is unknown."""
    results = await asyncio.gather(
        *(doors.target.act(scope, step, manifests.get(step.manifest)) for step in steps), return_exceptions=True
    )
    now = doors.now_of(operation)
    outcomes: list[Outcome] = []
    error: KedgeError | None = None
    for result in results:
        if isinstance(result, Outcome):
            outcomes.append(replace(result, at=now))
        elif isinstance(result, KedgeError):
            error = error or result
        else:
            raise result
    return replace(operation, outcomes=(*operation.outcomes, *outcomes)), error


async def _pause(doors: Doors, dossier: Dossier, operation: Operation, until: float | None) -> Dossier:
    health = await look_at(doors, dossier)
    spent = doors.runtime.spent(operation, doors.clock.monotonic())
    due = None if until is None else min(until, operation.started + _NOTED * (spent // _NOTED + 1))

    def paused(current: Dossier) -> Dossier:
        shown = shown_running(current, operation, health)
        return replace(current, operation=operation, shown=shown, due=due)

    if paused(dossier) == dossier and spent - operation.spent < _NOTED:
        return dossier
    return await write_down(doors, dossier, lambda current: Record(paused(current), operation=operation))


async def _await(doors: Doors, dossier: Dossier, operation: Operation, error: Awaited) -> Dossier:
    """Nothing is wrong: the run waits, a newer commit may take over, and at the deadline it fails as any other."""
    again = min(operation.deadline, doors.now_of(operation) + (error.retry_after or _AWAITED))
    return await _pause(doors, dossier, replace(operation, waiting=str(error)), again)


async def _finish(doors: Doors, dossier: Dossier, operation: Operation, result: Result, message: str) -> Dossier:
    now = doors.clock.now()
    plan = dossier.plan
    if plan is None:
        return dossier
    ended = finished(operation, result, message, now)
    left = inventory.after(dossier.inventory, plan, ended)
    if plan.removal and result is Result.SUCCEEDED and not left:
        return await _forget(doors, dossier, ended)
    sights = await look(doors, replace(dossier, inventory=left))
    health, moved = worst(sights), inventory.moved(left, sights)
    planned = await doors.store.frozen(str(dossier.name), operation.number)
    outputs = await put_out(doors, replace(dossier, inventory=left))
    if outputs is None:  # what was known may not be so any more: whoever reads it waits for what is there now
        outputs = () if result is Result.SUCCEEDED else dossier.outputs
    warned = await _warned(doors, dossier, ended) if plan.whole else ()

    def settled(current: Dossier) -> Record:
        told = inventory.overruled(current.overruled, plan, ended, left)
        over = replace(current, operation=None, last=ended, inventory=left, overruled=told, outputs=outputs)
        if result is not Result.SUCCEEDED:
            after = _failed(over, ended, health, now)
        elif plan.removal:
            after = _removed(over, ended, health)
        else:
            stale = _stale(over, ended, planned, moved)
            after = _succeeded(over, ended, health, stale)
            after = replace(after, shown=replace(after.shown, warned=warned)) if warned else after
        return Record(after, (ended_event(current, ended),), operation=ended)

    return await write_down(doors, dossier, settled)


async def _warned(doors: Doors, dossier: Dossier, run: Operation) -> tuple[str, ...]:
    """What the apply of a stack has found beside what it did: a check that only fails now, for one."""
    scope = doors.scope(departed(dossier, wanted(dossier).unit), operation=run.id)
    sights = await doors.target.look(scope, tuple(entry.ref for entry in dossier.inventory))
    return tuple(text for sight in sights.values() for text in sight.warned)


def _stale(dossier: Dossier, operation: Operation, planned: Unit | None, moved: tuple[Ref, ...]) -> str:
    """Why nobody may read Synced at the run's end before it has been compared again; "" when all is well."""
    if moved:
        return f"{moved[0]} changed while run {operation.number} was at work: it is compared again"
    if planned is not None and planned != wanted(dossier).unit:
        return f"declared otherwise since run {operation.number} began: it is compared again"
    if dossier.trouble is not None and dossier.trouble.again is None and operation.cause is Cause.DRIFT:
        return dossier.trouble.text  # what was repaired is an older commit's: the newest one is still broken
    return ""


def _succeeded(dossier: Dossier, operation: Operation, health: Health, stale: str) -> Dossier:
    now = operation.finished or 0.0
    heals = (*remembered_heals(dossier, now), now) if operation.cause is Cause.DRIFT else dossier.heals
    after = replace(dossier, applied=operation.revision, trouble=None, heals=heals, plan=None, due=None, approvals=())
    if stale:
        return replace(after, shown=Shown(Sync.OUT_OF_SYNC, health, stale))
    return replace(after, shown=shown_synced(after, health), verified=now)


def _removed(dossier: Dossier, operation: Operation, health: Health) -> Dossier:
    """A removal that leaves the unit standing: an object is still owned, or the unit was declared again meanwhile."""
    why = f"run {operation.number} deleted its objects: it is compared again"
    shown = Shown(Sync.OUT_OF_SYNC, health, why)
    return replace(dossier, applied=None, trouble=None, plan=None, due=None, approvals=(), shown=shown)


def _failed(dossier: Dossier, operation: Operation, health: Health, now: float) -> Dossier:
    trouble = failed(dossier, operation, now)
    shown = Shown(Sync.OUT_OF_SYNC, health, f"run {operation.number} failed: {operation.message}")
    return replace(dossier, trouble=trouble, shown=shown, due=trouble.again)


async def _forget(doors: Doors, dossier: Dossier, operation: Operation) -> Dossier:
    def gone(current: Dossier) -> Record:
        after = replace(current, operation=None, last=operation, inventory=())
        again = current.removed is None
        if again:
            after = _removed(after, operation, Health(Status.HEALTHY))
        return Record(after, (ended_event(current, operation),), operation=operation, forget=not again)

    return await write_down(doors, dossier, gone)


async def put_out(doors: Doors, dossier: Dossier) -> tuple[Published, ...] | None:
    """What the unit puts out now, for others to read; None where nobody can tell just now."""
    unit = wanted(dossier).unit
    wished = places(unit, dossier.inventory)
    if not wished and (unit.tool is None or not dossier.inventory):
        return ()
    try:
        found = await doors.target.outputs(doors.scope(departed(dossier, unit)), wished)
    except (Denied, Unavailable):
        return None
    return published(found, doors.installation.effects_key)


async def look_at(doors: Doors, dossier: Dossier) -> Health:
    """The unit's health as the watch sees it now."""
    return worst(await look(doors, dossier))


async def look(doors: Doors, dossier: Dossier) -> Mapping[Ref, Sight]:
    """The unit's ordinary objects as the watch sees them now."""
    refs = tuple(entry.ref for entry in dossier.inventory if not entry.hook)
    return await doors.target.look(doors.scope(departed(dossier, wanted(dossier).unit)), refs)


def ended_event(dossier: Dossier, operation: Operation) -> Event:
    """The record of an ended operation: who, why, at which commit, from which set to which."""
    return Event(
        kind="operation.finished",
        time=operation.finished or 0.0,
        actor=operation.actor,
        unit=str(dossier.name),
        reason=operation.reason,
        commit=operation.revision.known if operation.revision else "",
        before=operation.before,
        after=operation.rendered,
        message=f"run {operation.number} {operation.result}: {operation.message}",
        operation=operation.id,
    )
