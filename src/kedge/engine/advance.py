"""The life of an operation: one pure function says what comes next.

    ┌────────┐ to do   ┌───────┐ applied ┌──────┐ settled        next wave …
    │  wave  ├────────►│ Apply ├────────►│ Look ├──────────► … ─────────────► Finish(Succeeded)
    └────────┘         └───┬───┘         └──┬───┘ not yet: Pause, and back on an event
                           │ refused        │ sick, or past the deadline
                           └──────► SyncFail hooks, then Finish(Failed)

`observe` writes what the watch sees into the outcomes; `advance` reads only the operation and its plan. The same
operation, plan and time always give the same move, so a crash costs nothing but the move that was under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from kedge.engine.order import is_definition, is_namespace
from kedge.model.change import Act
from kedge.model.operation import Did, Operation, Outcome, Result, Sight
from kedge.model.plan import DeletePolicy, Phase, Plan, Step, StepKind
from kedge.model.ref import Ref

SICK_GRACE = 5.0
"""Seconds an object may look Degraded right after it was applied: its controller may not have looked yet."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Do these steps now; they may run at once."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Look at these objects, `observe`, and ask again."""

    refs: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Give the worker back. `until` is the latest time (epoch seconds) to come back without an event."""

    waiting: str
    until: float


@dataclass(frozen=True, slots=True)
class Fail:
    """The operation is failing from here on; ask again with this sentence recorded."""

    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    result: Result
    message: str


Move = Apply | Look | Pause | Fail | Finish

_DONE = (Did.SETTLED, Did.KEPT, Did.FAILED)


def advance(operation: Operation, plan: Plan, now: float, *, looked: bool = False) -> Move:
    """What comes next. `looked` says that the outcomes already hold what the watch sees now."""
    if operation.failing:
        return _failing(operation, plan, now, looked)
    steps = [step for step in plan.steps if step.phase is not Phase.SYNC_FAIL]
    for _, wave in groupby(steps, key=lambda step: (step.phase.rank, step.wave)):
        move = _wave(operation, list(wave), now, looked)
        if move is not None:
            return move
    move = _clean(operation, plan, now, looked)
    if move is not None and (plan.removal or not isinstance(move, Fail)):
        return move
    return Finish(Result.SUCCEEDED, _success(operation, plan))


def observe(operation: Operation, plan: Plan, sights: Mapping[Ref, Sight], now: float) -> Operation:
    """Write what the watch sees into the outcomes of steps that wait for it."""
    outcomes = list(operation.outcomes)
    steps = {step.key: step for step in (*plan.steps, *_cleaning(operation, plan))}
    for index, outcome in enumerate(outcomes):
        step = steps.get(outcome.step)
        if step is not None and outcome.did not in _DONE:
            sight = sights.get(step.ref)
            if sight is not None:
                outcomes[index] = _observed(step, outcome, sight, now)
    return replace(operation, outcomes=tuple(o for o in outcomes if o.message != _AGAIN))


_AGAIN = "\0again"


def _observed(step: Step, outcome: Outcome, sight: Sight, now: float) -> Outcome:
    if outcome.did is Did.CLEARING:
        if not sight.exists or (outcome.uid and sight.uid != outcome.uid):
            return replace(outcome, message=_AGAIN)
        return replace(outcome, message=held(sight))
    if step.act is Act.DELETE and step.kind is not StepKind.ARTIFACT:
        gone = not sight.exists or (outcome.uid != "" and sight.uid != outcome.uid)
        return replace(outcome, did=Did.SETTLED, message="") if gone else replace(outcome, message=held(sight))
    if not sight.exists:
        return replace(outcome, message="not seen yet")
    if step.kind is StepKind.ARTIFACT and sight.status == "Healthy":
        return replace(outcome, did=Did.SETTLED, message=sight.message, fingerprint=sight.fingerprint)
    if not sight.gated or sight.status == "Healthy":
        return replace(outcome, did=Did.SETTLED, message=sight.message)
    if sight.status == "Suspended" and step.kind is StepKind.CHANGE:
        return replace(outcome, did=Did.SETTLED, message=sight.message)
    sick = sight.status == "Degraded"
    failed = sick and (step.kind is not StepKind.CHANGE or now >= outcome.at + SICK_GRACE)
    did = Did.FAILED if failed else outcome.did
    return replace(outcome, did=did, message=sight.message or sight.status, sick=sick)


def held(sight: Sight) -> str:
    """What is told of an object that is on its way out: `is being deleted, held by example.com/backup`."""
    return f"is being deleted, held by {', '.join(sight.finalizers)}" if sight.finalizers else "is being deleted"


def _wave(operation: Operation, wave: Sequence[Step], now: float, looked: bool) -> Move | None:
    """The move that this wave still needs, or None when it is through."""
    known = operation.by_step()
    ranked = [(step, known.get(step.key)) for step in wave]
    failed = [(step, outcome) for step, outcome in ranked if outcome is not None and outcome.did is Did.FAILED]
    if failed:
        return Fail("; ".join(f"{step.ref}: {outcome.message}" for step, outcome in failed[:3]))
    todo = [step for step, outcome in ranked if outcome is None]
    waiting = [(step, outcome) for step, outcome in ranked if outcome is not None and outcome.did not in _DONE]
    base = [(step, outcome) for step, outcome in waiting if _is_base(step, outcome, todo)]
    if todo and not base:
        return Apply(tuple(step for step in todo if step.rank == todo[0].rank))
    return _wait(operation, base or waiting, now, looked)


