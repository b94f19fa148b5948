"""A person's clone: a branch comes to it, and nothing else of it changes."""

from __future__ import annotations

from pathlib import Path

import pygit2
import pytest

from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.sources.clone import GitClone


def commit(repository: pygit2.Repository, files: dict[str, str]) -> str:
    """A commit of exactly these files on main; `path*` is executable."""
    index = pygit2.Index()
    for path, text in files.items():
        mode = pygit2.enums.FileMode.BLOB_EXECUTABLE if path.endswith("*") else pygit2.enums.FileMode.BLOB
        index.add(pygit2.IndexEntry(path.rstrip("*"), repository.create_blob(text.encode()), mode))
    person = pygit2.Signature("Mona", "mona@example.com", 1_000_000, 0)
    parents = [] if repository.head_is_unborn else [repository.head.target]
    tree = index.write_tree(repository)
    return str(repository.create_commit("refs/heads/main", person, person, "a change", tree, parents))


@pytest.fixture
def repository(tmp_path: Path) -> pygit2.Repository:
    made = pygit2.init_repository(str(tmp_path / "clone"), initial_head="main")
    made.config["user.name"], made.config["user.email"] = "Mona", "mona@example.com"
    return made


def test_paths_come_back_with_their_mode_and_go_where_they_were_not(repository: pygit2.Repository) -> None:
    then = commit(repository, {"a/run*": "one", "a/keep": "x", "b": "old"})
    base = commit(repository, {"a/run": "two", "a/keep": "y", "a/new": "z", "b": "new"})
    clone = GitClone(Path(repository.workdir))
    draft = clone.drafted(base, then, ["a/run", "a/new", "never/was"], {"b": b"given", "c/d": b"more"})
    made = repository[clone.branch("back", draft, "go back")]
    assert {entry.path: (entry.mode, repository[entry.id].data) for entry in listed(repository, made)} == {
        "a/run": (0o100755, b"one"),
        "a/keep": (0o100644, b"y"),
        "b": (0o100644, b"given"),
        "c/d": (0o100644, b"more"),
    }
    assert draft.files == ("a/new", "a/run", "b", "c/d")
    assert ([str(parent.id) for parent in made.parents], str(repository.head.target)) == ([base], base)


def listed(repository: pygit2.Repository, made: pygit2.Object) -> pygit2.Index:
    index = pygit2.Index()
    index.read_tree(made.peel(pygit2.Commit).tree)
    return index


def test_a_branch_that_is_there_or_has_no_name_is_refused(repository: pygit2.Repository) -> None:
    base = commit(repository, {"a": "x"})
    clone = GitClone(Path(repository.workdir))
    draft = clone.drafted(base, base, [], {"a": b"y"})
    clone.branch("back", draft, "once")
    with pytest.raises(Conflict, match="there is a branch back already"):
        clone.branch("back", draft, "twice")
    with pytest.raises(Invalid, match="no name for a branch"):
        clone.branch("../back", draft, "once")


def test_a_commit_that_is_not_there_is_told_with_what_to_do(repository: pygit2.Repository) -> None:
    base = commit(repository, {"a": "x"})
    clone = GitClone(Path(repository.workdir))
    for lacking in ("f" * 40, "no commit"):
        with pytest.raises(Unavailable, match="git fetch origin"):
            clone.drafted(base, lacking, ["a"], {})


def test_a_folder_inside_a_clone_is_found_and_one_outside_is_refused(
    repository: pygit2.Repository, tmp_path: Path
) -> None:
    base = commit(repository, {"a": "x"})
    inside, outside = Path(repository.workdir) / "deep", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    assert GitClone(inside).file(base, "a") == b"x"
    for folder in (outside, tmp_path / "nowhere"):
        with pytest.raises(Invalid, match="no Git repository"):
            GitClone(folder)
