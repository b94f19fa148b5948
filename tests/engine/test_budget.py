"""How much of the time looks for drift may take."""

from __future__ import annotations

from kedge.engine.budget import Looks, ahead, begins, rest, resting


def test_a_place_rests_after_a_look_for_as_long_as_that_took():
    assert rest(40.0) == 40.0
    looks = Looks(1, rests=(140.0,), took=40.0)
    assert begins(looks, 0, 100.0) == 140.0
    assert begins(looks, 0, 140.0) == 140.0


def test_where_a_place_is_free_a_look_begins_now():
    assert begins(Looks(2, going=1), 0, 100.0) == 100.0
    assert begins(Looks(2, rests=(110.0,)), 0, 100.0) == 100.0
    assert begins(Looks(2, rests=(110.0,)), 1, 100.0) == 110.0


def test_whoever_is_behind_others_is_told_a_time_by_the_last_look():
    looks = Looks(2, rests=(105.0, 110.0), took=20.0)
    assert [begins(looks, before, 100.0) for before in range(5)] == [105.0, 110.0, 145.0, 150.0, 185.0]
    assert begins(Looks(1, going=1, took=20.0), 0, 100.0) == 140.0


def test_a_rest_that_is_all_but_over_is_over():
    """Timers ring a moment early."""
    assert resting((100.5, 90.0, 102.0), 100.0) == (102.0,)


def test_the_order_is_that_in_which_they_came_and_who_does_not_come_back_is_passed_over():
    waiting = {"a": 10.0, "b": 200.0, "c": 210.0}
    assert [ahead(waiting, unit, 100.0) for unit in ("a", "b", "c", "new")] == [0, 0, 1, 2]
