"""Acting: one step done, done again, refused."""

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
    step,
)

from kedge.model.change import Act
from kedge.model.errors import Awaited, Conflict, Denied, Unavailable
from kedge.model.operation import Did, Outcome

SETTINGS = ref("ConfigMap", "settings")
URL = f"{CONFIG_MAPS}/settings"
OTHER = replace(WEB, unit="shop/api")


async def removed(world: World, what=SETTINGS, uid: str = "", scope=WEB):
    return await world.target.act(scope, step(what, Act.DELETE, uid=uid), None)


@staged
async def test_a_creation_is_one_call_and_carries_uid_and_fingerprint(world: World) -> None:
    await world.compare(config_map("first"))
    world.transport.log.clear()
    (outcome,) = await world.deploy(config_map("settings"))
    assert outcome.did is Did.APPLIED
    assert outcome.uid == world.get(URL)["metadata"]["uid"]
    assert outcome.fingerprint
    assert world.transport.calls() == [("PATCH", URL)]


@staged
async def test_an_update_of_an_untouched_object_is_one_call(world: World) -> None:
    await world.deploy(config_map("settings", color="red"))
    await world.look(SETTINGS)
    world.transport.log.clear()
    await world.deploy(config_map("settings", color="blue"), act=Act.UPDATE)
    assert world.transport.calls() == [("PATCH", URL)]
    assert world.get(URL)["data"] == {"color": "blue"}


async def updated(world: World, uid: str) -> Outcome:
    """The plan has seen the object of this uid, and makes it blue."""
    (manifest,) = (await world.place(config_map("settings", color="blue"))).manifests
    return await world.target.act(WEB, step(manifest, Act.UPDATE, uid=uid), manifest)


@staged
async def test_an_update_means_one_object_and_makes_it_anew_only_where_it_is_gone(world: World) -> None:
    (outcome,) = await world.deploy(config_map("settings", color="red"))
    world.transport.log.clear()
    assert (await updated(world, outcome.uid)).uid == outcome.uid
    assert world.transport.calls() == [("PATCH", URL)]
    world.call("DELETE", URL)
    made = await updated(world, outcome.uid)
    assert made.did is Did.APPLIED
    assert made.uid == world.get(URL)["metadata"]["uid"] != outcome.uid


@staged
async def test_an_update_takes_nothing_from_what_somebody_has_put_in_the_place_of_its_object(world: World) -> None:
    (outcome,) = await world.deploy(config_map("settings", color="red"))
    world.call("DELETE", URL)
    world.call("POST", f"{CONFIG_MAPS}?fieldManager=operator", config_map("settings", color="theirs"))
    failed = await updated(world, outcome.uid)
    assert failed.did is Did.FAILED
    assert "made by somebody else since the plan" in failed.message
    assert world.get(URL)["data"] == {"color": "theirs"}


@staged
async def test_a_creation_takes_nothing_from_who_was_quicker(world: World) -> None:
    world.call("POST", f"{CONFIG_MAPS}?fieldManager=operator", config_map("settings", color="theirs"))
    (outcome,) = await world.deploy(config_map("settings", color="ours"))
    assert outcome.did is Did.FAILED
    assert "by somebody else since the plan" in outcome.message
    assert 'conflict with "operator"' in outcome.message
    assert world.get(URL)["data"] == {"color": "theirs"}


@staged
async def test_a_creation_takes_nothing_from_another_unit(world: World) -> None:
    await world.deploy(config_map("settings"), scope=OTHER)
    await world.look(SETTINGS)
    (outcome,) = await world.deploy(config_map("settings"))
    assert outcome.did is Did.FAILED
    assert "shop/api: it is compared again" in outcome.message


@staged
async def test_applying_twice_changes_nothing(world: World) -> None:
    await world.deploy(deployment())
    before = world.get(f"{DEPLOYMENTS}/web")["metadata"]["generation"]
    first, second = [(await world.deploy(deployment(), act=Act.UPDATE))[0] for _ in range(2)]
    assert world.get(f"{DEPLOYMENTS}/web")["metadata"]["generation"] == before
    assert first.fingerprint == second.fingerprint


@staged
async def test_fields_that_left_git_really_go(world: World) -> None:
    await world.deploy(config_map("settings", color="red", size="1"))
    await world.deploy(config_map("settings", color="red"), act=Act.UPDATE)
    assert world.get(URL)["data"] == {"color": "red"}


@staged
async def test_fields_added_by_hand_are_removed(world: World) -> None:
    await world.deploy(config_map("settings", color="red"))
    await world.look(SETTINGS)
    world.merge(URL, {"data": {"debug": "on"}})
    await asyncio.sleep(0.1)
    await world.deploy(config_map("settings", color="red"), act=Act.UPDATE)
    live = world.get(URL)
    assert live["data"] == {"color": "red"}
    assert [entry["manager"] for entry in live["metadata"]["managedFields"]] == ["kedge"]


