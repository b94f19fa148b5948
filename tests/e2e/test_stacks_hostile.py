"""Stacks as a hostile stranger writes them, and as somebody does who has not thought of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.stacked import NET, PROJECT, UNATTENDED, stack
from tests.e2e.stories import application, folder_of
from tests.e2e.world import World, standing

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path, tofu: Path) -> AsyncIterator[World]:
    async with standing(tmp_path, environ={"KEDGE_TOOLS": str(tofu.parent)}) as found:
        yield found


async def test_a_name_that_changes_its_kind_deletes_nothing_and_lets_go_of_nothing(world: World) -> None:
    first = {
        ".kedge/shop.yaml": PROJECT,
        ".kedge/web.yaml": application("web"),
        ".kedge/net.yaml": stack("net", UNATTENDED),
        "infra/web/main.tf": NET,
        "infra/net/main.tf": NET,
        **folder_of("web", "hello"),
        **folder_of("net", "hello"),
    }
    world.repository.write(first)
    begun = world.pushed("an application and a stack")
    web, net = [await world.synced(name, begun) for name in ("shop/web", "shop/net")]

    world.repository.write({".kedge/web.yaml": stack("web", UNATTENDED), ".kedge/net.yaml": application("net")})
    world.pushed("each as the other")
    for name, kind in (("shop/web", "an Application"), ("shop/net", "a Stack")):
        refused = await world.until(name, lambda d: "nothing is done" in d.shown.why)
        assert f"{name} was {kind}" in refused.shown.why
    world.repository.write({".kedge/web.yaml": None, ".kedge/net.yaml": None})
    world.pushed("and none of them")
    for name in ("shop/web", "shop/net"):
        await world.until(name, lambda d: d.removed is not None and "nothing is done" in d.shown.why)
    assert await world.greeting("web") == "hello"
    assert await world.greeting("net", "web") is None

    world.repository.write({name: first[name] for name in (".kedge/web.yaml", ".kedge/net.yaml")})
    world.pushed("as they were")
    for before in (web, net):
        after = await world.until(str(before.name), lambda d: d.removed is None and d.shown.sync == "Synced")
        assert (after.runs, after.inventory) == (before.runs, before.inventory)


async def test_a_sensitive_input_that_a_command_prints_is_hidden_wherever_it_would_be_told(world: World) -> None:
    source = 'output "password" {\n  value     = "hunter2-and-more"\n  sensitive = true\n}\n'
    reader = """
