from dataclasses import replace

import pytest
from tests import builders
from tests.server.driver import Fakes, running

from kedge.model.errors import Planning, Unavailable
from kedge.model.operation import Cause
from kedge.model.plan import Needs

UNIT = "/api/v1/units/shop/web"


def waiting():
    plan = builders.plan_of(builders.manifest("Deployment", "web"))
    return builders.dossier(plan=replace(plan, needs=Needs(("it is destructive",))))


async def test_a_sync_writes_a_wish_with_who_and_why_and_rings():
    fakes = Fakes()
    fakes.put(builders.dossier())
    async with running(fakes) as client:
        answer = await client.post(f"{UNIT}/sync", {"reason": "because"})
    wish = fakes.store.dossiers["shop/web"].wish
    assert answer.status == 200
    assert (wish.cause, wish.actor, wish.reason) == (Cause.SYNC, "admin", "because")
    assert fakes.rung == ["shop/web unit.sync"]
    assert fakes.store.sealed_events[0].actor == "admin"


async def test_suspend_and_resume_move_the_unit_and_a_second_resume_makes_no_sense():
    fakes = Fakes()
    fakes.put(builders.dossier())
    async with running(fakes) as client:
        assert "by admin" in (await client.post(f"{UNIT}/suspend", {})).json["unit"]["suspended"]
        assert (await client.post(f"{UNIT}/resume", {})).json["unit"]["suspended"] == ""
        assert (await client.post(f"{UNIT}/resume", {})).status == 422


async def test_an_approval_of_other_effects_is_a_conflict():
    fakes = Fakes()
    fakes.put(waiting())
    async with running(fakes) as client:
        other = await client.post(f"{UNIT}/approve", {"effects": "beef"})
        assert (other.status, other.error["class"]) == (409, "Conflict")
        assert (await client.post(f"{UNIT}/approve", {"effects": "eee"})).status == 422
        given = await client.post(f"{UNIT}/approve", {"effects": "eeee", "reason": "seen"})
    assert given.json["unit"]["approvals"][0]["person"] == "admin"


@pytest.mark.parametrize("body", [{"reason": 5}, {"surprise": 1}, {"reason": "x" * 3000}, []])
async def test_a_body_that_says_something_else_is_refused_without_quoting_it(body):
    fakes = Fakes()
    fakes.put(builders.dossier())
    async with running(fakes) as client:
        answer = await client.post(f"{UNIT}/suspend", body)
    assert answer.status == 422
    assert b"xxxx" not in answer.body
    assert fakes.rung == []


async def test_a_broken_json_body_is_a_problem_and_no_crash():
    async with running(Fakes()) as client:
        for raw in (b"{", b"\xff\xfe", b"[" * 100_000):
            headers = {"content-type": "application/json"}
            answer = await client.ask("POST", f"{UNIT}/sync", body=raw, headers=headers)
            assert answer.status in (400, 422)
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_command_for_an_unknown_unit_is_not_found():
    async with running(Fakes()) as client:
        for verb in ("sync", "suspend", "resume", "cancel", "rollback:preview"):
            assert (await client.post(f"{UNIT}/{verb}", {})).status == 404


async def test_a_store_that_cannot_write_is_unavailable_and_says_when_to_come_back(monkeypatch):
    async def full(record):
        raise Unavailable("the disk is full", hint="free space", retry_after=7)

    fakes = Fakes()
    fakes.put(builders.dossier())
    fakes.store.record = full
    async with running(fakes) as client:
        answer = await client.post(f"{UNIT}/suspend", {})
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert answer.error == {
        "what": "the disk is full",
        "where": "",
        "why": "",
        "hint": "free space",
        "class": "Unavailable",
    }


async def test_a_plan_that_a_tool_is_at_work_on_is_told_from_trouble(monkeypatch):
    async def at_work(record):
        raise Planning("the plan is being made: 3 of 9", retry_after=30)

    fakes = Fakes()
    fakes.put(builders.dossier())
    fakes.store.record = at_work
    async with running(fakes) as client:
        answer = await client.post(f"{UNIT}/suspend", {})
    assert (answer.status, answer.error["class"]) == (503, "Planning")
    assert answer.error["what"] == "the plan is being made: 3 of 9"
