"""Schemas of definitions, and what they may cost."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sandbox.conftest import CRDS, WIDGETS, Lab, definition

from kedge.sandbox.validate_schema import schema_causes


def _serve(lab: Lab, spec: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"spec": spec}}
    lab.post(CRDS, definition(schema={"openAPIV3Schema": schema}))
    assert lab.status == 201
    lab.pass_time(0.2)


def _widget(lab: Lab, spec: Any) -> Any:
    return lab.post(
        WIDGETS, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}
    )


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ([], "s"),
        ({"type": "text"}, "s.type"),
        ({"type": ["object", "null"]}, "s.type"),
        ({"properties": []}, "s.properties"),
        ({"properties": {"a": None}}, "s.properties[a]"),
        ({"items": {"minimum": "1"}}, "s.items.minimum"),
        ({"items": {"maxLength": -1}}, "s.items.maxLength"),
        ({"allOf": [{"required": [1]}]}, "s.allOf[0].required"),
        ({"additionalProperties": {"pattern": 3}}, "s.additionalProperties.pattern"),
        ({"nullable": "yes"}, "s.nullable"),
        ({"enum": {}}, "s.enum"),
    ],
)
def test_a_keyword_of_another_shape_is_told_with_its_path(schema: Any, field: str) -> None:
    assert [cause.field for cause in schema_causes(schema, "s")] == [field]


def test_a_usual_schema_has_nothing_wrong() -> None:
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema_causes({**schema, "additionalProperties": False, "x-other": []}, "s") == []


def test_a_pattern_is_checked_and_one_that_would_not_end_is_not(lab: Lab) -> None:
    texts = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^[a-z]+$"}, "b": {
        "type": "string", "pattern": "^(a+)+$"}, "c": {"type": "string", "pattern": "(?P<x"}}}  # fmt: skip
    _serve(lab, texts)
    assert "spec.a in body should match '^[a-z]+$'" in _widget(lab, {"a": "A"})["message"]
    assert "spec.b in body should match" in _widget(lab, {"b": "aab"})["message"]
    _widget(lab, {"b": "a" * 5000 + "b", "c": "anything"})
    assert lab.status == 201


def test_defaults_do_not_make_a_giant_of_a_small_object(lab: Lab) -> None:
    item = {"type": "object", "properties": {"x": {"type": "string", "default": "x" * 100_000}}}
    _serve(lab, {"type": "object", "properties": {"list": {"type": "array", "items": item}}})
    before = lab.box.version
    _widget(lab, {"list": [{}] * 1000})
    assert (lab.status, lab.box.version) == (413, before)
    assert len(_widget(lab, {"list": [{}] * 3})["spec"]["list"][2]["x"]) == 100_000
