"""The watch index: what is live, told at once, and honest about what it can not see."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.doors.kube_world import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    WEB,
    World,
    config_map,
    definition,
    deployment,
    ref,
    staged,
)

from kedge.model.change import Act
from kedge.model.errors import Denied, Unavailable

SETTINGS = ref("ConfigMap", "settings")
URL = f"{CONFIG_MAPS}/settings"
UNIT = "shop/web@prod"


async def quiet(world: World) -> None:
    await asyncio.sleep(3.0)
    world.rings.clear()


@staged
async def test_what_is_not_there_is_seen_as_absent(world: World) -> None:
    (sight,) = await world.look(SETTINGS)
    assert not sight.exists
    assert sight.status == "Missing"


@staged
async def test_looking_costs_no_call_once_a_kind_is_watched(world: World) -> None:
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    world.transport.log.clear()
    for _ in range(20):
        await world.look(SETTINGS)
    assert world.transport.log == []


@staged
async def test_what_was_just_applied_is_never_seen_as_it_was_before(world: World) -> None:
    await world.deploy(deployment())
    await world.until(ref("Deployment", "web", group="apps"), "Healthy")
    await world.deploy(deployment(image="web:2"), act=Act.UPDATE)
    (sight,) = await world.look(ref("Deployment", "web", group="apps"))
    assert sight.status == "Progressing"


@staged
async def test_a_change_behind_our_back_rings_within_a_second(world: World) -> None:
    await world.deploy(config_map("settings", color="red"))
    await world.look(SETTINGS)
    await quiet(world)
    world.merge(URL, {"data": {"color": "blue"}})
    await asyncio.sleep(0.5)
    assert (UNIT, str(SETTINGS), "drift") in world.rings


@staged
async def test_a_deletion_behind_our_back_rings(world: World) -> None:
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    await quiet(world)
    world.call("DELETE", URL)
    await asyncio.sleep(0.5)
    assert (UNIT, str(SETTINGS), "drift") in world.rings
    assert not (await world.look(SETTINGS))[0].exists


@staged
async def test_labels_stripped_by_hand_ring(world: World) -> None:
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    await quiet(world)
    world.merge(URL, {"metadata": {"labels": {"kedge.dev/shard": None}}})
    await asyncio.sleep(0.5)
    assert (UNIT, str(SETTINGS), "drift") in world.rings


@staged
async def test_our_own_writes_are_no_drift(world: World) -> None:
    await world.deploy(config_map("settings", color="red"))
    await world.look(SETTINGS)
    await quiet(world)
    await world.deploy(config_map("settings", color="blue"), act=Act.UPDATE)
    await asyncio.sleep(1.0)
    assert [ring for ring in world.rings if ring[2] == "drift"] == []


@staged
async def test_a_change_right_after_our_own_write_is_drift(world: World) -> None:
    await world.deploy(config_map("settings", color="red"))
    await world.look(SETTINGS)
    await quiet(world)

    async def meddle(method: str, path: str) -> None:
        if method == "PATCH":
            world.merge(URL, {"data": {"color": "green"}})
            await asyncio.sleep(0.1)  # the watch tells of both before our reply arrives

    world.transport._after = meddle
    await world.deploy(config_map("settings", color="blue"), act=Act.UPDATE)
    assert (UNIT, str(SETTINGS), "drift") in world.rings


@staged
async def test_what_a_watch_tells_of_our_own_write_before_its_answer_rings_nobody(world: World) -> None:
    """Every new object whose watch was quicker than the answer cost its unit a turn for nothing."""
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    await quiet(world)

    async def late(method: str, path: str) -> None:
        await asyncio.sleep(0.1)

    world.transport._after = late
    await world.deploy(config_map("more"))
    assert world.rings == []
    assert (await world.look(ref("ConfigMap", "more")))[0].exists


@staged
async def test_what_becomes_of_an_object_while_our_own_write_of_it_is_answered_rings(world: World) -> None:
    await world.deploy(config_map("settings", color="red"))
    world.merge(URL, {"metadata": {"finalizers": ["example.org/held"]}}, manager="holder")
    await world.look(SETTINGS)
    await quiet(world)

    async def meddle(method: str, path: str) -> None:
        if method == "PATCH":
            world.call("DELETE", URL)
            await asyncio.sleep(0.1)

    world.transport._after = meddle
    await world.deploy(config_map("settings", color="blue"), act=Act.UPDATE)
    assert world.rings == [(UNIT, str(SETTINGS), "health")]


@staged
async def test_progress_to_health_rings(world: World) -> None:
    web = ref("Deployment", "web", group="apps")
    await world.deploy(deployment())
    await world.look(web)
    world.rings.clear()
    await world.until(web, "Healthy")
    assert (UNIT, str(web), "health") in world.rings


@staged
async def test_another_sentence_about_the_same_state_rings_for_words_alone(world: World) -> None:
    web = ref("Deployment", "web", group="apps")
    await world.deploy(deployment(replicas=2))
    await world.look(web)
    await world.until(web, "Progressing")
    world.rings.clear()
    assert (await world.target._site(WEB)).index.explain(web, "pod web-1: can not pull its image") is None
    assert world.rings == [(UNIT, str(web), "words")]


@staged
async def test_a_status_that_says_the_same_rings_nobody(world: World) -> None:
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    await quiet(world)
    world.merge(URL, {"metadata": {"annotations": {"noise": "1"}}}, manager="some-controller")
    await asyncio.sleep(0.5)
    assert world.rings == []


@staged
async def test_another_installation_s_objects_ring_nobody(world: World) -> None:
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    await quiet(world)
    stranger = config_map("theirs", annotations={"kedge.dev/owner": "inst-9:team/x"})
    stranger["metadata"]["labels"] = {"kedge.dev/shard": "3"}
    world.applied(f"{CONFIG_MAPS}/theirs", stranger, "kedge")
    await asyncio.sleep(0.5)
    assert world.rings == []


@staged
async def test_a_dropped_watch_goes_on_where_it_was(world: World) -> None:
    await world.deploy(config_map("settings", color="red"))
    await world.look(SETTINGS)
    await quiet(world)
    world.transport.drop_watches()
    world.merge(URL, {"data": {"color": "blue"}})
    await asyncio.sleep(1.0)
    assert world.rings.count((UNIT, str(SETTINGS), "drift")) == 1


@staged
async def test_a_deletion_while_the_server_was_away_is_noticed(world: World) -> None:
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    await quiet(world)
    world.transport.down = True
    world.transport.drop_watches()
    world.call("DELETE", URL)
    await asyncio.sleep(20)
    world.transport.down = False
    await asyncio.sleep(60)
    assert (UNIT, str(SETTINGS), "drift") in world.rings


@staged
async def test_a_forgotten_version_means_a_new_snapshot(world: World) -> None:
    await world.deploy(config_map("settings", color="red"), config_map("gone"))
    await world.look(SETTINGS)
    await quiet(world)
    world.transport.down = True
    world.transport.drop_watches()
    world.call("DELETE", f"{CONFIG_MAPS}/gone")
    for number in range(5_000):
        world.call("POST", CONFIG_MAPS, config_map(f"noise-{number % 2}-{number}"))
    world.transport.down = False
    await asyncio.sleep(60)
    assert (UNIT, str(ref("ConfigMap", "gone")), "drift") in world.rings
    assert (await world.look(SETTINGS))[0].exists


@staged
async def test_freshness_moves_with_bookmarks(world: World) -> None:
    assert world.target.fresh("default") is None
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    first = world.target.fresh("default")
    await asyncio.sleep(70)
    second = world.target.fresh("default")
    assert first is not None
    assert second is not None
    assert second >= first + 50


@staged
async def test_freshness_has_the_age_that_it_has_whatever_the_clock_does(world: World) -> None:
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    world.transport.down = True
    world.transport.drop_watches()
    await asyncio.sleep(300)
    for jump in (-86_400.0, 172_800.0):
        world.clock.jump(jump)
        found = world.target.fresh("default")
        assert found is not None
        assert 299 <= world.clock.now() - found < 301


@staged
async def test_freshness_is_told_by_kind(world: World) -> None:
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    assert world.target.fresh("default", {("", "ConfigMap")}) == world.target.fresh("default")
    assert world.target.fresh("default", {("", "ConfigMap"), ("apps", "Deployment")}) is None
    assert world.target.fresh("default", {("apps", "Deployment")}) is None


@staged
async def test_freshness_stands_still_while_the_server_is_away(world: World) -> None:
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    await asyncio.sleep(70)
    world.transport.down = True
    world.transport.drop_watches()
    before = world.target.fresh("default")
    await asyncio.sleep(300)
    assert world.target.fresh("default") == before


@staged
async def test_a_cluster_that_is_down_is_unavailable(world: World) -> None:
    await world.deploy(config_map("settings"))
    world.transport.down = True
    with pytest.raises(Unavailable, match=r"Secret can not be watched: .*connection refused"):
        await world.look(ref("Secret", "token"))


def forbidden(world: World, allowed: str) -> None:
    """Watches and lists of ConfigMaps are permitted under `allowed` only."""
    handle = world.transport._handle

    def guarded(method, path, query, headers, body):
        if method == "GET" and path.endswith("/configmaps") and not path.startswith(allowed):
            raw = b'{"kind":"Status","code":403,"reason":"Forbidden","message":"configmaps is forbidden"}'
            return type("Answer", (), {"status": 403, "headers": {}, "body": raw})()
        return handle(method, path, query, headers, body)

    world.transport._handle = guarded


@staged
async def test_without_a_right_to_all_namespaces_one_is_watched(world: World) -> None:
    forbidden(world, "/api/v1/namespaces/web/")
    await world.deploy(config_map("settings", color="red"))
    (sight,) = await world.look(SETTINGS)
    assert sight.exists
    await quiet(world)
    world.merge(URL, {"data": {"color": "blue"}})
    await asyncio.sleep(0.5)
    assert (UNIT, str(SETTINGS), "drift") in world.rings


@staged
async def test_a_narrow_watch_is_believed_like_a_wide_one(world: World) -> None:
    forbidden(world, "/api/v1/namespaces/web/")
    await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    known = (await world.compare(config_map("settings"))).fingerprints
    assert (await world.compare(config_map("settings"), known=known)).unchanged == (SETTINGS,)


@staged
async def test_a_server_that_is_down_is_told_quickly_and_found_again_at_once(world: World) -> None:
    await world.deploy(config_map("settings"))
    world.transport.down = True
    began = world.clock.monotonic()
    for _ in range(5):
        with pytest.raises(Unavailable):
            await world.look(ref("Secret", "token"))
    assert world.clock.monotonic() - began < 10
    await asyncio.sleep(120)
    world.transport.down = False
    began = world.clock.monotonic()
    assert not (await world.look(ref("Secret", "token")))[0].exists
    assert world.clock.monotonic() - began < 1


@staged
async def test_without_any_right_looking_is_denied(world: World) -> None:
    forbidden(world, "/nowhere")
    with pytest.raises(Denied, match="configmaps is forbidden"):
        await world.look(SETTINGS)


@staged
async def test_objects_of_a_new_kind_are_watched_as_soon_as_they_are_applied(world: World) -> None:
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    what = ref("Widget", "w", group="example.org")
    await world.compare(definition(), widget)
    assert not (await world.look(what))[0].exists
    await world.deploy(definition())
    await asyncio.sleep(20)
    await world.deploy(widget)
    await quiet(world)
    world.merge("/apis/example.org/v1/namespaces/web/widgets/w", {"spec": {"size": 2}})
    await asyncio.sleep(0.5)
    assert (UNIT, str(what), "drift") in world.rings


@staged
async def test_one_watch_serves_all_units_of_a_cluster(world: World) -> None:
    for number in range(20):
        scope = replace(WEB, unit=f"shop/app-{number}")
        await world.deploy(config_map(f"c{number}"), scope=scope)
        await world.look(ref("ConfigMap", f"c{number}"), scope=scope)
    assert world.transport.open_watches == 1


@staged
async def test_a_kind_without_health_is_not_waited_for(world: World) -> None:
    await world.deploy(config_map("settings"), deployment())
    plain, gated = await world.look(SETTINGS, ref("Deployment", "web", group="apps"))
    assert not plain.gated
    assert gated.gated


@staged
async def test_a_copy_that_a_controller_made_is_not_taken_for_ours(world: World) -> None:
    (made,) = await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    source = world.get(URL)["metadata"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": made.uid, "controller": True}
    metadata = {"name": "copy", "ownerReferences": [owner]} | {k: source[k] for k in ("labels", "annotations")}
    world.call("POST", f"{CONFIG_MAPS}?fieldManager=some-controller", {**config_map("copy"), "metadata": metadata})
    await asyncio.sleep(0.5)
    assert not (await world.look(ref("ConfigMap", "copy")))[0].exists


@staged
async def test_a_terminating_object_says_what_holds_it(world: World) -> None:
    obj = config_map("settings")
    obj["metadata"]["finalizers"] = ["example.org/hold"]
    await world.deploy(obj)
    await world.look(SETTINGS)
    world.call("DELETE", URL)
    await asyncio.sleep(0.5)
    (sight,) = await world.look(SETTINGS)
    assert sight.terminating
    assert sight.finalizers == ("example.org/hold",)


@staged
async def test_a_managed_object_keeps_its_url(world: World) -> None:
    """Deployments of two groups and versions are one kind of object: the index follows the preferred version."""
    await world.deploy(deployment())
    await world.until(ref("Deployment", "web", group="apps"), "Healthy")
    assert world.get(f"{DEPLOYMENTS}/web")["status"]["readyReplicas"] == 2


@staged
async def test_what_kedge_applied_and_nobody_expects_is_a_stray_and_a_copy_is_none(world: World) -> None:
    await world.deploy(config_map("settings", color="red"))
    await quiet(world)
    assert (await world.compare(config_map("settings", color="red"))).strays == {}

    late = (await world.place(config_map("late", color="red"))).manifests[0]
    client = (await world.target._site(WEB)).client
    kind = await client.kind("", "ConfigMap")
    await client.apply(kind, "web", "late", late.body)  # by a request that the index knows nothing of
    copy = world.get(URL)
    metadata = {key: copy["metadata"][key] for key in ("labels", "annotations")}
    world.call("POST", f"{CONFIG_MAPS}?fieldManager=kubectl-create", {**copy, "metadata": {**metadata, "name": "copy"}})
    await asyncio.sleep(1)
    for _ in range(2):  # looking does not forget
        strays = (await world.compare(config_map("settings", color="red"))).strays
        assert strays == {ref("ConfigMap", "late"): world.get(f"{CONFIG_MAPS}/late")["metadata"]["uid"]}
    assert (await world.compare(config_map("settings", color="red"), extra=(ref("ConfigMap", "late"),))).strays == {}
    assert (await world.compare(config_map("settings", color="red"))).strays == {}, "it was expected once"
