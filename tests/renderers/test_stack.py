"""The bundle of a stack: its folder, the modules that it calls by a path, and what its code says of itself."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest

from kedge.model.errors import Invalid
from kedge.model.execution import Tool
from kedge.model.ref import stack_ref
from kedge.model.source import SourceSpec
from kedge.model.unit import StackTool

FILES = {
    "infra/db/main.tf": 'module "net" {\n  source = "../modules/net"\n}\nresource "terraform_data" "a" {}\n',
    "infra/db/templates/x.tpl": "hello",
    "infra/db/.terraform/junk": "left behind",
    "infra/db/terraform.tfstate": "{}",
    "infra/db/.terraform.lock.hcl": "",
    "infra/modules/net/main.tofu": 'module "deep" { source = "./deep" }\noutput "id" { value = 1 }',
    "infra/modules/net/deep/main.tf.json": '{"locals": {"a": 1}}',
    "infra/other/main.tf": "",
}


def stack(unit: Any, folder: str = "infra/db", **more: Any) -> Any:
    made = unit(folder)
    return replace(made, source=SourceSpec("r", "main", folder), tool=StackTool(Tool.OPENTOFU, **more))


async def body_of(renderer: Any, files: Any, unit: Any) -> dict[str, Any]:
    desired = await renderer.render(files, unit)
    (manifest,) = desired.manifests
    assert manifest.ref == stack_ref(unit.name)
    found: dict[str, Any] = json.loads(manifest.body)
    return found


async def test_a_bundle_is_the_folder_and_the_modules_that_it_calls(renderer: Any, repository: Any, unit: Any) -> None:
    body = await body_of(renderer, repository(FILES), stack(unit))
    held = {file["path"]: b64decode(file["text"]).decode() for file in body["files"]}
    assert set(held) == {
        "infra/db/main.tf",
        "infra/db/templates/x.tpl",
        "infra/db/.terraform.lock.hcl",
        "infra/modules/net/main.tofu",
        "infra/modules/net/deep/main.tf.json",
    }
    assert held["infra/db/templates/x.tpl"] == "hello"
    assert body["facts"] == {"locked": True}


async def test_a_change_in_a_module_elsewhere_is_a_change_of_the_stack(
    renderer: Any, repository: Any, unit: Any
) -> None:
    desired = await renderer.render(repository(FILES), stack(unit))
    asked = {read.path for read in desired.reads}
    assert "infra/modules/net" in asked or "infra/modules/net/main.tofu" in asked
    assert not any(path.startswith("infra/other") for path in asked)
    moved = await renderer.render(repository({**FILES, "infra/modules/net/deep/main.tf.json": "{}"}), stack(unit))
    assert moved.digest != desired.digest


async def test_what_the_code_says_of_itself_is_told(renderer: Any, repository: Any, unit: Any) -> None:
    text = """
