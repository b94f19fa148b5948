"""The state of a stack and the world that it is of: drift, locks, and a state that was made elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.doors.iac import Stack
from tests.doors.statefiles import statefile
from tests.e2e.stacked import NET, PROJECT, UNATTENDED, pending, stack
from tests.e2e.world import World, standing

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path, tofu: Path) -> AsyncIterator[World]:
    async with standing(tmp_path, environ={"KEDGE_TOOLS": str(tofu.parent)}) as found:
        yield found


async def _moved_by_hand(world: World, tmp_path: Path) -> None:
    """What somebody does behind Kedge's back: the world is otherwise than the code says."""
    kept = tmp_path / "mine.tfstate"
    pulled = await world.kedge("state", "pull", "shop/net", "--reason", "look")
    assert pulled.code == 0, pulled.err
    kept.write_text(pulled.out.replace("10.0.0.0/16", "172.16.0.0/12"))
    pushed = await world.kedge("state", "push", "shop/net", str(kept), "--force", "--reason", "by hand", "-y")
    assert pushed.code == 0, pushed.err


async def test_drift_is_proposed_as_a_plan_and_repaired_where_that_is_declared(world: World, tmp_path: Path) -> None:
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": NET}
    )
    await world.synced("shop/net", world.pushed("a net"))
    await _moved_by_hand(world, tmp_path)
    drifted = await world.until("shop/net", lambda d: bool(d.shown.drifted))
    assert drifted.shown.drifted == ("output.range", "terraform_data.net")
    assert "drifted, and healing is off" in drifted.shown.why
    world.repository.write({".kedge/net.yaml": stack("net", UNATTENDED, "sync: {heal: harmless}")})
    world.pushed("heal it")
    repaired = await world.until("shop/net", lambda d: d.runs == 2 and d.operation is None)
    assert repaired.last is not None
    assert (repaired.last.cause, repaired.last.result) == ("drift", "Succeeded")
    await world.synced("shop/net")
    assert (await world.kedge("state", "pull", "shop/net", "--reason", "look")).out.count("10.0.0.0/16") > 0


async def test_drift_is_looked_for_when_its_time_has_come(world: World) -> None:
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", UNATTENDED, "sync: {every: 3s}"),
            "infra/net/main.tf": NET,
        }
    )
    first = await world.synced("shop/net", world.pushed("a net"))
    found = json.loads((await world.kedge("get", "shop/net", "-o", "json")).out)["unit"]
    assert 2.7 <= found["tool"]["drift"] - found["lastVerified"] <= 3.3
    assert "  next look      for drift, from 20" in (await world.kedge("get", "shop/net")).out
    later = await world.until("shop/net", lambda d: (d.verified or 0.0) > (first.verified or 0.0))
    assert (later.runs, later.shown.sync) == (1, "Synced")


async def test_a_look_that_has_to_wait_for_another_says_until_when_and_has_its_turn(tmp_path: Path, tofu: Path) -> None:
    hold, program = tmp_path / "hold", tmp_path / "tools" / "tofu"
    program.parent.mkdir()
    wait = f'[ "$1" != plan ] || while [ -e {hold} ]; do sleep 0.05; done'
    program.write_text(f'#!/bin/sh\n{wait}\nexec {tofu} "$@"\n')
    program.chmod(0o755)
    names = ("shop/one", "shop/two")
    async with standing(tmp_path, environ={"KEDGE_TOOLS": str(program.parent), "KEDGE_RUNS_AT_ONCE": "1"}) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT})
        for name in ("one", "two"):
            often = stack(name, UNATTENDED, "sync: {every: 4s}")
            world.repository.write({f".kedge/{name}.yaml": often, f"infra/{name}/main.tf": NET})
        commit = world.pushed("two")
        for name in names:
            await world.synced(name, commit)
        hold.touch()

        async def put_off() -> str:
            found = [await world.until(name, lambda d: True) for name in names]
            return next((str(dossier.name) for dossier in found if dossier.shown.put_off), "")

        await world.eventually(lambda: _is(put_off))
        name = await put_off()
        later = await world.until(name, lambda d: True)
        said = (await world.kedge("get", name)).out
        assert later.shown.sync == "Synced", "nothing is wrong with it"
        assert re.search(
            r"next look +for drift, from 20\S+ \S+ on: it is put off, for looks take half of the time", said
        )
        hold.unlink()
        await world.until(name, lambda d: (d.verified or 0.0) > (later.verified or 0.0))


