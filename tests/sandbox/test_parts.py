"""The small readers: quantities, protobuf, patches."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sandbox.conftest import Lab

from kedge.sandbox.controllers import making
from kedge.sandbox.fields import FieldCall, ManagedBy
from kedge.sandbox.kinds import Kind
from kedge.sandbox.patches import json_patch, merge, strategic
from kedge.sandbox.problems import Problem
from kedge.sandbox.protobuf import Unreadable, read
from kedge.sandbox.quantities import canonical


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("100m", "100m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000", "1k"),
        ("128974848", "128974848"),
        ("2e3", "2e3"),
        ("0", "0"),
        ("1Ki", "1Ki"),
    ],
)
def test_a_quantity_has_one_spelling(given: str, stored: str) -> None:
    assert canonical(given) == stored


@pytest.mark.parametrize("text", ["", "one", "1Zi", "1 Gi", "--1", "."])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantit"):
        canonical(text)


def _field(number: int, raw: bytes) -> bytes:
    return bytes([number << 3 | 2, len(raw)]) + raw


def test_protobuf_is_read_into_json() -> None:
    meta = _field(1, b"settings") + _field(11, _field(1, b"app") + _field(2, b"web"))
    body = _field(1, meta) + _field(2, _field(1, b"a") + _field(2, b"1"))
    envelope = b"k8s\0" + _field(1, _field(1, b"v1") + _field(2, b"ConfigMap")) + _field(2, body)
    assert read(envelope) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "labels": {"app": "web"}},
        "data": {"a": "1"},
    }


@pytest.mark.parametrize("tail", [b"\x0a", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0a\x7f", b"\x0b"])
def test_protobuf_that_ends_early_is_unreadable(tail: bytes) -> None:
    with pytest.raises(Unreadable):
        read(b"k8s\0" + tail)


def test_a_merge_patch_replaces_lists_and_removes_nulls() -> None:
    assert merge({"a": [1, 2], "b": {"c": 1, "d": 2}}, {"a": [3], "b": {"c": None}}) == {"a": [3], "b": {"d": 2}}


def test_json_patch_operations_do_what_their_names_say() -> None:
    document = {"list": [1, 2], "a/b": {"~": 1}}
    steps = [
        {"op": "add", "path": "/list/-", "value": 3},
        {"op": "add", "path": "/list/0", "value": 0},
        {"op": "replace", "path": "/a~1b/~0", "value": 2},
        {"op": "copy", "from": "/list", "path": "/other"},
        {"op": "move", "from": "/list/0", "path": "/first"},
        {"op": "test", "path": "/first", "value": 0},
    ]
    assert json_patch(document, steps)["a/b"] == {"~": 2}
    assert document["first"] == 0


def test_json_patch_over_what_is_not_there_is_refused() -> None:
    odd = {"op": "odd", "path": "/x"}
    for step in ({"op": "remove", "path": "/x"}, {"op": "replace", "path": "/x/y", "value": 1}, odd):
        with pytest.raises(Problem):
            json_patch({}, [step])


def test_strategic_directives_order_replace_and_delete() -> None:
    live = {"finalizers": ["a", "b"], "ownerReferences": [{"uid": "1"}, {"uid": "2"}]}
    patch = {
        "$deleteFromPrimitiveList/finalizers": ["a"],
        "ownerReferences": [{"uid": "3"}, {"uid": "1", "$patch": "delete"}],
        "$setElementOrder/ownerReferences": [{"uid": "3"}, {"uid": "2"}],
    }
    assert strategic("meta.v1.ObjectMeta", live, patch) == {
        "finalizers": ["b"],
        "ownerReferences": [{"uid": "3"}, {"uid": "2"}],
    }


def test_a_field_manager_is_asked_with_the_schema_that_is_served_now() -> None:
    class Recorder:
        body, status = b"{}", None

        def update(self, live: bytes | None, new: bytes, ask: Any) -> Any:
            asked.append(ask)
            return self

    asked: list[bytes] = []
    fields = ManagedBy(Recorder(), lambda **options: options["schema"])  # type: ignore[arg-type]
    for number in range(20):
        kind = Kind("example.com", "v1", "widgets", "Widget", True, custom=True, schema={"title": str(number)})
        fields.ask(FieldCall("update", kind, None, {}, "m", ""))
        del kind  # its schema may leave its place in memory to the next one
    assert asked == [b'{"title":"%d"}' % number for number in range(20)]


def test_a_namespace_keeps_its_newest_events(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "EVENTS", 3)
    node = next(lab.box.cluster.store.scan("nodes."))
    for number in range(5):
        making.event(lab.box.cluster, node, "Told", str(number))
    assert sorted(item["message"] for item in lab.get("/api/v1/namespaces/default/events")["items"]) == ["2", "3", "4"]
