"""Custom kinds: served once established, pruned, validated, and gone with their definition."""

from __future__ import annotations

import copy

from tests.sandbox.conftest import CRDS, WIDGETS, Lab, definition


def _widget(**spec: object) -> dict[str, object]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": spec or {"size": 1}}


def _defined(lab: Lab, **version: object) -> None:
    lab.post(CRDS, definition(**version))
    assert lab.status == 201
    lab.box.settle()


def test_a_kind_is_served_after_its_definition_is_established(lab: Lab) -> None:
    lab.post(CRDS, definition())
    lab.get(WIDGETS)
    assert lab.status == 404
    lab.box.settle()
    status = lab.get(f"{CRDS}/widgets.example.com")["status"]
    assert [(item["type"], item["status"]) for item in status["conditions"]] == [
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ]
    assert (status["storedVersions"], status["acceptedNames"]["listKind"]) == (["v1"], "WidgetList")
    assert lab.get(WIDGETS)["kind"] == "WidgetList"


def test_unknown_fields_are_pruned_and_defaults_filled_in(lab: Lab) -> None:
    _defined(lab)
    made = lab.post(WIDGETS, _widget(size=2, odd=True, free={"any": {"thing": 1}}))
    assert made["spec"] == {"size": 2, "color": "red", "free": {"any": {"thing": 1}}}
    strict = lab.post(WIDGETS + "?fieldValidation=Strict", _widget(size=2, odd=True))
    assert 'unknown field "spec.odd"' in strict["message"]


def test_a_value_against_the_schema_is_refused_with_its_field(lab: Lab) -> None:
    _defined(lab)
    refusal = lab.post(WIDGETS, _widget(size=0, color="green"))
    assert lab.status == 422
    told = {cause["field"]: cause["message"] for cause in refusal["details"]["causes"]}
    assert told["spec.size"] == "Invalid value: 0: spec.size in body should be greater than or equal to 1"
    assert told["spec.color"] == 'Unsupported value: "green": supported values: "red", "blue"'
    wrong = lab.post(WIDGETS, _widget(size="big"))
    assert 'spec.size in body must be of type integer: "string"' in wrong["message"]
    assert lab.post(WIDGETS, _widget(color="red"))["details"]["causes"][0] == {
        "reason": "FieldValueRequired",
        "message": "Required value",
        "field": "spec.size",
    }


def test_an_object_larger_than_etcd_takes_is_refused_when_it_is_stored_and_not_when_it_is_tried(lab: Lab) -> None:
    _defined(lab)
    large = _widget(size=1, free={"text": "x" * 1_600_000})
    lab.post(f"{WIDGETS}?dryRun=All", large)
    assert lab.status == 201
    refusal = lab.post(WIDGETS, large)
    assert (lab.status, refusal["message"]) == (500, "etcdserver: request is too large")
    lab.post(WIDGETS, _widget(size=1, free={"text": "x" * 800_000}))
    assert lab.status == 201
    lab.patch(f"{WIDGETS}/one", {"spec": {"free": {"more": "x" * 800_000}}})
    assert lab.status == 500


def test_without_a_status_subresource_the_status_is_a_field_like_others(lab: Lab) -> None:
    _defined(lab)
    made = lab.post(WIDGETS, {**_widget(), "status": {"phase": "New"}})
    assert made["status"] == {"phase": "New"}
    lab.patch(f"{WIDGETS}/one/status", {"status": {"phase": "Old"}})
    assert lab.status == 404


def test_with_a_status_subresource_only_that_writes_it(lab: Lab) -> None:
    _defined(lab, subresources={"status": {}})
    assert "status" not in lab.post(WIDGETS, {**_widget(), "status": {"phase": "New"}})
    lab.patch(f"{WIDGETS}/one/status", {"status": {"phase": "Ready"}, "spec": {"size": 9}})
    seen = lab.get(f"{WIDGETS}/one")
    assert (seen["status"], seen["spec"]["size"], seen["metadata"]["generation"]) == ({"phase": "Ready"}, 1, 1)


