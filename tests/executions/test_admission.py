"""Who works when there is not room for all."""

from __future__ import annotations

from kedge.executions.admission import Job, admitted, width, yielding
from kedge.model.execution import Task

PLAN, APPLY = Task.PLAN, Task.APPLY


def test_as_many_work_as_there_is_memory_for_and_at_least_one() -> None:
    assert width(500_000_000, 8) == 1
    assert width(8_000_000_000, 8) == 7
    assert width(64_000_000_000, 2) == 4


def test_the_oldest_is_first() -> None:
    assert admitted([Job("b", PLAN, 2), Job("a", PLAN, 1), Job("c", PLAN, 3)], [], 3) == ["a", "b"]


def test_applies_are_before_plans_and_one_place_is_theirs() -> None:
    waiting = [Job("p1", PLAN, 1), Job("p2", PLAN, 2), Job("a1", APPLY, 3), Job("a2", APPLY, 4)]
    assert admitted(waiting, [], 3) == ["a1", "a2", "p1"]
    assert admitted(waiting[:2], [Job("w", PLAN, 0)], 2) == []
    assert admitted(waiting[2:], [Job("w", PLAN, 0)], 2) == ["a1"]


def test_where_there_is_one_place_a_plan_may_have_it() -> None:
    assert admitted([Job("p", PLAN, 1)], [], 1) == ["p"]
    assert admitted([Job("p", Task.DESTROY, 1), Job("a", APPLY, 2)], [], 1) == ["a"]


def test_nobody_begins_where_there_is_no_room() -> None:
    assert admitted([Job("a", APPLY, 1)], [Job("w", APPLY, 0), Job("v", APPLY, 0)], 2) == []


def test_what_looks_for_drift_is_last_and_has_half_of_the_room():
    drifts = [Job(f"d{number}", PLAN, number, drift=True) for number in range(5)]
    assert admitted(drifts, [], 4) == ["d0", "d1"]
    assert admitted([*drifts, Job("p", PLAN, 9)], [], 4) == ["p", "d0", "d1"]
    assert admitted([*drifts, Job("a", APPLY, 9)], [], 1) == ["a"]
    assert admitted(drifts, [], 1) == ["d0"]
    assert admitted(drifts, [Job("d", PLAN, 0, drift=True)], 3) == []


def test_what_looks_for_drift_makes_way_for_who_waits_and_for_nobody_else():
    old, young = Job("old", PLAN, 1, drift=True), Job("young", PLAN, 2, drift=True)
    plan, apply = Job("p", PLAN, 3), Job("a", APPLY, 3)
    assert yielding([plan], [old], 1) == ["old"]
    assert yielding([plan], [old, young], 3) == ["young"]
    assert yielding([plan, apply], [old, young], 2) == ["young", "old"]
    assert yielding([plan], [old], 3) == [], "there is room for both"
    assert yielding([young], [old], 1) == [], "it waits for its turn as all do"
    assert yielding([plan], [plan, apply], 2) == []
    asked = Job("old", PLAN, 1, drift=True, yields=True)
    assert yielding([plan], [asked], 1) == [], "it was told before"
