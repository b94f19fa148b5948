"""YAML means what the API server takes it to mean: text → the value that Kubernetes' own parser reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TABLE: list[tuple[str, Any]] = [
    # booleans of YAML 1.1, long and short
    ("v: true", True),
    ("v: on", True),
    ("v: yes", True),
    ("v: off", False),
    ("v: No", False),
    ("v: y", True),
    ("v: N", False),
    ("v: 'on'", "on"),
    ("v: tRue", "tRue"),
    # numbers
    ("v: 0644", 420),
    ("v: 0777", 511),
    ("v: 017", 15),
    ("v: 0o17", 15),
    ("v: 08", 8),
    ("v: 0x1F", 31),
    ("v: 0b101", 5),
    ("v: 1_000", 1000),
    ("v: +7", 7),
    ("v: -0", 0),
    ("v: 1e3", 1000),
    ("v: 1.5e3", 1500),
    ("v: .5", 0.5),
    ("v: 1.0", 1),
    ("v: 9223372036854775807", 9223372036854775807),
    ("v: 1e", "1e"),
    ("v: 1.2.3", "1.2.3"),
    ("v: '0644'", "0644"),
    # what other parsers take for numbers or dates
    ("v: 22:22", "22:22"),
    ("v: 12:30:45", "12:30:45"),
    ("v: 2001-01-01", "2001-01-01"),
    ("v: 2001-01-01T10:00:00Z", "2001-01-01T10:00:00Z"),
    ("v: =", "="),
    # nothing
    ("v:", None),
    ("v: ~", None),
    ("v: null", None),
    ("v: Null", None),
    ("v: ''", ""),
    # keys become text
    ("v: {1: a}", {"1": "a"}),
    ("v: {1.5: a}", {"1.5": "a"}),
    ("v: {true: a}", {"true": "a"}),
    ("v: {on: a}", {"true": "a"}),
    ("v: {0644: a}", {"420": "a"}),
    # merging and anchors
    ("b: &b {x: 1, z: 2}\nv: {<<: *b, z: 3}", {"x": 1, "z": 3}),
    ("b: &b {x: 1}\nc: &c {z: 2}\nv: {<<: [*b, *c]}", {"x": 1, "z": 2}),
    ("b: &b [1, 2]\nv: *b", [1, 2]),
    # scalars over lines
    ("v: |\n  a\n  b\n", "a\nb\n"),
    ("v: >-\n  a\n  b\n", "a b"),
    ("v: |\n  ---\n  a\n", "---\na\n"),
    ("v: a\n  b", "a b"),
    ('v: "\\u00fc\\n"', "ü\n"),
    ("v: !!str 1", "1"),
    ("v: !!int '1'", 1),
    ("v: !!binary aGk=", "hi"),
]


@pytest.mark.parametrize(("text", "value"), TABLE, ids=[repr(text) for text, _ in TABLE])
def test_a_value_is_what_the_api_server_takes_it_for(talk: Any, text: str, value: Any) -> None:
    got = talk.value(text)
    if value is None:
        assert got is None
    else:
        assert (got, type(got)) == (value, type(value))


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{above}'] * 9)}]\n" for above, name in zip("abcdefgh", "bcdefghi", strict=True)
)

REFUSED = {
    "a key twice": ("v: 1\nv: 2", "already set"),
    "a key twice, deep": ("v: {a: {b: 1, b: 2}}", "already set"),
    "a key twice beside a merge": ("b: &b {x: 1}\nv: {<<: *b, x: 2, x: 3}", "already set"),
    "an alias bomb": (BOMB, "excessive aliasing"),
    "an alias to nothing": ("v: *nope", "unknown anchor"),
    "an alias to itself": ("v: &v [*v]", "contains itself"),
    "200,000 nested lists": ("v: " + "[" * 200_000, "depth"),
    "200,000 nested maps": ("v: " + "{a: " * 200_000, "depth"),
    "300 nested lists": ("v: " + "[" * 300 + "]" * 300, "nested deeper than 200"),
    "a tab for indentation": ("v:\n\t- a", "cannot start any token"),
    "a bracket left open": ("v: [1", "did not find"),
    "control characters": ("v: '\x01'", "control characters"),
    "a map for a key": ("v: {{a: b}: c}", "key"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_text_that_is_ambiguous_or_hostile_is_refused(talk: Any, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        talk.value(text)


STREAMS: list[tuple[str, list[str]]] = [
    ("{a}\n---\n{b}", ["a", "b"]),
    ("---\n---\n{a}\n---\n", ["a"]),
    ("# only words\n---\n{a}\n# more", ["a"]),
    ("--- {a}\n--- # said\n{b}", ["a", "b"]),
    ("{a}\n...\n{b}\n", ["a", "b"]),
    ("%YAML 1.1\n---\n{a}\n", ["a"]),
    ("{a}\r\n---\r\n{b}\r\n", ["a", "b"]),
    ("\ufeff{a}", ["a"]),
    ("{a}\n{b}", ["a", "b"]),
    ("null\n---\n{a}", ["a"]),
]


@pytest.mark.parametrize(("text", "names"), STREAMS, ids=[repr(text) for text, _ in STREAMS])
def test_no_document_of_a_stream_is_lost(talk: Any, text: str, names: list[str]) -> None:
    for name in names:
        manifest = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": name}}
        text = text.replace(f"{{{name}}}", json.dumps(manifest))
    *objects, last = talk.send("plain", {"a.yaml": text.encode()})
    assert last.header.get("error") is None
    assert [frame.header["name"] for frame in objects] == names


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="ab:-[]{},&*!|>'\"%@#?~<= \t\n01.é\x00", max_size=60))
def test_no_text_takes_the_parser_out_of_its_stride(talk: Any, text: str) -> None:
    last = talk.send("plain", {"a.yaml": text.encode()})[-1]
    assert last.header.get("error", {"code": "invalid"})["code"] == "invalid"


def test_json_keeps_its_own_escapes_and_refuses_its_own_duplicates(talk: Any) -> None:
    head = '"apiVersion":"v1","kind":"T","metadata":{"name":"a"}'
    *objects, _ = talk.send("plain", {"a.json": f'{{{head},"v":"\\ud83d\\ude00\\/","n":1e3,"t":\t1.0}}'.encode()})
    assert json.loads(objects[0].raw) == {**json.loads(f"{{{head}}}"), "v": "😀/", "n": 1000, "t": 1}
    (last,) = talk.send("plain", {"a.json": f'{{{head},"v":1,"v":2}}'.encode()})
    assert "duplicate" in last.header["error"]["what"]
