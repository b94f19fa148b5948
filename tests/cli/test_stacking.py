"""A stack's folder is planned without a server, and what it would do has a digest that is equal for equal plans."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import call
from tests.parts.fixtures import tofu  # noqa: F401  (a fixture is found by name)

CODE = """
variable "size" { default = "small" }
resource "terraform_data" "a" { input = var.size }
output "size" { value = var.size }
"""


@pytest.fixture
def folder(tmp_path: Path, tofu: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    monkeypatch.setenv("PATH", f"{tofu.parent}:/usr/bin:/bin")
    (tmp_path / ".git").mkdir()
    made = tmp_path / "infra"
    made.mkdir()
    (made / "main.tf").write_text(CODE)
    return made


def planned(folder: Path, *words: str) -> Any:
    found = call("diff", str(folder), "-o", "json", *words)
    assert found.code == 1, found.err
    return json.loads(found.out)


def test_a_folder_is_planned_and_carries_the_digest_of_its_effects(folder: Path) -> None:
    one, two = planned(folder), planned(folder)
    assert [(change["ref"]["name"], change["act"]) for change in one["changes"]] == [
        ("output.size", "create"),
        ("terraform_data.a", "create"),
    ]
    assert one["effects"] == two["effects"]
    assert planned(folder, "--set", "size=large")["effects"] != one["effects"]
    assert list(folder.iterdir()) == [folder / "main.tf"], "nothing is left in the folder"


def test_a_state_in_the_folder_is_what_it_is_planned_against(folder: Path, tofu: Path) -> None:  # noqa: F811
    config = folder.parent / "tofurc"
    config.write_text("")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder.parent), "TF_CLI_CONFIG_FILE": str(config)}
    for words in (["init"], ["apply", "-auto-approve"]):
        subprocess.run([str(tofu), *words, "-no-color"], cwd=folder, env=env, check=True, capture_output=True)
    found = call("diff", str(folder))
    assert found.code == 0, found.out
    changed = planned(folder, "--set", "size=large")
    assert ("terraform_data.a", "update") in [(change["ref"]["name"], change["act"]) for change in changed["changes"]]


def test_a_declared_workspace_says_which_of_the_states_in_the_folder_that_is(folder: Path, tofu: Path) -> None:  # noqa: F811
    code = (folder / "main.tf").read_text() + 'output "in" { value = terraform.workspace }\n'
    (folder / "main.tf").write_text(code)
    (folder.parent / "tofurc").write_text("")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder.parent), "TF_CLI_CONFIG_FILE": str(folder.parent / "tofurc")}
    for words in (["init"], ["workspace", "new", "prod"], ["apply", "-auto-approve"]):
        subprocess.run([str(tofu), *words, "-no-color"], cwd=folder, env=env, check=True, capture_output=True)
    declared = folder.parent / "stack.yaml"
    head = "apiVersion: kedge.dev/v1alpha1\nkind: Stack\nmetadata: {name: db}\nspec: "
    codes = {}
    for name in ("prod", "other"):
        declared.write_text(f"{head}{{workspace: {name}}}")
        found = call("diff", str(folder), "--declared", str(declared))
        codes[name] = found.code
        assert name == "prod" or '"other"' in found.out
    assert codes == {"prod": 0, "other": 1}


def test_a_declaration_says_which_variables_and_an_input_has_to_be_given(folder: Path) -> None:
    declared = folder.parent / "stack.yaml"
    head = "apiVersion: kedge.dev/v1alpha1\nkind: Stack\nmetadata: {name: db}\nspec: "
    declared.write_text(head + "{source: {path: infra}, variables: {size: huge}}")
    assert '"huge"' in call("diff", str(folder), "--declared", str(declared)).out
    given = "{inputs: {size: {from: stack/net, output: size}}, variables: {size: {$input: size}}}"
    declared.write_text(head + given)
    refused = call("diff", str(folder), "--declared", str(declared))
    assert refused.code == 2
    assert "an input of another unit is not known offline" in refused.err
    assert "+ 9" in call("diff", str(folder), "--declared", str(declared), "--set", "size=9").out


def test_code_that_does_not_fit_is_told_with_its_place(folder: Path) -> None:
    (folder / "main.tf").write_text(CODE.replace("var.size }", "var.sise }", 1))
    found = call("diff", str(folder))
    assert found.code == 2
    assert "sise" in found.err
    assert "main.tf line 3" in found.err


def test_where_no_tool_is_found_it_says_what_is_wanted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = call("diff", str(folder))
    assert found.code == 2
    assert "OpenTofu" in found.err
