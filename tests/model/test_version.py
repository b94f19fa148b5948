"""Versions, and the ranges that Helm and Flux users write."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.model.errors import Invalid
from kedge.model.version import Version, newest, parse, read

IN_ORDER = [
    *("0.0.1", "0.9.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2"),
    *("1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"),
]

ADMITS = {
    "1.2.3": ("1.2.3 v1.2.3 1.2.3+build", "1.2.4 1.2.3-rc.1"),
    "=1.2.3": ("1.2.3", "1.2.4"),
    "1.2": ("1.2.0 1.2.9", "1.3.0 1.1.9 2.2.0"),
    "1": ("1.0.0 1.9.9", "2.0.0 0.9.0"),
    "1.x": ("1.0.0 1.9.9", "2.0.0"),
    "1.2.*": ("1.2.7", "1.3.0"),
    "*": ("0.0.1 9.9.9", "1.0.0-rc.1"),
    "x": ("0.0.1", "0.0.1-a"),
    ">=1.2 <2": ("1.2.0 1.99.0", "1.1.9 2.0.0 2.0.0-rc.1 1.5.0-rc.1"),
    ">=1.2, <2": ("1.2.0 1.99.0", "1.1.9 2.0.0"),
    ">= 1.2.0,<2.0.0": ("1.2.0", "2.0.0"),
    "=>1.2 =<1.4": ("1.2.0 1.4.0 1.4.9", "1.5.0 1.1.0"),
    ">1.2": ("1.3.0 2.0.0", "1.2.0 1.2.9"),
    ">1": ("2.0.0", "1.9.9 1.0.0"),
    ">1.2.3": ("1.2.4", "1.2.3"),
    "<1.2": ("1.1.9", "1.2.0"),
    "<=1.2": ("1.2.9 0.1.0", "1.3.0"),
    "<=11": ("11.9.9", "12.0.0"),
    "!=1.2.3": ("1.2.4", "1.2.3"),
    "!=1.2": ("1.3.0 0.2.0", "1.2.0 1.2.9"),
    "~1.2.3": ("1.2.3 1.2.9", "1.3.0 1.2.2"),
    "~>1.2.3": ("1.2.9", "1.3.0"),
    "~1.2": ("1.2.0 1.2.9", "1.3.0"),
    "~1": ("1.0.0 1.9.0", "2.0.0"),
    "^1.2.3": ("1.2.3 1.9.0", "2.0.0 1.2.2"),
    "^0.2.3": ("0.2.3 0.2.9", "0.3.0"),
    "^0.0.3": ("0.0.3", "0.0.4 0.1.0"),
    "^0.0": ("0.0.1", "0.1.0"),
    "^0": ("0.9.0", "1.0.0"),
    "1.2 - 1.4.5": ("1.2.0 1.4.5", "1.4.6 1.1.0"),
    "1.2 || >=3": ("1.2.5 3.0.0", "1.3.0 2.9.9"),
    ">=1.2.0-0": ("1.2.0-rc.1 1.3.0 2.0.0-beta", "1.1.0 1.1.0-rc.1"),
    ">=1.2.0-0 <2": ("1.5.0-rc.1 2.0.0-rc.1", "2.0.0"),
    "1.2.3-beta.2": ("1.2.3-beta.2", "1.2.3-beta.3 1.2.3"),
    "^1.2.3-beta.2": ("1.2.3-beta.3 1.2.3 1.4.0-a", "1.2.3-beta.1 2.0.0"),
    ">=1.0.0-0 <1.1 || >=2": ("1.0.0-rc.1 2.0.0", "2.1.0-rc.1"),
}


def version_of(text: str) -> Version:
    version = read(text)
    assert version is not None
    return version


def test_versions_are_in_the_order_of_the_specification():
    read_versions = [version_of(text) for text in IN_ORDER]
    assert sorted(read_versions) == read_versions
    assert all(one < other for one, other in pairwise(read_versions))


@pytest.mark.parametrize("wanted", ADMITS)
def test_a_range_admits_what_masterminds_semver_admits(wanted: str):
    inside, outside = ADMITS[wanted]
    found = parse(wanted)
    for text in inside.split():
        assert found.admits(version_of(text)), (wanted, text)
    for text in outside.split():
        assert not found.admits(version_of(text)), (wanted, text)


@pytest.mark.parametrize(
    "text", ["", " ", "latest", ">=", "1.2,", ",1", "1.2 ||", "|| 1", ">1 - <2", "1..2", "a" * 999]
)
def test_what_is_no_range_is_refused_with_an_example(text: str):
    with pytest.raises(Invalid, match="range of versions"):
        parse(text)


@pytest.mark.parametrize("text", ["1.2", "release-1", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3 ", "1" * 30 + ".0.0", ""])
def test_a_tag_that_is_no_version_is_none(text: str):
    assert read(text) is None


def test_charts_may_leave_parts_of_a_version_out():
    assert read("1.2", loose=True) == Version(1, 2)
    assert read("v3", loose=True) == Version(3)


def test_the_newest_that_fits_is_chosen_and_a_name_written_exactly_wins():
    names = [(name, name) for name in ("v1.2.0", "v1.10.0", "v1.9.0", "v2.0.0-rc.1", "nightly", "v0.1.0")]
    assert newest(parse("1.x"), names) == ("v1.10.0", "v1.10.0")
    assert newest(parse("v1.9.0"), names) == ("v1.9.0", "v1.9.0")
    assert newest(parse(">=2"), names) is None
    assert newest(parse(">=2.0.0-0"), names) == ("v2.0.0-rc.1", "v2.0.0-rc.1")


def test_two_names_of_one_version_are_told_apart_the_same_way_each_time():
    names = [("1.2.3", 1), ("v1.2.3", 2), ("1.2.3+b", 3)]
    assert newest(parse("1.x"), names) == newest(parse("1.x"), reversed(names))


@given(st.text(alphabet="0123456789.xX*-+~^<>=!|, vabc", max_size=40))
def test_any_text_is_a_range_or_refused(text: str):
    try:
        found = parse(text)
    except Invalid:
        return
    assert found.admits(Version(1)) in (True, False)


@pytest.mark.parametrize(
    ("text", "fits", "not_"),
    [
        ("~> 1.2", ("1.2.0", "1.2.9", "1.99.0"), ("1.1.9", "2.0.0")),
        ("~> 1.2.3", ("1.2.3", "1.2.99"), ("1.2.2", "1.3.0")),
        ("~>1", ("1.0.0", "7.0.0"), ("0.9.9",)),
        ("~> 1.2, != 1.5.1", ("1.5.0", "1.5.2"), ("1.5.1", "2.0.0")),
        ("~> 1.2.3-rc1", ("1.2.3-rc2", "1.2.3", "1.2.4"), ("1.2.3-beta", "1.3.0")),
        ("~1.2", ("1.2.9",), ("1.3.0",)),
        ("~> 1.x", ("1.0.0", "2.0.0"), ("0.9.0",)),
    ],
)
def test_of_a_tool_the_last_number_that_is_told_may_grow(
    text: str, fits: tuple[str, ...], not_: tuple[str, ...]
) -> None:
    wanted = parse(text, tool=True)
    for each in fits:
        assert wanted.admits(version_of(each)), each
    for each in not_:
        assert not wanted.admits(version_of(each)), each


def test_of_a_chart_it_means_what_helm_users_know() -> None:
    assert not parse("~> 1.2").admits(version_of("1.3.0"))
