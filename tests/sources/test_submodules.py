"""`.gitmodules` as a stranger writes it."""

from __future__ import annotations

import pytest
from tests.bounds import processor

from kedge.model.errors import Invalid
from kedge.sources import submodules


@pytest.mark.parametrize(
    "line",
    [
        b' path = "' + b" " * 900_000 + b"x",
        b" path = " + b' "' * 400_000 + b"x",
        b" " * 900_000,
        b'[submodule "' + b" " * 900_000,
    ],
)
def test_no_line_takes_long_to_read(line: bytes) -> None:
    # A value that was looked for with two patterns for the same spaces: hours for one line.
    with processor(5):
        assert submodules.urls(b'[submodule "a"]\n' + line) == {}


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(Invalid, match="more than"):
        submodules.urls(b"\n" * (submodules.SIZE + 1))


def test_values_are_read_with_and_without_quotes() -> None:
    text = b'[submodule "a"]\n\tpath = "b c"  \n\turl=../x.git\n[core]\n\tpath = no\n'
    assert submodules.urls(text) == {"b c": "../x.git"}


@pytest.mark.parametrize("url", ["../../../x", "../../..", "./../../../../etc"])
def test_a_url_that_climbs_out_of_its_host_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="leads out of"):
        submodules.absolute("https://git.example.com/shop/web.git", url)


@pytest.mark.parametrize(
    ("repository", "written", "found"),
    [
        ("https://git.example.com/shop/web.git", "../api.git", "https://git.example.com/shop/api.git"),
        ("https://git.example.com/shop/web.git", "./x/../../b", "https://git.example.com/shop/b"),
        ("git@git.example.com:shop/web.git", "../../other/b", "git@git.example.com:other/b"),
        ("/srv/git/web.git", "../api.git", "/srv/git/api.git"),
        ("https://git.example.com/a", "https://other.example.com/b", "https://other.example.com/b"),
    ],
)
def test_a_url_beside_the_repository_is_written_out(repository: str, written: str, found: str) -> None:
    assert submodules.absolute(repository, written) == found
