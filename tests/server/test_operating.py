import asyncio
import json
from dataclasses import replace

import pytest
from tests import builders
from tests.server.driver import READER, TOKEN, Fakes, running, scope

from kedge.model.errors import Conflict
from kedge.model.family import Child, ClusterEvent, ClusterEvents, Family, LogLine, LogWish
from kedge.model.operation import Sight
from kedge.model.ref import Ref

UNIT = "/api/v1/units/shop/web"
DEPLOYED = builders.ref("Deployment", "web")
POD = Ref("", "Pod", "web", "web-1")
PAUSE = ("act", {"object": "web", "action": "pause"})


@pytest.fixture
def fakes():
    fakes = Fakes()
    fakes.put(builders.dossier(inventory=(builders.owned(DEPLOYED),), applied=builders.revision("c" * 40)))
    return fakes


async def test_children_are_read_only_for_whoever_asks_for_them(fakes):
    fakes.live.found = Family(
        {DEPLOYED: Sight(DEPLOYED, True, "Healthy")},
        (Child(POD, DEPLOYED, "u1", "Degraded", "CrashLoopBackOff"),),
        ("kinds of metrics can not be looked at",),
    )
    async with running(fakes) as client:
        plain = (await client.get(f"{UNIT}/objects")).json
        assert (plain["children"], plain["notes"]) == ([], [])
        found = (await client.get(f"{UNIT}/objects?children=true")).json
    (child,) = found["children"]
    assert child["owner"] == found["items"][0]["key"] == "apps/Deployment/web/web"
    assert (child["kind"], child["status"], child["message"]) == ("Pod", "Degraded", "CrashLoopBackOff")
    assert found["notes"] == ["kinds of metrics can not be looked at"]


async def test_what_the_cluster_says_is_answered_in_its_order(fakes):
    event = ClusterEvent(POD, "Warning", "BackOff", "restarting", "kubelet", 3, 1.0, 2.0)
    fakes.live.happened = ClusterEvents((event, replace(event, reason="Killing", last=3.0)), ("a note",))
    async with running(fakes) as client:
        found = (await client.get(f"{UNIT}/cluster-events")).json
    assert [item["reason"] for item in found["items"]] == ["BackOff", "Killing"]
    assert (found["items"][0]["object"], found["notes"]) == ("Pod web/web-1", ["a note"])


async def test_a_log_is_lines_of_json_and_notes_are_told_from_text(fakes):
    fakes.live.lines = [LogLine("web-1", "web", "a\x1b[2J"), LogLine("web-2", "web", "it waits", note=True)]
    async with running(fakes) as client:
        answer = await client.get(f"{UNIT}/logs?object=deploy/web&container=web&since=300&tail=5&previous=true")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.body.splitlines()] == [
        {"several": True},
        {"pod": "web-1", "container": "web", "text": "a\x1b[2J"},
        {"pod": "web-2", "container": "web", "note": "it waits"},
    ]
    assert fakes.live.asked == [LogWish("deploy/web", "web", previous=True, since=300.0, tail=5)]
    assert fakes.live.left == 1


async def test_a_wish_for_no_log_is_a_problem_and_no_empty_stream(fakes):
    async with running(fakes) as client:
        answer = await client.get(f"{UNIT}/logs")
    assert (answer.status, answer.error["what"]) == (422, "the unit has no Pods just now")


@pytest.mark.parametrize("query", ["tail=-1", "since=0", "since=x", f"object={'x' * 300}"])
async def test_a_hostile_wish_for_logs_is_refused(fakes, query):
    async with running(fakes) as client:
        assert (await client.get(f"{UNIT}/logs?{query}")).status == 422


