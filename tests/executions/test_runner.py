"""Plans and applies of real stacks, by the process that runs them."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from zipfile import ZipFile

import pytest
from tests.executions.scene import STACK, Scene
from tests.executions.states import TOKEN, Backend

from kedge.model.execution import Ending, Task


async def test_a_stack_is_planned_shown_and_applied(scene: Scene, backend: Backend) -> None:
    plan = scene.execution({"main.tf": STACK}, backend.access, variables=b'{"size": "large"}')
    report, made = await scene.run(plan)
    assert (report.ending, report.problems) == (Ending.SUCCEEDED, ())
    assert report.version
    shown = json.loads(made.shown)
    assert [change["change"]["actions"] for change in shown["resource_changes"]] == [["create"]]
    assert shown["variables"]["size"]["value"] == "large"
    assert backend.saved == []
    assert set(backend.asked) == {"GET"}

    report, left = await scene.applied(plan, made.plan)
    assert (report.ending, report.problems) == (Ending.SUCCEEDED, ())
    assert left.errored == b""
    assert json.loads(backend.saved[-1])["outputs"]["size"]["value"] == "large"
    assert not backend.lock
    assert scene.rung == [("shop/db", plan.id), ("shop/db", report.id)]


async def test_what_is_read_of_it_tells_what_happened(scene: Scene, backend: Backend) -> None:
    plan = scene.execution({"main.tf": STACK}, backend.access)
    _, made = await scene.run(plan)
    lines = [line async for line in scene.exec.follow(plan.id)]
    assert "terraform_data.one: Plan to create" in lines
    assert "Plan: 1 to add, 0 to change, 0 to destroy." in lines
    report, _ = await scene.applied(plan, made.plan)
    assert report.told == "1 of 1 changes done"


async def test_a_plan_can_take_everything_away(scene: Scene, backend: Backend) -> None:
    plan = scene.execution({"main.tf": STACK}, backend.access)
    _, made = await scene.run(plan)
    await scene.applied(plan, made.plan)
    gone = replace(plan, id="gone", task=Task.DESTROY)
    report, made = await scene.run(gone)
    assert json.loads(made.shown)["resource_changes"][0]["change"]["actions"] == ["delete"]
    report, _ = await scene.applied(gone, made.plan)
    assert report.ending is Ending.SUCCEEDED
    assert json.loads(backend.saved[-1])["resources"] == []


async def test_a_state_of_the_codes_own_is_left_to_it_and_its_outputs_are_told(scene: Scene) -> None:
    place = scene.root / "own.tfstate"
    code = STACK + f'terraform {{\n backend "local" {{\n path = "{place}"\n }}\n}}\n'
    plan = scene.execution({"main.tf": code})
    _, made = await scene.run(plan)
    report, left = await scene.applied(plan, made.plan)
    assert report.ending is Ending.SUCCEEDED
    assert json.loads(left.outputs)["size"]["value"] == "small"
    assert place.exists()


@pytest.mark.parametrize("at_hand", [True, False])
async def test_stacks_on_one_folder_and_backend_have_a_state_for_each_workspace(scene: Scene, at_hand: bool) -> None:
    """Each is made at first use, also beside others: then `init` alone would refuse it."""
    home = scene.root.parent
    place = f'path = "{home}/own.tfstate"\n workspace_dir = "{home}/spaces"'
    told = 'output "told" {\n value = terraform.workspace\n}\n'
    code = f'{STACK}{told}terraform {{\n backend "local" {{\n {place}\n }}\n}}\n'
    for size, workspace in (("s", "one"), ("m", "two"), ("l", "three"), ("xl", "")):
        given = {"backend": "local", "workspace": workspace, "variables": json.dumps({"size": size}).encode()}
        plan = scene.execution({"main.tf": code}, None, **given)
        report, made = await scene.run(plan)
        assert (report.ending, report.problems) == (Ending.SUCCEEDED, ())
        actions = [change["change"]["actions"] for change in json.loads(made.shown)["resource_changes"]]
        assert actions == [["create"]], "nobody sees what another one has made"
        if not at_hand:
            await scene.exec.forget(plan.id)
        report, left = await scene.applied(plan, made.plan)
        assert (report.ending, report.problems) == (Ending.SUCCEEDED, ())
        outputs = {name: output["value"] for name, output in json.loads(left.outputs).items()}
        assert outputs == {"size": size, "told": workspace or "default"}
    places = {"one": "spaces/one/terraform.tfstate", "two": "spaces/two/terraform.tfstate", "": "own.tfstate"}
    sizes = {name: json.loads((home / at).read_bytes())["outputs"]["size"]["value"] for name, at in places.items()}
    assert sizes == {"one": "s", "two": "m", "": "xl"}


@pytest.mark.parametrize("block", ['backend "local" {}', 'cloud {\n organization = "x"\n workspaces { name = "y" }\n}'])
async def test_the_built_in_backend_takes_the_place_of_the_codes_own(
    scene: Scene, backend: Backend, block: str
) -> None:
    plan = scene.execution({"main.tf": STACK + f"terraform {{\n {block}\n}}\n"}, backend.access)
    report, made = await scene.run(plan)
    assert report.ending is Ending.SUCCEEDED, report.problems
    await scene.applied(plan, made.plan)
    assert backend.saved


async def test_a_plan_is_applied_where_nothing_of_its_execution_is_at_hand(scene: Scene, backend: Backend) -> None:
    plan = scene.execution({"main.tf": STACK}, backend.access)
    _, made = await scene.run(plan)
    await scene.exec.forget(plan.id)
    assert not (scene.root / plan.id).exists()
    report, _ = await scene.applied(plan, made.plan)
    assert report.ending is Ending.SUCCEEDED, report.problems


async def test_only_the_plan_that_was_asked_for_is_applied(scene: Scene, backend: Backend) -> None:
    first = scene.execution({"main.tf": STACK}, backend.access)
    second = scene.execution({"main.tf": STACK}, backend.access, variables=b'{"size": "huge"}')
    (_, one), (_, other) = await scene.run(first), await scene.run(second)
    apply = scene.applying(first, one.plan)
    await scene.exec.start(replace(apply, id="blocker", task=Task.PLAN))
    scene.exec._room = 0
    await scene.exec.start(apply)
    (scene.root / apply.id / "plan.bin").write_bytes(other.plan)
    scene.exec._room = 2
    scene.exec._pump()
    report = await scene.until_ended(apply.id)
    assert report.ending is Ending.FAILED
    assert report.problems == ("the saved plan is not the one that was asked for: it is not applied",)
    assert backend.saved == []


async def test_a_stale_plan_is_told_in_the_tools_own_words(scene: Scene, backend: Backend) -> None:
    plan = scene.execution({"main.tf": STACK}, backend.access)
    _, made = await scene.run(plan)
    await scene.applied(plan, made.plan)
    report, _ = await scene.applied(plan, made.plan)
    assert report.ending is Ending.FAILED
    assert report.problems[0].startswith("Saved plan is stale")


async def test_a_mistake_is_told_with_its_file_and_line(scene: Scene, backend: Backend) -> None:
    report, made = await scene.run(
        scene.execution({"main.tf": STACK + "output x {\n value = local.none\n}"}, backend.access)
    )
    assert report.ending is Ending.FAILED
    assert any("main.tf line 13" in problem and "undeclared" in problem for problem in report.problems), report.problems
    assert made.plan == b""


async def test_a_check_that_only_fails_after_an_apply_is_among_what_that_tells(scene: Scene, backend: Backend) -> None:
    holds = 'assert {\n  condition = length(terraform_data.one.id) > 99\n  error_message = "its id is short"\n }\n'
    plan = scene.execution({"main.tf": f'{STACK}check "long" {{\n {holds}}}\n'}, backend.access)
    report, made = await scene.run(plan)
    assert not any("its id is short" in text for text in report.problems)
    report, _ = await scene.applied(plan, made.plan)
    assert report.ending is Ending.SUCCEEDED
    assert report.problems == ("warning: main.tf line 14: Check block assertion failed: its id is short",)


async def test_a_wrong_variable_is_told(scene: Scene, backend: Backend) -> None:
    code = 'variable "n" {\n type = number\n}\n' + STACK
    report, _ = await scene.run(scene.execution({"main.tf": code}, backend.access, variables=b'{"n": "many"}'))
    assert report.ending is Ending.FAILED
    assert "Invalid value for input variable" in report.problems[0]
    missing, _ = await scene.run(scene.execution({"main.tf": code}, backend.access))
    assert "No value for required variable" in missing.problems[0]


async def test_variable_files_are_laid_below_the_variables(scene: Scene, backend: Backend) -> None:
    code = 'variable "a" {}\nvariable "b" {}\noutput "both" {\n value = "${var.a} ${var.b}"\n}\n'
    files = {"main.tf": code, "env/prod.tfvars": 'a = "file"\nb = "file"\n'}
    plan = scene.execution(files, backend.access, variables=b'{"b": "given"}', variable_files=("env/prod.tfvars",))
    report, made = await scene.run(plan)
    assert json.loads(made.shown)["planned_values"]["outputs"]["both"]["value"] == "file given", report


async def test_modules_beside_the_stack_are_found(scene: Scene, backend: Backend) -> None:
    files = {"main.tf": 'module "m" {\n source = "../../modules/m"\n}\n', "../../modules/m/main.tf": STACK}
    plan = scene.execution({"main.tf": files["main.tf"]}, backend.access)
    module = replace(plan.files[0], path="modules/m/main.tf", content=STACK.encode())
    report, made = await scene.run(replace(plan, files=(*plan.files, module)))
    assert report.ending is Ending.SUCCEEDED, report.problems
    assert "module.m.terraform_data.one" in made.shown.decode()


@pytest.mark.parametrize("workspace", ["", "prod"])
async def test_a_fetched_module_that_would_read_another_workspace_than_was_declared_is_refused(
    scene: Scene, backend: Backend, workspace: str
) -> None:
    """Code of the repository is given the name as a text; what the tool fetches itself is not."""
    archive = scene.root.parent / "told.zip"
    with ZipFile(archive, "w") as file:
        file.writestr("main.tf", 'output "in" {\n value = "in ${terraform.workspace}"\n}\n')
    code = f'module "told" {{\n source = "{archive}"\n}}\noutput "told" {{\n value = module.told.in\n}}\n'
    report, made = await scene.run(scene.execution({"main.tf": code}, backend.access, workspace=workspace))
    if workspace:
        assert report.ending is Ending.FAILED
        assert report.problems[0].startswith(f"module told (file://{archive}) reads terraform.workspace")
    else:
        assert json.loads(made.shown)["planned_values"]["outputs"]["told"]["value"] == "in default"


async def test_secrets_are_in_no_file_that_stays_and_in_nothing_that_is_told(scene: Scene, backend: Backend) -> None:
    code = STACK + 'variable "key" {}\nresource "terraform_data" "leak" {\n triggers_replace = var.key\n}\n'
    code += 'check "leak" {\n assert {\n condition = var.key == ""\n error_message = "the key is ${var.key}"\n }\n}\n'
    plan = scene.execution(
        {"main.tf": code},
        backend.access,
        variables=b'{"key": "hunter2hunter2"}',
        environment=(("CLOUD_PASSWORD", "pa55word of the cloud"),),
        hidden=("hunter2hunter2",),
    )
    report, _ = await scene.run(plan)
    assert any("the key is (hidden)" in problem for problem in report.problems), report.problems
    kept = {path for path in (scene.root / plan.id).rglob("*") if path.is_file()}
    for secret in (TOKEN, "pa55word of the cloud"):
        assert [path for path in kept if secret.encode() in path.read_bytes()] == []
    named = {path.name for path in kept if b"hunter2hunter2" in path.read_bytes()}
    assert named <= {"plan.bin", "shown.json"}
    assert stat.S_IMODE((scene.root / plan.id).stat().st_mode) == 0o700


async def test_a_tool_gets_nothing_of_kedges_own_environment(
    scene: Scene, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEDGE_REPO_TOKEN", "hunter2")
    code = """
resource "terraform_data" "env" {
  provisioner "local-exec" {
    command = "env | cut -d= -f1 | sort | tr '\\n' ' '"
  }
}
"""
    plan = scene.execution({"main.tf": code}, backend.access, environment=(("AWS_PROFILE", "shop"),))
    _, made = await scene.run(plan)
    report, _ = await scene.applied(plan, made.plan)
    (said,) = [line for line in scene.lines(report.id).splitlines() if "TF_HTTP_ADDRESS" in line]
    names = {name for name in said.split() if name.isupper() or name == "_"}
    assert "AWS_PROFILE" in names
    assert "KEDGE_REPO_TOKEN" not in names
    assert "PYTHONPATH" not in names
    assert {name for name in names if not name.startswith(("TF_", "GIT_"))} <= {
        "AWS_PROFILE", "CHECKPOINT_DISABLE", "HOME", "LANG", "PATH", "PWD", "SHLVL", "TMPDIR", "OLDPWD", "_"
    }  # fmt: skip
