"""What every source does: real Git and the one in memory that the simulation uses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.doors.memory_source import REPOSITORY, MemorySource

from kedge.model.errors import Invalid, KedgeError, Unavailable
from kedge.model.source import EntryKind, Revision
from kedge.ports import Source
from kedge.sources.address import Allowed
from kedge.sources.git import GitSource


class World(Protocol):
    """A source and the hand that changes what it is a source of."""

    source: Source
    repository: str

    def commit(self, files: Mapping[str, bytes]) -> None:
        """Make `files` all that is on main."""


class NoSecrets:
    async def credential(self, url: str) -> Mapping[str, str]:
        return {}


class Real:
    def __init__(self, folder: Path) -> None:
        self.repository = str(folder / "repo")
        self.source = GitSource(folder / "data", NoSecrets(), search=os.environ["PATH"], allowed=Allowed(local=True))
        self._git("init", "-q", "--initial-branch=main", self.repository, at=folder)

    def _git(self, *arguments: str, at: Path | None = None) -> None:
        who = {f"GIT_{role}_{what}": "mona" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": self.repository, **who}
        subprocess.run(["git", *arguments], cwd=at or self.repository, env=env, check=True)

    def commit(self, files: Mapping[str, bytes]) -> None:
        for path in Path(self.repository).rglob("*"):
            if path.is_file() and ".git" not in path.parts:
                path.unlink()
        for name, content in files.items():
            place = Path(self.repository, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", "a change")


class Remembered:
    def __init__(self) -> None:
        self.repository = REPOSITORY
        self.source: Any = MemorySource()

    def commit(self, files: Mapping[str, bytes]) -> None:
        self.source.commit(files)


@pytest.fixture(params=["git", "memory"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return Real(tmp_path) if request.param == "git" else Remembered()


async def test_a_branch_moves_with_its_commits(world: World) -> None:
    world.commit({"a.yaml": b"1"})
    first = await world.source.fetch(world.repository, "main")
    world.commit({"a.yaml": b"2"})
    second = await world.source.fetch(world.repository, "main")
    assert (first.repository, first.ref) == (world.repository, "main")
    assert first.commit != second.commit
    assert await world.source.fetch(world.repository, "main") == second
    assert world.source.descends(first, second)
    assert world.source.descends(second, second)
    assert not world.source.descends(second, first)


async def test_an_unknown_branch_is_an_error(world: World) -> None:
    world.commit({"a.yaml": b"1"})
    with pytest.raises(KedgeError) as failed:
        await world.source.fetch(world.repository, "nope")
    assert isinstance(failed.value, Invalid)


async def test_files_and_folders_are_read_as_committed(world: World) -> None:
    world.commit({"apps/web/a.yaml": b"a: 1", "apps/b.yaml": b"b", "top.yaml": b""})
    snapshot = world.source.snapshot(await world.source.fetch(world.repository, "main"))
    every = [entry for entry in snapshot.entries("", recurse=True) if entry.kind is EntryKind.FILE]
    assert [entry.path for entry in every] == ["apps/b.yaml", "apps/web/a.yaml", "top.yaml"]
    assert [entry.path for entry in snapshot.entries("apps")] == ["apps/b.yaml", "apps/web"]
    assert [entry.path for entry in snapshot.entries("nope")] == []
    file, folder = snapshot.entry("apps/web/a.yaml"), snapshot.entry("apps/web")
    assert file is not None
    assert folder is not None
    assert (file.kind, file.size, snapshot.read(file)) == (EntryKind.FILE, 4, b"a: 1")
    assert folder.kind is EntryKind.FOLDER
    assert snapshot.entry("apps/web/nope") is None


async def test_a_snapshot_stays_what_it_was(world: World) -> None:
    world.commit({"a.yaml": b"1"})
    snapshot = world.source.snapshot(await world.source.fetch(world.repository, "main"))
    world.commit({"a.yaml": b"2"})
    await world.source.fetch(world.repository, "main")
    entry = snapshot.entry("a.yaml")
    assert entry is not None
    assert snapshot.read(entry) == b"1"


async def test_the_same_content_has_the_same_id(world: World) -> None:
    world.commit({"a/x": b"1", "b/x": b"1"})
    first = world.source.snapshot(await world.source.fetch(world.repository, "main"))
    world.commit({"a/x": b"1", "b/x": b"2"})
    second = world.source.snapshot(await world.source.fetch(world.repository, "main"))
    ids = [[entry.id if (entry := s.entry(path)) else "" for path in ("a", "a/x", "b", "b/x")] for s in (first, second)]
    assert ids[0][:2] == ids[1][:2]
    assert ids[0][2] != ids[1][2]
    assert ids[0][3] != ids[1][3]


async def test_changed_names_the_files_between_two_commits(world: World) -> None:
    world.commit({"a/x": b"1", "a/y": b"1", "gone": b"1"})
    before = await world.source.fetch(world.repository, "main")
    world.commit({"a/x": b"2", "a/y": b"1", "new/z": b"1"})
    after = await world.source.fetch(world.repository, "main")
    assert list(world.source.changed(before, after) or ()) == ["a/x", "gone", "new/z"]
    assert list(world.source.changed(after, after) or ()) == []
    assert world.source.changed(Revision(world.repository, "main", "f" * 40), after) is None


async def test_touched_names_a_commit_that_has_the_path_as_it_is(world: World) -> None:
    world.commit({"a/x": b"1", "b/x": b"1"})
    first = await world.source.fetch(world.repository, "main")
    world.commit({"a/x": b"1", "b/x": b"2"})
    second = await world.source.fetch(world.repository, "main")
    assert world.source.touched(second, ["a"]).commit in (first.commit, second.commit)
    assert world.source.touched(second, ["b/x"]).commit == second.commit


async def test_what_was_never_fetched_is_unavailable(world: World) -> None:
    world.commit({"a": b"1"})
    await world.source.fetch(world.repository, "main")
    with pytest.raises(Unavailable):
        world.source.snapshot(Revision(world.repository, "main", "f" * 40))
