"""Create, update, patch: what is stored, what is refused, and in which words."""

from __future__ import annotations

from tests.sandbox.conftest import DEPLOYMENTS, JSON_PATCH, MAPS, MERGE, STRATEGIC, Lab, config_map, deployment


def test_a_created_object_gets_an_identity_and_is_there(lab: Lab) -> None:
    made = lab.post(MAPS, config_map())
    assert lab.status == 201
    assert {"uid", "creationTimestamp", "resourceVersion"} <= made["metadata"].keys()
    assert lab.get(f"{MAPS}/settings") == made


def test_creating_what_is_there_is_refused_as_already_existing(lab: Lab) -> None:
    lab.post(MAPS, config_map())
    refusal = lab.post(MAPS, config_map())
    assert (lab.status, refusal["reason"]) == (409, "AlreadyExists")
    assert refusal["message"] == 'configmaps "settings" already exists'


def test_a_generated_name_begins_as_asked_and_differs_each_time(lab: Lab) -> None:
    body = {"metadata": {"generateName": "run-"}, "data": {}}
    names = {lab.post(MAPS, body)["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


def test_a_missing_namespace_is_told_as_not_found(lab: Lab) -> None:
    refusal = lab.post("/api/v1/namespaces/nowhere/configmaps", config_map())
    assert (lab.status, refusal["message"]) == (404, 'namespaces "nowhere" not found')


def test_the_namespace_of_body_and_url_must_agree(lab: Lab) -> None:
    body = config_map()
    body["metadata"]["namespace"] = "elsewhere"
    assert "does not match the namespace" in lab.post(MAPS, body)["message"]
    assert lab.status == 400


def test_a_dry_run_answers_the_object_and_stores_nothing(lab: Lab) -> None:
    made = lab.post(MAPS + "?dryRun=All", config_map())
    assert lab.status == 201
    assert made["metadata"]["uid"]
    assert "resourceVersion" not in made["metadata"]
    lab.get(f"{MAPS}/settings")
    assert lab.status == 404


def test_a_dry_run_of_a_change_or_deletion_changes_nothing(lab: Lab) -> None:
    made = lab.post(MAPS, config_map())
    shown = lab.patch(f"{MAPS}/settings?dryRun=All", {"data": {"a": "2"}})
    assert shown["data"] == {"a": "2"}
    lab.delete(f"{MAPS}/settings", {"dryRun": ["All"]})
    lab.delete(f"{MAPS}/settings?dryRun=All")
    lab.delete(f"{MAPS}?dryRun=All")
    assert lab.get(f"{MAPS}/settings") == made


def test_an_update_from_an_old_version_conflicts(lab: Lab) -> None:
    old = lab.post(MAPS, config_map())
    lab.put(f"{MAPS}/settings", {**old, "data": {"a": "2"}})
    refusal = lab.put(f"{MAPS}/settings", {**old, "data": {"a": "3"}})
    assert (lab.status, refusal["reason"]) == (409, "Conflict")
    assert "the object has been modified" in refusal["message"]


def test_an_update_without_a_version_is_unconditional(lab: Lab) -> None:
    lab.post(MAPS, config_map())
    assert lab.put(f"{MAPS}/settings", config_map(a="9"))["data"] == {"a": "9"}


def test_writing_the_same_again_does_not_move_the_resource_version(lab: Lab) -> None:
    made = lab.post(MAPS, config_map())
    lab.clock.at += 100
    assert lab.put(f"{MAPS}/settings", made)["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    again = lab.patch(f"{MAPS}/settings", {"data": {"a": "1"}})
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_generation_moves_with_the_spec_only(lab: Lab) -> None:
    assert lab.post(DEPLOYMENTS, deployment())["metadata"]["generation"] == 1
    labelled = lab.patch(f"{DEPLOYMENTS}/web", {"metadata": {"labels": {"x": "y"}}})
    assert labelled["metadata"]["generation"] == 1
    assert lab.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 5}})["metadata"]["generation"] == 2


def test_a_status_write_leaves_the_spec_alone_and_a_spec_write_the_status(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment())
    change = {"spec": {"replicas": 9}, "status": {"replicas": 7}}
    by_status = lab.patch(f"{DEPLOYMENTS}/web/status", change)
    assert (by_status["spec"]["replicas"], by_status["status"]["replicas"]) == (2, 7)
    by_spec = lab.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 9}, "status": {"replicas": 1}})
    assert (by_spec["spec"]["replicas"], by_spec["status"]["replicas"]) == (9, 7)


def test_a_merge_patch_removes_what_is_null(lab: Lab) -> None:
    lab.post(MAPS, config_map(a="1", b="2"))
    assert lab.patch(f"{MAPS}/settings", {"data": {"a": None}})["data"] == {"b": "2"}