@staged
async def test_scaling_by_hand_is_healed(world: World) -> None:
    await world.deploy(deployment(replicas=2))
    world.call("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 5}}, "application/merge-patch+json")
    await asyncio.sleep(0.1)
    await world.deploy(deployment(replicas=2), act=Act.UPDATE)
    assert world.get(f"{DEPLOYMENTS}/web")["spec"]["replicas"] == 2


@staged
async def test_a_sidecar_s_fields_stay(world: World) -> None:
    await world.deploy(deployment())
    world.merge(f"{DEPLOYMENTS}/web", {"metadata": {"annotations": {"mesh": "in"}}}, manager="sidecar-injector")
    await world.deploy(deployment(image="web:2"), act=Act.UPDATE)
    live = world.get(f"{DEPLOYMENTS}/web")
    assert live["metadata"]["annotations"]["mesh"] == "in"
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"


@staged
async def test_a_write_under_the_takeover_is_a_conflict(world: World) -> None:
    await world.deploy(config_map("settings", color="red"))
    await world.look(SETTINGS)
    world.merge(URL, {"data": {"debug": "on"}})
    await asyncio.sleep(0.1)

    async def meddle(method: str, path: str) -> None:
        if method == "GET":
            world.merge(URL, {"data": {"debug": "off"}})

    world.transport._after = meddle
    with pytest.raises(Conflict, match="changed while its fields"):
        await world.deploy(config_map("settings", color="red"), act=Act.UPDATE)


@staged
async def test_adopting_takes_argo_cd_s_fields_and_marks(world: World) -> None:
    tracked = config_map(
        "settings", annotations={"argocd.argoproj.io/tracking-id": "guestbook:/ConfigMap:web/settings"}
    )
    world.applied(URL, {**tracked, "data": {"extra": "1"}}, "argocd-controller")
    await world.deploy(config_map("settings", color="red"), scope=replace(WEB, adopt=True), act=Act.UPDATE)
    live = world.get(URL)
    assert live["data"] == {"color": "red"}
    assert "argocd.argoproj.io/tracking-id" not in live["metadata"]["annotations"]
    (pair,) = (await world.compare(config_map("settings", color="red"))).pairs
    assert pair.owner is None


@staged
async def test_helm_s_annotations_go_with_the_adoption(world: World) -> None:
    helm = config_map(
        "settings", annotations={"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "x"}
    )
    world.call("POST", f"{CONFIG_MAPS}?fieldManager=helm", {**helm, "data": {"a": "1"}})
    await world.deploy(config_map("settings"), scope=replace(WEB, adopt=True), act=Act.UPDATE)
    live = world.get(URL)
    assert [key for key in live["metadata"]["annotations"] if "helm" in key] == []
    assert not live.get("data")


@staged
async def test_a_refusal_is_an_outcome_with_the_server_s_sentence(world: World) -> None:
    broken = deployment("broken")
    broken["spec"]["template"]["metadata"]["labels"] = {"app": "else"}
    (outcome,) = await world.deploy(broken)
    assert outcome.did is Did.FAILED
    assert "selector" in outcome.message


@staged
async def test_a_missing_namespace_is_a_failed_step(world: World) -> None:
    (outcome,) = await world.deploy(config_map("settings", "nowhere"))
    assert outcome.did is Did.FAILED
    assert 'namespaces "nowhere" not found' in outcome.message


@staged
async def test_an_undefined_kind_is_waited_for(world: World) -> None:
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
    with pytest.raises(Awaited, match="Widget web/w: nothing defines Widget in example"):
        await world.deploy(widget)


@staged
async def test_a_kind_can_be_applied_soon_after_its_definition(world: World) -> None:
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    await world.compare(definition(), widget)
    await world.deploy(definition())
    await world.until(ref("CustomResourceDefinition", "widgets.example.org", "", "apiextensions.k8s.io"), "Healthy")
    await asyncio.sleep(1.0)
    (outcome,) = await world.deploy(widget)
    assert outcome.did is Did.APPLIED


@staged
async def test_a_replacement_clears_then_applies(world: World) -> None:
    await world.deploy(deployment())
    uid = world.get(f"{DEPLOYMENTS}/web")["metadata"]["uid"]
    changed = deployment()
    changed["spec"]["selector"]["matchLabels"] = {"app": "else"}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "else"}
    placed = (await world.place(changed)).manifests[0]
    doing = step(placed, Act.REPLACE, uid=uid)
    first = await world.target.act(WEB, doing, placed)
    assert (first.did, first.uid) == (Did.CLEARING, uid)
    await asyncio.sleep(1.0)
    second = await world.target.act(WEB, doing, placed)
    assert second.did is Did.APPLIED
    assert second.uid != uid
    third = await world.target.act(WEB, doing, placed)
    assert (third.did, third.uid) == (Did.APPLIED, second.uid)


@staged
async def test_volumes_namespaces_and_definitions_are_never_replaced(world: World) -> None:
    await world.deploy(definition())
    placed = (await world.place(definition())).manifests[0]
    outcome = await world.target.act(WEB, step(placed, Act.REPLACE), placed)
    assert outcome.did is Did.FAILED
    assert "never replaced: every object of its kind would be deleted" in outcome.message


@staged
async def test_a_deletion_is_of_the_planned_object(world: World) -> None:
    (made,) = await world.deploy(config_map("settings"))
    outcome = await removed(world, uid=made.uid)
    assert outcome.did is Did.DELETED
    assert world.missing(URL)
    assert (await removed(world, uid=made.uid)).did is Did.DELETED


@staged
async def test_an_object_that_was_made_anew_since_the_plan_is_a_conflict(world: World) -> None:
    (made,) = await world.deploy(config_map("settings"))
    await removed(world, uid=made.uid)
    await world.deploy(config_map("settings"))
    with pytest.raises(Conflict, match="made anew since the plan"):
        await removed(world, uid=made.uid)


@staged
async def test_an_object_of_another_unit_is_never_deleted(world: World) -> None:
    (made,) = await world.deploy(config_map("settings"), scope=OTHER)
    outcome = await removed(world, uid=made.uid)
    assert outcome.did is Did.FAILED
    assert "is not deleted: it belongs to unit shop/api" in outcome.message
    assert not world.missing(URL)


@staged
async def test_an_object_without_our_annotation_is_never_deleted(world: World) -> None:
    live = world.call("POST", CONFIG_MAPS, config_map("settings"))
    outcome = await removed(world, uid=live["metadata"]["uid"])
    assert outcome.did is Did.FAILED
    assert "it does not say that it belongs to this unit" in outcome.message
    assert not world.missing(URL)


@staged
async def test_ownership_that_changed_a_moment_ago_is_respected(world: World) -> None:
    """The index still shows the old owner; the uid is the same. The watch tells before the deletion is sent."""
    (made,) = await world.deploy(config_map("settings"))
    await world.look(SETTINGS)
    await world.deploy(config_map("settings"), scope=OTHER, act=Act.UPDATE)
    assert (await removed(world, uid=made.uid)).did is Did.FAILED


@staged
async def test_what_a_controller_copied_our_marks_onto_is_never_deleted(world: World) -> None:
    (made,) = await world.deploy(config_map("settings"))
    marks = world.get(URL)["metadata"]
    copy = {
        **config_map("copy"),
        "metadata": {
            "name": "copy",
            "labels": marks["labels"],
            "annotations": marks["annotations"],
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": made.uid, "controller": True}
            ],
        },
    }
    live = world.call("POST", f"{CONFIG_MAPS}?fieldManager=some-controller", copy)
    outcome = await removed(world, ref("ConfigMap", "copy"), uid=live["metadata"]["uid"])
    assert outcome.did is Did.FAILED


