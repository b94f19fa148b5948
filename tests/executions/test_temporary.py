"""Providers listen on sockets in TMPDIR, whose paths the kernel bounds: below a long data folder none could start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kedge.executions import temporary
from kedge.model.errors import Unavailable

NAME = "plugin4294967295"


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """An execution's folder as deep as it may be."""
    folder = tmp_path / ("d" * 100) / "e1"
    folder.mkdir(parents=True)
    return folder


def test_a_folder_whose_path_has_room_for_sockets_is_used_itself(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert temporary.make(Path()) == Path("tmp")
    assert Path("tmp").is_dir()
    temporary.remove(Path())
    assert not Path("tmp").exists()


def test_a_socket_can_be_made_for_a_folder_of_any_depth_and_nothing_of_it_is_left(deep: Path) -> None:
    place = temporary.make(deep)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(place / NAME))
    assert place.stat().st_mode & 0o777 == 0o700
    temporary.remove(deep)
    assert not place.exists()
    assert list(deep.iterdir()) == []


def test_what_another_link_leads_to_is_left_alone(deep: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (deep / "tmp").symlink_to(tmp_path / "precious")
    temporary.remove(deep)
    assert (tmp_path / "precious").exists()
    assert list(deep.iterdir()) == []


def test_no_room_elsewhere_is_told_with_what_to_do(deep: Path, monkeypatch) -> None:
    def full(**_: str) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(temporary, "mkdtemp", full)
    with pytest.raises(Unavailable, match=r"too long for the sockets of providers.*No space left"):
        temporary.make(deep)
