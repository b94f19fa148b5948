"""Server-side apply as the sandbox carries it; the rules of ownership themselves are the field manager's."""

from __future__ import annotations

from tests.sandbox.conftest import APPLY, DEPLOYMENTS, MAPS, Lab, config_map, deployment


def test_apply_answers_201_for_a_new_object_and_200_for_a_known_one(lab: Lab) -> None:
    lab.apply(f"{MAPS}/settings", config_map())
    assert lab.status == 201
    lab.apply(f"{MAPS}/settings", config_map(a="2"))
    assert lab.status == 200


def test_applying_the_same_again_writes_nothing(lab: Lab) -> None:
    first = lab.apply(f"{DEPLOYMENTS}/web", deployment())
    lab.clock.at += 60
    again = lab.apply(f"{DEPLOYMENTS}/web", deployment())
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert again == first


def test_a_field_no_longer_applied_goes_away(lab: Lab) -> None:
    lab.apply(f"{MAPS}/settings", config_map(a="1", b="2"))
    assert lab.apply(f"{MAPS}/settings", config_map(a="1"))["data"] == {"a": "1"}


def test_another_managers_field_conflicts_unless_forced(lab: Lab) -> None:
    lab.apply(f"{MAPS}/settings", config_map(a="1"), manager="one")
    refusal = lab.apply(f"{MAPS}/settings", config_map(a="2"), manager="two")
    assert (lab.status, refusal["reason"]) == (409, "Conflict")
    assert refusal["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]
    forced = lab.apply(f"{MAPS}/settings", config_map(a="2"), manager="two", force=True)
    assert forced["data"] == {"a": "2"}
    assert [entry["manager"] for entry in forced["metadata"]["managedFields"]] == ["two"]


def test_a_dry_run_apply_shows_defaults_and_stores_nothing(lab: Lab) -> None:
    shown = lab.apply(f"{DEPLOYMENTS}/web", deployment(), more="&dryRun=All")
    assert lab.status == 201
    assert shown["spec"]["progressDeadlineSeconds"] == 600
    lab.get(f"{DEPLOYMENTS}/web")
    assert lab.status == 404


def test_apply_needs_a_manager(lab: Lab) -> None:
    refusal = lab.ask("PATCH", f"{MAPS}/settings", config_map(), content_type=APPLY)
    assert (lab.status, refusal["details"]["causes"][0]["field"]) == (422, "fieldManager")


def test_apply_refuses_managed_fields_in_the_configuration(lab: Lab) -> None:
    body = config_map()
    body["metadata"]["managedFields"] = [{"manager": "me"}]
    assert lab.apply(f"{MAPS}/settings", body)["message"] == "metadata.managedFields must be nil"
    assert lab.status == 400


def test_apply_with_an_old_resource_version_conflicts(lab: Lab) -> None:
    lab.apply(f"{MAPS}/settings", config_map())
    body = config_map(a="5")
    body["metadata"]["resourceVersion"] = "1"
    lab.apply(f"{MAPS}/settings", body)
    assert lab.status == 409


def test_apply_to_a_status_subresource_of_nothing_is_not_found(lab: Lab) -> None:
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 1}}
    lab.apply(f"{DEPLOYMENTS}/web/status", body)
    assert lab.status == 404


def test_a_status_in_the_configuration_is_nobodys(lab: Lab) -> None:
    made = lab.apply(f"{DEPLOYMENTS}/web", {**deployment(), "status": {"replicas": 40}})
    assert made["status"] == {}
    assert all("f:status" not in entry["fieldsV1"] for entry in made["metadata"]["managedFields"])


def test_kind_and_version_must_be_those_of_the_url(lab: Lab) -> None:
    lab.apply(f"{MAPS}/settings", {**config_map(), "kind": "Secret"})
    assert lab.status == 400
    lab.apply(f"{MAPS}/settings", {**config_map(), "apiVersion": "v2"})
    assert lab.status == 400


def test_a_controllers_writes_leave_our_ownership_as_it_is(lab: Lab) -> None:
    first = lab.apply(f"{DEPLOYMENTS}/web", deployment())
    lab.pass_time(3)
    later = lab.get(f"{DEPLOYMENTS}/web")
    assert later["status"]["readyReplicas"] == 2
    assert later["metadata"]["managedFields"] == first["metadata"]["managedFields"]
