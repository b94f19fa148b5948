"""What may be in the work tree of an execution."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kedge.executions.layout import OVERRIDE, checked, lay_out, nameless, outside
from kedge.model.errors import Invalid
from kedge.model.execution import BundleFile


def test_a_bundle_becomes_files_for_the_owner_only(tmp_path: Path) -> None:
    files = (BundleFile("infra/db/main.tf", b"x"), BundleFile("infra/db/run.sh", b"y", executable=True))
    lay_out(files, "infra/db", tmp_path, backend=True)
    assert (tmp_path / "infra/db/main.tf").read_bytes() == b"x"
    modes = {name: (tmp_path / "infra/db" / name).stat().st_mode & 0o777 for name in ("main.tf", "run.sh")}
    assert modes == {"main.tf": 0o600, "run.sh": 0o700}
    assert json.loads((tmp_path / "infra/db" / OVERRIDE).read_text()) == {"terraform": {"backend": {"http": {}}}}


def test_a_stack_with_a_backend_of_its_own_gets_none_of_ours(tmp_path: Path) -> None:
    lay_out((BundleFile("main.tf", b"x"),), "", tmp_path, backend=False)
    assert [place.name for place in tmp_path.iterdir()] == ["main.tf"]


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (["a", "a"], "twice"),
        (["a", "a/b"], "as a file and as a folder"),
        (["a/b", "a"], "as a file and as a folder"),
        (["other/main.tf"], "holds no file"),
        (["infra/override.tofu", "infra/~_override.tf"], "sets the backend"),
        (["x" * 2_000], "no path"),
        (["\u202ea"], "no path"),
    ],
)
def test_a_bundle_that_can_not_be_laid_out_is_refused(paths: list[str], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        checked(paths, "infra")


def test_overrides_elsewhere_and_earlier_ones_are_nobodys_business() -> None:
    paths = ["infra/override.tf", "infra/a_override.tf", "modules/~_override.tf", "infra/zzzz_override.md"]
    checked(paths, "infra")
    with pytest.raises(Invalid):
        checked([*paths, "infra/zzzz_override.tf"], "infra")


def listed(data: Path, *places: str) -> None:
    modules = [{"Key": "", "Source": "", "Dir": "."}]
    modules += [{"Key": f"m{number}", "Source": "s", "Dir": place} for number, place in enumerate(places)]
    (data / "modules").mkdir(parents=True)
    (data / "modules" / "modules.json").write_text(json.dumps({"Modules": modules}))


def test_modules_of_the_repository_and_fetched_ones_are_within(tmp_path: Path) -> None:
    work, data = tmp_path / "work", tmp_path / "data"
    (work / "infra/db").mkdir(parents=True)
    listed(data, "../../modules/m", f"{data}/modules/registry", "sub")
    assert outside(work, data, "infra/db") == []


def test_a_module_outside_is_named(tmp_path: Path) -> None:
    work, data = tmp_path / "work", tmp_path / "data"
    (work / "infra/db").mkdir(parents=True)
    listed(data, "../../../secret", "/etc")
    found = outside(work, data, "infra/db")
    assert [text.split(" is ")[0] for text in found] == ["module m0 (s)", "module m1 (s)"]


def test_a_link_that_leads_out_of_a_fetched_module_is_named(tmp_path: Path) -> None:
    work, data = tmp_path / "work", tmp_path / "data"
    work.mkdir()
    listed(data)
    (data / "modules" / "fetched").mkdir()
    (data / "modules" / "fetched" / "passwd").symlink_to("/etc/passwd")
    (data / "modules" / "fetched" / "near").symlink_to("far")
    assert outside(work, data, "") == ["a module brings a link that leads out of it: fetched/passwd"]


def test_a_module_folder_that_is_a_link_to_elsewhere_is_named(tmp_path: Path) -> None:
    work, data = tmp_path / "work", tmp_path / "data"
    work.mkdir()
    listed(data, f"{data}/modules/m")
    (data / "modules" / "m").symlink_to("/etc")
    assert any("module m0" in text for text in outside(work, data, ""))


def test_a_fetched_module_that_reads_the_workspaces_name_is_named(tmp_path: Path) -> None:
    work, data = tmp_path / "work", tmp_path / "data"
    (work / "infra/db").mkdir(parents=True)
    (work / "infra/own").mkdir(parents=True)
    listed(data, f"{data}/modules/quiet", f"{data}/modules/loud", "../own")
    told = "locals {\n  a = terraform.workspace\n}\n"
    for place, text in (("modules/quiet/a.md", told), ("modules/loud/a.tofu", told), ("../work/infra/own/a.tf", told)):
        (data / place).parent.mkdir(parents=True, exist_ok=True)
        (data / place).write_text(text)
    (data / "modules/quiet/a.tf").write_text("locals {\n  a = var.terraform_workspace\n}\n")
    found = nameless(work, data, "infra/db")
    assert [text.split(" reads ")[0] for text in found] == ["module m1 (s)"]
