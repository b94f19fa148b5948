import pytest

from kedge.model.errors import Invalid
from kedge.model.source import EntryKind
from kedge.sources.folder import FolderSnapshot


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "apps" / "web").mkdir(parents=True)
    (tmp_path / "apps" / "web" / "a.yaml").write_text("a: 1\n")
    (tmp_path / "apps" / "out").symlink_to("/etc")
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_a_file_has_the_id_that_git_would_give_it(tree):
    entry = FolderSnapshot(tree).entry("apps/web/a.yaml")
    assert (entry.kind, entry.id) == (EntryKind.FILE, "a8926a52d8dcba5c4386945476ab6a2ad008afd4")


def test_a_symlink_is_shown_and_never_followed(tree):
    snapshot = FolderSnapshot(tree)
    assert snapshot.entry("apps/out").kind is EntryKind.SYMLINK
    assert snapshot.entry("apps/out/passwd") is None
    assert snapshot.entries("apps/out") == ()


def test_nothing_above_the_directory_is_there(tree):
    assert FolderSnapshot(tree / "apps").entry("../apps/web/a.yaml") is None


def test_gits_own_folder_is_not_part_of_the_files(tree):
    assert [entry.path for entry in FolderSnapshot(tree).entries("", recurse=True)] == [
        "apps",
        "apps/out",
        "apps/web",
        "apps/web/a.yaml",
    ]


def test_a_folders_id_moves_with_what_is_listed_in_it(tree):
    before = FolderSnapshot(tree).entry("apps/web").id
    (tree / "apps" / "web" / "b.yaml").write_text("b: 1\n")
    assert FolderSnapshot(tree).entry("apps/web").id != before


def test_a_missing_directory_is_said_so(tmp_path):
    with pytest.raises(Invalid, match="is not a directory"):
        FolderSnapshot(tmp_path / "gone")
