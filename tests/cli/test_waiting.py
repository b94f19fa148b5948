"""Waiting: what is shown from before a wish is no answer to it."""

from __future__ import annotations

from typing import Any

from kedge.cli.exits import Exit
from kedge.cli.waiting import Goal, standing


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
