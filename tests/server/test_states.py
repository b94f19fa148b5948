"""States of stacks as people meet them: seen without secrets, and touched only by those who may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests import builders
from tests.doors.memory_states import MemoryStateStore
from tests.doors.statefiles import output, resource, run_of, statefile
from tests.server.driver import READER, Answer, Client, Fakes, running

from kedge.model.declaration import ApproveSection
from kedge.model.errors import Conflict
from kedge.model.ref import UnitName
from kedge.model.state import LARGEST_STATE

PATH = "/api/v1/units/shop/db/state"
CANARY = "canary-7f3a-secret"
ONE = statefile(1, resource("a"), outputs={"password": output(CANARY, sensitive=True), "url": output("x")})
TWO = statefile(2, resource("a", {"attributes": {"id": "a2"}}), resource("b"), outputs={"url": output("y")})

SRE = ApproveSection(by=("group:sre",))


@dataclass
class World:
    client: Client
    fakes: Fakes

    @property
    def store(self) -> MemoryStateStore:
        assert isinstance(self.fakes.states.store, MemoryStateStore)
        return self.fakes.states.store

    async def get(self, path: str = "", **more: Any) -> Answer:
        return await self.client.get(f"{PATH}{path}", **more)

    async def post(self, verb: str, **body: Any) -> Answer:
        return await self.client.post(f"{PATH}/{verb}", body)

    def guarded(self, rule: ApproveSection = SRE) -> None:
        """From now on only its approvers may touch the unit's state without breaking the glass."""
        dossier = builders.dossier()
        unit = replace(dossier.unit, name=UnitName("shop", "db"), approve=rule)
        self.fakes.put(replace(dossier, name=unit.name, unit=unit))

    @property
    def newest(self) -> bytes:
        return self.store.kept["shop/db"][-1][1].content

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.store.told]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    fakes = Fakes()
    async with running(fakes) as client:
        await (await run_of(fakes.states).granted()).applied(ONE, TWO)
        found = World(client, fakes)
        found.store.told.clear()
        yield found


async def test_a_state_is_listed_with_who_holds_its_lock(world: World) -> None:
    run = await run_of(world.fakes.states, "run-2").granted()
    await run.lock()
    (item,) = (await world.client.get("/api/v1/states")).json["items"]
    assert (item["unit"], item["newest"]["serial"], item["newest"]["resources"]) == ("shop/db", 2, 2)
    assert (item["lock"]["execution"], item["lock"]["who"]) == ("run-2", "kedge@runner")


async def test_versions_come_in_pages(world: World) -> None:
    first = (await world.get("/versions?limit=1")).json
    assert ([item["number"] for item in first["items"]], first["next"]) == ([2], 2)
    second = (await world.get("/versions?limit=5&before=2")).json
    assert ([item["number"] for item in second["items"]], second["next"]) == ([1], 0)


async def test_a_state_is_shown_without_its_secrets(world: World) -> None:
    shown = await world.get("?version=1&address=aws_s3_bucket.a")
    assert CANARY.encode() not in shown.body
    assert shown.json["resources"] == ["aws_s3_bucket.a"]
    assert shown.json["shown"] == [{"address": "aws_s3_bucket.a", "values": {"id": "a"}}]
    assert [one["address"] for one in shown.json["outputs"]] == ["password", "url"]
    assert (await world.get("?version=7")).status == 422
    assert (await world.get("?address=nothing")).status == 404
    assert (await world.client.get("/api/v1/units/shop/none/state")).status == 422


async def test_two_versions_are_compared_without_their_secrets(world: World) -> None:
    found = await world.get("/diff")
    assert CANARY.encode() not in found.body
    assert [(item["act"], item["address"]) for item in found.json["items"]] == [
        ("update", "aws_s3_bucket.a"),
        ("create", "aws_s3_bucket.b"),
        ("delete", "output.password"),
        ("update", "output.url"),
    ]
    back = (await world.get("/diff?old=2&new=1")).json
    assert [item["act"] for item in back["items"]] == ["update", "delete", "create", "update"]
    assert (await world.get("/diff?new=1")).json["before"] is None


async def test_a_pull_is_in_clear_and_on_record(world: World) -> None:
    pulled = await world.post("pull", version=1, reason="audit")
    assert pulled.json["content"].encode() == ONE
    (event,) = world.store.told
    assert (event.kind, event.actor, event.reason, event.unit) == ("state.pulled", "admin", "audit", "shop/db")
    assert CANARY not in repr(event)


