"""The loader: what a text means, where it says so, and what is refused before it can do harm."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.dialects.loader import Limits, load, read
from kedge.model.errors import Invalid


def _go_table() -> list[tuple[str, Any]]:
    """The rows that Kubernetes' own reader is held to: one table for both."""
    path = Path(__file__).parent.parent / "native" / "test_yaml.py"
    spec = importlib.util.spec_from_file_location("go_yaml_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    refused = ("!!", "{on: a}", "{0644: a}")
    return [(text, value) for text, value in module.TABLE if not any(part in text for part in refused)]


def value_of(text: str) -> Any:
    (document,) = load(text.encode())
    return document.value["v"]


@pytest.mark.parametrize(("text", "value"), _go_table(), ids=repr)
def test_a_value_means_what_kubernetes_own_reader_takes_it_for(text: str, value: Any) -> None:
    got = value_of(text)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [("v: <<", "<<"), ("v: 0x", "0x"), ("v: -0x10", -16), ("v: 18446744073709551615", 2**64 - 1), ("v: 1e30", 1e30)],
)
def test_the_edges_of_numbers_follow_go(text: str, value: Any) -> None:
    assert value_of(text) == value


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{above}'] * 9)}]\n" for above, name in zip("abcdefgh", "bcdefghi", strict=True)
)

