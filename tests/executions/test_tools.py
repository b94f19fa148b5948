"""Which programs are here, and which of them a stack gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.executions.pretender import pretender

from kedge.executions.tools import Tools, ask_version
from kedge.model.errors import Invalid
from kedge.model.execution import Tool


class Told:
    """Versions by the place of a program, and how often each was asked."""

    def __init__(self, root: Path, **versions: str) -> None:
        self.asked: list[str] = []
        self.versions = {name.replace("__", "/"): version for name, version in versions.items()}
        for name in self.versions:
            place = root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("")
            place.chmod(0o755)

    async def __call__(self, place: Path) -> str:
        name = f"{place.parent.name}/{place.name}"
        self.asked.append(name)
        return self.versions[name].replace("_", ".")


async def test_the_newest_that_fits_is_chosen(tmp_path: Path) -> None:
    told = Told(tmp_path, a__tofu="1.11.2", b__tofu="1.12.6", c__tofu="1.13.0", a__terraform="1.12.9")
    tools = Tools(":".join(str(tmp_path / name) for name in "abc"), ask=told)
    assert (await tools.find(Tool.OPENTOFU, "~1.12")).path == str(tmp_path / "b" / "tofu")
    assert str((await tools.find(Tool.OPENTOFU, "")).version) == "1.13.0"
    assert str((await tools.find(Tool.OPENTOFU, "<1.12")).version) == "1.11.2"


async def test_a_program_is_asked_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    told = Told(tmp_path, a__tofu="1.12.6")
    tools = Tools(str(tmp_path / "a"), ask=told)
    for _ in range(3):
        await tools.find(Tool.OPENTOFU, "")
    assert told.asked == ["a/tofu"]
    (tmp_path / "a" / "tofu").write_text("another")
    told.versions["a/tofu"] = "1.13.0"
    assert str((await tools.find(Tool.OPENTOFU, "")).version) == "1.13.0"


async def test_where_none_fits_what_is_wanted_and_what_is_here_is_told(tmp_path: Path) -> None:
    told = Told(tmp_path, a__tofu="1.11.2")
    tools = Tools(str(tmp_path / "a"), ask=told)
    with pytest.raises(Invalid, match=r"OpenTofu ~1\.12 is wanted, and only 1\.11\.2 \(.*/a/tofu\) is here"):
        await tools.find(Tool.OPENTOFU, "~1.12")
    with pytest.raises(Invalid, match="there is no Terraform here"):
        await tools.find(Tool.TERRAFORM, "")


async def test_folders_may_hold_many_versions_side_by_side(tmp_path: Path) -> None:
    told = Told(tmp_path / "v", **{"1.10.0__tofu": "1.10.0", "1.9.1__tofu": "1.9.1"})
    tools = Tools("", [tmp_path / "v"], ask=told)
    assert [str(one.version) for one in await tools.all(Tool.OPENTOFU)] == ["1.10.0", "1.9.1"]


async def test_what_is_no_program_or_does_not_answer_is_left_out(tmp_path: Path) -> None:
    told = Told(tmp_path, a__tofu="", b__tofu="1.12.6")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "tofu").write_text("not executable")
    tools = Tools(":".join([*(str(tmp_path / name) for name in "abc"), "", "relative"]), ask=told)
    assert [one.path for one in await tools.all(Tool.OPENTOFU)] == [str(tmp_path / "b" / "tofu")]


async def test_a_program_tells_its_version_itself(tmp_path: Path) -> None:
    assert await ask_version(pretender(tmp_path)) == "1.12.6"
    assert await ask_version(Path("/bin/true")) == ""
    assert await ask_version(tmp_path / "none") == ""