@pytest.mark.parametrize(
    ("key", "value"),
    [("helm.sh/resource-policy", "keep"), ("argocd.argoproj.io/sync-options", "Validate=false, Prune=false")],
)
def test_an_object_that_asks_to_be_kept_loses_only_our_marks(fields: object, key: str, value: str) -> None:
    @staged
    async def scene(world: World) -> None:
        (made,) = await world.deploy(config_map("settings", annotations={key: value}, color="red"))
        outcome = await removed(world, uid=made.uid)
        assert outcome.did is Did.KEPT
        live = world.get(URL)
        assert live["data"] == {"color": "red"}
        assert [
            k for k in {**live["metadata"].get("labels", {}), **live["metadata"]["annotations"]} if "kedge" in k
        ] == []

    scene(fields)


@staged
async def test_an_object_that_was_let_go_without_an_answer_is_known_as_kept(world: World) -> None:
    """By the next try it carries no mark of ours: neither a reason to delete it, nor one to fail for ever."""
    (made,) = await world.deploy(config_map("settings", annotations={"helm.sh/resource-policy": "keep"}))
    await removed(world, uid=made.uid)
    assert (await removed(world, uid=made.uid)).did is Did.KEPT
    assert not world.missing(URL)


@staged
async def test_a_lost_reply_is_unavailable_and_the_step_can_be_done_again(world: World) -> None:
    placed = (await world.place(config_map("settings"))).manifests[0]
    await world.look(SETTINGS)

    async def lose(method: str, path: str) -> None:
        if method == "PATCH":
            raise Unavailable("connection reset")

    world.transport._after = lose
    with pytest.raises(Unavailable):
        await world.target.act(WEB, step(placed), placed)
    assert not world.missing(URL)

    async def well(method: str, path: str) -> None:
        return None

    world.transport._after = well
    assert (await world.target.act(WEB, step(placed), placed)).did is Did.APPLIED


@staged
async def test_a_bad_credential_is_denied(world: World) -> None:
    placed = (await world.place(config_map("settings"))).manifests[0]
    body = b'{"kind":"Status","code":401,"message":"Unauthorized"}'

    def refuse(*_args: object) -> object:
        return type("Answer", (), {"status": 401, "headers": {}, "body": body})()

    world.transport._handle = refuse
    with pytest.raises(Denied, match="Unauthorized"):
        await world.target.act(WEB, step(placed), placed)
