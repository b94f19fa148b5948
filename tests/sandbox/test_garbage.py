"""Deletion: finalizers, preconditions, owners, namespaces."""

from __future__ import annotations

from typing import Any

from tests.sandbox.conftest import DEPLOYMENTS, MAPS, Lab, config_map, deployment

SETS, PODS = "/apis/apps/v1/namespaces/default/replicasets", "/api/v1/namespaces/default/pods"


def _owned(lab: Lab, name: str, owner: dict[str, Any], **more: Any) -> None:
    meta = owner["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"], **more}
    body = config_map(name)
    body["metadata"]["ownerReferences"] = [reference]
    lab.post(MAPS, body)
    assert lab.status == 201


def _there(lab: Lab, url: str) -> bool:
    lab.get(url)
    return lab.status == 200


def test_a_plain_deletion_answers_success_with_what_went(lab: Lab) -> None:
    made = lab.post(MAPS, config_map())
    gone = lab.delete(f"{MAPS}/settings")
    assert (gone["kind"], gone["status"]) == ("Status", "Success")
    assert gone["details"] == {"name": "settings", "kind": "configmaps", "uid": made["metadata"]["uid"]}


def test_preconditions_of_uid_and_version_are_kept(lab: Lab) -> None:
    made = lab.post(MAPS, config_map())
    refusal = lab.delete(f"{MAPS}/settings", {"preconditions": {"uid": "another"}})
    assert (lab.status, refusal["reason"]) == (409, "Conflict")
    assert "the UID in the precondition (another)" in refusal["message"]
    lab.delete(f"{MAPS}/settings", {"preconditions": {"resourceVersion": "1"}})
    assert lab.status == 409
    lab.delete(f"{MAPS}/settings", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert lab.status == 200


def test_a_finalizer_holds_an_object_until_it_is_taken_off(lab: Lab) -> None:
    body = config_map()
    body["metadata"]["finalizers"] = ["example.com/hold"]
    lab.post(MAPS, body)
    going = lab.delete(f"{MAPS}/settings")
    assert going["metadata"]["deletionTimestamp"]
    lab.box.settle()
    again = lab.delete(f"{MAPS}/settings")
    assert again["metadata"]["resourceVersion"] == going["metadata"]["resourceVersion"]
    added = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    assert "no new finalizers can be added" in lab.patch(f"{MAPS}/settings", added)["message"]
    lab.patch(f"{MAPS}/settings", {"metadata": {"finalizers": None}})
    assert not _there(lab, f"{MAPS}/settings")


def test_what_is_owned_goes_after_its_owner(lab: Lab) -> None:
    owner = lab.post(MAPS, config_map("owner"))
    _owned(lab, "child", owner)
    lab.delete(f"{MAPS}/owner")
    assert _there(lab, f"{MAPS}/child")
    lab.box.settle()
    assert not _there(lab, f"{MAPS}/child")


def test_orphans_stay_and_lose_their_owner(lab: Lab) -> None:
    owner = lab.post(MAPS, config_map("owner"))
    _owned(lab, "child", owner)
    lab.delete(f"{MAPS}/owner", {"propagationPolicy": "Orphan"})
    lab.box.settle()
    assert not _there(lab, f"{MAPS}/owner")
    assert "ownerReferences" not in lab.get(f"{MAPS}/child")["metadata"]


def test_foreground_deletion_waits_for_what_blocks_it(lab: Lab) -> None:
    owner = lab.post(MAPS, config_map("owner"))
    _owned(lab, "child", owner, blockOwnerDeletion=True)
    lab.patch(f"{MAPS}/child", {"metadata": {"finalizers": ["example.com/hold"]}})
    lab.delete(f"{MAPS}/owner", {"propagationPolicy": "Foreground"})
    lab.box.settle()
    assert lab.get(f"{MAPS}/owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert lab.get(f"{MAPS}/child")["metadata"]["deletionTimestamp"]
    lab.patch(f"{MAPS}/child", {"metadata": {"finalizers": None}})
    lab.box.settle()
    assert not _there(lab, f"{MAPS}/owner")


def test_a_second_owner_keeps_an_object(lab: Lab) -> None:
    one, two = lab.post(MAPS, config_map("one")), lab.post(MAPS, config_map("two"))
    _owned(lab, "child", one)
    both = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        for owner in (one, two)
    ]
    lab.patch(f"{MAPS}/child", {"metadata": {"ownerReferences": both}})
    lab.delete(f"{MAPS}/one")
    lab.box.settle()
    assert [item["name"] for item in lab.get(f"{MAPS}/child")["metadata"]["ownerReferences"]] == ["two"]


def test_what_names_an_owner_that_never_was_is_collected(lab: Lab) -> None:
    _owned(lab, "child", {"metadata": {"name": "ghost", "uid": "00000000-0000-4000-8000-000000000000"}})
    lab.box.settle()
    assert not _there(lab, f"{MAPS}/child")


def test_a_deployment_takes_its_sets_and_pods_along(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment())
    lab.pass_time(2)
    assert lab.get(PODS)["items"]
    lab.delete(f"{DEPLOYMENTS}/web", {"propagationPolicy": "Background"})
    lab.pass_time(2)
    assert (lab.get(SETS)["items"], lab.get(PODS)["items"]) == ([], [])


def test_a_deployment_deleted_in_the_foreground_goes_last(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment())
    lab.pass_time(2)
    watch = lab.get(f"{DEPLOYMENTS}?watch=true&resourceVersion={lab.box.version}")
    lab.delete(f"{DEPLOYMENTS}/web", {"propagationPolicy": "Foreground"})
    lab.pass_time(3)
    assert watch.events()[-1]["type"] == "DELETED"
    assert (lab.get(SETS)["items"], lab.get(PODS)["items"]) == ([], [])


def test_a_namespace_ends_when_it_is_empty(lab: Lab) -> None:
    lab.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    lab.box.settle()
    inside = "/api/v1/namespaces/shop/configmaps"
    body = config_map()
    body["metadata"]["finalizers"] = ["example.com/hold"]
    lab.post(inside, body)
    going = lab.delete("/api/v1/namespaces/shop")
    assert going["status"]["phase"] == "Terminating"
    refusal = lab.post(inside, config_map("late"))
    assert (lab.status, refusal["reason"]) == (403, "Forbidden")
    assert refusal["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    lab.pass_time(1)
    assert lab.get("/api/v1/namespaces/shop")["status"]["conditions"][0]["type"] == "NamespaceContentRemaining"
    lab.patch(f"{inside}/settings", {"metadata": {"finalizers": None}})
    lab.pass_time(1)
    assert not _there(lab, "/api/v1/namespaces/shop")


def test_the_namespaces_of_the_system_may_not_be_deleted(lab: Lab) -> None:
    lab.delete("/api/v1/namespaces/default")
    assert lab.status == 403


def test_a_collection_is_deleted_by_selector(lab: Lab) -> None:
    for name in ("a", "b"):
        body = config_map(name)
        body["metadata"]["labels"] = {"name": name}
        lab.post(MAPS, body)
    gone = lab.delete(f"{MAPS}?labelSelector=name%3Da")
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a"]
    assert not _there(lab, f"{MAPS}/a")
    assert _there(lab, f"{MAPS}/b")


def test_a_running_pod_gets_its_grace_and_goes_at_once_without_any(lab: Lab) -> None:
    spec = {"containers": [{"name": "c", "image": "a:1"}]}
    for name in ("slow", "quick"):
        lab.post(PODS, {"metadata": {"name": name}, "spec": spec})
    lab.pass_time(1)
    going = lab.delete(f"{PODS}/slow")
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    assert _there(lab, f"{PODS}/slow")
    lab.pass_time(1)
    assert not _there(lab, f"{PODS}/slow")
    lab.delete(f"{PODS}/quick", {"gracePeriodSeconds": 0})
    assert not _there(lab, f"{PODS}/quick")


def test_a_bound_claim_goes_when_no_pod_uses_it(lab: Lab) -> None:
    claims = "/api/v1/namespaces/default/persistentvolumeclaims"
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    lab.post(claims, {"metadata": {"name": "data"}, "spec": wish})
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    pod = {"volumes": volumes, "containers": [{"name": "c", "image": "a:1"}]}
    lab.post(PODS, {"metadata": {"name": "user"}, "spec": pod})
    lab.pass_time(1)
    lab.delete(f"{claims}/data")
    lab.pass_time(2)
    assert _there(lab, f"{claims}/data")
    lab.delete(f"{PODS}/user")
    lab.pass_time(3)
    assert not _there(lab, f"{claims}/data")


def _claims(lab: Lab, name: str, owner: str) -> None:
    uid = lab.get(f"{MAPS}/{owner}")["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid, "blockOwnerDeletion": True}
    lab.patch(f"{MAPS}/{name}", {"metadata": {"ownerReferences": [reference]}})
    assert lab.status == 200


def test_owners_in_a_circle_do_not_wait_for_each_other(lab: Lab) -> None:
    for circle in (("a", "b"), ("c", "d", "e"), ("self",)):
        for name in circle:
            lab.post(MAPS, config_map(name))
        for name, owner in zip(circle, (*circle[1:], circle[0]), strict=True):
            _claims(lab, name, owner)
        lab.delete(f"{MAPS}/{circle[0]}", {"propagationPolicy": "Foreground"})
        lab.pass_time(0.5)
        assert not any(_there(lab, f"{MAPS}/{name}") for name in circle), circle
