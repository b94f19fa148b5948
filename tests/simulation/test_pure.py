"""Many drawn runs of pure `advance`; each seed is a few runs over one world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.simulation.pure import Failed, run_pure

from kedge.engine import advance, inventory
from kedge.engine.advance import Finish, Move
from kedge.model.operation import Operation, Result
from kedge.model.plan import Phase, Plan, Step

CHUNK = 100


@pytest.mark.parametrize("chunk", range(17))
def test_whatever_comes_of_its_steps_a_run_keeps_its_order_and_ends(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        story = run_pure(seed)
        assert 0 <= story.succeeded <= story.runs, seed


def test_the_drawn_runs_meet_what_they_are_for() -> None:
    lived = [run_pure(seed) for seed in range(200)]
    runs = sum(story.runs for story in lived)
    assert sum(story.succeeded for story in lived) > runs / 4
    assert sum(story.crashes for story in lived) > 50
    assert sum(story.superseded for story in lived) > 20


_failing, _wave, _wait = advance._failing, advance._wave, advance._wait


def _unwell(operation: Operation, wave: Sequence[Step], now: float, looked: bool) -> Move | None:
    applied = wave[0].phase is Phase.SYNC and all(operation.outcome(step.key) for step in wave)
    return None if applied else _wave(operation, wave, now, looked)


def _cheered(operation: Operation, plan: Plan, now: float, looked: bool) -> Move:
    move = _failing(operation, plan, now, looked)
    return replace(move, result=Result.SUCCEEDED) if isinstance(move, Finish) else move


def _patient(operation: Operation, *rest: Any) -> Move | None:
    return _wait(replace(operation, deadline=operation.deadline + 1e6), *rest)


_FAULTS: dict[str, tuple[Any, str, Any, str]] = {
    "a wave does not wait for its health": (advance, "_wait", lambda *_: None, "R1"),
    "a hook's object is not cleaned up": (advance, "_cleaning", lambda operation, plan: [], "R2"),
    "kinds of a wave stand on nothing": (advance, "_is_base", lambda step, outcome, todo: False, "R1"),
    "a newer commit takes over at any time": (advance, "interruptible", lambda *_: True, "R2"),
    "a lost reply is forgotten": (advance, "unheard", lambda operation, plan: (), "R2"),
    "what a hook did is not written down": (advance, "takes_a_witness", lambda *_: False, "R2"),
    "what is made is not owned before": (inventory, "before", lambda owned, plan: tuple(owned), "R10"),
    "pruning does not wait for health": (advance, "_wave", _unwell, "R3"),
    "a failed run is called a success": (advance, "_failing", _cheered, "R8"),
    "a failing run just ends": (advance, "_failing", lambda run, *_: Finish(Result.FAILED, run.failing), "R5"),
    "nobody looks at the clock": (advance, "_wait", _patient, "R6"),
    "what was done is done again": (Operation, "outcome", lambda operation, step: None, "R4"),
    "the watch is not believed": (advance, "observe", lambda operation, plan, sights, now: operation, "R9"),
}


@pytest.mark.parametrize("what", sorted(_FAULTS))
def test_a_fault_in_a_run_is_caught(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, fault, rule = _FAULTS[what]
    monkeypatch.setattr(module, name, fault)
    told = ""
    for seed in range(1200):
        try:
            run_pure(seed)
        except Failed as failed:
            told = str(failed).partition("\n")[0]
            if f": {rule}" in told:
                return
    pytest.fail(f"not caught by {rule}, but: {told}")


def test_a_failing_seed_tells_its_story_and_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advance, "_wait", lambda *_: None)
    told = r"(?s)seed 0: R.*apply create.*again: python -m tests.simulation.soak --pure --seed 0"
    with pytest.raises(Failed, match=told):
        run_pure(0)
