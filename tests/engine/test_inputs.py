"""Values of other units come to stand where a declaration wants them, with their types, and secrets nowhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kedge.engine.inputs import filled, missing
from kedge.model.declaration import TargetSection, ValueType
from kedge.model.errors import Invalid
from kedge.model.execution import Tool
from kedge.model.output import Published
from kedge.model.ref import UnitName
from kedge.model.rendering import HelmSection, JsonnetSection, SubstituteSection
from kedge.model.source import SourceSpec
from kedge.model.unit import Input, RenderSpec, StackTool, Unit

DB = UnitName("shop", "db")


def unit(*inputs: Input, **more: Any) -> Unit:
    return Unit(UnitName("shop", "web"), "admin", SourceSpec("r", "main"), TargetSection(), inputs=inputs, **more)


def wanted(name: str = "host", type: ValueType = ValueType.ANY) -> Input:
    return Input(name, DB, "endpoint", type)


def told(value: Any, *, sensitive: bool = False) -> dict[str, Published]:
    return {"host": Published("endpoint", "" if sensitive else json.dumps(value), "stamp-1", sensitive)}


def test_an_input_that_nobody_has_put_out_yet_is_named() -> None:
    assert missing(unit(wanted()), {}) == "waits for shop/db.endpoint, which is not there yet"
    assert missing(unit(wanted()), told("x")) == ""


def test_values_keep_their_types_wherever_they_stand() -> None:
    mark = {"$input": "host"}
    render = RenderSpec(
        helm=HelmSection(values={"db": {"hosts": [mark, "b"]}, "x": 1}),
        jsonnet=JsonnetSection(extVars={"host": mark}, tlas={"all": {"host": mark}}),
    )
    found = filled(unit(wanted(), render=render), told({"a": 1})).render
    assert found.helm is not None
    assert found.jsonnet is not None
    assert found.helm.values == {"db": {"hosts": [{"a": 1}, "b"]}, "x": 1}
    assert found.jsonnet.extVars == {"host": {"a": 1}}
    assert found.jsonnet.tlas == {"all": {"host": {"a": 1}}}


def test_a_variable_takes_one_text_or_number_and_nothing_larger() -> None:
    render = RenderSpec(substitute=SubstituteSection(variables={"host": {"$input": "host"}}))
    found = filled(unit(wanted(), render=render), told(5)).render.substitute
    assert found is not None
    assert found.variables == {"host": 5}
    with pytest.raises(Invalid, match=r"substitute.variables.host is a list"):
        filled(unit(wanted(), render=render), told([5]))


@pytest.mark.parametrize(
    ("type", "value", "words"),
    [
        (ValueType.STRING, 5, "is a number, and the input host wants a string"),
        (ValueType.NUMBER, True, "is a truth value"),
        (ValueType.BOOL, "true", "is a text"),
        (ValueType.LIST, {}, "is a map"),
        (ValueType.MAP, None, "is nothing"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(type: ValueType, value: Any, words: str) -> None:
    with pytest.raises(Invalid, match=words) as error:
        filled(unit(wanted(type=type)), told(value))
    assert "shop/db.endpoint" in str(error.value)


def test_a_name_that_is_no_input_is_refused() -> None:
    render = RenderSpec(helm=HelmSection(values={"a": {"$input": "hots"}}))
    with pytest.raises(Invalid, match="no input “hots”"):
        filled(unit(wanted(), render=render), told("x"))


def stack(variables: dict[str, Any]) -> Unit:
    return unit(wanted(), tool=StackTool(Tool.OPENTOFU, variables=json.dumps(variables)))


def test_the_variables_of_a_stack_are_filled_in() -> None:
    found = filled(stack({"host": {"$input": "host"}, "size": 1}), told("db.local")).tool
    assert found is not None
    assert json.loads(found.variables) == {"host": "db.local", "size": 1}
    assert found.secrets == ()


def test_a_sensitive_value_is_in_no_rendered_set_and_yet_moves_what_reads_it() -> None:
    found = filled(stack({"host": {"$input": "host"}}), told("hunter2", sensitive=True))
    assert found.tool is not None
    assert json.loads(found.tool.variables) == {"host": {"$input": "host"}}
    assert [(given.name, given.unit, given.output, given.stamp) for given in found.tool.secrets] == [
        ("host", DB, "endpoint", "stamp-1")
    ]
    assert "hunter2" not in repr(found)


def test_an_application_is_not_given_a_sensitive_value() -> None:
    render = RenderSpec(helm=HelmSection(values={"a": {"$input": "host"}}))
    with pytest.raises(Invalid, match="is sensitive"):
        filled(unit(wanted(), render=render), told("x", sensitive=True))
