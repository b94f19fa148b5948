"""A Secret's bytes never appear: a canary is put everywhere a Secret can hold it, and looked for in every spelling."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bounds import processor

from kedge.engine import mask
from kedge.engine.diff import diff
from kedge.engine.normalize import LAST_APPLIED
from kedge.model.manifest import Manifest
from kedge.model.pair import Presumed, Seen
from kedge.model.ref import Ref

KEY = b"k" * 32
REF = Ref("", "Secret", "web", "db")
CANARY = 'canary "Kanarienvogel"\n\\ü 金絲雀'


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def secret(data: Any = None, string_data: Any = None, **annotations: str) -> dict[str, Any]:
    metadata = {"name": "db", "annotations": {name.replace("__", "/"): value for name, value in annotations.items()}}
    fields = {"data": data, "stringData": string_data}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata} | {
        k: v for k, v in fields.items() if v is not None
    }


def spellings(text: str) -> set[str]:
    forms = {text, b64(text)}
    forms |= {json.dumps(form)[1:-1] for form in set(forms)} | {
        json.dumps(form, ensure_ascii=False)[1:-1] for form in forms
    }
    return forms | {repr(form)[1:-1] for form in set(forms)}


def assert_silent(shown: object, text: str = CANARY) -> None:
    everything = f"{shown!r} {shown}"
    assert not [form for form in spellings(text) if form in everything]


HOLDERS = [
    secret({"password": b64(CANARY)}),
    secret({"password": CANARY}),
    secret(None, {"password": CANARY}),
    secret({"a": {"b": [CANARY]}}),
    secret([CANARY]),
    secret(CANARY),
    secret(None, [CANARY]),
    secret(None, {"a": 1, "b": CANARY}),
    secret({"a": "eA=="}, **{LAST_APPLIED: json.dumps(secret({"password": b64(CANARY)}))}),
    secret({"a": "eA=="}, **{LAST_APPLIED: json.dumps(secret(None, {"password": CANARY}))}),
    secret({"a": b64(CANARY)}, copy=f"see {CANARY}"),
    secret({"a": b64(CANARY)}, copy=f"see {b64(CANARY)}"),
]


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_canary_is_in_no_view(holder: dict[str, Any]) -> None:
    assert mask.view(holder, KEY)["kind"] == "Secret"
    assert_silent(mask.view(holder, KEY))
    assert_silent(mask.view({"kind": "List", "items": [{"kind": "List", "items": [holder]}]}, KEY))


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("other", [None, {}, secret({"password": "eA=="}), secret()])
def test_the_canary_is_in_no_change(holder: dict[str, Any], other: dict[str, Any] | None) -> None:
    assert_silent(diff(Seen(REF, other, holder), KEY))
    assert_silent(diff(Seen(REF, holder, other), KEY))
    body = json.dumps(holder).encode()
    manifest = Manifest(REF, "v1", body, "d")
    assert_silent(diff(Presumed(REF, manifest, "no namespace"), KEY))
    for form in spellings(CANARY):
        refused = Seen(REF, other, None, manifest, rejection=f'Secret "db" is invalid: data: "{form}": bad')
        change = diff(refused, KEY)
        assert change is not None
        assert change.rejection
        assert_silent(change)


@given(st.text(min_size=6, max_size=40), st.integers(0, 30), st.integers(6, 40))
def test_no_piece_of_a_value_is_in_an_error(value: str, start: int, length: int) -> None:
    holder = secret({"password": b64(value)})
    piece = b64(value)[start : start + length]
    shown = mask.text(f"illegal base64, error found near ...|{piece}|...", KEY, "Secret", holder)
    assert len(piece) < 6 or piece not in shown


def test_an_error_without_the_value_is_kept_as_it_is() -> None:
    message = 'Secret "db" is invalid: metadata.name: too long'
    assert mask.text(message, KEY, "Secret", secret({"a": b64("hunter2!")})) == message
    assert mask.text(f"x {CANARY}", KEY, "ConfigMap", {"data": {"a": CANARY}}) == f"x {CANARY}"


def test_a_short_value_is_hidden_where_it_stands_alone() -> None:
    shown = mask.text('value "abc" in abcdef', KEY, "Secret", secret({"a": b64("abc")}))
    assert shown == 'value "++++++++" in abcdef'


def test_an_error_about_more_than_can_be_searched_is_withheld() -> None:
    assert mask.text("x", KEY, "Secret", secret({"a": b64("y" * 70_000)})) == mask.WITHHELD


def test_equal_values_have_equal_markers_however_they_are_written() -> None:
    shown = mask.view(secret({"a": b64("x"), "b": b64("y")}, {"c": "x"}), KEY)
    assert shown["data"]["a"] == shown["stringData"]["c"] != shown["data"]["b"]
    assert shown["data"]["a"].startswith("++++++++ (")


def test_a_marker_tells_nothing_without_the_key() -> None:
    assert mask.marker("x", b"one") != mask.marker("x", b"two")


def test_names_of_data_and_what_else_a_secret_has_are_shown() -> None:
    shown = mask.view(secret({"password": "eA=="}, team="shop"), KEY)
    assert list(shown["data"]) == ["password"]
    assert shown["metadata"] == {"name": "db", "annotations": {"team": "shop"}}


def test_other_kinds_are_shown_as_they_are() -> None:
    shown = {"kind": "ConfigMap", "data": {"a": CANARY}, "metadata": {"annotations": {LAST_APPLIED: "{}"}}}
    assert mask.view(shown, KEY) == shown


@pytest.mark.parametrize(
    "path", ["spec.users.token", "spec.users[*].token", 'spec["users"].token', "spec.users", "spec"]
)
def test_what_an_annotation_names_is_hidden_with_all_that_holds_it(path: str) -> None:
    def holder(token: str) -> dict[str, Any]:
        annotations = {mask.SENSITIVE: f"spec.other, {path}"}
        return {"metadata": {"annotations": annotations}, "spec": {"users": [{"name": "mona", "token": token}], "n": 1}}

    ref = Ref("example.com", "Database", "web", "db")
    bare: dict[str, Any] = {"metadata": {"annotations": {}}, "spec": {"n": 1}}
    assert_silent(mask.view(holder(CANARY), KEY))
    for pair in (
        Seen(ref, holder("x"), holder(CANARY)),
        Seen(ref, holder(CANARY), bare),
        Seen(ref, bare, holder(CANARY)),
        Seen(ref, {}, holder(CANARY)),
    ):
        change = diff(pair, KEY)
        assert change is not None
        assert change.fields
        assert_silent(change)


def test_a_secret_that_changes_shows_that_it_changes() -> None:
    change = diff(Seen(REF, secret({"a": b64("old")}), secret(None, {"a": "new"})), KEY)
    assert change is not None
    (field,) = change.fields
    assert field.path == "data.a"
    assert field.before != field.after


def test_the_same_secret_written_as_string_data_is_no_change() -> None:
    assert diff(Seen(REF, secret({"a": b64("x")}), secret(None, {"a": "x"})), KEY) is None


@pytest.mark.parametrize("text", ['["' * 60_000, "[" * 180_000, '["\\\\' * 60_000, "a." * 60_000])
def test_no_path_in_an_annotation_takes_long_to_read(text: str) -> None:
    with processor(5):
        assert isinstance(mask._place(text), tuple)
