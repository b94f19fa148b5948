"""The net is held to faults put into the house on purpose: each must be caught within a few seeds, by its invariant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.simulation.run import Failed, run

from kedge.control.road import perform, propose, reconcile
from kedge.control.road.doors import Turn
from kedge.engine import delivery, gate, inventory

SEEDS = 150


async def _no_look_again(doors: Any, dossier: Any) -> Turn:
    after = await perform.perform(doors, dossier)
    return Turn(after, after.due)


def _plan_without_asking(draft: Any) -> Any:
    plan = _make_plan(draft)
    return replace(plan, needs=None)


_make_plan = propose.make_plan
_sabotage: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "the inventory is written after the act": (inventory, "before", lambda owned, plan: tuple(owned), "I2"),
    "what is still wanted is pruned": (inventory, "surplus", lambda owned, _: tuple(o.ref for o in owned), "I1"),
    "any approval will do": (gate, "approved", lambda plan, needs, approvals: bool(approvals), "I6"),
    "nobody is asked": (propose, "make_plan", _plan_without_asking, "I1"),
    "what was done is never seen": (perform, "observe", lambda operation, plan, sights, now: operation, "I10"),
    "a run is not followed by a look": (reconcile, "_carry_on", _no_look_again, "I10"),
    "Synced is said unseen": (inventory, "moved", lambda owned, sights: (), "I3"),
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
    for seed in range(SEEDS):
        try:
            run(seed)
        except Failed as failed:
            caught.append(str(failed).partition("\n")[0])
            if invariant in caught[-1]:
                return
    pytest.fail(f"not caught by {invariant} in {SEEDS} seeds, but by {caught[:3]}")
