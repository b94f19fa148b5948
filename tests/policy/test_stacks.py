"""What a stack's code may run, and where its modules may be from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kedge.model.change import Act, Change
from kedge.model.declaration import TargetSection
from kedge.model.execution import Tool
from kedge.model.manifest import Desired, Manifest
from kedge.model.ref import STACKS, Ref, UnitName, stack_ref
from kedge.model.source import SourceSpec
from kedge.model.unit import KindRules, StackTool, Unit
from kedge.policy.guard import destructive_to_stack
from kedge.policy.stacks import admit_stack, module_refused


def unit(*denied: str, modules: tuple[str, ...] = ()) -> Unit:
    name = UnitName("shop", "db")
    tool = StackTool(Tool.OPENTOFU, modules=modules)
    return Unit(name, "admin", SourceSpec("r", "main"), TargetSection(""), kinds=KindRules((), denied), tool=tool)


def said(of: Unit, **facts: Any) -> list[str]:
    body = json.dumps({"facts": facts}).encode()
    manifest = Manifest(stack_ref("shop/db"), "kedge.dev/v1alpha1", body, "d")
    return [f"{finding.rule}: {finding.text}" for finding in admit_stack(of, Desired((manifest,), "d"))]


def test_a_project_denies_data_sources_and_commands_by_glob() -> None:
    facts = {"data": ["external", "aws_ami", "external"], "commands": ["null_resource.x"]}
    assert said(unit(), **facts) == []
    assert said(unit("data/external", "provisioner/*"), **facts) == [
        "admit/data: project shop denies the data source external (data/external)",
        "admit/command: project shop denies the commands of null_resource.x (provisioner/*)",
    ]


def test_a_module_from_elsewhere_is_named_by_the_declaration_or_refused_with_its_place() -> None:
    remote = [{"source": "terraform-aws-modules/vpc/aws", "file": "infra/main.tf", "line": 3}]
    assert said(unit(modules=("terraform-aws-modules/",)), remote=remote) == []
    (text,) = said(unit(), remote=remote)
    assert text.startswith(
        "admit/module: infra/main.tf, line 3: the module terraform-aws-modules/vpc/aws is from elsewhere"
    )


@pytest.mark.parametrize(
    "source",
    [
        "git::ext::sh -c id",
        "git::https://x/y?ref=--upload-pack=id",
        "-oProxyCommand=id",
        "git::ssh://-oX/y",
        "a/../../b",
    ],
)
def test_a_module_never_brings_an_option_for_what_fetches_it(source: str) -> None:
    assert module_refused(unit(modules=("",)), source) == "holds an option for the program that would fetch it"


def test_every_loss_of_a_resource_is_destructive_but_of_what_holds_nothing() -> None:
    def change(kind: str, act: Act) -> Change:
        return Change(Ref(STACKS, kind, "", f"{kind}.a"), act)

    changes = [
        change("aws_db_instance", Act.REPLACE),
        change("terraform_data", Act.DELETE),
        change("aws_s3_bucket", Act.FORGET),
        change("aws_s3_bucket", Act.UPDATE),
        change("random_id", Act.REPLACE),
        change("output", Act.DELETE),
    ]
    assert destructive_to_stack(changes) == (
        "aws_db_instance.a is deleted and created anew",
        "terraform_data.a is deleted",
        "aws_s3_bucket.a is no longer managed",
    )
