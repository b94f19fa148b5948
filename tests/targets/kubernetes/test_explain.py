"""Why a workload is not healthy, in the words of its Pods."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.doors.kube_world import DEPLOYMENTS, World, deployment, ref, staged

from kedge.model.change import Act
from kedge.targets.kubernetes.explain import looked_at, selector_of

WEB = ref("Deployment", "web", group="apps")


@staged
async def test_the_sentence_names_pod_container_and_reason(world: World) -> None:
    await world.deploy(deployment(image="web:broken"))
    await world.look(WEB)
    await asyncio.sleep(10)
    (sight,) = await world.look(WEB)
    assert sight.status != "Healthy"
    pod = world.get("/api/v1/namespaces/web/pods")["items"][0]["metadata"]["name"].rsplit("-", 1)[0]
    assert f"pod {pod}" in sight.message
    assert "container web is in ImagePullBackOff" in sight.message
    assert "(and 1 more pod)" in sight.message


@staged
async def test_the_workload_s_own_words_are_never_those_of_before(world: World) -> None:
    await world.deploy(deployment(image="web:broken"))
    await world.look(WEB)
    await asyncio.sleep(10)
    (before,) = await world.look(WEB)
    await world.deploy(deployment(image="web:broken", replicas=7), act=Act.UPDATE)
    sight = await world.until(WEB, "Progressing")
    assert "has not looked at generation 2 yet; pod" in sight.message.replace("; the last one it saw is 1", ""), (
        sight.message
    )
    assert before.message.rpartition("; ")[2] in sight.message


def test_pods_are_asked_only_once_the_controller_has_seen_what_the_workload_is_now() -> None:
    made: dict[str, Any] = {"kind": "Deployment", "metadata": {"generation": 2}, "status": {"observedGeneration": 1}}
    assert not looked_at(made)
    assert not looked_at({**made, "status": {}})
    assert looked_at({**made, "status": {"observedGeneration": 2}})
    assert looked_at({**made, "kind": "Job", "status": {}})


@staged
async def test_the_explanation_rings(world: World) -> None:
    await world.deploy(deployment(image="web:broken"))
    await world.look(WEB)
    await asyncio.sleep(0.5)
    world.rings.clear()
    await asyncio.sleep(10)
    assert ("shop/web@prod", str(WEB), "words") in world.rings


@staged
async def test_it_goes_when_the_workload_is_well_again(world: World) -> None:
    await world.deploy(deployment(image="web:broken"))
    await world.look(WEB)
    await asyncio.sleep(10)
    await world.deploy(deployment(image="web:2"), act=Act.UPDATE)
    sight = await world.until(WEB, "Healthy")
    assert "ImagePullBackOff" not in sight.message


@staged
async def test_healthy_workloads_cost_no_call(world: World) -> None:
    await world.deploy(deployment())
    await world.until(WEB, "Healthy")
    await asyncio.sleep(5)
    world.transport.log.clear()
    await asyncio.sleep(120)
    assert world.transport.calls() == []


@staged
async def test_a_long_illness_is_asked_about_less_and_less(world: World) -> None:
    await world.deploy(deployment(image="web:broken"))
    await world.look(WEB)
    await asyncio.sleep(60)
    world.transport.log.clear()
    await asyncio.sleep(300)
    assert 5 <= len(world.transport.calls()) <= 25


@staged
async def test_a_deleted_workload_is_forgotten(world: World) -> None:
    await world.deploy(deployment(image="web:broken"))
    await world.look(WEB)
    await asyncio.sleep(5)
    world.call("DELETE", f"{DEPLOYMENTS}/web")
    await asyncio.sleep(60)
    world.transport.log.clear()
    await asyncio.sleep(120)
    assert world.transport.calls() == []


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]}, "a in (x,y)"),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, "a=1,!b"),
        ({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_workload_s_selector_as_the_api_takes_it(selector: object, text: str) -> None:
    assert selector_of({"spec": {"selector": selector}}) == text