def _is_base(step: Step, outcome: Outcome, todo: Sequence[Step]) -> bool:
    """Later kinds of the wave stand on it: namespaces, definitions, and hook objects that are making room."""
    return bool(todo) and (
        is_namespace(step.ref) or is_definition(step.ref) or outcome.did is Did.CLEARING or step.rank < 0
    )


def _wait(operation: Operation, waiting: Sequence[tuple[Step, Outcome]], now: float, looked: bool) -> Move | None:
    if not waiting:
        return None
    if not looked:
        return Look(tuple(step.ref for step, _ in waiting))
    step, outcome = waiting[0]
    more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
    sentence = f"{step.ref}: {outcome.message or 'not seen yet'}{more}"
    if now >= operation.deadline:
        return Fail(f"timed out after {operation.deadline - operation.started:.0f} s waiting for {sentence}")
    graces = [o.at + SICK_GRACE for _, o in waiting if o.sick and o.at + SICK_GRACE > now]
    return Pause(f"waiting for {sentence}", min([operation.deadline, *graces]))


def _failing(operation: Operation, plan: Plan, now: float, looked: bool) -> Move:
    """SyncFail hooks run once, whatever comes of them; then policies clean up; then it is over."""
    hooks = [step for step in plan.steps if step.phase is Phase.SYNC_FAIL]
    todo = [step for step in hooks if operation.outcome(step.key) is None]
    extended = replace(operation, deadline=operation.deadline + (operation.deadline - operation.started))
    late = now >= extended.deadline
    if todo and not late:
        return Apply(tuple(todo))
    if not late:
        open_hooks = [(s, o) for s in hooks if (o := operation.outcome(s.key)) is not None and o.did not in _DONE]
        move = _wait(extended, open_hooks, now, looked)
        if move is not None and not isinstance(move, Fail):
            return move
        cleaning = _clean(operation, plan, now, looked)
        if cleaning is not None and not isinstance(cleaning, Fail):
            return cleaning
    return Finish(Result.FAILED, operation.failing)


def _clean(operation: Operation, plan: Plan, now: float, looked: bool) -> Move | None:
    """The move that cleaning up still needs; Fail where an object stays: whoever asks says whether that matters."""
    steps = _cleaning(operation, plan)
    todo = tuple(step for step in steps if operation.outcome(step.key) is None)
    if todo:
        return Apply(todo)
    outcomes = [(step, outcome) for step in steps if (outcome := operation.outcome(step.key)) is not None]
    waiting = [(step, outcome) for step, outcome in outcomes if outcome.did not in _DONE]
    stuck = [f"{step.ref}: {outcome.message}" for step, outcome in outcomes if outcome.did is Did.FAILED]
    return _wait(operation, waiting, now, looked) or (Fail(stuck[0]) if stuck else None)


def _cleaning(operation: Operation, plan: Plan) -> list[Step]:
    """Deletions that the hooks' delete policies ask for, at the end of the whole operation as in Argo CD. When a whole
    unit goes, so does every object its hooks made: nobody would be left to own it."""
    steps, outcomes = [], operation.by_step()
    for step in _hooks(plan):
        outcome = outcomes.get(step.key)
        if outcome is None:
            continue
        wanted = DeletePolicy.SUCCEEDED if outcome.did is Did.SETTLED else DeletePolicy.FAILED
        leaving = plan.removal and outcome.did is Did.SETTLED
        if leaving or (outcome.did in (Did.SETTLED, Did.FAILED) and wanted in step.policies):
            steps.append(replace(step, key=f"clean:{step.key}", act=Act.DELETE, uid=outcome.uid, policies=()))
    return steps


def _success(operation: Operation, plan: Plan) -> str:
    kept = sum(1 for outcome in operation.outcomes if outcome.did is Did.KEPT)
    return plan.summary() + (f", {kept} kept" if kept else "")


def interruptible(operation: Operation, plan: Plan, sights: Mapping[Ref, Sight]) -> bool:
    """Whether a newer commit may take over now: not while a hook is at work (no half migrations).

    `sights` are of what is `unheard`: an object that says it is of this run is at work until it is well or sick."""
    running = {step.key for step in _hooks(plan)}
    if any(o.step in running and o.did in (Did.APPLIED, Did.CLEARING) for o in operation.outcomes):
        return False
    ours = [sight for sight in sights.values() if sight.exists and sight.operation == operation.id]
    return not any(sight.gated and sight.status not in ("Healthy", "Degraded") for sight in ours)


def unheard(operation: Operation, plan: Plan) -> tuple[Ref, ...]:
    """Objects of hooks without an outcome: they may be at work all the same, where the reply was lost or the process
    died before it was written down."""
    known = {outcome.step for outcome in operation.outcomes}
    return tuple(step.ref for step in _hooks(plan) if step.key not in known)


def takes_a_witness(operation: Operation, plan: Plan, steps: Sequence[Step]) -> bool:
    """Whether a step takes away the object of a hook: what that has done must be on record before. A hook of two phases
    makes room for the second by deleting what the first has made."""
    known = {outcome.step for outcome in operation.outcomes}
    done = {step.ref for step in _hooks(plan) if step.key in known}
    return any(step.kind is StepKind.HOOK and (step.act is Act.DELETE or step.ref in done) for step in steps)


def _hooks(plan: Plan) -> list[Step]:
    """What is not to be left half done: hooks, and saved plans of stacks."""
    return [
        step
        for step in plan.steps
        if step.kind is StepKind.ARTIFACT or (step.kind is StepKind.HOOK and step.act is not Act.DELETE)
    ]