async def test_whoever_only_reads_sees_states_and_touches_none(world: World) -> None:
    for path in ("", "/versions", "/diff"):
        assert (await world.get(path, token=READER)).status == 200
    for verb, body in (("pull", {}), ("push", {"content": "{}"}), ("rollback", {"to": 1}), ("unlock", {})):
        refused = await world.client.post(f"{PATH}/{verb}", {**body, "reason": "x"}, token=READER)
        assert (verb, refused.status) == (verb, 403)
    assert world.kinds == []


async def test_a_push_follows_the_rules_of_lineage_and_serial_unless_it_is_forced_for_a_reason(world: World) -> None:
    foreign = statefile(1, resource("c"), lineage="another").decode()
    for content in (foreign, statefile(2, resource("c")).decode(), statefile(1, resource("c")).decode()):
        assert (await world.post("push", content=content)).status == 409
    assert (await world.post("push", content=foreign, force=True)).status == 422
    assert (await world.post("push", content=foreign, force=True, reason="moved", dryRun=True)).status == 200
    assert world.newest == TWO
    done = await world.post("push", content=foreign, force=True, reason="moved")
    assert (done.status, done.json["version"]["number"], done.json["version"]["reason"]) == (200, 3, "moved")
    assert world.newest == foreign.encode()
    assert world.kinds == ["state.pushed"]


async def test_an_existing_state_is_brought_to_a_unit_that_has_none(world: World) -> None:
    path = "/api/v1/units/shop/new/state"
    done = await world.client.post(f"{path}/push", {"content": statefile(41, resource("c")).decode()})
    assert done.json["version"]["serial"] == 41
    head = await world.fakes.states.head("shop/new")
    assert head is not None
    assert head.resources == ("aws_s3_bucket.c",)


async def test_what_the_tool_left_without_a_lineage_goes_on_as_the_state_that_is_there(world: World) -> None:
    left = statefile(0, resource("c"), lineage="").decode()
    done = await world.post("push", content=left)
    assert done.json["version"]["serial"] == 3
    assert json.loads(world.newest)["lineage"] == json.loads(TWO)["lineage"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"content": 1}', b'{"content": "x", "more": 1}', b"\xff"])