terraform {
  backend "s3" {}
}
module "vpc" { source = "terraform-aws-modules/vpc/aws" }
module "odd" { source = "git::https://x.example/${var.a}" }
data "external" "e" { program = ["id"] }
resource "null_resource" "n" {
  provisioner "local-exec" { command = "id" }
  provisioner "file" { source = "a" }
}
variable "a" {}
output "b" { value = 1 }
"""
    body = await body_of(renderer, repository({"infra/db/main.tf": text}), stack(unit))
    assert body["facts"] == {
        "backend": "s3",
        "remote": [
            {"source": "terraform-aws-modules/vpc/aws", "file": "infra/db/main.tf", "line": 5},
            {"source": "(computed)", "file": "infra/db/main.tf", "line": 6},
        ],
        "data": ["external"],
        "provisioners": [
            {"source": "local-exec", "file": "infra/db/main.tf", "line": 9},
            {"source": "file", "file": "infra/db/main.tf", "line": 10},
        ],
        "variables": ["a"],
        "outputs": ["b"],
        "locked": False,
    }


async def test_what_is_read_in_a_check_and_run_by_what_was_removed_is_told_as_well(
    renderer: Any, repository: Any, unit: Any
) -> None:
    check = 'check "c" {\n  data "external" "e" { program = ["id"] }\n}\n'
    removed = 'removed {\n  from = null_resource.n\n  provisioner "local-exec" {\n    when = destroy\n  }\n}\n'
    nested = (
        '{"resource": {"null_resource": {"n": [{"provisioner": [{"remote-exec": {}}]}]}}, "data": {"http": {"h": {}}}}'
    )
    files = {
        "infra/db/main.tf": 'module "m" { source = "./m" }\n' + check,
        "infra/db/m/a_override.tf": removed,
        "infra/db/m/b.tf.json": nested,
    }
    facts = (await body_of(renderer, repository(files), stack(unit)))["facts"]
    assert facts["data"] == ["external", "http"]
    assert [(one["source"], one["file"]) for one in facts["provisioners"]] == [
        ("local-exec", "infra/db/m/a_override.tf"),
        ("remote-exec", "infra/db/m/b.tf.json"),
    ]


@pytest.mark.parametrize(
    ("files", "tool"),
    [
        ({"a.tf": "BACKEND", "a.tofu": ""}, Tool.OPENTOFU),
        ({"a.tf.json": '{"terraform": {"backend": {"s3": {}}}}', "a.tofu.json": "{}"}, Tool.OPENTOFU),
        ({".a.tf": "BACKEND", "b.tf": ""}, Tool.OPENTOFU),
        ({"a.tofu": "BACKEND", "b.tf": ""}, Tool.TERRAFORM),
        ({"a.tf": 'terraform {\n  backend "local" {}\n}'}, Tool.OPENTOFU),
    ],
)
async def test_a_backend_in_a_file_that_the_tool_does_not_read_or_in_a_folder_that_is_thrown_away_is_none(
    files: dict[str, str], tool: Tool, renderer: Any, repository: Any, unit: Any
) -> None:
    backend = 'terraform {\n  backend "s3" {}\n}\n'
    laid = {f"infra/db/{name}": text.replace("BACKEND", backend) for name, text in files.items()}
    made = stack(unit)
    made = replace(made, tool=replace(made.tool, name=tool))
    assert "backend" not in (await body_of(renderer, repository(laid), made))["facts"]


async def test_a_backend_is_found_in_an_override_and_in_a_tofu_file(renderer: Any, repository: Any, unit: Any) -> None:
    for name in ("a_override.tf", "a.tofu", "override.tf.json"):
        text = (
            '{"terraform": {"backend": {"s3": {}}}}' if name.endswith("json") else 'terraform {\n  backend "s3" {}\n}'
        )
        files = {"infra/db/main.tf": "", f"infra/db/{name}": text}
        assert (await body_of(renderer, repository(files), stack(unit)))["facts"]["backend"] == "s3"


async def test_tests_of_a_stack_are_left_out_for_their_modules_would_be_fetched(
    renderer: Any, repository: Any, unit: Any
) -> None:
    call = 'run "x" {\n  module {\n    source = "git::https://x.example/y"\n  }\n}\n'
    files = {"infra/db/main.tf": "", "infra/db/a.tftest.hcl": call, "infra/db/tests/b.tofutest.hcl": call}
    body = await body_of(renderer, repository(files), stack(unit))
    assert [file["path"] for file in body["files"]] == ["infra/db/main.tf"]


async def test_a_file_of_variables_may_be_elsewhere_in_the_repository_and_nowhere_else(
    renderer: Any, repository: Any, unit: Any
) -> None:
    files = {"infra/db/main.tf": "", "infra/db/own.tfvars": "", "infra/all.tfvars": 'a = "1"'}
    given = stack(unit, variable_files=("../all.tfvars", "own.tfvars"))
    desired = await renderer.render(repository(files), given)
    held = [file["path"] for file in json.loads(desired.manifests[0].body)["files"]]
    assert held == ["infra/db/main.tf", "infra/db/own.tfvars", "infra/all.tfvars"]
    assert "infra/all.tfvars" in {read.path for read in desired.reads}
    for name, words in {
        "../../../../etc/passwd": "leads out of the repository",
        "/etc/passwd": "absolute",
        "gone.tfvars": "no such file of variables",
    }.items():
        with pytest.raises(Invalid, match=words):
            await renderer.render(repository(files), stack(unit, variable_files=(name,)))


NAMED = """
locals {
  plain = terraform.workspace   # terraform.workspace
  text  = "in ${terraform.workspace}, not $${terraform.workspace} or terraform.workspace"
  long  = <<-EOT
    %{if tofu.workspace == "prod"}large%{endif}
  EOT
  size  = lookup({ prod = 3 }, terraform . workspace, var.terraform.workspace)
  key   = { (terraform.workspace) = 1 }[terraform.workspace]
}
module "m" { source = "./m" }
"""


async def test_where_the_state_is_kedges_the_code_is_told_its_workspace(
    renderer: Any, repository: Any, unit: Any
) -> None:
    """The tools know none but the default one there."""
    values = r'"a": "${terraform.workspace}", "b\u00e4": ["x ${upper(terraform.workspace)} \"y\""], "c": "workspace"'
    below = f'{{"locals": {{{values}}}}}'
    files = {"infra/db/main.tf": NAMED, "infra/db/m/m.tf.json": below, "infra/db/a.tpl": "${terraform.workspace}"}
    body = await body_of(renderer, repository(files), stack(unit, workspace="prod"))
    held = {file["path"]: b64decode(file["text"]).decode() for file in body["files"]}
    assert (
        held["infra/db/main.tf"]
        == """
