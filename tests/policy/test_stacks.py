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
from kedge.policy.stacks import admit_resources, admit_stack, module_refused


def unit(*denied: str, modules: tuple[str, ...] = ()) -> Unit:
    name = UnitName("shop", "db")
    tool = StackTool(Tool.OPENTOFU, modules=modules)
    return Unit(name, "admin", SourceSpec("r", "main"), TargetSection(""), kinds=KindRules((), denied), tool=tool)


def said(of: Unit, given: tuple[str, ...] = (), **facts: Any) -> list[str]:
    body = json.dumps({"facts": facts, "spec": {"variables": dict.fromkeys(given, 1)}}).encode()
    manifest = Manifest(stack_ref("shop/db"), "kedge.dev/v1alpha1", body, "d")
    return [f"{finding.rule}: {finding.text}" for finding in admit_stack(of, Desired((manifest,), "d"))]


def test_a_project_denies_data_sources_and_commands_by_glob() -> None:
    run = {"source": "local-exec", "file": "infra/main.tf", "line": 3}
    facts = {"data": ["external", "aws_ami", "external"], "provisioners": [run]}
    assert said(unit(), **facts) == []
    for glob in ("provisioner/*", "provisioner/local-exec"):
        assert said(unit("data/external", glob), **facts) == [
            "admit/data: project shop denies the data source external (data/external)",
            f"admit/provisioner: infra/main.tf, line 3: project shop denies the provisioner local-exec ({glob})",
        ]
    assert said(unit("provisioner/file"), **facts) == []


def test_what_is_fetched_later_may_not_hide_what_the_project_denies() -> None:
    remote = [{"source": "git::https://x.example/y", "file": "infra/main.tf", "line": 3}]
    (text,) = said(unit("data/external", modules=("git::https://x.example/",)), remote=remote)
    assert text.endswith("can not be looked into before it runs, and the project denies data/external")
    assert said(unit("aws_iam_*", modules=("git::https://x.example/",)), remote=remote) == []


def test_a_project_denies_types_of_resources_wherever_they_are_declared() -> None:
    changes = (
        Change(Ref(STACKS, "aws_iam_role", "", "module.far.aws_iam_role.a"), Act.CREATE),
        Change(Ref(STACKS, "aws_iam_user", "", "aws_iam_user.b"), Act.DELETE),
        Change(Ref(STACKS, "aws_s3_bucket", "", "aws_s3_bucket.c"), Act.CREATE),
    )
    (finding,) = admit_resources(unit("aws_iam_*"), changes)
    assert finding.text == "project shop denies module.far.aws_iam_role.a (aws_iam_*)"


def test_a_variable_that_the_code_does_not_declare_is_refused() -> None:
    assert said(unit(), ("size",), variables=["size"]) == []
    assert said(unit(), ("sise",), variables=["size"]) == [
        "admit/variable: the code declares no variable “sise”, but size"
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
