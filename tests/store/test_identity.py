"""The name of an installation outlives its database."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.store.opening import SeededEntropy, opened

from kedge.model.errors import Invalid
from kedge.store.identity import remember_name, remembered_name


def test_a_name_is_remembered_once(tmp_path: Path) -> None:
    place = tmp_path / "installation"
    assert remembered_name(place) == ""
    remember_name(place, "1f0c9a77")
    remember_name(place, "another")
    assert remembered_name(place) == "1f0c9a77"
    assert [each.name for each in tmp_path.iterdir()] == ["installation"]


@pytest.mark.parametrize("text", ["", "a:b", "A B", "-a", "a" * 64, "a\nb", "\xff"])
def test_what_is_no_name_is_refused(tmp_path: Path, text: str) -> None:
    place = tmp_path / "installation"
    place.write_text(text)
    with pytest.raises(Invalid, match="does not name an installation"):
        remembered_name(place)


async def test_a_new_database_goes_on_as_the_installation_that_is_named(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db", name="1f0c9a77")
    assert (await store.installation()).id == "1f0c9a77"
    await store.close()
    again = opened(tmp_path / "kedge.db", name="", entropy=SeededEntropy(2))
    assert (await again.installation()).id == "1f0c9a77"
    await again.close()


async def test_a_database_of_another_installation_than_is_named_is_refused(tmp_path: Path) -> None:
    await opened(tmp_path / "kedge.db", name="1f0c9a77").close()
    with pytest.raises(Invalid, match="is of the installation 1f0c9a77, the file beside it names another"):
        opened(tmp_path / "kedge.db", name="another")
