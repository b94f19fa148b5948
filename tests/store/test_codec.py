"""Whatever a dossier holds, it reads back equal."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.opening import event, fresh

from kedge.model.dossier import Dossier
from kedge.model.errors import Invalid, Unavailable
from kedge.model.event import Event
from kedge.model.manifest import Manifest
from kedge.model.plan import Plan
from kedge.model.rendering import HelmSection, JsonnetSection, SubstituteSection
from kedge.store import codec

NUMBER = st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBER | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=4,
)
MAPPING = st.dictionaries(st.text(max_size=9), VALUES)
st.register_type_strategy(HelmSection, st.builds(HelmSection, values=MAPPING))
st.register_type_strategy(JsonnetSection, st.builds(JsonnetSection, extVars=MAPPING, tlas=MAPPING))
st.register_type_strategy(SubstituteSection, st.builds(SubstituteSection, variables=MAPPING))


def _finite(value: Any) -> Any:
    """Every time is finite and every count fits 64 bits: nothing else occurs."""
    if type(value) is int:
        return value % 2**62
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.0
    if isinstance(value, tuple):
        return tuple(map(_finite, value))
    if is_dataclass(value) and not isinstance(value, (type, HelmSection, JsonnetSection, SubstituteSection)):
        return replace(value, **{each.name: _finite(getattr(value, each.name)) for each in fields(value)})
    return value


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    return st.from_type(kind).map(_finite)


RELAXED = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@RELAXED
@given(any_of(Dossier))
def test_a_dossier_reads_back_equal_but_for_its_plan(dossier: Dossier) -> None:
    read = codec.decode_dossier(*codec.encode_dossier(dossier))
    assert read == replace(dossier, plan=None)


@RELAXED
@given(any_of(Plan))
def test_a_plan_reads_back_equal(plan: Plan) -> None:
    assert codec.decode(codec.encode(plan, "plan"), Plan, "plan") == plan


@RELAXED
@given(any_of(tuple[Manifest, ...]))
def test_a_rendered_set_reads_back_equal(manifests: tuple[Manifest, ...]) -> None:
    assert codec.unpack(codec.pack(manifests)) == manifests


@RELAXED
@given(any_of(Event))
def test_an_event_reads_back_equal_with_its_place(given_event: Event) -> None:
    payload = codec.encode_event(given_event)
    assert codec.decode_event(7, payload, "c") == replace(given_event, id=7, chain="c")


def test_the_canonical_payload_does_not_depend_on_the_place() -> None:
    assert codec.encode_event(event()) == codec.encode_event(replace(event(), id=3, chain="x"))


def test_paths_of_nothing_rendered_is_the_whole_repository() -> None:
    assert codec.paths_of("") == ("",)


@pytest.mark.parametrize("value", ["\ud800", {"a": "\udfff"}])
def test_what_json_cannot_hold_is_refused_by_name(value: object) -> None:
    with pytest.raises(Invalid, match="the values cannot be stored"):
        codec.encode(value, "the values")


def test_endless_nesting_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(Invalid, match="cannot be stored"):
        codec.encode(value, "the values")


@pytest.mark.parametrize("text", ["", "{", '{"name":1}', '{"name":{"project":"p","name":"n"},"unit":"u"}', "[]"])
def test_damaged_text_is_no_dossier(text: str) -> None:
    with pytest.raises(Unavailable, match="does not read back"):
        codec.decode(text, Dossier, "dossier")


def test_decoding_is_strict_about_types() -> None:
    body, _ = codec.encode_dossier(fresh(runs=3))
    with pytest.raises(Unavailable):
        codec.decode(body.replace('"runs":3', '"runs":"3"'), Dossier, "dossier")


def test_numbers_keep_their_precision() -> None:
    due = math.nextafter(1.7e9, 2e9)
    assert codec.decode_dossier(*codec.encode_dossier(fresh(due=due))).due == due