async def _is(what: Callable[[], Awaitable[str]]) -> bool:
    return bool(await what())


def _watching(place: Path) -> str:
    """Code that would change what it has made once a file of the world is there: the state knows nothing of it."""
    return f"""
resource "terraform_data" "net" {{ input = fileexists("{place}") ? "moved" : "as it was" }}
output "told" {{ value = terraform_data.net.output }}
"""


async def test_drift_that_waits_stays_in_sight_and_its_approval_repairs_it(world: World, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    world.repository.write(
        {
            ".kedge/shop.yaml": PROJECT,
            ".kedge/net.yaml": stack("net", "sync: {every: 4s}"),
            "infra/net/main.tf": _watching(moved),
        }
    )
    commit = world.pushed("a net")
    await world.until("shop/net", lambda d: pending(d) == commit)
    await world.kedge("approve", "shop/net", "-y")
    await world.synced("shop/net", commit)
    moved.touch()
    drifted = await world.until("shop/net", lambda d: bool(d.shown.drifted))
    assert drifted.shown.drifted == ("output.told", "terraform_data.net")
    said = await world.kedge("approve", "shop/net", "-y")
    assert said.code == 0, said.err
    repaired = await world.until("shop/net", lambda d: d.runs == 2 and d.operation is None and d.shown.sync == "Synced")
    assert [(output.name, output.value) for output in repaired.outputs] == [("told", '"moved"')]


async def test_a_run_whose_lock_was_broken_loses_nothing_and_overwrites_nothing(world: World, tmp_path: Path) -> None:
    states = world.house.states
    assert states is not None
    began, go_on = tmp_path / "began", tmp_path / "go-on"
    command = f"touch {began}; while [ ! -e {go_on} ]; do sleep 0.05; done"
    code = f"""
resource "terraform_data" "a" {{ input = "made" }}
resource "terraform_data" "b" {{
  depends_on = [terraform_data.a]
  provisioner "local-exec" {{ command = "{command}" }}
}}
"""
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": code}
    )
    world.pushed("slow")

    async def at_work() -> bool:
        return began.exists()

    await world.eventually(at_work)
    assert "locked by apply-" in (await world.kedge("state", "versions", "shop/net")).err
    refused = await world.kedge("state", "unlock", "shop/net", "-y")
    assert (refused.code, "not known to be over" in refused.err) == (2, True)
    forced = await world.kedge("state", "unlock", "shop/net", "--force", "-y", "--reason", "it hangs")
    assert forced.code == 0, forced.err
    saved = tmp_path / "repaired.tfstate"
    saved.write_bytes(statefile(1, lineage="another"))
    pushed = await world.kedge("state", "push", "shop/net", str(saved), "-y")
    assert pushed.code == 0, pushed.err
    go_on.touch()
    await world.until("shop/net", lambda d: d.last is not None and d.last.result == "Failed")
    versions = (await world.kedge("state", "versions", "shop/net", "-o", "json")).out
    assert [item["origin"] for item in json.loads(versions)["items"]] == ["left behind", "pushed"]
    assert await states.read("shop/net") == saved.read_bytes()
    chosen = await world.kedge("state", "rollback", "shop/net", "2", "-y", "--reason", "that is what runs")
    assert chosen.code == 0, chosen.err
    head = await states.head("shop/net")
    assert head is not None
    assert head.resources == ("terraform_data.a", "terraform_data.b")


async def test_a_stack_that_was_made_elsewhere_is_taken_over_with_its_state_and_nothing_is_made_anew(
    world: World, tmp_path: Path, tofu: Path
) -> None:
    elsewhere = Stack(tofu, tmp_path / "elsewhere")
    elsewhere.declare(NET)
    await elsewhere.init()
    applied = await elsewhere.apply()
    assert applied.code == 0, applied.text
    existing = elsewhere.folder / "terraform.tfstate"
    pushed = await world.kedge("state", "push", "shop/net", str(existing), "-y", "--reason", "from a laptop")
    assert pushed.code == 0, pushed.err
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/net.yaml": stack("net", UNATTENDED), "infra/net/main.tf": NET}
    )
    world.pushed("the same net")
    await world.until("shop/net", lambda d: d.operation is None and d.shown.sync == "Synced")
    states = world.house.states
    assert states is not None
    assert await states.read("shop/net") == existing.read_bytes()
