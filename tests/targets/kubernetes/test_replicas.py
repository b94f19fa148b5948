"""Replicas that an autoscaler owns are left to it."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.doors.kube_world import DEPLOYMENTS, World, deployment, staged

from kedge.kube.transport import Response
from kedge.model.change import Act

URL = f"{DEPLOYMENTS}/web"


def autoscaler(name: str = "web") -> dict[str, Any]:
    aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"scaleTargetRef": aim, "minReplicas": 1, "maxReplicas": 10}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec}


def scale(world: World, replicas: int) -> None:
    """As the controller manager does it for an autoscaler: over the subresource."""
    body = {"spec": {"replicas": replicas}}
    world.call("PATCH", f"{URL}/scale?fieldManager=kube-controller-manager", body, "application/merge-patch+json")


def replicas(world: World) -> int:
    return int(world.get(URL)["spec"]["replicas"])


@staged
async def test_a_number_that_the_autoscaler_set_is_no_difference(world: World) -> None:
    await world.deploy(autoscaler(), deployment(replicas=2))
    scale(world, 7)
    (_, pair) = (await world.compare(autoscaler(), deployment(replicas=2))).pairs
    assert pair.live["spec"]["replicas"] == pair.predicted["spec"]["replicas"] == 7
    assert pair.autoscaled


@staged
async def test_applying_leaves_the_autoscaler_s_number(world: World) -> None:
    await world.deploy(autoscaler(), deployment(replicas=2))
    scale(world, 7)
    await world.deploy(autoscaler(), deployment(replicas=3, image="web:2"), act=Act.UPDATE)
    assert replicas(world) == 7


@staged
async def test_a_new_autoscaler_does_not_drop_the_replicas_to_one(world: World) -> None:
    """Ceasing to send a field that only we own would remove it, and the server would default it to 1."""
    await world.deploy(deployment(replicas=4))
    await world.compare(autoscaler(), deployment(replicas=4, image="web:2"))
    await world.deploy(autoscaler(), deployment(replicas=4, image="web:2"), act=Act.UPDATE)
    assert replicas(world) == 4


@staged
async def test_replicas_that_leave_git_as_the_autoscaler_comes_stay_as_they_are(world: World) -> None:
    await world.deploy(deployment(replicas=4))
    (_, pair) = (await world.compare(autoscaler(), deployment(replicas=None))).pairs
    assert pair.predicted["spec"]["replicas"] == 4
    await world.deploy(autoscaler(), deployment(replicas=None), act=Act.UPDATE)
    assert replicas(world) == 4


@staged
async def test_a_first_apply_starts_with_git_s_number(world: World) -> None:
    await world.deploy(autoscaler(), deployment(replicas=2))
    assert replicas(world) == 2


@staged
async def test_an_autoscaler_that_is_not_kedge_s_counts_too(world: World) -> None:
    await world.deploy(deployment(replicas=2))
    world.call("POST", "/apis/autoscaling/v2/namespaces/web/horizontalpodautoscalers", autoscaler())
    scale(world, 7)
    await asyncio.sleep(60)
    await world.deploy(deployment(replicas=2, image="web:2"), act=Act.UPDATE)
    assert replicas(world) == 7


@staged
async def test_other_workloads_are_not_left_alone(world: World) -> None:
    await world.deploy(autoscaler("other"), deployment(replicas=2))
    scale(world, 7)
    await world.deploy(autoscaler("other"), deployment(replicas=2), act=Act.UPDATE)
    assert replicas(world) == 2


@staged
async def test_autoscalers_are_listed_once_for_many_units(world: World) -> None:
    await world.compare(deployment("a"))
    world.transport.log.clear()
    for name in "bcdef":
        await world.compare(deployment(name))
    assert [path for method, path in world.transport.calls() if method == "GET"] == []


@staged
async def test_where_all_may_not_be_listed_those_of_the_namespace_are(world: World) -> None:
    request, kind = world.transport.request, "horizontalpodautoscalers"

    async def fenced(method: str, path: str, *more: Any) -> Response:
        if path.endswith(kind) and "/namespaces/" not in path:
            return Response(403, {}, b'{"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}')
        return await request(method, path, *more)

    world.transport.request = fenced  # type: ignore[method-assign]
    await world.deploy(deployment(replicas=2))
    world.call("POST", f"/apis/autoscaling/v2/namespaces/web/{kind}", autoscaler())
    scale(world, 7)
    await asyncio.sleep(31)
    await world.deploy(deployment(replicas=3, image="web:2"), act=Act.UPDATE)
    assert replicas(world) == 7
    world.transport.log.clear()
    await world.compare(deployment("other"))
    assert [path for method, path in world.transport.calls() if kind in path] == []
