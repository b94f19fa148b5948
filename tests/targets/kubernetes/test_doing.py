"""Actions on live objects, beside everybody else who writes into them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.doors.kube_world import DEPLOYMENTS, WEB, World, definition, deployment, ref, staged

from kedge.model.action import Action, Doing
from kedge.model.change import Act
from kedge.model.errors import Invalid
from kedge.targets.kubernetes.live import KubernetesLive

DEPLOYED = ref("Deployment", "web", group="apps")
URL = f"{DEPLOYMENTS}/web"
PAUSE = Action(
    "pause", "hold it", "object.?spec.?paused.orValue(false) != true", "it is paused", {"spec": {"paused": True}}
)
COPY: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "${short}-${stamp}", "namespace": "${namespace}"},
    "data": {"by": "${actor}"},
}
COPIED = Action("copy", "make a copy", create=COPY)
AGAIN = Action("mark-again", "mark it", condition={"type": "Again", "status": "True", "reason": "Asked"})
MARKED = Action("mark", "mark it", condition={"type": "Marked", "status": "True", "reason": "Asked"})


def live(world: World) -> KubernetesLive:
    """The world's live side, which knows these three."""
    found = world.target.live
    known = {"Deployment": (PAUSE, COPIED, MARKED), "Widget": (MARKED, AGAIN)}
    found._brought = lambda group, kind: known.get(kind, ())
    return found


def doing(action: str) -> Doing:
    return Doing(DEPLOYED, action, "mona")


@staged
async def test_an_action_stays_through_the_next_sync_while_people_s_fields_go(world: World) -> None:
    await world.deploy(deployment())
    done = await live(world).act(WEB, doing("pause"))
    assert (done.follows, done.fields) == ("hold it", (("spec", "paused"),))
    world.merge(URL, {"spec": {"minReadySeconds": 7}})
    await world.look(DEPLOYED)
    await world.compare(deployment())
    await world.deploy(deployment(), act=Act.UPDATE)
    spec = world.get(URL)["spec"]
    assert spec["paused"] is True
    assert spec.get("minReadySeconds", 0) == 0


@staged
async def test_an_action_rings_no_drift(world: World) -> None:
    await world.deploy(deployment())
    await world.until(DEPLOYED, "Healthy")
    world.rings.clear()
    await live(world).act(WEB, doing("pause"))
    await world.until(DEPLOYED, "Suspended")
    assert "drift" not in {what for _, _, what in world.rings}


@staged
async def test_trying_changes_nothing(world: World) -> None:
    await world.deploy(deployment())
    before = world.get(URL)
    for action in ("pause", "copy", "mark"):
        await live(world).act(WEB, doing(action), dry_run=True)
    assert world.get(URL) == before


@staged
async def test_what_can_be_done_is_listed_with_what_stands_against_it(world: World) -> None:
    await world.deploy(deployment())
    await live(world).act(WEB, doing("pause"))
    await world.until(DEPLOYED, "Suspended")
    found = await live(world).actions(WEB, [DEPLOYED, ref("ConfigMap", "gone")], "")
    assert [(one.action, one.hindrance) for one in found] == [("pause", "it is paused"), ("copy", ""), ("mark", "")]
    with pytest.raises(Invalid, match="it is paused"):
        await live(world).act(WEB, doing("pause"))


@staged
async def test_an_object_is_made_beside_the_one_it_is_about(world: World) -> None:
    await world.deploy(deployment())
    done = await live(world).act(WEB, doing("copy"))
    name = done.follows.rpartition("/")[2]
    made = world.get(f"/api/v1/namespaces/web/configmaps/{name}")
    assert made["data"] == {"by": "mona"}
    assert not made["metadata"].get("annotations")


@staged
async def test_a_condition_joins_those_that_are_there(world: World) -> None:
    made = definition()
    made["spec"]["versions"][0]["subresources"] = {"status": {}}
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] = anything
    await world.deploy(made)
    await world.clock.sleep(20)
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 1}}
    await world.deploy(widget)
    known = ref("Widget", "one", group="example.org")
    for name in ("mark", "mark-again", "mark"):
        await live(world).act(WEB, Doing(known, name, "mona"))
    found = world.get("/apis/example.org/v1/namespaces/web/widgets/one")["status"]["conditions"]
    assert [(one["type"], one["reason"]) for one in found] == [("Again", "Asked"), ("Marked", "Asked")]


@staged
async def test_an_unknown_action_names_the_known_ones(world: World) -> None:
    await world.deploy(deployment())
    with pytest.raises(Invalid, match="pause, copy, mark"):
        await live(world).act(WEB, doing("explode"))


@staged
async def test_an_object_of_another_unit_is_not_touched(world: World) -> None:
    await world.deploy(deployment())
    world.merge(URL, {"metadata": {"annotations": {"kedge.dev/owner": "another/unit"}}})
    before = world.get(URL)
    with pytest.raises(Invalid, match="is not touched"):
        await live(world).act(WEB, doing("pause"))
    assert world.get(URL) == before
