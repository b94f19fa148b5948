"""What a tool is called with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kedge.executions import command
from kedge.executions.folder import Folder, Request, Secrets
from kedge.model.errors import Invalid
from kedge.model.execution import Task, Tool

FOLDER = Folder(Path("/data/executions/e1"))
VARIABLES = "/data/executions/e1/variables.tfvars.json"
REQUEST = Request(
    id="e1",
    unit="shop/db",
    task=Task.PLAN,
    tool=Tool.OPENTOFU,
    program="/usr/bin/tofu",
    version="1.12.6",
    folder="infra/db",
    files=(),
    variable_files=("prod.tfvars",),
    address="http://127.0.0.1:1/state/shop/db",
    user="e1",
    plan="",
    place="",
    began=0.0,
    timeout=600.0,
    memory=1 << 30,
    cli_config="/data/executions/.tool-config",
)
SECRETS = Secrets('{"key": "hunter2"}', (("AWS_SECRET_ACCESS_KEY", "hunter3"), ("HOME", "/root")), "hunter4")


def test_secrets_are_no_arguments() -> None:
    calls = [
        command.init(REQUEST, VARIABLES, locked=True),
        command.plan(REQUEST, FOLDER, VARIABLES),
        command.show(REQUEST, FOLDER, VARIABLES),
        command.apply(REQUEST, FOLDER, VARIABLES),
        command.outputs(REQUEST, FOLDER, VARIABLES),
    ]
    assert not any("hunter" in word for call in calls for word in call.argv)


def test_a_lock_file_is_honoured_as_it_is() -> None:
    assert "-lockfile=readonly" in command.init(REQUEST, VARIABLES, locked=True).argv
    assert not any("lockfile" in word for word in command.init(REQUEST, VARIABLES, locked=False).argv)


def test_a_plan_takes_no_lock_and_an_apply_waits_for_it() -> None:
    assert "-lock=false" in command.plan(REQUEST, FOLDER, VARIABLES).argv
    apply = command.apply(REQUEST, FOLDER, VARIABLES).argv
    assert "-lock=false" not in apply
    assert apply[-1] == str(FOLDER.plan)


def test_a_destruction_is_a_plan() -> None:
    assert "-destroy" in command.plan(replace(REQUEST, task=Task.DESTROY), FOLDER, VARIABLES).argv
    assert "-destroy" not in command.plan(REQUEST, FOLDER, VARIABLES).argv


def test_the_variables_are_laid_over_the_files() -> None:
    given = [word for word in command.plan(REQUEST, FOLDER, VARIABLES).argv if word.startswith("-var")]
    assert given == ["-var-file=prod.tfvars", f"-var-file={VARIABLES}"]


def test_older_tools_are_not_asked_for_what_they_do_not_know() -> None:
    old = replace(REQUEST, tool=Tool.TERRAFORM, version="1.5.7")
    assert not any("-var" in word for word in command.apply(old, FOLDER, VARIABLES).argv)
    assert not any(word in ("-json",) or "-var" in word for word in command.init(old, VARIABLES, locked=False).argv)


def test_the_environment_is_the_stacks_own_under_ours() -> None:
    env = command.environment(REQUEST, SECRETS, FOLDER, "/data/executions/e1/data")
    assert env["AWS_SECRET_ACCESS_KEY"] == "hunter3"
    assert env["HOME"] == "/data/executions/e1/home"
    assert env["TF_HTTP_PASSWORD"] == "hunter4"
    assert env["TF_CLI_CONFIG_FILE"] == "/data/executions/.tool-config"


def test_a_stack_with_a_backend_of_its_own_gets_no_token() -> None:
    env = command.environment(replace(REQUEST, address=""), SECRETS, FOLDER, "data")
    assert not any(name.startswith("TF_HTTP") for name in env)


OWN = replace(REQUEST, address="", backend="s3", workspace="prod")


def test_a_workspace_is_chosen_after_init_which_would_refuse_one_that_is_not_there() -> None:
    assert "TF_WORKSPACE" not in command.environment(OWN, SECRETS, FOLDER, "data")
    chosen = command.workspace(OWN, VARIABLES)
    assert chosen is not None
    assert chosen.argv[1:3] == ("workspace", "select")
    assert chosen.argv[-1] == "prod"
    assert command.selected(OWN) == {"TF_WORKSPACE": "prod"}


@pytest.mark.parametrize("backend", ["cloud", "remote"])
def test_backends_that_need_not_have_a_default_workspace_are_told_it_from_the_beginning(backend: str) -> None:
    given = replace(OWN, backend=backend)
    assert command.environment(given, SECRETS, FOLDER, "data")["TF_WORKSPACE"] == "prod"
    assert command.workspace(given, VARIABLES) is None


@pytest.mark.parametrize("given", [replace(REQUEST, workspace="prod"), replace(OWN, workspace="")])
def test_where_none_is_declared_or_the_state_is_ours_no_workspace_is_chosen(given: Request) -> None:
    assert command.workspace(given, VARIABLES) is None
    assert command.selected(given) == {}
    assert "TF_WORKSPACE" not in command.environment(given, SECRETS, FOLDER, "data")


def test_credentials_do_not_choose_the_state() -> None:
    with pytest.raises(Invalid, match="may not set TF_WORKSPACE"):
        command.refuse_environment([("TF_WORKSPACE", "prod")])


def test_an_apply_is_patient_with_the_backend() -> None:
    plan = command.environment(REQUEST, SECRETS, FOLDER, "data")
    apply = command.environment(replace(REQUEST, task=Task.APPLY), SECRETS, FOLDER, "data")
    assert int(plan["TF_HTTP_RETRY_MAX"]) < int(apply["TF_HTTP_RETRY_MAX"])


def test_providers_come_from_the_mirror_only_where_there_is_one() -> None:
    text = command.cli_config("/mirror", "")
    assert "filesystem_mirror" in text
    assert "direct" not in text
    assert command.cli_config("", "/cache") == 'disable_checkpoint = true\nplugin_cache_dir = "/cache"\n'


def test_a_path_is_no_template() -> None:
    assert 'path = "/a/$${file(\\"x\\")}"' in command.cli_config('/a/${file("x")}', "")
    with pytest.raises(Invalid):
        command.cli_config("/a\nb", "")
