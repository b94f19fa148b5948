"""What every target answers to people who ask of what runs, over every way to a cluster."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import Any

import pytest
from tests.contracts.clusters import API, DEPLOYED, PATIENCE, SETTINGS, WEB, House
from tests.doors.kube_world import config_map, deployment, ref
from tests.doors.memory_cluster import MemoryCluster
from tests.doors.memory_target import MemoryTarget

from kedge.model.change import Act
from kedge.model.errors import Invalid, Unavailable
from kedge.model.family import Child, LogLine, LogWish
from kedge.model.ref import Ref

pytestmark = pytest.mark.slow

DEPLOYMENTS = "/apis/apps/v1/namespaces/web/deployments"


async def rolled_out(house: House, **more: Any) -> None:
    await house.deploy(deployment(**more))
    await house.until(DEPLOYED, lambda sight: sight.status == "Healthy")


async def children(house: House, *refs: Ref) -> tuple[Child, ...]:
    return (await house.target.live.family(WEB, refs or (DEPLOYED,))).children


async def read(house: House, *refs: Ref, **wish: Any) -> list[LogLine]:
    log = await house.target.live.logs(WEB, refs or (DEPLOYED,), LogWish(**wish))
    return [line async for line in log.lines]


async def test_a_tree_goes_from_what_git_states_to_the_last_pod(house: House) -> None:
    await house.deploy(config_map("settings"))
    await rolled_out(house)
    family = await house.target.live.family(WEB, (SETTINGS, DEPLOYED))
    assert {ref.kind: sight.status for ref, sight in family.sights.items()} == {
        "ConfigMap": "Healthy",
        "Deployment": "Healthy",
    }
    replica_set, *pods = family.children
    assert (replica_set.ref.kind, replica_set.owner, replica_set.status) == ("ReplicaSet", DEPLOYED, "Healthy")
    assert [(pod.ref.kind, pod.owner, pod.status) for pod in pods] == [("Pod", replica_set.ref, "Healthy")] * 2
    assert family.notes == ()


async def test_an_object_that_is_not_there_is_missing_and_has_no_children(house: House) -> None:
    family = await house.target.live.family(WEB, (DEPLOYED,))
    assert (family.sights[DEPLOYED].exists, family.children) == (False, ())


async def test_objects_of_others_are_nobody_s_children(house: House) -> None:
    await house.deploy(deployment("other"), scope=API)
    await rolled_out(house)
    assert all(child.ref.name.startswith("web-") for child in await children(house))


@pytest.mark.parametrize("word", ["deploy", "deployment", "Deployments", "deployments.apps", "Deployment.v1.apps"])
async def test_a_line_goes_up_from_any_name_of_a_kind(house: House, word: str) -> None:
    await rolled_out(house)
    live = house.target.live
    assert (await live.lineage("default", word, "web", "web")).chain == (DEPLOYED,)
    assert (await live.lineage("default", word, "", "web")).chain == (DEPLOYED,)
    assert await live.lineage("default", word, "web", "gone") is None


async def test_a_pod_s_line_goes_up_to_what_git_states(house: House) -> None:
    await rolled_out(house)
    *_, pod = await children(house)
    found = await house.target.live.lineage("default", "po", "web", pod.ref.name)
    assert [ref.kind for ref in found.chain] == ["Pod", "ReplicaSet", "Deployment"]
    assert found.chain[-1] == DEPLOYED


async def test_a_word_that_is_no_kind_is_refused_and_several_objects_are_listed(house: House) -> None:
    live = house.target.live
    with pytest.raises(Invalid, match="serves no kind “gizmo”"):
        await live.lineage("default", "gizmo", "web", "web")
    for name in ("web", "other"):
        if name == "other":
            await house.hand("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", **named("other")})
        body = {"apiVersion": "v1", "kind": "ConfigMap", **named("twice")}
        await house.hand("POST", f"/api/v1/namespaces/{name}/configmaps", body)
    with pytest.raises(Invalid, match=r"configmaps/twice -n other, configmaps/twice -n web"):
        await live.lineage("default", "cm", "", "twice")


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more}}


@pytest.mark.parametrize(
    ("metadata", "manager", "told"),
    [
        ({"annotations": {"meta.helm.sh/release-name": "shop"}}, "helm", r"Helm \(release /shop\)"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}, "argocd-controller", r"Argo CD \(shop\)"),
        ({}, "kubectl-create", r"a person with kubectl \(kubectl-create\)"),
        ({}, "operator", "nobody by name; it was written by operator"),
    ],
)
async def test_who_manages_what_no_unit_does_is_said(house: House, metadata: Any, manager: str, told: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", **named("theirs", **metadata), "data": {"a": "b"}}
    await house.hand("POST", "/api/v1/namespaces/web/configmaps", body, manager)
    found = await house.target.live.lineage("default", "cm", "web", "theirs")
    assert re.fullmatch(told, found.manager)


async def test_logs_are_those_of_the_unit_s_pods_and_of_no_others(house: House) -> None:
    await house.deploy(deployment("other"), scope=API)
    await rolled_out(house)
    pods = [child.ref.name for child in await children(house) if child.ref.kind == "Pod"]
    lines = await read(house)
    assert [line.pod for line in lines] == [pods[0]] * 2 + [pods[1]] * 2
    assert {line.container for line in lines} == {"web"}
    assert all(line.text and not line.note for line in lines)
    assert [line.pod for line in await read(house, tail=1)] == pods
    assert {line.pod for line in await read(house, object=f"pod/{pods[0]}")} == {pods[0]}
    assert len(await read(house, object="deploy/web", container="web")) == 4


async def test_a_wish_for_logs_that_names_nothing_is_refused_before_any_line(house: House) -> None:
    await house.deploy(config_map("settings"))
    with pytest.raises(Invalid, match="has no Pods just now"):
        await read(house, SETTINGS)
    await rolled_out(house)
    for wish, told in (
        ({"object": "pod/gone"}, "no object “pod/gone”"),
        ({"object": "gizmo/web"}, "serves no kind “gizmo”"),
        ({"container": "sidecar"}, "no Pod has a container “sidecar”"),
    ):
        with pytest.raises(Invalid, match=told):
            await read(house, **wish)


async def test_a_container_that_waits_says_so_instead_of_lines(house: House) -> None:
    await house.deploy(deployment(image="web:broken", replicas=1))
    await house.until(DEPLOYED, lambda sight: "ImagePullBackOff" in sight.message)
    (line,) = await read(house)
    assert line.note
    assert "waiting to start" in line.text


async def test_logs_of_a_run_before_are_asked_for_and_there_are_none(house: House) -> None:
    await rolled_out(house, replicas=1)
    (line,) = await read(house, previous=True)
    assert line.note
    assert "previous terminated container" in line.text


async def test_what_is_followed_goes_on_until_whoever_reads_leaves(house: House) -> None:
    await rolled_out(house, replicas=1)
    lines: list[LogLine] = []
    async with asyncio.timeout(PATIENCE):
        log = await house.target.live.logs(WEB, (DEPLOYED,), LogWish(follow=True))
        assert not log.several
        async with aclosing(log.lines) as source:
            async for line in source:
                lines.append(line)
                if line.note and not line.text:
                    break
    assert [line.note for line in lines[:3]] == [False, False, True]
    assert lines[2].text == "the log has ended"


async def test_events_of_the_cluster_are_those_of_the_objects_and_their_children(house: House) -> None:
    await rolled_out(house, replicas=1)
    *_, pod = await children(house)
    for name, about, when in (
        ("late", {"kind": "Pod", "name": pod.ref.name, "uid": pod.uid}, "2026-11-25T10:00:02Z"),
        ("early", {"kind": "Deployment", "apiVersion": "apps/v1", "name": "web"}, "2026-11-25T10:00:01Z"),
        ("before", {"kind": "Pod", "name": pod.ref.name, "uid": "another"}, "2026-11-25T10:00:03Z"),
        ("other", {"kind": "Deployment", "apiVersion": "apps/v1", "name": "other"}, "2026-11-25T10:00:03Z"),
    ):
        about = {"apiVersion": "v1", "namespace": "web", **about}
        event = {"involvedObject": about, "reason": name, "message": f"it was {name}", "type": "Warning", "count": 3}
        body = {"apiVersion": "v1", "kind": "Event", **named(name), **event, "lastTimestamp": when}
        await house.hand("POST", "/api/v1/namespaces/web/events", body)
    found = await house.target.live.events(WEB, (DEPLOYED,))
    ours = [event for event in found.items if event.message.startswith("it was")]
    assert [(event.ref.kind, event.reason) for event in ours] == [("Deployment", "early"), ("Pod", "late")]
    assert (ours[0].kind, ours[0].count, ours[0].last) == ("Warning", 3, 1795600801.0)


async def test_a_restart_makes_the_pods_anew_and_the_next_sync_leaves_it(house: House) -> None:
    await rolled_out(house)
    before, sight = await children(house), await house.sight(DEPLOYED)
    live = house.target.live
    assert list(await live.restartable(WEB, (SETTINGS, DEPLOYED), "")) == [DEPLOYED]
    assert "step by step" in await live.restart(WEB, DEPLOYED, dry_run=True)
    assert (await house.hand("GET", f"{DEPLOYMENTS}/web"))["metadata"]["generation"] == 1
    await live.restart(WEB, DEPLOYED)
    old = {child.ref for child in before if child.ref.kind == "Pod"}
    async with asyncio.timeout(PATIENCE):
        while old & {child.ref for child in await children(house)}:
            await asyncio.sleep(0.05)
    assert (await house.sight(DEPLOYED)).fingerprint == sight.fingerprint
    (pair,) = (await house.compare(deployment())).pairs
    assert pair.predicted["spec"] == pair.live["spec"]
    assert pair.interactive == ()
    await house.deploy(deployment(), act=Act.UPDATE)
    template = (await house.hand("GET", f"{DEPLOYMENTS}/web"))["spec"]["template"]["metadata"]
    assert "kubectl.kubernetes.io/restartedAt" in template["annotations"]


async def test_what_can_not_be_restarted_says_why(house: House) -> None:
    live = house.target.live
    await house.deploy(config_map("settings"))
    await house.deploy(deployment("other"), scope=API)
    await house.deploy(deployment(paused=True))
    stamped = deployment("stamped", replicas=0)
    stamped["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "once"}
    await house.deploy(stamped)
    for what, told in (
        (SETTINGS, "can not be restarted"),
        (ref("Deployment", "gone", group="apps"), "is not there"),
        (ref("Deployment", "other", group="apps"), "belongs to unit shop/api@prod"),
        (DEPLOYED, "is paused"),
        (ref("Deployment", "stamped", group="apps"), "Git states the annotation"),
    ):
        with pytest.raises(Invalid, match=told):
            await live.restart(WEB, what)
    with pytest.raises(Invalid, match="nothing to restart"):
        await live.restartable(WEB, (SETTINGS,), "")


async def replicas(house: House) -> int:
    found = (await house.hand("GET", f"{DEPLOYMENTS}/web"))["spec"]["replicas"]
    assert isinstance(found, int)
    return found


async def test_a_scale_stays_where_git_states_no_replicas(house: House) -> None:
    await rolled_out(house, replicas=None)
    live = house.target.live
    assert await live.scalable(WEB, (SETTINGS, DEPLOYED), "deploy/web") == DEPLOYED
    assert "it stays so" in await live.scale(WEB, DEPLOYED, 3, dry_run=True)
    assert await replicas(house) == 1
    before = (await house.sight(DEPLOYED)).fingerprint
    await live.scale(WEB, DEPLOYED, 3)
    assert await replicas(house) == 3
    await house.until(DEPLOYED, lambda sight: sight.status == "Healthy")
    assert (await house.sight(DEPLOYED)).fingerprint == before
    await house.deploy(deployment(replicas=None), act=Act.UPDATE)
    assert await replicas(house) == 3


async def test_a_scale_that_git_would_undo_is_refused_unless_it_is_forced(house: House) -> None:
    await rolled_out(house)
    live = house.target.live
    with pytest.raises(Invalid, match="Git states the replicas of apps/Deployment web/web"):
        await live.scale(WEB, DEPLOYED, 5)
    assert await replicas(house) == 2
    assert "Git puts its own number back" in await live.scale(WEB, DEPLOYED, 5, force=True)
    assert await replicas(house) == 5
    await house.deploy(deployment(), act=Act.UPDATE)
    assert await replicas(house) == 2


async def test_what_can_not_be_scaled_says_why(house: House) -> None:
    live = house.target.live
    await house.deploy(config_map("settings"))
    for what, number, told in (
        (SETTINGS, 1, "its kind has no replicas"),
        (DEPLOYED, 1, "is not there"),
        (DEPLOYED, -1, "no number of replicas"),
    ):
        with pytest.raises(Invalid, match=told):
            await live.scale(WEB, what, number)
    with pytest.raises(Invalid, match="no object “gone”"):
        await live.scalable(WEB, (SETTINGS,), "gone")


async def test_a_target_in_which_nothing_runs_says_so() -> None:
    target = MemoryTarget(MemoryCluster(lambda: 0.0, lambda seconds, work: None))
    with pytest.raises(Unavailable, match="nothing runs in it"):
        await target.live.lineage("default", "deploy", "web", "web")
