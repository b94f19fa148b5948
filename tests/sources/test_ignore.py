"""`.kedgeignore`: what of a repository is not seen."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bounds import processor

from kedge.model.errors import Invalid
from kedge.sources.git import GitSource
from kedge.sources.ignore import read

from .conftest import Repository

CASES = {
    "*.md": ("README.md docs/a.md", "a.yaml md"),
    "/a.yaml": ("a.yaml", "x/a.yaml"),
    "docs/": ("docs/a docs/b/c x/docs/y", "a/docs.yaml"),
    "apps/*/test": ("apps/web/test apps/web/test/a", "apps/test apps/a/b/test"),
    "**/secret": ("secret a/secret a/b/secret", "secrets"),
    "apps/**": ("apps/a apps/b/c", "app"),
    "a/**/**/": ("a/b/c", "a/b"),
    "**/": ("a/b", "a"),
    "a/**/z": ("a/z a/b/z a/b/c/z", "z b/z"),
    "[ab].yaml": ("a.yaml b.yaml", "c.yaml"),
    "\\#x": ("#x", "x"),
    "# x": ("", "x # x"),
}


@pytest.mark.parametrize("pattern", CASES)
def test_patterns_mean_what_they_mean_in_gitignore(pattern: str):
    ignored, seen = CASES[pattern]
    rules = read(pattern.encode())
    assert [path for path in ignored.split() if not rules.ignores(path)] == []
    assert [path for path in seen.split() if rules.ignores(path)] == []


def test_a_later_pattern_takes_back_but_not_below_an_ignored_folder():
    rules = read(b"*.yaml\n!keep.yaml\nvendor/\n!vendor/keep.yaml\n")
    assert rules.seen(["a.yaml", "keep.yaml", "vendor/keep.yaml", "x/keep.yaml"]) == ["keep.yaml", "x/keep.yaml"]


PIECE = st.sampled_from(["a", "b", "*", "**", "?", "a*", "[ab]", "ab"])
LINE = st.builds(
    lambda parts, first, last, back: back + first + "/".join(parts) + last,
    st.lists(PIECE, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
    st.sampled_from(["", "/"]),
    st.sampled_from(["", "", "!"]),
)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(
    st.lists(LINE, min_size=1, max_size=4),
    st.lists(st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4), min_size=1, max_size=6),
)
def test_git_itself_ignores_the_same_files(tmp_path: Path, lines: list[str], paths: list[list[str]]):
    work = tmp_path / "work"
    if not work.exists():
        subprocess.run(["git", "init", "-q", str(work)], check=True)
    (work / ".gitignore").write_text("\n".join(lines) + "\n")
    names = ["/".join(path) + "/leaf" for path in paths]
    asked = "\0".join(names) + "\0"
    done = subprocess.run(
        ["git", "-C", str(work), "check-ignore", "--no-index", "--stdin", "-z"],
        input=asked.encode(),
        capture_output=True,
        check=False,
    )
    theirs = set(done.stdout.decode().split("\0")) - {""}
    rules = read("\n".join(lines).encode())
    assert {name for name in names if rules.ignores(name)} == theirs


def test_a_pattern_that_would_never_end_ends():
    rules = read((b"*a" * 60 + b"b\n") + b"**/" * 31 + b"z")
    assert not rules.ignores("/".join(["a" * 200] * 40))
    with pytest.raises(Invalid, match="more than"):
        read(b"a\n" * 2_000)


async def test_what_is_ignored_is_not_there_and_moves_nobody(source: GitSource, repository: Repository):
    files = {".kedgeignore": "docs/\n*.md\n", "docs/a.yaml": "a", "apps/a.yaml": "a", "apps/README.md": "a"}
    repository.commit(files)
    before = await source.fetch(repository.url, "main")
    snapshot = source.snapshot(before)
    found = [entry.path for entry in snapshot.entries("", recurse=True)]
    assert found == [".kedgeignore", "apps", "apps/a.yaml"]
    assert snapshot.entry("docs") is None
    assert snapshot.entry("docs/a.yaml") is None
    assert snapshot.entries("docs") == ()
    repository.commit({"docs/a.yaml": "b", "apps/README.md": "b", "apps/a.yaml": "b"})
    after = await source.fetch(repository.url, "main")
    assert source.changed(before, after) == ["apps/a.yaml"]
    repository.commit({".kedgeignore": "none\n"})
    last = await source.fetch(repository.url, "main")
    assert source.changed(after, last) == [".kedgeignore"]


def test_patterns_made_to_be_slow_are_not():
    # A hundred paths, each with thirty folders, took fifteen seconds.
    rules = read(b"**/a/**/b/**/c/**/d/**/e/**/f/**/g/**/h\n" * 1_000)
    with processor(5):
        assert rules.ignores("/".join("abcdefghij" * 30))
        assert not any(rules.ignores("/".join("zyxw" * 8) + f"/{n}") for n in range(100))
    stars = read(b"/".join([b"*a" * 100] * 2) + b"\n" + b"*a*b*c*d*e*f\n" * 900)
    with processor(5):
        assert not any(stars.ignores("ab" * 120 + str(n)) for n in range(100))
    assert stars.too_many(100_000)
    assert not read(b"*.md\n" * 50).too_many(100_000)