REFUSED: dict[str, tuple[str | bytes, str]] = {
    "a key twice": ("v: 1\nw: 2\nv: 2", "line 3: the key “v” is already set on line 1"),
    "a key twice by meaning": ("{1: a, '1': b}", "already set"),
    "a merge twice": ("b: &b {x: 1}\nv: {<<: *b, <<: *b}", "already set"),
    "a tag": ("v: !!python/object/apply:os.system [x]", "tag"),
    "a known tag": ("v: !!str 1", "tag"),
    "an alias bomb": (BOMB, "written out"),
    "a bomb of merges": (
        "m0: &m0 {x: 1, z: [" + "z," * 50_000 + "]}\nv: [{<<: *m0}, {<<: *m0}]",
        "written out",
    ),
    "an alias to nothing": ("v: *nope", "not defined"),
    "an alias to itself": ("v: &v [*v]", "inside of itself"),
    "200,000 nested lists": ("v: " + "[" * 200_000, "nest deeper"),
    "200,000 nested maps": ("v: " + "{a: " * 200_000, "nest deeper"),
    "100,000 dashes": ("- " * 100_000, "nest deeper"),
    "100,000 question marks": ("? " * 100_000, "nest deeper"),
    "300 nested lists": ("v: " + "[" * 300 + "]" * 300, "deeper than 100 levels"),
    "closers in comments": ("v: [ # ]\n" * 12_000, "nest deeper"),
    "a tab for indentation": ("v:\n\t- a", "line 2: it is not YAML"),
    "a bracket left open": ("v: [1", "not YAML"),
    "a control character": ("v: 1\nw: '\x01'", "line 2: there is a control character"),
    "a NUL": (b"v: \0", "control character"),
    "an escaped NUL": ('v: "\\0"', "NUL"),
    "bytes that are no UTF-8": (b"v: 1\nw: \xff", "line 2: byte 9 is not UTF-8"),
    "UTF-16": ("v: 1".encode("utf-16"), "not UTF-8"),
    "a map for a key": ("v: {{a: b}: c}", "key"),
    "an alias to a map for a key": ("a: &a {b: c}\n*a : d", "key"),
    "a truth value of YAML 1.1 for a key": (
        "variables:\n  n: 3",
        'line 2: the key n is “false” to Kubernetes\' reader of YAML, and “n” to others\n  put quotes around it: "n"',
    ),
    "another one": ("{on: a}", "the key on is “true”"),
    "a truth value in capitals for a key": ("{TRUE: a}", "the key TRUE is “true”"),
    "an octal number for a key": ("{0644: a}", "the key 0644 is “420”"),
    "null for a key": ("~: a", "null is not a key"),
    "infinity": ("v: .inf", "JSON"),
    "a merge of a number": ("v: {<<: 1}", "<< takes a mapping"),
    "a second document behind an odd line break": ("v: 1\u2028--- \u2028w: 2", "document"),
    "a file too large": (b"#" * (1 << 20) + b"##", "more than the 1048576 allowed"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_text_that_is_ambiguous_or_hostile_is_refused_with_its_place(text: str | bytes, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        load(text if isinstance(text, bytes) else text.encode(), "a.yaml")
    assert said in str(refused.value)
    assert str(refused.value).startswith("a.yaml")


def test_a_broken_document_hides_none_of_its_neighbours() -> None:
    stream = read(b"a: 1\n---\nb: [\n---\nc: 3\n", "a.yaml")
    assert [(document.number, document.value) for document in stream.documents] == [(1, {"a": 1}), (3, {"c": 3})]
    (problem,) = stream.problems
    assert (problem.where.document, problem.where.line) == (2, 4)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("---\n---\na: 1\n---\n", [{"a": 1}]),
        ("# words\n---\na: 1\n# more\n", [{"a": 1}]),
        ("--- {a: 1}\n--- # said\nb: 2", [{"a": 1}, {"b": 2}]),
        ("a: 1\n...\n---\nb: 2", [{"a": 1}, {"b": 2}]),
        ("%YAML 1.1\n---\na: 1\n", [{"a": 1}]),
        ("a: 1\r\n---\r\nb: 2\r\n", [{"a": 1}, {"b": 2}]),
        ("\ufeffa: 1", [{"a": 1}]),
        ("a: |\n  ---\n  x\n", [{"a": "---\nx\n"}]),
        ("", []),
        ("---", []),
    ],
)
def test_a_stream_is_cut_where_yaml_cuts_it(text: str, values: list[Any]) -> None:
    assert [document.value for document in load(text.encode())] == values


def test_every_value_knows_its_line() -> None:
    text = b"# head\n---\na: 1\n---\nspec:\n  sync:\n    heal: x\n  after:\n  - one\n  - two\n"
    place = load(text, "a.yaml")[1]
    assert str(place.where(("spec", "sync", "heal"))) == "a.yaml, document 2, line 7, spec.sync.heal"
    assert place.where(("spec", "after", 1)).line == 10
    assert place.where(("spec", "sync", "nope")).line == 6


def test_merged_keys_keep_the_line_where_they_are_written() -> None:
    (document,) = load(b"base: &b\n  x: 1\nv:\n  <<: *b\n  z: 2\n")
    assert document.value["v"] == {"x": 1, "z": 2}
    assert document.where(("v", "x")).line == 2


def test_limits_are_the_callers_to_set() -> None:
    assert load(b"a: [[[1]]]")
    with pytest.raises(Invalid, match="deeper than 2"):
        load(b"a: [[[1]]]", limits=Limits(depth=2))


@given(st.text(alphabet=" \n\t-:[]{}&*!|>'\"%@`#?,.ab01~<=\\\u2028\x85", max_size=60))
def test_any_text_is_read_or_refused_and_never_crashes(text: str) -> None:
    stream = read(text.encode(), "a.yaml")
    assert all(problem.where.file and problem.where.line for problem in stream.problems)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    stream = read(raw)
    assert all(problem.where.line for problem in stream.problems)


@pytest.mark.parametrize("key", ["y", "n", "on", "0644", "TRUE"])
def test_a_key_in_quotes_is_what_it_says_and_a_plain_value_what_kubernetes_takes_it_for(key: str) -> None:
    (document,) = load(f"'{key}': {key}".encode())
    assert list(document.value) == [key]
    assert document.value[key] != key


@given(st.text(alphabet="yYnNoOfFtTrRuUeEsSaAlL0123456789._+-xb", min_size=1, max_size=6))
def test_an_unquoted_key_is_what_it_says_or_is_refused(key: str) -> None:
    stream = read(f"{key}: v".encode())
    assert not stream.documents or list(stream.documents[0].value) == [key]