async def test_a_follower_who_leaves_ends_what_was_read_for_it(fakes):
    fakes.live.lines = [LogLine("web-1", "web", "one")]
    gone, got = asyncio.Event(), asyncio.Event()
    chunks = []

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        chunks.append(message.get("body", b""))
        got.set()
        await asyncio.sleep(0)

    async with running(fakes) as client, asyncio.timeout(60):
        asking = asyncio.get_running_loop().create_task(
            client.app(scope("GET", f"{UNIT}/logs?follow=true", None, TOKEN), receive, send)
        )
        while b"\n" not in chunks:
            await got.wait()
            got.clear()
        gone.set()
        await asking
        while not fakes.live.left:
            await asyncio.sleep(0)
    assert fakes.live.left == 1


async def test_a_server_that_closes_ends_what_is_followed(fakes):
    fakes.live.lines = [LogLine("web-1", "web", "one")]
    async with running(fakes) as client, asyncio.timeout(60):
        asking = asyncio.get_running_loop().create_task(client.get(f"{UNIT}/logs?follow=true"))
        await asyncio.sleep(0)
        client.app.state.hub.close()
        assert (await asking).status == 200
    assert fakes.live.left == 1


async def test_a_restart_is_tried_recorded_and_then_done(fakes):
    async with running(fakes) as client:
        tried = (await client.post(f"{UNIT}/restart", {"dryRun": True})).json
        assert (tried["items"], tried["dryRun"]) == (
            [{"object": "apps/Deployment web/web", "follows": "so it is"}],
            True,
        )
        assert (fakes.live.done, fakes.store.sealed_events) == ([], [])
        await client.post(f"{UNIT}/restart", {"object": "deployment/web", "reason": "memory"})
    assert fakes.live.done == [("shop/web", "restart apps/Deployment web/web")]
    (event,) = fakes.store.sealed_events
    assert (event.kind, event.actor, event.unit, event.reason) == ("unit.restart", "admin", "shop/web", "memory")
    assert (event.message, event.commit) == ("restart of apps/Deployment web/web", "c" * 40)


async def test_a_restart_that_fails_says_so_in_the_record(fakes):
    fakes.live.refuse = Conflict("it moved")
    async with running(fakes) as client:
        assert (await client.post(f"{UNIT}/restart")).status == 409
        assert (await client.post(f"{UNIT}/scale", {"object": "web", "replicas": 3})).status == 409
    assert [event.kind for event in fakes.store.sealed_events] == [
        "unit.restart",
        "unit.restart-failed",
        "unit.scale",
        "unit.scale-failed",
    ]


async def test_an_object_of_somebody_else_is_not_restarted(fakes):
    async with running(fakes) as client:
        answer = await client.post(f"{UNIT}/restart", {"object": "other"})
    assert (answer.status, fakes.live.done, fakes.store.sealed_events) == (422, [], [])


async def test_a_scale_is_recorded_with_its_number(fakes):
    async with running(fakes) as client:
        done = (await client.post(f"{UNIT}/scale", {"object": "web", "replicas": 3})).json
    assert done["items"][0]["follows"] == "so it is"
    (event,) = fakes.store.sealed_events
    assert (event.kind, event.after, event.message) == ("unit.scale", "3", "apps/Deployment web/web scaled to 3")


async def test_replicas_that_git_states_are_not_scaled_unless_it_is_forced(fakes):
    stated = builders.manifest("Deployment", "web", replicas=2)
    plan = builders.plan_of(stated)
    fakes.store.sets[plan.rendered] = (stated,)
    fakes.put(replace(fakes.store.dossiers["shop/web"], last=builders.operation(plan)))
    async with running(fakes) as client:
        refused = await client.post(f"{UNIT}/scale", {"object": "web", "replicas": 3})
        assert refused.status == 422
        assert refused.error["what"].startswith("Git states 2 replicas of apps/Deployment web/web")
        assert (fakes.live.done, fakes.store.sealed_events) == ([], [])
        forced = (await client.post(f"{UNIT}/scale", {"object": "web", "replicas": 3, "force": True})).json
    assert forced["items"][0]["follows"] == "Git states 2: the next sync puts that back"
    assert fakes.live.done == [("shop/web", "scale apps/Deployment web/web to 3")]


