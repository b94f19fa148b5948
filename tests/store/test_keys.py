"""The key file belongs to its owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.store.opening import SeededEntropy

from kedge.model.errors import Invalid, Unavailable
from kedge.store.keys import load_or_create_key


def test_a_key_is_made_once_and_then_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "key"
    made = load_or_create_key(path, SeededEntropy(1))
    assert len(made) == 32
    assert load_or_create_key(path, SeededEntropy(2)) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    load_or_create_key(tmp_path / "key", SeededEntropy())
    (tmp_path / "key").chmod(mode)
    with pytest.raises(Invalid, match="may be read by others"):
        load_or_create_key(tmp_path / "key", SeededEntropy())


@pytest.mark.parametrize("text", ["", "abcd", "z" * 64, "00" * 33])
def test_a_file_without_a_key_is_refused_and_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(Invalid, match="does not hold a key"):
        load_or_create_key(tmp_path / "key", SeededEntropy())
    assert (tmp_path / "key").read_text() == text


def test_a_folder_or_a_dangling_link_is_no_key_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "link"):
        with pytest.raises(Unavailable, match="cannot be used"):
            load_or_create_key(tmp_path / name, SeededEntropy())