def test_an_update_needs_a_version_and_strategic_patches_are_not_for_custom_kinds(lab: Lab) -> None:
    _defined(lab)
    lab.post(WIDGETS, _widget())
    refusal = lab.put(f"{WIDGETS}/one", _widget(size=2))
    assert refusal["details"]["causes"][0]["field"] == "metadata.resourceVersion"
    lab.patch(f"{WIDGETS}/one", {}, "application/strategic-merge-patch+json")
    assert lab.status == 415


def test_every_served_version_shows_the_same_objects(lab: Lab) -> None:
    body = definition()
    second = copy.deepcopy(body["spec"]["versions"][0])
    second |= {"name": "v2", "storage": False}
    body["spec"]["versions"].append(second)
    lab.post(CRDS, body)
    lab.box.settle()
    lab.post(WIDGETS, _widget())
    other = WIDGETS.replace("/v1/", "/v2/")
    seen = lab.get(f"{other}/one")
    assert seen["apiVersion"] == "example.com/v2"
    assert lab.get(other)["items"][0]["apiVersion"] == "example.com/v2"
    lab.put(f"{other}/one", {**seen, "spec": {"size": 5}})
    assert lab.get(f"{WIDGETS}/one")["spec"]["size"] == 5
    assert lab.get(f"{WIDGETS}/one")["apiVersion"] == "example.com/v1"


def test_a_deleted_definition_takes_its_objects_with_it(lab: Lab) -> None:
    _defined(lab)
    lab.post(WIDGETS, _widget())
    watch = lab.get(f"{WIDGETS}?watch=true&resourceVersion={lab.box.version}")
    going = lab.delete(f"{CRDS}/widgets.example.com")
    assert going["metadata"]["deletionTimestamp"]
    lab.box.settle()
    assert [event["type"] for event in watch.events()] == ["DELETED"]
    lab.get(f"{CRDS}/widgets.example.com")
    assert lab.status == 404
    lab.get(WIDGETS)
    assert lab.status == 404


def test_an_object_with_a_finalizer_keeps_its_definition(lab: Lab) -> None:
    _defined(lab)
    body = _widget()
    body["metadata"] = {"name": "one", "finalizers": ["example.com/wait"]}
    lab.post(WIDGETS, body)
    lab.delete(f"{CRDS}/widgets.example.com")
    lab.box.settle()
    lab.get(f"{CRDS}/widgets.example.com")
    assert lab.status == 200
    lab.patch(f"{WIDGETS}/one", {"metadata": {"finalizers": None}})
    lab.box.settle()
    lab.get(f"{CRDS}/widgets.example.com")
    assert lab.status == 404


def test_a_definition_must_be_named_after_what_it_defines(lab: Lab) -> None:
    body = definition()
    body["metadata"]["name"] = "things.example.com"
    assert lab.post(CRDS, body)["details"]["causes"][0]["field"] == "metadata.name"


def test_a_second_definition_of_a_kind_is_not_established(lab: Lab) -> None:
    _defined(lab)
    body = definition()
    body["metadata"]["name"] = "gadgets.example.com"
    body["spec"]["names"] = {"plural": "gadgets", "kind": "Widget"}
    lab.post(CRDS, body)
    lab.box.settle()
    conditions = lab.get(f"{CRDS}/gadgets.example.com")["status"]["conditions"]
    assert [item["status"] for item in conditions] == ["False", "False"]


def test_a_changed_schema_is_in_force_at_once(lab: Lab) -> None:
    _defined(lab)
    change = definition()["spec"]["versions"]
    change[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["extra"] = {"type": "string"}
    lab.patch(f"{CRDS}/widgets.example.com", {"spec": {"versions": change}})
    lab.box.settle()
    assert lab.post(WIDGETS, _widget(size=1, extra="yes"))["spec"]["extra"] == "yes"


def test_custom_columns_are_printed(lab: Lab) -> None:
    columns = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]
    _defined(lab, additionalPrinterColumns=columns)
    lab.post(WIDGETS, _widget(size=7))
    table = lab.get(WIDGETS, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert table["rows"][0]["cells"] == ["one", 7]
