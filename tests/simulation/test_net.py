"""The net is held to faults put into the house on purpose: each must be caught within a few seeds, by its invariant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.doors.memory_target import MemoryTarget
from tests.simulation.run import Failed, run

from kedge.control.road import perform, propose, reconcile
from kedge.control.road.doors import Turn
from kedge.engine import delivery, diff, gate, inventory
from kedge.engine.leaves import Leaf
from kedge.model.change import FieldChange
from kedge.model.operation import Did, Outcome
from kedge.model.record import Record

SEEDS = 1200
KNOWN = {"Synced is said unseen": 112, "a failed turn never comes back": 98}
"""Seeds that show a fault which few others do: tried first. When histories are drawn otherwise, others are found."""


async def _no_look_again(doors: Any, dossier: Any) -> Turn:
    after = await perform.perform(doors, dossier)
    return Turn(after, after.due)


def _plan_without_asking(draft: Any) -> Any:
    plan = _make_plan(draft)
    return replace(plan, needs=None)


_make_plan = propose.make_plan
_turn, _approved = reconcile._turn, gate.approved


def _bare(leaf: Leaf, found: Any, key: bytes) -> FieldChange:
    return FieldChange(leaf.path, leaf.act, str(leaf.before), str(leaf.after))


async def _as_if_idle(doors: Any, dossier: Any, sweep: bool) -> Turn:
    return await _turn(doors, replace(dossier, operation=None), sweep)


def _untold(dossier: Any, events: Any = (), *rest: Any, **more: Any) -> Record:
    return Record(dossier, (), *rest, **more)


def _not_kept(dossier: Any, events: Any = (), *rest: Any, **more: Any) -> Record:
    return replace(Record(dossier, events, *rest, **more), rendered=None)


def _delete_anything(target: Any, scope: Any, step: Any) -> Any:
    thing = target.cluster.things.get(step.ref)
    if thing is None:
        return Outcome(step.key, Did.SETTLED)
    target.cluster.delete(step.ref, "kedge", scope.unit, scope.operation)
    return Outcome(step.key, Did.DELETED, uid=thing.uid)


async def _open_for_ever(doors: Any, dossier: Any) -> Any:
    return dossier


_sabotage: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "the inventory is written after the act": (inventory, "before", lambda owned, plan: tuple(owned), "I2"),
    "what is still wanted is pruned": (inventory, "surplus", lambda owned, _: tuple(o.ref for o in owned), "I1"),
    "any approval will do": (gate, "approved", lambda plan, needs, approvals: bool(approvals), "I6"),
    "nobody is asked": (propose, "make_plan", _plan_without_asking, "I1"),
    "what was done is never seen": (perform, "observe", lambda operation, plan, sights, now: operation, "I10"),
    "a run is not followed by a look": (reconcile, "_carry_on", _no_look_again, "I10"),
    "Synced is said unseen": (inventory, "moved", lambda owned, sights: (), "I3"),
    "a run begins that nobody is told of": (reconcile, "Record", _untold, "I4"),
    "a run ends that nobody is told of": (perform, "Record", _untold, "I4"),
    "a run begins over another": (reconcile, "_turn", _as_if_idle, "I5"),
    "one approval is enough for two": (gate, "approved", lambda p, n, a: _approved(p, replace(n, count=1), a), "I6"),
    "secrets are not masked": (diff, "_field", _bare, "I8"),
    "nothing is compared": (propose, "diff", lambda *_, **__: None, "I3"),
    "what was made is let go at the end": (inventory, "after", lambda owned, plan, operation: (), "I2"),
    "the rendered set is not kept": (reconcile, "Record", _not_kept, "I10"),
    "what no longer carries our name is deleted": (MemoryTarget, "_delete", _delete_anything, "I1"),
    "a cancelled run goes on": (perform, "_still_open", _open_for_ever, "I4"),
    "a failed turn never comes back": (
        delivery,
        "retry_at",
        lambda attempts, now: now + 1e9,
        "I10",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", sorted(_sabotage))
def test_a_fault_in_the_house_is_caught(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, fault, invariant = _sabotage[what]
    monkeypatch.setattr(module, name, fault)
    caught = []
    for seed in (KNOWN.get(what, 0), *range(SEEDS)):
        try:
            run(seed)
        except Failed as failed:
            caught.append(str(failed).partition("\n")[0])
            if invariant in caught[-1]:
                return
    pytest.fail(f"not caught by {invariant} in {SEEDS} seeds, but by {caught[:3]}")
