"""Restart and scale, beside everybody else who writes into the same object."""

from __future__ import annotations

import pytest
from tests.doors.kube_world import DEPLOYMENTS, WEB, World, deployment, ref, staged
from tests.targets.kubernetes.test_family import meeting, refused
from tests.targets.kubernetes.test_replicas import autoscaler, replicas, scale

from kedge.model.change import Act
from kedge.model.errors import Conflict, Invalid, Unavailable

DEPLOYED = ref("Deployment", "web", group="apps")
URL = f"{DEPLOYMENTS}/web"
STAMP = "kubectl.kubernetes.io/restartedAt"


def stamp(world: World) -> str | None:
    annotations = world.get(URL)["spec"]["template"]["metadata"].get("annotations") or {}
    found = annotations.get(STAMP)
    return found if found is None else str(found)


@staged
async def test_a_restart_stays_while_people_s_fields_go(world: World) -> None:
    await world.deploy(deployment())
    await world.target.live.restart(WEB, DEPLOYED)
    world.merge(URL, {"spec": {"minReadySeconds": 7}})
    world.rings.clear()
    await world.look(DEPLOYED)
    (pair,) = (await world.compare(deployment())).pairs
    assert pair.interactive == ("kubectl-edit",)
    await world.deploy(deployment(), act=Act.UPDATE)
    assert world.get(URL)["spec"].get("minReadySeconds", 0) == 0
    assert stamp(world) is not None


@staged
async def test_a_restart_rings_no_drift(world: World) -> None:
    await world.deploy(deployment())
    await world.until(DEPLOYED, "Healthy")
    world.rings.clear()
    await world.target.live.restart(WEB, DEPLOYED)
    await world.until(DEPLOYED, "Progressing")
    await world.until(DEPLOYED, "Healthy")
    assert "drift" not in {what for _, _, what in world.rings}


@staged
async def test_a_restart_after_one_by_kubectl_takes_the_annotation_over(world: World) -> None:
    await world.deploy(deployment())
    template = {"metadata": {"annotations": {STAMP: "2001-01-01T00:00:00Z"}}}
    world.merge(URL, {"spec": {"template": template}}, "kubectl-rollout")
    await world.target.live.restart(WEB, DEPLOYED)
    await world.deploy(deployment(), act=Act.UPDATE)
    assert stamp(world) not in (None, "2001-01-01T00:00:00Z")


@staged
async def test_two_restarts_within_a_second_are_one(world: World) -> None:
    await world.deploy(deployment())
    await world.target.live.restart(WEB, DEPLOYED)
    with pytest.raises(Conflict, match="within this very second"):
        await world.target.live.restart(WEB, DEPLOYED)
    await world.clock.sleep(2)
    await world.target.live.restart(WEB, DEPLOYED)


@staged
async def test_an_autoscaler_s_number_is_not_touched_unless_it_is_forced(world: World) -> None:
    await world.deploy(autoscaler(), deployment(replicas=None))
    scale(world, 4)
    with pytest.raises(Invalid, match="an autoscaler scales apps/Deployment web/web"):
        await world.target.live.scale(WEB, DEPLOYED, 2)
    assert replicas(world) == 4
    assert "autoscaler puts" in await world.target.live.scale(WEB, DEPLOYED, 2, force=True)
    assert replicas(world) == 2


@staged
async def test_a_refusal_of_the_server_is_a_sentence_and_a_passing_one_passes(world: World) -> None:
    await world.deploy(deployment(replicas=None))
    code = 403

    def meet(method: str, path: str, headers: object) -> object:
        return refused(code, 'deployments.apps "web" is forbidden: quota') if method == "PATCH" else None

    meeting(world, meet)
    with pytest.raises(Invalid, match="is forbidden: quota"):
        await world.target.live.scale(WEB, DEPLOYED, 2)
    with pytest.raises(Invalid, match="is forbidden: quota"):
        await world.target.live.restart(WEB, DEPLOYED)
    code = 409
    with pytest.raises(Conflict, match="is forbidden: quota"):
        await world.target.live.restart(WEB, DEPLOYED)
    code = 500
    with pytest.raises(Unavailable):
        await world.target.live.restart(WEB, DEPLOYED)


@staged
async def test_another_object_under_the_same_name_is_not_restarted(world: World) -> None:
    await world.deploy(deployment())
    first = world.get(URL)
    plain = world.transport.request

    async def request(method: str, path: str, query: object, headers: object, body: bytes) -> object:
        if method == "PATCH":
            world.call("DELETE", URL)
            world.call("POST", DEPLOYMENTS, deployment())
        return await plain(method, path, query, headers, body)

    world.transport.request = request
    with pytest.raises(Conflict):
        await world.target.live.restart(WEB, DEPLOYED)
    assert world.get(URL)["metadata"]["uid"] != first["metadata"]["uid"]
    assert stamp(world) is None
