from __future__ import annotations

from typing import Any

import pytest

from kedge.engine.health.read import TEXT_LIMIT, clean, conditions, count, flag, group_of, listed, seconds, text, whole


@pytest.mark.parametrize("value", [None, 5, "text", [], [{}], {"b": None}, {"b": 7}])
def test_a_path_through_anything_ends_in_nothing(value: Any) -> None:
    assert text({"a": value}, "a", "b") == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        ("3", 3),
        (3.0, 3),
        (True, None),
        ("３", None),
        ("", None),
        ("-", None),
        (1e300, None),
        (10**30, None),
        ("9" * 5000, None),
    ],
)
def test_whole_numbers_are_read_in_every_honest_spelling(value: Any, expected: int | None) -> None:
    assert whole({"n": value}, "n") == expected


def test_a_missing_count_is_zero_or_the_default_of_the_api() -> None:
    assert count({}, "n") == 0
    assert count({"n": None}, "n", default=1) == 1


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("true", True), ("True", True), ("yes", False), (1, False)]
)
def test_a_flag_is_true_as_a_boolean_or_as_annotations_spell_it(value: Any, expected: bool) -> None:
    assert flag({"f": value}, "f") is expected


def test_remote_text_is_one_line_without_control_characters_and_bounded() -> None:
    assert clean("a\x1b[31mred\r\nline\x00\u202e\ud800 end") == "a [31mred line end"
    long = clean("word " * 5000)
    assert len(long) <= TEXT_LIMIT
    assert long.endswith("…")


def test_conditions_take_what_is_readable() -> None:
    found = conditions({"status": {"conditions": [None, "x", {}, {"type": "Ready", "status": True, "reason": 5}]}})

    assert [(c.type, c.status, c.reason) for c in found] == [("", "", ""), ("Ready", "True", "")]


@pytest.mark.parametrize(
    ("value", "expected"), [("2024-06-12T12:34:00Z", 1718195640.0), ("2024-06-12T14:34:00+02:00", 1718195640.0)]
)
def test_times_are_seconds_since_the_epoch(value: str, expected: float) -> None:
    assert seconds({"t": value}, "t") == expected


@pytest.mark.parametrize("value", [None, 5, "", "yesterday", "9" * 100, "2024-13-01T00:00:00Z"])
def test_an_unreadable_time_is_none(value: Any) -> None:
    assert seconds({"t": value}, "t") is None


def test_a_time_at_the_edge_of_the_calendar_is_still_a_time() -> None:
    assert seconds({"t": "0001-01-01T00:00:00+23:59"}, "t") is not None


def test_the_core_group_has_no_name() -> None:
    assert group_of({"apiVersion": "v1"}) == ""
    assert group_of({"apiVersion": "apps/v1"}) == "apps"


def test_long_lists_of_names_are_counted() -> None:
    assert listed(["a", "", "b"]) == "a, b"
    assert listed(list("abcdefgh")) == "a, b, c, d, e and 3 more"
