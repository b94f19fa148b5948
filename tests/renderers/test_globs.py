"""Globs over paths, as Argo CD's directory source reads them."""

from __future__ import annotations

import pytest

from kedge.model.errors import Invalid
from kedge.renderers.globs import matches


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.yaml", "a.yaml", True),
        ("*.yaml", "deep/down/a.yaml", True),
        ("*.yaml", "a.yml", False),
        ("config/*", "config/a/b.yaml", True),
        ("config/*", "other/a.yaml", False),
        ("{*.yml,*.yaml}", "a.yml", True),
        ("{a,b}/{c,d}.yaml", "b/c.yaml", True),
        ("{a,{b,c}}.yaml", "c.yaml", True),
        ("{a,b}.yaml", "ab.yaml", False),
        ("a?.yaml", "ab.yaml", True),
        ("a?.yaml", "a.yaml", False),
        ("[a-c]x.yaml", "bx.yaml", True),
        ("[!a-c]x.yaml", "bx.yaml", False),
        ("[abc]x.yaml", "dx.yaml", False),
        (r"a\*.yaml", "a*.yaml", True),
        (r"a\*.yaml", "ab.yaml", False),
        ("**/x.yaml", "a/b/x.yaml", True),
        ("", "a", False),
    ],
)
def test_a_glob_matches_as_its_syntax_says(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


@pytest.mark.parametrize("pattern", ["{a,b", "[ab", "{a,b}" * 12])
def test_a_glob_that_is_malformed_or_explodes_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        matches(pattern, "a")


def test_a_glob_made_to_be_slow_is_not() -> None:
    assert not matches("*a" * 200 + "b", "a" * 4000)
