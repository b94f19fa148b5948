"""Reconcile: the one road that every cause takes.

A commit, a drift event, a timer, an approval and a rollback arrive here as no more than a unit's name:

    load ─► resume the open operation, unless a newer wish takes over at this safe point
         └► propose ─► does not render: repair what the last good commit put there
                    ├► nothing to do: remember that it was verified
                    ├► held: remember the plan and why it waits
                    └► begin (inventory first) ─► perform
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kedge.control.road.doors import Doors, Turn
from kedge.control.road.follow import upstream
from kedge.control.road.perform import ended_event, look, look_at, perform, put_out
from kedge.control.road.propose import Proposal, leaving_already, propose
from kedge.control.road.reclaim import reclaimed
from kedge.control.road.recollect import recollected
from kedge.control.road.render import abreast, furnish
from kedge.engine import inventory
from kedge.engine.advance import interruptible, unheard
from kedge.engine.delivery import (
    Wanted,
    drift_due,
    finished,
    in_force,
    proven,
    shown_held,
    shown_verified,
    tried_again,
    wanted,
)
from kedge.engine.gate import Verdict, approved, cause_of, gate, pin_expired
from kedge.engine.holes import carried
from kedge.engine.moving import departed, elsewhere, refuse_another_kind
from kedge.engine.overruled import seen_overruled
from kedge.engine.plan import named
from kedge.model.declaration import OnRemove
from kedge.model.dossier import Approval, Dossier, Shown, Sync, Trouble, Wish
from kedge.model.errors import Awaited, Denied, Invalid, KedgeError, Planning, Unavailable
from kedge.model.event import Event
from kedge.model.operation import Cause, Operation, Result
from kedge.model.person import AUTOMATION
from kedge.model.plan import Plan
from kedge.model.record import Record
from kedge.model.ref import UnitName

PATIENCE = 900.0
"""Seconds beyond its timeout in which the apply of a stack, which is interrupted then, may end in order."""
UNTOLD = 60.0
"""Seconds after which a unit is asked again for what it puts out, where it could not tell."""
PLANNING = 30.0
"""Seconds after which a stack whose plan is being made is looked at without having been rung."""


async def reconcile(doors: Doors, name: UnitName, *, sweep: bool = False) -> Turn:
    """One turn of one unit. Raises the errors of `propose` and `perform`; `control.shift` turns them into retries."""
    dossier = await doors.store.load(name)
    if dossier is None:
        return Turn(None, let_go=True)
    turn = await _turn(doors, dossier, sweep)
    spoke = turn.dossier is not None and turn.dossier.outputs != dossier.outputs
    return replace(turn, let_go=_let_go(dossier, turn.dossier), spoke=spoke)


def _let_go(before: Dossier, after: Dossier | None) -> bool:
    if after is None:
        return True
    same = before.inventory == after.inventory
    return not same and not inventory.refs(before.inventory) <= inventory.refs(after.inventory)


async def _turn(doors: Doors, dossier: Dossier, sweep: bool) -> Turn:
    if dossier.operation is not None:
        lost = await _lost(doors, dossier)
        if not lost and not await _superseded(doors, dossier):
            return await _carry_on(doors, dossier)
        dossier = await _supersede(doors, dossier, lost)
    dossier = await recollected(doors, dossier)
    refuse_another_kind(dossier, wanted(dossier).unit)
    if dossier.removed is not None and (dossier.unit.on_remove is OnRemove.KEEP or not dossier.inventory):
        return await _release(doors, dossier)
    try:
        proposal = await propose(doors, dossier, sweep=sweep)
        back = await reclaimed(doors, dossier, proposal.comparison.strays)
        if back is not dossier:
            dossier, proposal = back, await propose(doors, back, sweep=sweep)
    except Awaited as error:
        return await _planning(doors, dossier, error)
    except Invalid:
        repaired = await _kept_true(doors, dossier)
        if repaired is None:
            raise
        return repaired
    return await _decide(doors, dossier, proposal)


async def _planning(doors: Doors, dossier: Dossier, error: Awaited) -> Turn:
    """A stack's plan is being made: nothing is wrong, and its end rings. What is known so far stays in sight, but for a
    wish that nobody has compared yet, or that nobody can while a value of it is not there."""
    old = isinstance(error, Planning) and dossier.applied is not None and dossier.wish is None
    known = old and await abreast(doors, dossier)
    shown = replace(dossier.shown, sync=dossier.shown.sync if known else Sync.UNKNOWN, why=str(error), applied=False)
    again = doors.clock.now() + (error.retry_after or PLANNING)
    after = replace(dossier, shown=shown, trouble=tried_again(dossier))
    if after == dossier:
        return Turn(dossier, again)
    return Turn(await doors.store.record(Record(replace(after, due=again))), again)


async def _kept_true(doors: Doors, dossier: Dossier) -> Turn | None:
    """The newest commit does not render: what the last good one put there is repaired all the same. None where there
    is nothing of that to do; the error is what counts then."""
    revision, rendered = in_force(dossier)
    wish = wanted(dossier)
    if (
        not rendered
        or dossier.wish is not None
        or dossier.pin is not None
        or wish.removal
        or wish.unit.tool is not None
    ):
        return None  # drift of a stack is looked for in its own time
    proposal = await propose(doors, dossier, Wanted(dossier.unit, revision, rendered))
    if not proposal.plan.drift_only or not gate(dossier, proposal.plan, doors.clock.now()).go:
        return None
    return await _carry_on(doors, await _begin(doors, dossier, proposal))


async def _decide(doors: Doors, dossier: Dossier, proposal: Proposal) -> Turn:
    if proposal.plan.empty:
        return await _verified(doors, dossier, proposal)
    behind = await upstream(doors, dossier, proposal)
    verdict = gate(dossier, proposal.plan, doors.clock.now(), behind.why)
    if verdict.approval and any(approval.holes for approval in dossier.approvals):
        dossier = await _carried(doors, dossier, proposal)
        behind = await upstream(doors, dossier, proposal)
        verdict = gate(dossier, proposal.plan, doors.clock.now(), behind.why)
    if not verdict.go and proposal.plan.done_before and dossier.wish is None:
        return await _verified(doors, dossier, proposal, verdict)  # what Git states is there; hooks are tried again
    if not verdict.go:
        return replace(await _hold(doors, dossier, proposal, verdict), mover=behind.mover)
    return await _carry_on(doors, await _begin(doors, dossier, proposal))


async def _carried(doors: Doors, dossier: Dossier, proposal: Proposal) -> Dossier:
    """With what approvals say that were given while a value was not there yet: see `kedge.engine.holes.carried`."""
    approvals = dossier.approvals
    for holes in dict.fromkeys(approval.holes for approval in approvals if approval.holes):
        try:
            shown = await propose(doors, dossier, proposal.wanted, holes=holes)
        except (Awaited, Invalid):
            continue  # what was agreed to can not be shown any more
        if shown.plan.holes == holes:
            now = proposal.plan, proposal.desired
            approvals = carried(approvals, (shown.plan, shown.desired), now)
    return replace(dossier, approvals=approvals)


async def _superseded(doors: Doors, dossier: Dossier) -> bool:
    """Whether the running operation stands at a safe point and another rendered set is wanted by now.

    A newer commit that does not render supersedes nothing: its error is shown once the operation has ended."""
    operation, plan = dossier.operation, dossier.plan
    if operation is None or plan is None or not interruptible(operation, plan, {}):
        return False
    if not await _wished_otherwise(doors, dossier, operation, plan):
        return False
    scope = doors.scope(departed(dossier, wanted(dossier).unit), operation=operation.id)
    try:
        return interruptible(operation, plan, await doors.target.look(scope, unheard(operation, plan)))
    except (Denied, Unavailable):
        return False  # nobody can tell whether a hook is at work: the run goes on, and has its deadline


async def _wished_otherwise(doors: Doors, dossier: Dossier, operation: Operation, plan: Plan) -> bool:
    wish = wanted(dossier)
    if wish.removal or plan.removal:
        return wish.removal != plan.removal
    try:
        furnished = await furnish(doors, dossier, wish)
    except (Invalid, Unavailable):
        return False
    return furnished.desired.digest != operation.rendered


async def _lost(doors: Doors, dossier: Dossier) -> str:
    """Why the running operation can not go on where it began, "" while it can: the name of its cluster leads to another
    one by now."""
    try:
        home = await doors.target.home(doors.scope(departed(dossier, wanted(dossier).unit)))
    except KedgeError:
        return ""  # what is the matter with the cluster is told when something is asked of it
    if not elsewhere(dossier.home, home):
        return ""
    return f"cluster {dossier.cluster} was {dossier.home.server} and is {home.server} now"


async def _carry_on(doors: Doors, dossier: Dossier) -> Turn:
    after = await perform(doors, dossier)
    if after.operation is not None:
        left = after.due - doors.now_of(after.operation) if after.due is not None else None
        return Turn(after, doors.clock.now() + left if left is not None else None)
    doors.runtime.over(dossier.name)
    if proven(after):
        return Turn(after, after.due, proved=True)
    return await _compared_anew(doors, after) or Turn(after, doors.clock.now())


async def _compared_anew(doors: Doors, dossier: Dossier) -> Turn | None:
    """Whatever rang while a run was under way (a newer commit, an edit by hand) found a run to resume and nothing else:
    it is compared once more, which costs no call where nothing has moved. None: that is for another turn."""
    if dossier.shown.sync is not Sync.SYNCED:
        return None
    try:
        proposal = await propose(doors, dossier)
    except KedgeError:
        return None  # the next turn meets it, too, and tells it
    return await _verified(doors, dossier, proposal) if proposal.plan.empty else None


async def _begin(doors: Doors, dossier: Dossier, proposal: Proposal) -> Dossier:
    """Write the operation and the union of old and new inventory, before the first act."""
    now, identity = doors.clock.now(), doors.entropy.token(8)
    cause = cause_of(dossier, proposal.plan)
    actor, reason = _actor(dossier, cause)
    plan = named(proposal.plan, identity)
    operation = Operation(
        id=identity,
        unit=dossier.name,
        number=dossier.runs + 1,
        cause=cause,
        actor=actor,
        reason=reason,
        plan=plan.id,
        revision=plan.revision,
        rendered=plan.rendered,
        effects=plan.effects,
        started=now,
        deadline=now + proposal.wanted.unit.sync.timeout + (PATIENCE if plan.whole else 0.0),
        before=dossier.last.rendered if dossier.last is not None else "",
    )
    event = Event(
        kind="operation.started",
        time=now,
        actor=actor,
        unit=str(dossier.name),
        reason=reason,
        commit=plan.revision.known if plan.revision else "",
        before=operation.before,
        after=plan.rendered,
        message=f"run {operation.number} ({cause}): {plan.summary()}",
        operation=identity,
    )
    begun = _remembered(
        dossier,
        proposal,
        operation=operation,
        plan=plan,
        inventory=inventory.before(proposal.move.inventory, plan),
        runs=operation.number,
        trouble=_trouble_left(dossier, plan),
        # The run is what the person asked for: whatever is wished from here on is for the next one.
        wish=None,
    )
    kept = (plan.rendered, proposal.desired.manifests) if plan.rendered else None
    return await doors.store.record(Record(begun, (*_left(doors, dossier, proposal), event), plan, operation, kept))


def _left(doors: Doors, dossier: Dossier, proposal: Proposal) -> tuple[Event, ...]:
    """What a move leaves behind, on record: from here on nobody looks after it."""
    if not proposal.move.left:
        return ()
    doors.recollections.forget(dossier.cluster)
    commit = proposal.plan.revision.known if proposal.plan.revision else ""
    message = f"moved: {proposal.move.left} left as they are, unmanaged"
    name = str(dossier.name)
    return (Event("unit.moved", doors.clock.now(), AUTOMATION.name, name, commit=commit, message=message),)


def _actor(dossier: Dossier, cause: Cause) -> tuple[str, str]:
    if dossier.wish is not None:
        return dossier.wish.actor, dossier.wish.reason
    if dossier.pin is not None and cause is Cause.ROLLBACK:
        return dossier.pin.actor, dossier.pin.reason
    approvers = ", ".join(dict.fromkeys(_yes(approval) for approval in dossier.approvals))
    return AUTOMATION.name, f"approved by {approvers}" if approvers else ""


def _yes(approval: Approval) -> str:
    return f"{approval.person} (glass broken: {approval.reason})" if approval.break_glass else approval.person


async def _supersede(doors: Doors, dossier: Dossier, lost: str) -> Dossier:
    operation = dossier.operation
    if operation is None:
        return dossier
    newer = f"superseded by {dossier.head.short}" if dossier.head and not dossier.pin else "superseded by a newer wish"
    ended = finished(operation, Result.SUPERSEDED, lost or newer, doors.clock.now())
    # What a person asked for is not done: the wish moves on to what takes over.
    asked = Wish(operation.cause, operation.actor, operation.reason, operation.started)
    wish = asked if dossier.wish is None and operation.cause is Cause.SYNC else dossier.wish
    after = replace(dossier, operation=None, last=ended, wish=wish)
    return await doors.store.record(Record(after, (ended_event(dossier, ended),), operation=ended))


async def _verified(doors: Doors, dossier: Dossier, proposal: Proposal, held: Verdict | None = None) -> Turn:
    """Desired equals live. Written down only where it is news. `held`: hooks of a run that failed wait to be tried."""
    live = [pair.ref for pair in proposal.comparison.pairs]
    now, made = doors.clock.now(), proposal.comparison.made
    looked = bool(made) or proposal.wanted.unit.tool is None  # a stack without a new plan was not
    fingerprints = proposal.comparison.fingerprints
    known = inventory.verified(proposal.move.inventory, proposal.desired.manifests, fingerprints, live)
    if proposal.wanted.removal:
        known = ()  # a stack in which nothing is left is itself what would be
    plan, trouble, again = (dossier.plan, dossier.trouble, held.until) if held is not None else (None, None, None)
    told = seen_overruled(dossier.overruled, proposal.comparison.pairs, inventory.refs(known))
    after = _remembered(
        dossier, proposal, inventory=known, plan=plan, trouble=trouble, wish=None, verified=made or dossier.verified,
        overruled=told,
    )  # fmt: skip
    outputs = await put_out(doors, after)
    if outputs is None:
        outputs, again = dossier.outputs, min(again or now + UNTOLD, now + UNTOLD)
    left = [pair.ref for pair in proposal.comparison.pairs if leaving_already(pair)]
    shown = shown_verified(after, await look(doors, after), left, now)
    shown = _told(shown, dossier, proposal)
    applied = proposal.plan.revision or dossier.applied
    due = _until(after, now, again, proposal.comparison.put_off)
    after = replace(after, due=due, outputs=outputs, shown=shown, applied=applied)
    if after == dossier:
        return Turn(dossier, after.due, proved=looked)
    if proposal.wanted.removal:
        after = replace(after, due=now)  # nothing of it is there: it is let go, or applied where it moves to
    # Keep the set: the unit's removal needs its hooks, and its commit may be gone by then.
    kept = (proposal.plan.rendered, proposal.desired.manifests) if _rendered_anew(dossier, after) else None
    at = made or (now if looked else dossier.verified)
    recorded = await doors.store.record(Record(replace(after, verified=at), _expiry(dossier, now), rendered=kept))
    return Turn(recorded, recorded.due, proved=looked)


def _told(shown: Shown, dossier: Dossier, proposal: Proposal) -> Shown:
    """With what the newest plan of a stack tells beside its changes; where none was made, the one before, unless that
    it failed."""
    found, before = proposal.comparison, dossier.shown
    cosmetic = found.cosmetic if found.made else before.cosmetic
    warned = found.warned if found.made else found.warned or before.warned
    if (cosmetic, warned, found.put_off) == (shown.cosmetic, shown.warned, shown.put_off):
        return shown
    return replace(shown, cosmetic=cosmetic, warned=warned, put_off=found.put_off)


def _until(dossier: Dossier, now: float, again: float | None = None, put_off: float = 0.0) -> float | None:
    """When to come back: at `again`, or before that when a pin expires, or drift of a stack is to be looked for, which
    may be `put_off`."""
    times = [at for at in (again, put_off or drift_due(dossier, now)) if at is not None]
    if dossier.pin is not None and dossier.pin.expires > now:
        times.append(dossier.pin.expires)
    return min(times, default=None)


def _expiry(dossier: Dossier, now: float) -> tuple[Event, ...]:
    """The alert that a pin is over, told once: at the first look after it."""
    text = pin_expired(dossier, now)
    if not text or text in dossier.shown.why:
        return ()
    commit = dossier.head.known if dossier.head is not None else ""
    return (Event("unit.pin-expired", now, AUTOMATION.name, str(dossier.name), commit=commit, message=text),)


async def _hold(doors: Doors, dossier: Dossier, proposal: Proposal, verdict: Verdict) -> Turn:
    """Remember the plan and why it waits; tell it once."""
    health = await look_at(doors, dossier)
    plan = proposal.plan
    if plan.holes and plan.needs is not None and approved(plan, plan.needs, dossier.approvals):
        plan = replace(plan, needs=None)  # whoever is asked has agreed: it is the value that is waited for
    shown = _told(shown_held(dossier, plan, verdict.waiting, health), dossier, proposal)
    same = dossier.plan is not None and _as_before(dossier.plan, plan)
    held = dossier.plan if same and not plan.whole else plan
    wish, now = dossier.wish if verdict.approval or plan.holes else None, doors.clock.now()
    trouble = None if plan.holes else _trouble_left(dossier, plan)  # nothing is wrong while a value is waited for
    after = _rendered(dossier, proposal, plan=held, shown=shown, wish=wish, trouble=trouble)
    until = _until(after, now, verdict.until)
    after = replace(after, due=until)
    if after == dossier:
        return Turn(dossier, until)
    events = () if same else (_held_event(doors, dossier, proposal, verdict),)
    events = (*_expiry(dossier, now), *events)
    kept = (plan.rendered, proposal.desired.manifests) if plan.rendered else None
    recorded = await doors.store.record(Record(after, events, plan, rendered=kept))
    return Turn(recorded, until)


def _trouble_left(dossier: Dossier, plan: Plan) -> Trouble | None:
    """That the plan of a stack could not be made is over when there is one."""
    return None if plan.whole and tried_again(dossier) is not None else dossier.trouble


def _as_before(before: Plan, plan: Plan) -> bool:
    """The same plan, as far as anybody has to be told: what blocks it, or who is asked, may change without it."""
    return (before.id, before.needs, bool(before.blocked)) == (plan.id, plan.needs, bool(plan.blocked))


def _held_event(doors: Doors, dossier: Dossier, proposal: Proposal, verdict: Verdict) -> Event:
    plan = proposal.plan
    return Event(
        kind="plan.waiting" if verdict.approval else "plan.held",
        time=doors.clock.now(),
        actor=AUTOMATION.name,
        unit=str(dossier.name),
        commit=plan.revision.known if plan.revision else "",
        after=plan.rendered,
        message=f"{plan.summary()}; {verdict.waiting}",
    )


async def _release(doors: Doors, dossier: Dossier) -> Turn:
    """The declaration left Git and its objects stay (or there are none): forget the unit, keep its history."""
    event = Event(
        kind="unit.released",
        time=doors.clock.now(),
        actor=AUTOMATION.name,
        unit=str(dossier.name),
        message=_kept(dossier),
    )
    await doors.store.record(Record(dossier, (event,), forget=True))
    if dossier.inventory:
        doors.recollections.forget(dossier.cluster)
    return Turn(None)


def _kept(dossier: Dossier) -> str:
    if dossier.unit.tool is None:
        return f"left Git; {len(dossier.inventory)} objects are kept"
    return "left Git; its resources are kept, and its state under this name: another name begins anew"


def _rendered_anew(before: Dossier, after: Dossier) -> bool:
    if after.rendering is None:
        return False
    return before.rendering is None or before.rendering.rendered != after.rendering.rendered


def _remembered(dossier: Dossier, proposal: Proposal, **more: Any) -> Dossier:
    """What a plan that is begun, or found to be done already, tells of the unit: where it is, and its rendering. `more`
    fields are replaced with these: a dossier takes its time to copy."""
    target, home = proposal.wanted.unit.target, proposal.home
    return _rendered(dossier, proposal, cluster=target.cluster, namespace=target.namespace, home=home, **more)


def _rendered(dossier: Dossier, proposal: Proposal, **more: Any) -> Dossier:
    return replace(dossier, rendering=proposal.furnished.rendering or dossier.rendering, **more)
