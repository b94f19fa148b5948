"""`kedge.yaml`: which files are read for declarations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bounds import processor

from kedge.dialects.root import RootConfig, included, matches, places, read_config
from kedge.model.errors import Invalid


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        (".kedge/**", ".kedge/a.yaml", True),
        (".kedge/**", ".kedge/deep/er/a.yaml", True),
        (".kedge/**", "apps/.kedge/a.yaml", False),
        (".kedge/**", ".kedgeX/a.yaml", False),
        ("kedge.yaml", "kedge.yaml", True),
        ("kedge.yaml", "apps/kedge.yaml", False),
        ("**/kedge.yaml", "kedge.yaml", True),
        ("**/kedge.yaml", "a/b/kedge.yaml", True),
        ("apps/*/kedge.yaml", "apps/web/kedge.yaml", True),
        ("apps/*/kedge.yaml", "apps/a/b/kedge.yaml", False),
        ("apps/**/kedge.yaml", "apps/a/b/kedge.yaml", True),
        ("*.yaml", "a.yaml", True),
        ("*.yaml", "a/b.yaml", False),
        ("a?.yaml", "ab.yaml", True),
        ("a?.yaml", "a.yaml", False),
        ("**", "any/thing.yaml", True),
        ("a.yaml", "abyaml", False),
        ("[a].yaml", "a.yaml", False),
        ("a/**/b/**/c", "a/x/b/y/z/c", True),
        ("a/**/b/**/c", "a/x/c", False),
    ],
)
def test_globs_are_anchored_and_stars_stay_inside_a_name(glob: str, path: str, expected: bool) -> None:
    assert matches(glob, path) is expected


def test_by_default_only_the_folder_of_ours_is_read() -> None:
    config = RootConfig()
    assert included(config, ".kedge/web.yaml")
    assert included(config, ".kedge/web.yml")
    assert included(config, "kedge.yaml")
    assert not included(config, "charts/web/templates/app.yaml")
    assert not included(config, ".kedge/README.md")


def test_what_is_excluded_is_not_read_whatever_includes_it() -> None:
    config = read_config(b"include: ['**']\nexclude: [vendor/**]\n")
    assert included(config, "a/b.yaml")
    assert not included(config, "vendor/x/a.yaml")


def test_declarations_may_stand_beside_the_configuration() -> None:
    text = b"apiVersion: kedge.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\n---\ninclude: [x/**]\n"
    assert read_config(text) == RootConfig(include=("x/**",))
    assert read_config(b"apiVersion: v1\n") == RootConfig()
    assert read_config(b"") == RootConfig()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("includes: ['**']", "did you mean “include”?"),
        ("include: '**'", "a list is wanted"),
        ("include: [5]", "a text is wanted"),
        ("include: [../**]", "does not lead out"),
        ("include: [/etc/**]", "relative"),
        ("include: ['']", "relative"),
        ("include: [" + "a," * 201 + "]", "more than 200"),
        ("include: [a]\n---\ninclude: [b]", "two documents"),
        ("include: [", "not YAML"),
        ("- a", "a mapping is wanted"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_config(text.encode(), "kedge.yaml")
    assert said in str(refused.value)
    assert str(refused.value).startswith("kedge.yaml")


@given(st.text(alphabet="*a/?", max_size=40), st.text(alphabet="a/", max_size=200))
def test_no_glob_takes_more_than_pattern_times_path(glob: str, path: str) -> None:
    with processor(5):
        assert matches(glob, path) in (True, False)


def test_a_hostile_glob_is_answered() -> None:
    assert not matches("*a" * 200 + "b", "a" * 400)
    assert not matches("**/a/" * 80 + "b", "a/" * 200)


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ((".kedge/**", "kedge.yaml"), (".kedge", "kedge.yaml")),
        (("apps/*/kedge.yaml", "apps/**", "roots/eu-*/x.yaml"), ("apps", "roots")),
        (("apps/**", "apps/web/**", "apps2/*"), ("apps", "apps2")),
        (("**/kedge.yaml", "apps/**"), ("",)),
        (("?/a.yaml",), ("",)),
    ],
)
def test_only_places_that_a_glob_can_reach_are_looked_into(include: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert places(RootConfig(include=include)) == expected


_NAMES = st.lists(st.sampled_from(["a", "b", "ab", "c.yaml"]), min_size=1, max_size=4).map("/".join)
_GLOBS = st.lists(st.sampled_from(["a", "b", "a*", "?", "*", "**", "c.yaml"]), min_size=1, max_size=4).map("/".join)


@given(st.lists(_GLOBS, min_size=1, max_size=4), _NAMES)
def test_whatever_is_included_lies_in_one_of_the_places(globs: list[str], path: str) -> None:
    config = RootConfig(include=tuple(globs))
    if included(config, path):
        assert any(place in ("", path) or path.startswith(f"{place}/") for place in places(config))
