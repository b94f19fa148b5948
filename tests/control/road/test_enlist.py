"""Which files of a root are looked at, whatever else its repository holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from tests.doors.memory_source import MemorySnapshot, MemorySource

from kedge.control.road.enlist import candidates
from kedge.dialects.root import RootConfig, included
from kedge.model.source import Entry, EntryKind, Revision

PATHS = st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=4).map(
    lambda names: "/".join(names) + "/x.yaml"
)
GLOBS = st.lists(st.sampled_from(["a", "b", "a*", "?", "*", "**", "x.yaml"]), min_size=1, max_size=4).map("/".join)


@dataclass(slots=True)
class Listened:
    """A snapshot that remembers what was listed."""

    inner: MemorySnapshot
    listed: list[str] = field(default_factory=list)

    @property
    def revision(self) -> Revision:
        return self.inner.revision

    def entry(self, path: str) -> Entry | None:
        return self.inner.entry(path)

    def entries(self, folder: str, *, recurse: bool = False) -> Sequence[Entry]:
        self.listed.append(folder)
        return self.inner.entries(folder, recurse=recurse)

    def read(self, entry: Entry) -> bytes:
        return self.inner.read(entry)


def snapshot_of(*paths: str) -> MemorySnapshot:
    source = MemorySource()
    return source.snapshot(source.commit({path: b"" for path in paths}))


def read_from(snapshot: MemorySnapshot, folder: str, config: RootConfig) -> list[str]:
    prefix = f"{folder}/" if folder else ""
    return [
        entry.path
        for entry in candidates(snapshot, folder, config)
        if entry.kind is EntryKind.FILE and included(config, entry.path[len(prefix) :])
    ]


def test_a_tree_beside_the_declarations_is_never_listed() -> None:
    snapshot = Listened(snapshot_of(".kedge/web.yaml", "kedge.yaml", *(f"apps/a{n}/x.yaml" for n in range(50))))
    found = [entry.path for entry in candidates(snapshot, "", RootConfig())]
    assert found == [".kedge/web.yaml", "kedge.yaml"]
    assert snapshot.listed == [".kedge"]


def test_a_root_without_a_folder_of_ours_declares_nothing() -> None:
    assert candidates(snapshot_of("README"), "", RootConfig()) == []
    assert candidates(snapshot_of("team/README"), "team", RootConfig()) == []


def test_a_root_below_a_folder_reads_nothing_beside_it() -> None:
    snapshot = snapshot_of("team/.kedge/web.yaml", ".kedge/other.yaml", "team2/.kedge/x.yaml")
    assert read_from(snapshot, "team", RootConfig()) == ["team/.kedge/web.yaml"]


@given(st.lists(PATHS, min_size=1, max_size=12, unique=True), st.lists(GLOBS, min_size=1, max_size=4))
def test_what_is_read_is_what_a_listing_of_everything_would_have_found(paths: list[str], globs: list[str]) -> None:
    snapshot, config = snapshot_of(*paths), RootConfig(include=tuple(globs))
    assert read_from(snapshot, "", config) == sorted(path for path in paths if included(config, path))