def test_a_strategic_patch_merges_containers_by_name_and_deletes_when_told(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment())
    pods = {"template": {"spec": {"containers": [{"name": "side", "image": "busybox:1"}]}}}
    both = lab.patch(f"{DEPLOYMENTS}/web", {"spec": pods}, STRATEGIC)
    assert {item["name"] for item in both["spec"]["template"]["spec"]["containers"]} == {"main", "side"}
    gone = {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}
    one = lab.patch(f"{DEPLOYMENTS}/web", {"spec": gone}, STRATEGIC)
    assert [item["name"] for item in one["spec"]["template"]["spec"]["containers"]] == ["main"]


def test_a_json_patch_whose_test_fails_changes_nothing(lab: Lab) -> None:
    lab.post(MAPS, config_map())
    steps = [{"op": "test", "path": "/data/a", "value": "2"}, {"op": "remove", "path": "/data/a"}]
    lab.patch(f"{MAPS}/settings", steps, JSON_PATCH)
    assert lab.status == 422
    assert lab.get(f"{MAPS}/settings")["data"] == {"a": "1"}


def test_managed_fields_are_cleared_by_a_list_with_an_empty_entry(lab: Lab) -> None:
    lab.apply(f"{MAPS}/settings", config_map())
    steps = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    assert "managedFields" not in lab.patch(f"{MAPS}/settings", steps, JSON_PATCH)["metadata"]
    lab.apply(f"{MAPS}/settings", config_map())
    assert (
        "managedFields" not in lab.patch(f"{MAPS}/settings", {"metadata": {"managedFields": [{}]}}, MERGE)["metadata"]
    )


def test_a_patch_of_an_unknown_media_type_is_refused(lab: Lab) -> None:
    lab.post(MAPS, config_map())
    lab.patch(f"{MAPS}/settings", {}, "text/plain")
    assert lab.status == 415


def test_unknown_fields_are_refused_warned_of_or_dropped_as_asked(lab: Lab) -> None:
    body = deployment()
    body["spec"]["replica"] = 3
    strict = lab.post(DEPLOYMENTS + "?fieldValidation=Strict", body)
    assert (lab.status, strict["reason"]) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.replica"' in strict["message"]
    made = lab.post(DEPLOYMENTS, body)
    assert lab.last is not None
    assert lab.last.headers["warning"] == '299 - "unknown field \\"spec.replica\\""'
    assert "replica" not in made["spec"]
    lab.delete(f"{DEPLOYMENTS}/web")
    lab.post(DEPLOYMENTS + "?fieldValidation=Ignore", body)
    assert "warning" not in lab.last.headers


def test_a_value_of_the_wrong_type_names_its_field(lab: Lab) -> None:
    body = deployment()
    body["spec"]["replicas"] = "two"
    refusal = lab.post(DEPLOYMENTS, body)
    assert lab.status == 400
    assert (
        "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32" in refusal["message"]
    )


def test_a_body_over_three_mebibytes_is_refused(lab: Lab) -> None:
    lab.post(MAPS, config_map(a="x" * (3 * 1024 * 1024)))
    assert lab.status == 413


def test_the_manager_is_the_agent_where_none_is_named(lab: Lab) -> None:
    lab.ask("POST", MAPS, config_map(), user_agent="kubectl/v1.32 (linux)")
    assert lab.get(f"{MAPS}/settings")["metadata"]["managedFields"][0]["manager"] == "kubectl"


def test_a_scale_changes_replicas_and_nothing_else(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment())
    shown = lab.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 4}})
    assert (shown["kind"], shown["spec"]["replicas"]) == ("Scale", 4)
    assert lab.get(f"{DEPLOYMENTS}/web")["spec"]["replicas"] == 4


def test_stored_objects_do_not_change_under_those_who_hold_them(lab: Lab) -> None:
    lab.post(DEPLOYMENTS, deployment())
    held = lab.box.cluster.store.get("deployments.apps", "default", "web")
    assert held is not None
    before = held.raw
    lab.patch(f"{DEPLOYMENTS}/web", {"spec": {"template": {"metadata": {"labels": {"new": "label"}}}}})
    lab.pass_time(2)
    held._raw = None
    assert held.raw == before


def test_a_subresource_is_not_the_object(lab: Lab) -> None:
    pods = "/api/v1/namespaces/default/pods"
    lab.post(pods, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}})
    before = lab.box.version
    for method, sub in (
        ("DELETE", "status"), ("DELETE", "log"), ("PUT", "log"), ("PATCH", "eviction"), ("PUT", "binding"),
        ("GET", "eviction"), ("POST", "status"), ("POST", "log"), ("HEAD", "status"), ("OPTIONS", "log"),
    ):  # fmt: skip
        lab.ask(method, f"{pods}/p/{sub}", {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
        assert lab.status == 405, (method, sub)
    lab.delete("/apis/apps/v1/namespaces/default/deployments/d/scale")
    assert (lab.status, lab.box.version) == (405, before)
