"""Comparing trees, on an object database of its own."""

from __future__ import annotations

import tracemalloc

import pygit2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.sources import history
from kedge.sources.snapshot import find

Tree = dict[str, "str | Tree"]

NAMES = st.sampled_from(["a", "b", "a b", "größe", "0", "a.yaml"])
TREES = st.recursive(
    st.dictionaries(NAMES, st.sampled_from(["one", "two"]), max_size=3),
    lambda inner: st.dictionaries(NAMES, st.one_of(st.sampled_from(["one", "two"]), inner), max_size=3),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> pygit2.Repository:
    return pygit2.init_repository(str(tmp_path_factory.mktemp("history")), bare=True)


def written(database: pygit2.Repository, tree: Tree) -> pygit2.Tree:
    made = database.TreeBuilder()
    for name, what in tree.items():
        if isinstance(what, str):
            made.insert(name, database.create_blob(what.encode()), pygit2.enums.FileMode.BLOB)
        else:
            made.insert(name, written(database, what).id, pygit2.enums.FileMode.TREE)
    return database[made.write()].peel(pygit2.Tree)


def files(tree: Tree, prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, what in tree.items():
        found |= {prefix + name: what} if isinstance(what, str) else files(what, f"{prefix}{name}/")
    return found


@given(before=TREES, after=TREES)
def test_what_is_told_is_what_a_list_of_all_files_would_tell(
    database: pygit2.Repository, before: Tree, after: Tree
) -> None:
    old, new = files(before), files(after)
    expected = sorted(path for path in {**old, **new} if old.get(path) != new.get(path))
    assert history.changed(written(database, before), written(database, after)) == expected


def test_a_tree_that_names_one_folder_without_end_is_given_up(database: pygit2.Repository) -> None:
    def doubled(leaf: str) -> pygit2.Tree:
        tree = written(database, {"x": leaf})
        for _ in range(40):
            made = database.TreeBuilder()
            for name in ("a", "b"):
                made.insert(name, tree.id, pygit2.enums.FileMode.TREE)
            tree = database[made.write()].peel(pygit2.Tree)
        return tree

    assert history.changed(doubled("one"), doubled("two"), 1_000) is None


def test_looking_a_path_up_again_and_again_keeps_nothing(database: pygit2.Repository) -> None:
    tree = written(database, {"apps": {"web-with-a-name": {"a.yaml": "one"}}})
    path = "apps/web-with-a-name/a.yaml"
    assert find(tree, path) is not None
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2_000):
            find(tree, path)
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()


def test_beyond_the_bound_nothing_is_told_rather_than_a_part(database: pygit2.Repository) -> None:
    many: Tree = {f"f{n}": "one" for n in range(20)}
    before = written(database, {})
    assert history.changed(before, written(database, many), 10) is None
    assert history.changed(before, written(database, many), 100) == sorted(many)
