"""What a render asks of its source, and what it is answered."""

from __future__ import annotations

from typing import Any

from kedge.model.source import EntryKind, Read
from kedge.renderers import questions

FILES = {"a/b/c/x.yaml": "1", "a/y.yaml": "2", "z.yaml": "3"}


def test_a_listing_knows_every_folder_between_its_root_and_a_file(repository: Any) -> None:
    files = repository(FILES)
    listing = questions.listing(files, "a", files.entries("a", recurse=True))
    assert list(listing) == ["a", "a/b", "a/b/c"]
    assert listing["a"]["entries"]["b"]["kind"] == "folder"
    assert listing["a/b/c"]["entries"]["x.yaml"]["id"] == files.entry("a/b/c/x.yaml").id


def test_a_path_through_a_symlink_is_answered_by_the_symlink(repository: Any, link: Any) -> None:
    for target in ("../a", "/etc", "nowhere"):
        files = repository({**FILES, "l": link(target)})
        assert questions.look(files, "l/b/c/x.yaml").header["kind"] == "symlink"


def test_nothing_is_below_a_file(repository: Any) -> None:
    assert questions.look(repository(FILES), "z.yaml/x").header == {"kind": "", "id": ""}


def test_a_read_holds_until_what_it_read_changes(repository: Any) -> None:
    files = repository(FILES)
    reads = [
        Read("z.yaml", files.entry("z.yaml").id),
        Read("nope.yaml", ""),
        Read("a", files.entry("a").id, EntryKind.FOLDER),
    ]
    assert questions.still_true(files, reads)
    assert questions.still_true(repository({**FILES, "other": "4"}), reads)
    for change in ({"z.yaml": "changed"}, {"nope.yaml": "now there"}, {"a/b/new": "x"}):
        assert not questions.still_true(repository({**FILES, **change}), reads)


def test_the_root_folder_is_another_with_every_commit(repository: Any) -> None:
    before = repository(FILES)
    reads = [Read("", questions.folder_id(before, ""), EntryKind.FOLDER)]
    assert questions.still_true(before, reads)
    assert not questions.still_true(repository(FILES, commit="beef"), reads)
