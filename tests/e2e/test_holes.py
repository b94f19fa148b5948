"""An application reads what a stack has not put out yet: shown with a hole, agreed to once; with a real OpenTofu."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.stacked import NET, PROJECT, stack
from tests.e2e.stories import application
from tests.e2e.world import World, standing

pytestmark = pytest.mark.e2e

INPUTS = "  inputs: {range: {from: stack/net, output: range, type: string}}\n  approve: {when: always}\n"
HELM = f"{INPUTS}  helm: {{values: {{range: {{$input: range}}}}}}"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"
CHART = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
  annotations: {checksum/range: {{ .Values.range | sha256sum }}}
data:
  greeting: "from {{ .Values.range }}"
"""
WAITS = "waits for shop/net.range, which is not there yet"


@pytest.fixture
async def world(tmp_path: Path, tofu: Path) -> AsyncIterator[World]:
    async with standing(tmp_path, environ={"KEDGE_TOOLS": str(tofu.parent)}) as found:
        yield found


async def agreed(world: World, name: str) -> None:
    said = await world.kedge("approve", name, "-y", "--reason", "fine")
    assert said.code == 0, said.err


async def test_one_approval_of_a_plan_with_a_hole_is_enough(world: World) -> None:
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net"),
            ".kedge/web.yaml": application("web", HELM),
            "infra/net/main.tf": NET,
            "apps/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
            "apps/web/templates/config.yaml": CHART,
            "apps/web/templates/namespace.yaml": NAMESPACE,
        }
    )
    commit = world.pushed("a net, and who reads its range")
    held = await world.until("shop/web", lambda dossier: dossier.plan is not None)
    assert WAITS in held.shown.why
    said = await world.kedge("diff", "shop/web")
    assert "from ‹shop/net.range›" in said.out
    assert "‹made of shop/net.range, " in said.out, "the checksum of what nobody knows yet"
    assert "waits for shop/net.range: shown as ‹shop/net.range›, filled once it is there" in said.out
    told = json.loads((await world.kedge("diff", "shop/web", "-o", "json")).out)
    assert told["holes"] == ["shop/net.range"]
    await agreed(world, "shop/web")
    await world.until("shop/web", lambda dossier: dossier.shown.why == f"2 to create; {WAITS}")
    assert await world.greeting("web") is None

    await world.until("shop/net", lambda dossier: dossier.plan is not None)
    await agreed(world, "shop/net")
    dossier = await world.synced("shop/web", commit)
    assert await world.greeting("web") == "from 10.0.0.0/16"
    assert (dossier.runs, dossier.last and dossier.last.reason) == (1, "approved by mona")


async def test_a_replacement_that_comes_with_the_value_is_held_and_named(world: World) -> None:
    """The plan with the hole is not tried on the cluster, and so nobody was shown that it would refuse the change."""
    config = (
        "apiVersion: v1\nkind: ConfigMap\nimmutable: true\n"
        'metadata: {name: web, annotations: {kedge.dev/replace: "true"}}\ndata: {greeting: "GREETING"}\n'
    )
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/web.yaml": application("web"),
            "apps/web/config.yaml": config.replace("GREETING", "old"),
            "apps/web/namespace.yaml": NAMESPACE,
        }
    )
    await world.synced("shop/web", world.pushed("before"))
    world.repository.write(
        {
            ".kedge/net.yaml": stack("net"),
            ".kedge/web.yaml": application("web", f"{INPUTS}  substitute: {{variables: {{range: {{$input: range}}}}}}"),
            "infra/net/main.tf": NET,
            "apps/web/config.yaml": config.replace("GREETING", "${range}"),
        }
    )
    world.pushed("its range")
    held = await world.until("shop/web", lambda dossier: dossier.plan is not None)
    assert held.plan is not None
    (change,) = held.plan.changes
    assert (change.act, [(field.before, field.after) for field in change.fields]) == (
        "update",
        [('"old"', '"‹shop/net.range›"')],
    )
    await agreed(world, "shop/web")
    await world.until("shop/net", lambda dossier: dossier.plan is not None)
    await agreed(world, "shop/net")
    held = await world.until("shop/web", lambda dossier: dossier.plan is not None and not dossier.plan.holes)
    assert held.shown.why.endswith("; not what was approved: replace ConfigMap web/web")
    said = await world.kedge("diff", "shop/web")
    assert "REPLACE" in said.out
    assert await world.greeting("web") == "old"
    await agreed(world, "shop/web")
    await world.synced("shop/web")
    assert await world.greeting("web") == "10.0.0.0/16"
