"""Server-side apply's field management, as the API server does it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from kedge.model.errors import Unavailable
from kedge.process import Pipes
from kedge.renderers import fieldmanager
from kedge.renderers.fieldmanager import Ask, FieldManager, conflicts_of

T1, T2 = "2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"


@pytest.fixture
def manager(worker: str) -> Iterator[FieldManager]:
    manager = FieldManager(worker)
    yield manager
    manager.close()


def deployment(replicas: int | None = 2, image: str = "web:1", **spec: Any) -> bytes:
    containers = [{"name": "web", "image": image}]
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}
    body = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    if replicas is not None:
        body["replicas"] = replicas
    return orjson.dumps(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "spec": body}
    )


def owners(body: bytes) -> list[tuple[str, str, str]]:
    entries = orjson.loads(body)["metadata"]["managedFields"]
    return [(entry["manager"], entry["operation"], entry["time"]) for entry in entries]


def test_an_apply_that_creates_owns_what_it_states(manager: FieldManager) -> None:
    made = manager.apply(None, deployment(), Ask("kedge", now=T1))
    assert made.changed
    (entry,) = orjson.loads(made.body)["metadata"]["managedFields"]
    assert entry["fieldsV1"]["f:spec"]["f:replicas"] == {}
    assert 'k:{"name":"web"}' in entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert (entry["operation"], entry["time"], entry["apiVersion"]) == ("Apply", T1, "apps/v1")


def test_an_apply_that_changes_nothing_changes_nothing(manager: FieldManager) -> None:
    live = manager.apply(None, deployment(), Ask("kedge", now=T1)).body
    again = manager.apply(live, deployment(), Ask("kedge", now=T2))
    assert not again.changed
    assert again.body == live


def test_a_conflict_is_worded_as_the_api_server_words_it(manager: FieldManager) -> None:
    live = manager.apply(None, deployment(), Ask("kedge", now=T1)).body
    refused = manager.apply(live, deployment(5, "web:2"), Ask("other"))
    assert refused.status is not None
    assert refused.status["code"] == 409
    assert refused.status["reason"] == "Conflict"
    assert refused.status["message"].startswith('Apply failed with 2 conflicts: conflicts with "kedge":')
    assert sorted(conflicts_of(refused.status)) == [
        (".spec.replicas", 'conflict with "kedge"'),
        ('.spec.template.spec.containers[name="web"].image', 'conflict with "kedge"'),
    ]


def test_force_takes_the_field_and_leaves_the_rest(manager: FieldManager) -> None:
    live = manager.apply(None, deployment(), Ask("kedge", now=T1)).body
    taken = manager.apply(live, deployment(5), Ask("other", force=True, now=T2))
    assert orjson.loads(taken.body)["spec"]["replicas"] == 5
    assert owners(taken.body) == [("kedge", "Apply", T1), ("other", "Apply", T2)]


def test_a_field_that_is_no_longer_stated_goes_unless_somebody_else_holds_it(manager: FieldManager) -> None:
    live = manager.apply(None, deployment(), Ask("kedge", now=T1)).body
    assert "replicas" not in orjson.loads(manager.apply(live, deployment(None), Ask("kedge")).body)["spec"]
    shared = manager.apply(live, deployment(), Ask("other", now=T1)).body
    assert orjson.loads(manager.apply(shared, deployment(None), Ask("kedge")).body)["spec"]["replicas"] == 2


def test_an_update_takes_over_what_it_changes(manager: FieldManager) -> None:
    live = manager.apply(None, deployment(), Ask("kedge", now=T1)).body
    edited = json.loads(live)
    edited["spec"]["replicas"] = 9
    made = manager.update(live, orjson.dumps(edited), Ask("kubectl-edit", now=T2))
    mine, theirs = orjson.loads(made.body)["metadata"]["managedFields"]
    assert "f:replicas" not in mine["fieldsV1"]["f:spec"]
    assert theirs["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert (theirs["operation"], theirs["time"]) == ("Update", T2)


def test_fields_that_a_request_can_not_set_are_not_owned(manager: FieldManager) -> None:
    live = manager.apply(None, deployment(), Ask("kedge", now=T1)).body
    body = json.loads(live) | {"status": {"replicas": 3}}
    ignored = manager.update(live, orjson.dumps(body), Ask("c", now=T2, reset=(("status",),)))
    assert owners(ignored.body) == [("kedge", "Apply", T1)]
    by_status = manager.update(live, orjson.dumps(body), Ask("c", subresource="status", now=T2, reset=(("spec",),)))
    assert orjson.loads(by_status.body)["metadata"]["managedFields"][1]["subresource"] == "status"


def test_an_object_without_owners_is_held_by_those_before_the_first_apply(manager: FieldManager) -> None:
    live = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","uid":"u"},"data":{"a":"1"}}'
    applied = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"b":"1"}}'
    made = manager.apply(live, applied, Ask("kedge", now=T1))
    assert [name for name, *_ in owners(made.body)] == ["kedge", "before-first-apply"]


def test_an_unknown_field_of_a_built_in_kind_is_refused(manager: FieldManager) -> None:
    refused = manager.apply(None, deployment(nonsense=1), Ask("kedge"))
    assert refused.status is not None
    assert ".spec.nonsense: field not declared in schema" in refused.status["message"]


CUSTOM = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "finalizers": ["a/b"]}}
SCHEMA = orjson.dumps(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "parts": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {
                            "type": "object",
                            "properties": {"name": {"type": "string"}, "size": {"x-kubernetes-int-or-string": True}},
                        },
                    },
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        },
    }
)


def widget(**spec: Any) -> bytes:
    return orjson.dumps(CUSTOM | {"spec": spec})


def test_lists_of_a_custom_kind_merge_as_its_schema_says(manager: FieldManager) -> None:
    ask = Ask("kedge", schema=SCHEMA)
    live = manager.apply(None, widget(parts=[{"name": "a", "size": 1}], free={"any": [1]}), ask).body
    both = manager.apply(live, widget(parts=[{"name": "b", "size": "2"}]), Ask("other", schema=SCHEMA)).body
    assert [part["name"] for part in orjson.loads(both)["spec"]["parts"]] == ["a", "b"]
    assert orjson.loads(both)["metadata"]["finalizers"] == ["a/b"]


def test_lists_of_a_custom_kind_without_schema_are_one_value(manager: FieldManager) -> None:
    live = manager.apply(None, widget(parts=[{"name": "a"}]), Ask("kedge")).body
    refused = manager.apply(live, widget(parts=[{"name": "b"}]), Ask("other"))
    assert refused.status is not None
    assert conflicts_of(refused.status)[0][0] in (".spec.parts", ".metadata.finalizers")


def test_a_definition_itself_can_be_applied(manager: FieldManager) -> None:
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "w.e"}}
    assert manager.apply(None, orjson.dumps(crd), Ask("kedge", now=T1)).changed


def test_the_same_question_is_asked_once(manager: FieldManager) -> None:
    first = manager.apply(None, deployment(), Ask("kedge", now=T1))
    manager.close()
    assert manager.apply(None, deployment(), Ask("kedge", now=T1)) is first
    assert manager._child is None


def test_a_worker_that_has_gone_is_replaced(manager: FieldManager) -> None:
    manager.apply(None, deployment(), Ask("kedge", now=T1))
    assert isinstance(manager._child, Pipes)
    os.kill(manager._child.pid, signal.SIGKILL)
    assert manager.apply(None, deployment(3), Ask("kedge", now=T1)).changed


def test_a_failure_is_reported_as_the_api_server_reports_one() -> None:
    status = fieldmanager._failure("it broke")
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", 500)


def test_a_closed_manager_starts_no_child_that_nobody_would_end(worker: str) -> None:
    """A late request after `close` started a new worker, which lived on."""
    manager = FieldManager(worker)
    manager.close()
    with pytest.raises(Unavailable, match="has ended"):
        manager.apply(None, b"{}", Ask(manager="kedge"))