async def test_a_push_that_can_not_be_read_is_refused(world: World, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    assert (await world.client.ask("POST", f"{PATH}/push", body=body, headers=headers)).status == 422


async def test_nobody_without_a_token_has_a_large_body_read(world: World) -> None:
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    from tests.server.driver import scope

    headers = {"content-type": "application/json"}
    await world.client.app(scope("POST", f"{PATH}/push", headers, None), receive, send)
    assert (sent[0]["status"], read) == (401, 0)
    large = {**headers, "content-length": str(2 * LARGEST_STATE + 1)}
    assert (await world.client.ask("POST", f"{PATH}/push", headers=large)).status == 413


async def test_a_rollback_writes_the_old_content_under_the_next_serial(world: World) -> None:
    assert (await world.post("rollback", to=1)).status == 422
    done = await world.post("rollback", to=1, reason="it was better", newest=2)
    assert (done.status, done.json["version"]["serial"], done.json["version"]["origin"]) == (200, 3, "rolled back")
    assert json.loads(world.newest) == {**json.loads(ONE), "serial": 3}
    assert world.kinds == ["state.rolled-back"]
    assert (await world.post("rollback", to=1, reason="again", newest=2)).status == 409
    for to in (3, 9):
        assert (await world.post("rollback", to=to, reason="x")).status == 422


async def test_what_a_run_left_behind_is_compared_and_chosen_by_a_person(world: World) -> None:
    run = await run_of(world.fakes.states, "run-2").granted()
    await run.lock()
    await world.fakes.states.revoke("run-2")
    await world.post("push", content=statefile(3, resource("other")).decode())
    with pytest.raises(Conflict, match="kedge state rollback shop/db 4"):
        await world.fakes.states.bring_home("shop/db", "run-2", statefile(9, resource("made")))
    listed = (await world.get("/versions")).json["items"]
    assert [(item["number"], item["origin"]) for item in listed[:2]] == [(4, "left behind"), (3, "pushed")]
    assert (await world.get()).json["version"]["number"] == 3
    difference = (await world.get("/diff?old=3&new=4")).json["items"]
    assert [item["address"] for item in difference] == ["aws_s3_bucket.made", "aws_s3_bucket.other"]
    assert (await world.get("/diff?new=4")).json["before"]["number"] == 3
    chosen = await world.post("rollback", to=4, reason="that is what runs")
    assert chosen.json["version"]["number"] == 5
    assert world.newest == statefile(4, resource("made"))


async def test_after_a_rollback_runs_go_on_from_there(world: World) -> None:
    await world.post("rollback", to=1, reason="it was better")
    run = await run_of(world.fakes.states, "run-2").granted()
    await run.applied(statefile(4, resource("d")))
    assert world.newest == statefile(4, resource("d"))


async def test_a_rollback_keeps_every_digit(world: World) -> None:
    precise = ONE.replace(b'"id": "a"', b'"id": 12345678901234567890.123456789012345678901234567890')
    await world.client.post(f"{PATH}/push", {"content": precise.decode(), "force": True, "reason": "x"})
    await world.client.post(f"{PATH}/push", {"content": statefile(9).decode()})
    await world.post("rollback", to=3, reason="x")
    assert world.newest == precise.replace(b'"serial": 1', b'"serial": 10')


async def test_nothing_is_pushed_or_rolled_back_while_the_state_is_locked(world: World) -> None:
    run = await run_of(world.fakes.states, "run-2").granted()
    await run.lock()
    assert (await world.post("rollback", to=1, reason="x")).status == 409
    assert (await world.post("push", content=statefile(7).decode(), force=True, reason="x")).status == 409
    assert (await world.post("rollback", to=1, reason="x", dryRun=True)).status == 409
    await run.write(statefile(3))
    assert world.newest == statefile(3)


async def test_a_lock_is_broken_once_its_run_is_proven_over(world: World) -> None:
    run = await run_of(world.fakes.states, "run-2").granted()
    assert (await world.post("unlock")).status == 422
    await run.lock()
    held = await world.post("unlock")
    assert (held.status, "not known to be over" in held.error["what"]) == (409, True)
    world.client.app.state.desk = replace(
        world.client.app.state.desk, states=replace(world.fakes.states, over=lambda execution: execution == "run-2")
    )
    assert (await world.post("unlock")).status == 200
    assert world.kinds == ["state.lock-broken"]


async def test_a_lock_broken_by_force_fences_its_run_for_good(world: World) -> None:
    run = await run_of(world.fakes.states, "run-2").granted()
    await run.lock()
    assert (await world.post("unlock", force=True)).status == 422
    assert (await world.post("unlock", force=True, reason="it hangs")).status == 200
    (event,) = world.store.told
    assert (event.kind, event.reason, "may still be at work" in event.message) == (
        "state.lock-broken",
        "it hangs",
        True,
    )
    answers = await asyncio.gather(run.write(statefile(3)), run.lock(), return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["Conflict", "Conflict"]
    assert world.newest == TWO


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("push", {"content": statefile(5).decode()}),
        ("rollback", {"to": 1}),
        ("unlock", {"force": True}),
    ],
)
async def test_whoever_may_not_approve_has_to_break_the_glass(world: World, verb: str, body: dict[str, Any]) -> None:
    world.guarded()
    if verb == "unlock":
        await (await run_of(world.fakes.states, "run-2").granted()).lock()
    refused = await world.post(verb, **body, reason="x")
    assert (refused.status, "group:sre" in refused.error["what"]) == (403, True)
    body["breakGlass"] = True
    assert (await world.post(verb, **body)).status == 422
    assert (await world.post(verb, **body, reason="it burns")).status == 200
    assert world.kinds[-1] == "state.glass-broken"


async def test_where_two_have_to_agree_one_alone_has_to_break_the_glass(world: World) -> None:
    """Whoever could not apply a plan alone could put any state in place of the stack's."""
    world.guarded(ApproveSection(count=2))
    refused = await world.post("rollback", to=1, reason="x")
    assert (refused.status, "alone: needs 2 of those who may approve" in refused.error["what"]) == (403, True)
    assert (await world.post("rollback", to=1, reason="it burns", breakGlass=True)).status == 200
    assert world.kinds[-1] == "state.glass-broken"


async def test_the_api_describes_itself(world: World) -> None:
    paths = (await world.client.get("/openapi.json")).json["paths"]
    push = paths["/api/v1/units/{project}/{name}/state/push"]["post"]
    assert "content" in push["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert not [path for path in paths if path.startswith("/state/")]
