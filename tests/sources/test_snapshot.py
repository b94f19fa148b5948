"""Trees that no `git add` ever made."""

from __future__ import annotations

import resource
from pathlib import Path

import pygit2
import pytest

from kedge.model.errors import Invalid
from kedge.model.source import EntryKind, Revision
from kedge.sources import history, ignore
from kedge.sources.snapshot import LONGEST, GitSnapshot, Scales

BY = pygit2.Signature("Mallory", "mallory@example.com", 0, 0)
BLOB, TREE, LINK = pygit2.enums.FileMode.BLOB, pygit2.enums.FileMode.TREE, pygit2.enums.FileMode.LINK


class Forest:
    """A bare repository, tree by tree."""

    def __init__(self, folder: Path) -> None:
        self.git = pygit2.init_repository(str(folder), bare=True)

    def tree(self, **entries: tuple[pygit2.Oid, pygit2.enums.FileMode]) -> pygit2.Oid:
        builder = self.git.TreeBuilder()
        for name, entry in entries.items():
            builder.insert(name, *entry)
        return builder.write()

    def blob(self, content: bytes) -> tuple[pygit2.Oid, pygit2.enums.FileMode]:
        return self.git.create_blob(content), BLOB

    def snapshot(self, tree: pygit2.Oid) -> GitSnapshot:
        commit = self.git.create_commit(None, BY, BY, "m", tree, [])
        return GitSnapshot(self.git, Revision("r", "main", str(commit)))


@pytest.fixture
def forest(tmp_path: Path) -> Forest:
    return Forest(tmp_path / "f.git")


def deep(forest: Forest, folders: int) -> pygit2.Oid:
    tree = forest.tree(f=forest.blob(b"x"))
    for _ in range(folders):
        tree = forest.tree(**{"a" * 200: (tree, TREE)})
    return tree


def test_folders_in_one_another_without_end_are_refused_before_their_paths_fill_the_memory(forest: Forest) -> None:
    # Five thousand folders of a megabyte in all: four gigabytes of paths.
    tree = deep(forest, 3_000)
    snapshot = forest.snapshot(tree)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Invalid, match=f"longer than {LONGEST} characters"):
        snapshot.entries("", recurse=True)
    assert history.changed(forest.git[forest.tree()], forest.git[tree]) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert len(snapshot.entries("")) == 1


def test_a_tree_that_names_itself_over_and_over_is_refused(forest: Forest) -> None:
    tree = forest.tree(**{f"f{n}": forest.blob(b"x") for n in range(100)})
    for _ in range(6):
        tree = forest.tree(**{f"d{n}": (tree, TREE) for n in range(100)})
    with pytest.raises(Invalid, match="more files than are listed"):
        forest.snapshot(tree).entries("", recurse=True)


def test_a_folder_of_millions_is_refused_before_it_is_opened(forest: Forest, monkeypatch: pytest.MonkeyPatch) -> None:
    # Thirteen megabytes of pack: two gigabytes, and three minutes in which nobody else had a turn.
    monkeypatch.setattr("kedge.sources.snapshot.LARGEST", 1_000)
    large = forest.tree(**{f"f{n}": forest.blob(b"x") for n in range(100)})
    outer = forest.snapshot(forest.tree(large=(large, TREE), fine=forest.blob(b"x")))
    with pytest.raises(Invalid, match="bytes of names"):
        forest.snapshot(large)
    for look in (
        lambda: outer.entry("large/f1"),
        lambda: outer.entries("large"),
        lambda: outer.entries("", recurse=True),
    ):
        with pytest.raises(Invalid, match="bytes of names"):
            look()
    assert outer.entry("fine") is not None
    with pytest.raises(Invalid, match="bytes of names"):
        history.changed(forest.git[forest.tree()], forest.git[large], scales=Scales(forest.git))


def test_what_says_what_is_ignored_is_not_unpacked_where_it_is_too_large(
    forest: Forest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 600 MB of nothing, which Git packs into half of one, were read whole before they were found to be too many.
    monkeypatch.setattr(ignore, "SIZE", 10)
    unpacked = []
    monkeypatch.setattr(ignore, "read", unpacked.append)
    with pytest.raises(Invalid, match="are not read"):
        forest.snapshot(forest.tree(**{ignore.FILE: forest.blob(bytes(11))}))
    assert unpacked == []


def test_names_that_only_differ_in_case_or_in_how_a_letter_is_put_together_are_different_files(forest: Forest) -> None:
    names = {"A.yaml": b"1", "a.yaml": b"2", "\u00e9.yaml": b"3", "e\u0301.yaml": b"4", "a\\b": b"5", "-x": b"6"}
    snapshot = forest.snapshot(forest.tree(**{name: forest.blob(content) for name, content in names.items()}))
    read = {entry.path: snapshot.read(entry) for entry in snapshot.entries("", recurse=True)}
    assert read == names


def test_links_that_lead_to_each_other_are_links_and_lead_nowhere(forest: Forest) -> None:
    links = {"a": b"b", "b": b"a", "loop": b".", "up": b"../../../../etc", "environ": b"/proc/self/environ"}
    entries = {name: (forest.git.create_blob(to), LINK) for name, to in links.items()}
    snapshot = forest.snapshot(forest.tree(**entries))
    assert {entry.kind for entry in snapshot.entries("", recurse=True)} == {EntryKind.SYMLINK}
    for name in links:
        assert snapshot.entry(f"{name}/passwd") is None
        assert snapshot.entries(name, recurse=True) == ()