locals {
  plain = "prod"   # terraform.workspace
  text  = "in ${"prod"}, not $${terraform.workspace} or terraform.workspace"
  long  = <<-EOT
    %{if "prod" == "prod"}large%{endif}
  EOT
  size  = lookup({ prod = 3 }, "prod", var.terraform.workspace)
  key   = { ("prod") = 1 }["prod"]
}
module "m" { source = "./m" }
"""
    )
    assert json.loads(held["infra/db/m/m.tf.json"]) == {
        "locals": {"a": '${"prod"}', "b\u00e4": ['x ${upper("prod")} "y"'], "c": "workspace"}
    }
    assert held["infra/db/a.tpl"] == "${terraform.workspace}", "what is no code is left alone"


@pytest.mark.parametrize("workspace", ["", "prod"])
async def test_a_backend_of_the_codes_own_is_asked_for_its_workspace_and_the_code_stays_as_it_is(
    workspace: str, renderer: Any, repository: Any, unit: Any
) -> None:
    backend = 'terraform {\n  backend "s3" {}\n}\n' if workspace else ""
    files = {"infra/db/main.tf": NAMED, "infra/db/m/m.tf": "", "infra/db/b.tf": backend}
    body = await body_of(renderer, repository(files), stack(unit, workspace=workspace))
    held = {file["path"]: b64decode(file["text"]).decode() for file in body["files"]}
    assert held["infra/db/main.tf"] == NAMED
    assert body["spec"].get("workspace", "") == workspace


async def test_modules_that_call_each_other_end(renderer: Any, repository: Any, unit: Any) -> None:
    files = {"a/main.tf": 'module "b" { source = "../b" }', "b/main.tf": 'module "a" { source = "../a" }'}
    body = await body_of(renderer, repository(files), stack(unit, "a"))
    assert [file["path"] for file in body["files"]] == ["a/main.tf", "b/main.tf"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"infra/db/README.md": "-"}, "no file in .infra/db. that opentofu reads"),
        ({"infra/db/main.tf": 'resource "a" {'}, r"main.tf, line 1"),
        ({"infra/db/main.tf": 'module "a" { source = "../../../etc" }'}, "leads out of the repository"),
        ({"infra/db/main.tf": 'module "a" { source = "../gone" }'}, "no folder"),
    ],
)
async def test_what_is_wrong_is_told_with_its_place(
    files: dict[str, str], words: str, renderer: Any, repository: Any, unit: Any
) -> None:
    with pytest.raises(Invalid, match=words):
        await renderer.render(repository(files), stack(unit))


async def test_a_link_in_a_stack_is_never_followed(renderer: Any, repository: Any, unit: Any, link: Any) -> None:
    files = {"infra/db/main.tf": "", "infra/db/secrets.tfvars": link("/etc/passwd")}
    with pytest.raises(Invalid, match="symbolic link"):
        await renderer.render(repository(files), stack(unit))


async def test_the_declaration_is_in_the_bundle(renderer: Any, repository: Any, unit: Any) -> None:
    more = {"version": "~1.12", "variables": '{"a":[1]}', "variable_files": ("x.tfvars",)}
    body = await body_of(renderer, repository({**FILES, "infra/db/x.tfvars": ""}), stack(unit, **more))
    assert body["spec"] == {
        "tool": "opentofu",
        "version": "~1.12",
        "variables": {"a": [1]},
        "variableFiles": ["x.tfvars"],
        "secrets": [],
    }