variable "password" {}
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "echo got ${var.password}; exit 3" }
}
"""
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/one.yaml": stack("one", UNATTENDED),
            ".kedge/two.yaml": stack(
                "two",
                UNATTENDED,
                "inputs: {password: {from: stack/one, output: password}}",
                "variables: {password: {$input: password}}",
            ),
            "infra/one/main.tf": source,
            "infra/two/main.tf": reader,
        }
    )
    world.pushed("it prints its secret")
    failed = await world.until("shop/two", lambda d: d.last is not None and d.last.result == "Failed")
    assert failed.last is not None
    assert "exit status 3" in failed.last.message
    assert "hunter2-and-more" not in repr(failed)
    for words in (("logs", "shop/two"), ("diff", "shop/two"), ("get", "shop/two", "-o", "json"), ("get", "event")):
        said = await world.kedge(*words)
        assert "hunter2-and-more" not in said.out + said.err, words
    for kept in world.data.glob("kedge.db*"):
        assert b"hunter2-and-more" not in kept.read_bytes(), kept


async def test_a_sensitive_input_stays_sensitive_where_the_code_forgets_to_say_so(world: World) -> None:
    source = 'output "password" {\n  value     = "hunter2-and-more"\n  sensitive = true\n}\n'
    reader = 'variable "user" {}\nresource "terraform_data" "a" { input = "as ${var.user.password}" }\n'
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/one.yaml": stack("one", UNATTENDED),
            ".kedge/two.yaml": stack(
                "two",
                "inputs: {password: {from: stack/one, output: password}}",
                "variables: {user: {password: {$input: password}}}",
            ),
            "infra/one/main.tf": source,
            "infra/two/main.tf": reader,
        }
    )
    world.pushed("it does not mark its variable")
    held = await world.until("shop/two", lambda d: d.plan is not None)
    assert "hunter2" not in repr(held)
    assert "hunter2" not in (await world.kedge("diff", "shop/two")).out
    said = await world.kedge("approve", "shop/two", "-y")
    assert said.code == 0, said.err
    await world.synced("shop/two")
    shown = (await world.kedge("state", "show", "shop/two", "terraform_data.a")).out
    assert "hunter2" not in shown
    for kept in world.data.glob("kedge.db*"):
        assert b"hunter2" not in kept.read_bytes(), kept

    world.repository.write({"infra/two/out.tf": 'output "told" { value = var.user.password }\n'})
    world.pushed("and puts it out")
    refused = await world.until("shop/two", lambda d: d.trouble is not None)
    assert "sensitive" in refused.shown.why
    assert "hunter2" not in refused.shown.why


async def test_what_a_project_denies_is_refused_before_it_runs_wherever_it_is_written(
    world: World, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    denies = PROJECT + 'spec: {deniedKinds: ["data/external", "provisioner/*", "terraform_data"]}\n'
    check = f'check "c" {{\n  data "external" "e" {{ program = ["touch", "{ran}"] }}\n}}\n'
    provisioner = {"local-exec": {"command": f"touch {ran}"}}
    command = json.dumps({"resource": {"terraform_data": {"n": {"provisioner": provisioner}}}})
    world.repository.write(
        {
            ".kedge/shop.yaml": denies,
            ".kedge/check.yaml": stack("check", UNATTENDED),
            ".kedge/deep.yaml": stack("deep", UNATTENDED),
            ".kedge/far.yaml": stack("far", UNATTENDED, 'modules: ["git::https://"]'),
            ".kedge/kind.yaml": stack("kind", UNATTENDED),
            "infra/check/main.tf": check,
            "infra/deep/main.tf": 'module "m" { source = "./m" }\n',
            "infra/deep/m/main.tf": 'module "n" { source = "./n" }\n',
            "infra/deep/m/n/a_override.tf.json": command,
            "infra/far/main.tf": 'module "m" { source = "git::https://127.0.0.1:1/x" }\n',
            "infra/kind/main.tf": NET,
        }
    )
    world.pushed("hostile")
    for name, text in {
        "check": "denies the data source external",
        "deep": "denies the provisioner local-exec",
        "far": "can not be looked into before it runs",
        "kind": "denies terraform_data.net",
    }.items():
        await world.until(f"shop/{name}", lambda d, text=text: text in d.shown.why + repr(d.plan))
    assert not ran.exists()


async def test_a_variable_that_nothing_declares_holds_the_plan(world: World) -> None:
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", UNATTENDED, 'variables: {rnage: "10.1.0.0/16"}'),
            "infra/net/main.tf": NET,
        }
    )
    world.pushed("a slip")
    held = await world.until("shop/net", lambda d: "declares no variable" in d.shown.why)
    assert "“rnage”, but range" in held.shown.why
    assert held.runs == 0


async def test_a_state_is_not_lost_with_a_backend_that_is_a_file_or_that_the_tool_does_not_read(world: World) -> None:
    backend = 'terraform {\n  backend "local" {}\n}\n'
    other = 'terraform {\n  backend "s3" {}\n}\n'
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/local.yaml": stack("local", UNATTENDED),
            ".kedge/shadow.yaml": stack("shadow", UNATTENDED),
            "infra/local/main.tf": NET + backend,
            "infra/shadow/main.tf": NET,
            "infra/shadow/a.tf": other,
            "infra/shadow/a.tofu": "locals {\n  a = 1\n}\n",
        }
    )
    commit = world.pushed("two backends that are none")
    for name in ("shop/local", "shop/shadow"):
        await world.synced(name, commit)
        assert world.house.states is not None
        head = await world.house.states.head(name)
        assert head is not None
        assert head.resources == ("terraform_data.net",)


async def test_a_stack_under_another_name_begins_anew_and_it_is_told_where_its_state_stays(world: World) -> None:
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": NET}
    )
    await world.synced("shop/net", world.pushed("a net"))
    renamed = stack("net", "approve: {when: always}").replace("{name: net,", "{name: lan,")
    world.repository.write({".kedge/net.yaml": renamed})
    world.pushed("another name")
    held = await world.until("shop/lan", lambda d: d.plan is not None)
    assert held.plan is not None
    assert [change.act for change in held.plan.changes] == ["create", "create"]
    await world.gone("shop/net")
    assert "its state under this name" in (await world.kedge("get", "event")).out
    assert "shop/net" in (await world.kedge("state", "list")).out
