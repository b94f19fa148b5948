"""What a unit puts out is found at a path, and a sensitive value is not remembered."""

from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.outputs import at_path, places, published
from kedge.model.declaration import TargetSection
from kedge.model.operation import Owned
from kedge.model.output import Output, OutputPlace
from kedge.model.ref import Ref, UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import OutputField, Unit

SERVICE = Ref("", "Service", "shop", "web")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status.loadBalancer.ingress[0].ip", "10.0.0.1"),
        ('metadata.annotations["a.b/c"]', "x"),
        ("status.loadBalancer", {"ingress": [{"ip": "10.0.0.1"}]}),
        ("status.loadBalancer.ingress[1].ip", None),
        ("status.nothing.there", None),
        ("metadata.annotations[0]", None),
        ("status..x", None),
        ("[", None),
    ],
)
def test_a_field_is_found_at_its_path_or_there_is_none(path: str, value: Any) -> None:
    live = {
        "metadata": {"annotations": {"a.b/c": "x"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}},
    }
    assert at_path(live, path) == value


def test_an_output_is_of_an_object_that_the_unit_owns() -> None:
    outputs = (
        OutputField("address", "Service/web", "status.ip"),
        OutputField("other", "Service/api", "status.ip"),
        OutputField("grouped", "Service.example.org/web", "status.ip"),
    )
    unit = Unit(UnitName("shop", "web"), "admin", SourceSpec("r", "main"), TargetSection(), outputs=outputs)
    hook = Owned(Ref("", "Service", "shop", "api"), hook="api")
    assert places(unit, (Owned(SERVICE), hook)) == (OutputPlace("address", SERVICE, "status.ip"),)


def test_a_sensitive_value_leaves_a_stamp_that_moves_with_it() -> None:
    first, second = (published([Output("p", f'"{word}"', sensitive=True)], b"key") for word in ("one", "two"))
    assert first[0].value == second[0].value == ""
    assert first[0].stamp != second[0].stamp
    assert published([Output("p", '"one"')], b"key")[0].value == '"one"'
