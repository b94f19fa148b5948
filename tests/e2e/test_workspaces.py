"""Workspaces as separate states: of a backend that the code declares, and of Kedge's own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from scripts.build_parts import OPENTOFU
from tests.e2e.stacked import PROJECT, UNATTENDED, pending, stack
from tests.e2e.world import World, standing
from tests.parts.fixtures import RealCluster

from kedge.model.execution import Tool

pytestmark = pytest.mark.e2e

CODE = """
resource "terraform_data" "a" { input = "of ${terraform.workspace}" }
output "told" { value = terraform_data.a.output }
"""


@pytest.fixture(params=list(Tool), ids=str)
def tool(request: pytest.FixtureRequest) -> Tool:
    tool = Tool(request.param)
    if tool is Tool.OPENTOFU and not OPENTOFU.program.exists():
        pytest.skip("opentofu not built for this checkout: run `make parts`")
    if tool is Tool.TERRAFORM and shutil.which("terraform") is None:
        pytest.skip("there is no terraform on this machine")
    return tool


@pytest.fixture
async def world(tmp_path: Path, tool: Tool) -> AsyncIterator[World]:
    program = OPENTOFU.program if tool is Tool.OPENTOFU else Path(shutil.which("terraform") or "")
    async with standing(tmp_path, environ={"KEDGE_TOOLS": str(program.parent)}) as found:
        yield found


def declared(tool: Tool) -> dict[str, str | None]:
    """Two stacks on one folder, each with a workspace of its own."""
    common = ("source: {path: infra/net}", f"tool: {{name: {tool}}}", UNATTENDED)
    found: dict[str, str | None] = {".kedge/shop.yaml": PROJECT}
    for name in ("one", "two"):
        text = stack(name, f"workspace: {name}-env", *common[1:])
        found[f".kedge/{name}.yaml"] = text.replace(f"path: infra/{name}", "path: infra/net")
    return found


async def both(world: World, commit: str) -> list[str]:
    """What the two put out at a commit."""
    units = [await world.synced(name, commit) for name in ("shop/one", "shop/two")]
    return [output.value for unit in units for output in unit.outputs]


async def test_two_stacks_on_one_folder_have_two_states_and_read_their_own_workspace(world: World, tool: Tool) -> None:
    world.repository.write({**declared(tool), "infra/net/main.tf": CODE})
    assert await both(world, world.pushed("two of one")) == ['"of one-env"', '"of two-env"']
    world.repository.write({".kedge/two.yaml": None})
    world.pushed("one goes")
    await world.gone("shop/two")
    assert world.house.states is not None
    assert [await world.house.states.head(name) is not None for name in ("shop/one", "shop/two")] == [True, True]
    world.repository.write({"infra/net/main.tf": CODE.replace("of $", "OF $")})
    one = await world.synced("shop/one", world.pushed("another"))
    assert [output.value for output in one.outputs] == ['"OF one-env"']
    assert "one-env" in (await world.kedge("get", "shop/one")).out


async def test_two_stacks_on_one_backend_of_the_code_have_two_workspaces_of_it(
    world: World, tool: Tool, real_cluster: RealCluster
) -> None:
    where = f'namespace = "default"\n    config_path = "{real_cluster.kubeconfig}"\n    secret_suffix = "net"'
    backend = f'terraform {{\n  backend "kubernetes" {{\n    {where}\n  }}\n}}\n'
    world.repository.write({**declared(tool), "infra/net/main.tf": CODE + backend})
    assert await both(world, world.pushed("two of one")) == ['"of one-env"', '"of two-env"']
    names = {f"tfstate-{name}-env-net" for name in ("one", "two")}
    listed = real_cluster.api.call("GET", "/api/v1/namespaces/default/secrets")["items"]
    assert names <= {one["metadata"]["name"] for one in listed}
    before = {one["metadata"]["name"]: one["data"] for one in listed}

    two = declared(tool)[".kedge/two.yaml"]
    assert two is not None
    world.repository.write({".kedge/two.yaml": two.replace("approve:", "variables: {more: x}\n  approve:")})
    world.repository.write(
        {"infra/net/more.tf": 'variable "more" { default = "" }\noutput "more" { value = var.more }\n'}
    )
    await both(world, world.pushed("more of the second"))
    assert {output.name: output.value for output in (await world.synced("shop/two")).outputs}["more"] == '"x"'
    assert {output.name: output.value for output in (await world.synced("shop/one")).outputs}["more"] == '""'
    after = real_cluster.api.call("GET", "/api/v1/namespaces/default/secrets")["items"]
    moved = {one["metadata"]["name"] for one in after if before.get(one["metadata"]["name"]) != one["data"]}
    assert moved == names
    assert world.house.states is not None
    assert await world.house.states.head("shop/one") is None, "the backend of the code has it"


async def test_a_stack_that_chooses_another_workspace_waits_although_its_plans_are_applied_unattended(
    world: World, tool: Tool, real_cluster: RealCluster
) -> None:
    """It would make everything anew, and leave what it had made to nobody."""
    where = f'namespace = "default"\n    config_path = "{real_cluster.kubeconfig}"\n    secret_suffix = "net"'
    backend = f'terraform {{\n  backend "kubernetes" {{\n    {where}\n  }}\n}}\n'
    one = declared(tool)[".kedge/one.yaml"]
    assert one is not None
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/one.yaml": one, "infra/net/main.tf": CODE + backend})
    await world.synced("shop/one", world.pushed("one"))
    world.repository.write({".kedge/one.yaml": one.replace("one-env", "other")})
    moved = world.pushed("another workspace")
    held = await world.until("shop/one", lambda d: pending(d) == moved)
    assert held.plan is not None
    assert held.plan.needs is not None
    assert held.plan.needs.reasons == (
        "its state was in the backend kubernetes, workspace one-env and is in the backend kubernetes, workspace other "
        "now: approving makes there whatever is not in it, and leaves what it has made as it is, unmanaged",
    )
    assert (await world.kedge("approve", "shop/one", "-y")).code == 0
    done = await world.synced("shop/one", moved)
    assert [output.value for output in done.outputs] == ['"of other"']
    events = (await world.kedge("get", "event", "-o", "json")).json["items"]
    assert [event["unit"] for event in events if event["kind"] == "unit.moved"] == ["shop/one"]
