"""What must be there at all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sandbox.conftest import CRDS, DEPLOYMENTS, Lab, definition, deployment

from kedge.sandbox.types import built_in_types
from kedge.sandbox.validate_shape import RULES, shape

SPACE = "/api/v1/namespaces/default"


def test_every_line_of_the_table_names_fields_that_exist() -> None:
    fields = built_in_types().fields
    for line in RULES.strip().splitlines():
        name, *tokens = line.split()
        assert name in fields, line
        for token in tokens:
            assert token.partition(">=")[0].partition("=")[0] in fields[name], line


def test_what_is_lacking_is_told_with_its_path_and_every_cause(lab: Lab) -> None:
    made = deployment()
    made["spec"]["selector"] = {"matchExpressions": [{}, {"key": "a", "operator": "Like"}]}
    answer = lab.post(DEPLOYMENTS, made)
    assert lab.status == 422
    assert [(cause["reason"], cause["field"]) for cause in answer["details"]["causes"]] == [
        ("FieldValueRequired", "spec.selector.matchExpressions[0].key"),
        ("FieldValueRequired", "spec.selector.matchExpressions[0].operator"),
        ("FieldValueNotSupported", "spec.selector.matchExpressions[1].operator"),
    ]


def test_an_empty_object_lacks_all_that_its_type_needs() -> None:
    causes = shape("apiextensions.v1.CustomResourceDefinition", {"spec": {"names": {}}})
    assert [cause.field for cause in causes] == ["spec.names.plural", "spec.names.kind"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"replicas": 10**18}, "cannot unmarshal number 1000000000000000000"),
        ({"replicas": 2**31}, "of type int32"),
        ({"replicas": 1.5}, "of type int32"),
        ({"template": {"spec": {"terminationGracePeriodSeconds": 2**63}}}, "of type int64"),
        ({"template": {"metadata": {"creationTimestamp": "yesterday"}}}, 'parsing time "yesterday"'),
        ({"template": {"metadata": {"creationTimestamp": "2026-02-31T00:00:00Z"}}}, "parsing time"),
    ],
)
def test_numbers_and_times_that_their_fields_cannot_hold_are_bad_requests(
    lab: Lab, spec: dict[str, Any], told: str
) -> None:
    answer = lab.post(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": spec})
    assert lab.status == 400
    assert told in answer["message"]


def test_a_null_in_a_list_is_an_element_with_nothing_in_it(lab: Lab) -> None:
    made = deployment()
    made["spec"]["template"]["spec"]["containers"].append(None)
    answer = lab.post(DEPLOYMENTS, made)
    assert lab.status == 422
    assert "spec.template.spec.containers[1].name: Required value" in answer["message"]


def test_a_condition_without_a_type_is_no_condition(lab: Lab) -> None:
    lab.post(f"{SPACE}/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "a"}]}})
    lab.patch(f"{SPACE}/pods/p/status", {"status": {"conditions": [{"status": "Maybe"}]}})
    assert lab.status == 422
    lab.patch(f"{SPACE}/pods/p/status", {"status": {"conditions": [{"type": "Odd", "status": "True"}]}})
    assert lab.status == 200


def test_a_definition_may_not_take_the_place_of_a_built_in_kind(lab: Lab) -> None:
    made = definition()
    made["metadata"]["name"] = "deployments.apps"
    made["spec"] |= {"group": "apps", "names": {"plural": "deployments", "kind": "Other"}}
    lab.post(CRDS, made)
    lab.pass_time(0.2)
    lab.post(DEPLOYMENTS, deployment())
    assert lab.status == 201
    conditions = lab.get(f"{CRDS}/deployments.apps")["status"]["conditions"]
    assert {item["type"]: item["status"] for item in conditions} == {"NamesAccepted": "False", "Established": "False"}