@pytest.mark.parametrize(
    "body", [{}, {"object": "web"}, {"object": "web", "replicas": -1}, {"object": "", "replicas": 1}]
)
async def test_a_scale_of_nothing_is_refused(fakes, body):
    async with running(fakes) as client:
        assert (await client.post(f"{UNIT}/scale", body)).status == 422


async def test_who_only_reads_sees_logs_and_touches_nothing(fakes):
    fakes.live.lines = [LogLine("web-1", "web", "one")]
    async with running(fakes) as client:
        assert (await client.get(f"{UNIT}/logs", token=READER)).status == 200
        for verb, body in (("restart", {"dryRun": True}), ("scale", {"object": "web", "replicas": 1}), PAUSE):
            assert (await client.post(f"{UNIT}/{verb}", body, token=READER)).status == 403
        for path in ("logs", "cluster-events", "objects?children=true"):
            assert (await client.get(f"{UNIT}/{path}", token=None)).status == 401
            assert (await client.get(f"/api/v1/units/shop/none/{path}")).status == 404
    assert fakes.live.done == []


async def test_what_can_be_done_is_listed_and_an_action_is_tried_recorded_and_done(fakes):
    async with running(fakes) as client:
        found = (await client.get(f"{UNIT}/actions")).json
        assert [(one["object"], one["action"], one["hindrance"]) for one in found["items"]] == [
            ("apps/Deployment web/web", "pause", "")
        ]
        body = {"object": "deployment/web", "action": "pause", "reason": "a freeze"}
        tried = (await client.post(f"{UNIT}/act", {**body, "dryRun": True})).json
        assert (tried["items"][0]["follows"], fakes.live.done, fakes.store.sealed_events) == ("so it is", [], [])
        await client.post(f"{UNIT}/act", body)
    assert fakes.live.done == [("shop/web", "pause apps/Deployment web/web for admin")]
    (event,) = fakes.store.sealed_events
    assert (event.kind, event.actor, event.reason, event.after) == ("unit.act", "admin", "a freeze", "pause")
    assert event.message == "pause of apps/Deployment web/web"


async def test_an_action_that_fails_says_so_in_the_record(fakes):
    fakes.live.refuse = Conflict("it moved")
    async with running(fakes) as client:
        assert (await client.post(f"{UNIT}/act", {"object": "web", "action": "pause"})).status == 409
    assert [event.kind for event in fakes.store.sealed_events] == ["unit.act", "unit.act-failed"]


async def test_an_action_that_there_is_not_changes_nothing(fakes):
    async with running(fakes) as client:
        answer = await client.post(f"{UNIT}/act", {"object": "web", "action": "explode"})
    assert (answer.status, fakes.live.done, fakes.store.sealed_events) == (422, [], [])


async def test_a_field_that_git_states_is_not_set_by_an_action_unless_it_is_forced(fakes):
    stated = builders.manifest("Deployment", "web", paused=False)
    plan = builders.plan_of(stated)
    fakes.store.sets[plan.rendered] = (stated,)
    fakes.put(replace(fakes.store.dossiers["shop/web"], last=builders.operation(plan)))
    body = {"object": "web", "action": "pause"}
    async with running(fakes) as client:
        refused = await client.post(f"{UNIT}/act", body)
        assert refused.status == 422
        assert refused.error["what"].startswith("Git states spec.paused of apps/Deployment web/web")
        assert (fakes.live.done, fakes.store.sealed_events) == ([], [])
        forced = (await client.post(f"{UNIT}/act", {**body, "force": True})).json
    assert forced["items"][0]["follows"] == "Git states spec.paused: the next sync puts that back"
    assert fakes.live.done == [("shop/web", "pause apps/Deployment web/web for admin")]
