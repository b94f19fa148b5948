"""One live object as the index keeps it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kedge.targets.kubernetes.slot import ref_of, slot_of


@pytest.mark.parametrize("levels", [200, 300, 1_000])
def test_an_object_is_kept_whole_however_deep_it_is_nested(levels: int) -> None:
    """It ended the watch of its kind: what was read of it could not be written down."""
    inner = b'{"a":' * levels + b"1" + b"}" * levels
    obj = orjson.loads(
        b'{"apiVersion":"example.org/v1","kind":"Deep","metadata":{"name":"a","managedFields":[{"manager":"x"}]},'
        b'"spec":' + inner + b',"status":{"phase":"Ready"}}'
    )

    slot = slot_of(ref_of(obj), obj, 0.0)

    found: Any = slot.object()
    assert found["metadata"] == {"name": "a"}
    node, depth = found["spec"], 0
    while node != 1:
        node, depth = node["a"], depth + 1
    assert depth == levels
