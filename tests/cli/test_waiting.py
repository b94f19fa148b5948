"""Waiting: what is shown from before a wish is no answer to it."""

from __future__ import annotations

from typing import Any

import pytest

from kedge.cli.exits import Exit
from kedge.cli.waiting import Goal, planned, standing
from kedge.model.errors import Planning, Unavailable


def unit(**more: Any) -> dict[str, Any]:
    calm = {"run": None, "lastRun": None, "plan": None, "trouble": None, "version": 3, "turnDue": False}
    found = {**calm, "sync": "Synced", "health": "Healthy", **more}
    return {"applied": found["sync"] == "Synced", **found}


def test_what_the_cluster_overrules_is_not_waited_for() -> None:
    told = unit(sync="OutOfSync", applied=True)
    assert standing(told, Goal()) is Exit.OK
    assert standing(told, Goal("synced")) is Exit.OK
    assert standing({**told, "lastRun": {"result": "Failed", "number": 1}}, Goal()) is Exit.DEGRADED
    assert standing({**told, "applied": False}, Goal()) is None


def test_a_plan_that_was_just_approved_is_no_longer_waited_for() -> None:
    held = unit(sync="OutOfSync", plan={"needs": {"count": 1}, "blocked": []})
    assert standing(held, Goal()) is Exit.APPROVAL
    assert standing({**held, "turnDue": True}, Goal()) is None


def test_a_unit_that_was_just_resumed_is_not_yet_there() -> None:
    assert standing(unit(), Goal()) is Exit.OK
    assert standing(unit(turnDue=True), Goal()) is None


def test_a_sync_that_the_server_refuses_is_answered_and_not_waited_out() -> None:
    wish = Goal(since=2, run=2)
    refused = unit(sync="OutOfSync", plan={"needs": None, "blocked": ["the API server refuses it"]})
    assert standing({**refused, "turnDue": True}, wish) is None
    assert standing(refused, wish) is Exit.DEGRADED
    assert standing(unit(sync="OutOfSync", trouble={"again": None}), wish) is Exit.DEGRADED


def test_a_plan_is_waited_for_and_each_new_word_about_it_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", "init", "3 of 9 planned"]

    def ask() -> dict[str, Any]:
        if words:
            raise Planning(f"the plan is being made: {words.pop(0)}")
        return {"plan": "it"}

    assert planned(ask) == {"plan": "it"}
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["the plan is being made: init", "the plan is being made: 3 of 9 planned"]


def test_who_has_enough_of_waiting_ends_it_and_any_other_trouble_is_told() -> None:
    for error in (KeyboardInterrupt(), Unavailable("the plan failed")):

        def ask(error: BaseException = error) -> dict[str, Any]:
            raise error

        with pytest.raises(type(error)):
            planned(ask)
