"""Who works when there is not room for all."""

from __future__ import annotations

from kedge.executions.admission import Waiting, admitted, width
from kedge.model.execution import Task

PLAN, APPLY = Task.PLAN, Task.APPLY


def test_as_many_work_as_there_is_memory_for_and_at_least_one() -> None:
    assert width(500_000_000, 8) == 1
    assert width(8_000_000_000, 8) == 7
    assert width(64_000_000_000, 2) == 4


def test_the_oldest_is_first() -> None:
    assert admitted([Waiting("b", PLAN, 2), Waiting("a", PLAN, 1), Waiting("c", PLAN, 3)], [], 3) == ["a", "b"]


def test_applies_are_before_plans_and_one_place_is_theirs() -> None:
    waiting = [Waiting("p1", PLAN, 1), Waiting("p2", PLAN, 2), Waiting("a1", APPLY, 3), Waiting("a2", APPLY, 4)]
    assert admitted(waiting, [], 3) == ["a1", "a2", "p1"]
    assert admitted(waiting[:2], [PLAN], 2) == []
    assert admitted(waiting[2:], [PLAN], 2) == ["a1"]


def test_where_there_is_one_place_a_plan_may_have_it() -> None:
    assert admitted([Waiting("p", PLAN, 1)], [], 1) == ["p"]
    assert admitted([Waiting("p", Task.DESTROY, 1), Waiting("a", APPLY, 2)], [], 1) == ["a"]


def test_nobody_begins_where_there_is_no_room() -> None:
    assert admitted([Waiting("a", APPLY, 1)], [APPLY, APPLY], 2) == []
