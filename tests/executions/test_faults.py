"""What breaks while a real tool is at work, and what is left of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.executions.scene import PATIENT, STACK, Scene, slow, waiting
from tests.executions.states import Backend

from kedge import detached
from kedge.detached import Birth
from kedge.executions.folder import Folder
from kedge.model.errors import Invalid
from kedge.model.execution import Ending, Tool

CREATING = ": Creating..."
ONCE = [Tool.OPENTOFU]
"""What is ours and not the tool's is tried with one of them."""


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """What an apply waits for: a file that a test makes when it has done what is to happen meanwhile."""
    return tmp_path / "go"


def chain(go: Path, count: int) -> str:
    """One resource after the other, each waiting for a gate of its own."""
    return "".join(
        f"""
resource "terraform_data" "s{number}" {{
  input = {f"terraform_data.s{number - 1}.id" if number else '"first"'}
  provisioner "local-exec" {{
    command = "{waiting(step(go, number))}"
  }}
}}
"""
        for number in range(count)
    )


def step(go: Path, number: int) -> Path:
    return go.with_name(f"{go.name}-{number}")


async def begun(scene: Scene, backend: Backend, code: str, text: str = CREATING) -> str:
    """An apply of this code, as soon as one of its lines holds a text."""
    plan = scene.execution({"main.tf": code}, backend.access)
    _, made = await scene.run(plan)
    apply = scene.applying(plan, made.plan)
    await scene.exec.start(apply)
    await scene.until_told(apply.id, text)
    return apply.id


def processes(scene: Scene, id: str) -> tuple[Birth, Birth]:
    runner, tool = Folder(scene.root / id).runner(), Folder(scene.root / id).tool()
    assert runner is not None
    assert tool is not None
    return runner, tool


async def until_gone(birth: Birth) -> None:
    async with asyncio.timeout(PATIENT):
        while detached.alive(birth):
            await asyncio.sleep(0.02)


def tainted(backend: Backend) -> list[str]:
    """The status of each object in the newest state."""
    return [each.get("status", "") for one in json.loads(backend.saved[-1])["resources"] for each in one["instances"]]


async def test_an_apply_that_is_asked_to_end_saves_what_it_has_done_and_lets_go(
    scene: Scene, backend: Backend, go: Path
) -> None:
    id = await begun(scene, backend, slow(go))
    await scene.exec.stop(id, "a person")
    report = await scene.until_ended(id)
    assert (report.ending, report.told) == (Ending.STOPPED, "a person")
    assert tainted(backend) == ["tainted"]
    assert not backend.lock


async def test_a_runner_that_gets_sigterm_ends_its_apply_in_order(scene: Scene, backend: Backend, go: Path) -> None:
    id = await begun(scene, backend, slow(go))
    os.kill(processes(scene, id)[0].pid, signal.SIGTERM)
    assert (await scene.until_ended(id)).ending is Ending.STOPPED
    assert tainted(backend) == ["tainted"]
    assert not backend.lock


async def test_an_apply_whose_runner_is_killed_goes_on_to_its_end(scene: Scene, backend: Backend, go: Path) -> None:
    id = await begun(scene, backend, slow(go))
    os.kill(processes(scene, id)[0].pid, signal.SIGKILL)
    go.touch()
    report = await scene.until_ended(id)
    assert report.ending is Ending.LOST
    assert tainted(backend) == [""]
    assert not backend.lock


async def test_a_tool_that_gets_sigterm_saves_what_it_has_done(scene: Scene, backend: Backend, go: Path) -> None:
    id = await begun(scene, backend, slow(go))
    os.kill(processes(scene, id)[1].pid, signal.SIGTERM)
    assert (await scene.until_ended(id)).ending is Ending.FAILED
    assert tainted(backend) == ["tainted"]
    assert not backend.lock


async def test_a_tool_that_is_killed_leaves_its_lock_and_is_told(scene: Scene, backend: Backend, go: Path) -> None:
    id = await begun(scene, backend, slow(go))
    _, tool = processes(scene, id)
    os.kill(tool.pid, signal.SIGKILL)
    report = await scene.until_ended(id)
    assert report.ending is Ending.FAILED
    assert report.problems == (f"{scene.program.name} apply was ended by signal 9, without a word",)
    assert backend.lock
    assert detached.strays(tool.pid, tool.pid) == []


CONTROLLER = """
import asyncio, sys
from pathlib import Path
from kedge.clock import SystemClock, SystemEntropy
from kedge.executions.local import LocalExec
from kedge.executions.tools import Tools

async def main(root, programs):
    exec = LocalExec(Path(root), Tools("", [Path(programs)]), SystemClock(), SystemEntropy())
    await exec.adopt()
    print([report.id for report in exec.reports()], flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def waiting_apply(scene: Scene, backend: Backend, code: str) -> str:
    """An apply that is on record and has not begun."""
    plan = scene.execution({"main.tf": code}, backend.access)
    _, made = await scene.run(plan)
    apply = scene.applying(plan, made.plan)
    scene.exec._room = 0
    await scene.exec.start(apply)
    return apply.id


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("tool", ONCE, indirect=True, ids=str)
async def test_an_apply_outlives_the_controller_that_began_it(
    scene: Scene, backend: Backend, number: signal.Signals, go: Path
) -> None:
    id = await waiting_apply(scene, backend, slow(go))
    await scene.leave()
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(scene.root), str(scene.program.parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as controller:
        async with asyncio.timeout(PATIENT):
            while not Folder(scene.root / id).lines.exists() or CREATING not in scene.lines(id):
                await asyncio.sleep(0.02)
        runner, tool = processes(scene, id)
        os.killpg(controller.pid, number)
        controller.wait()
        assert detached.alive(runner)
        assert detached.alive(tool)
    await scene.open()
    assert scene.exec.report(id).ending is None  # type: ignore[union-attr]
    go.touch()
    assert (await scene.until_ended(id)).ending is Ending.SUCCEEDED
    assert tainted(backend) == [""]


async def test_a_backend_that_is_away_for_a_while_is_waited_for(scene: Scene, backend: Backend, go: Path) -> None:
    id = await begun(scene, backend, slow(go))
    backend.down = True
    asked = len(backend.asked)
    go.touch()
    async with asyncio.timeout(PATIENT):
        while len(backend.asked) < asked + 2:
            await asyncio.sleep(0.02)
    backend.down = False
    assert (await scene.until_ended(id)).ending is Ending.SUCCEEDED
    assert tainted(backend) == [""]


async def test_a_state_that_could_not_be_sent_is_brought_home(scene: Scene, backend: Backend, go: Path) -> None:
    id = await begun(scene, backend, slow(go))
    backend.refuses = True
    go.touch()
    report = await scene.until_ended(id)
    assert report.ending is Ending.FAILED
    assert any("Failed to save state" in problem for problem in report.problems), report.problems
    left = await scene.exec.result(id)
    assert json.loads(left.errored)["resources"][0]["name"] == "slow"
    assert not list(scene.root.glob("*/work/**/errored.tfstate"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False).returncode:
        pytest.skip("no small disk can be mounted here: that needs root")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
async def cramped(scene: Scene, small_disk: Path) -> AsyncIterator[Scene]:
    """Executions on a small disk."""
    one = Scene(small_disk / "executions", scene.program, scene.tool, scene.supply)
    await one.open()
    yield one
    await one.leave()


def fill(place: Path) -> None:
    with (place / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


async def test_a_bundle_for_which_there_is_no_room_is_told(cramped: Scene, backend: Backend) -> None:
    plan = cramped.execution({"main.tf": STACK, "big": bytes(1 << 20)}, backend.access)
    report, _ = await cramped.run(plan)
    assert report.ending is Ending.FAILED
    assert "no room left on the disk" in report.problems[0]


async def test_an_apply_on_a_disk_that_fills_up_saves_its_state_and_is_told(
    cramped: Scene, backend: Backend, go: Path
) -> None:
    id = await begun(cramped, backend, slow(go))
    fill(cramped.root)
    go.touch()
    report = await cramped.until_ended(id)
    assert report.ending is Ending.SUCCEEDED, report.problems
    assert tainted(backend) == [""]
    assert not backend.lock


@pytest.mark.parametrize("source", ["/etc", "../../../../../../../../etc", "../../../../outside"])
async def test_a_module_outside_of_the_repository_is_refused(scene: Scene, backend: Backend, source: str) -> None:
    outside = scene.root / "outside"
    outside.mkdir()
    (outside / "main.tf").write_text("")
    code = f'module "m" {{\n source = "{source}"\n}}\n'
    report, left = await scene.run(scene.execution({"main.tf": code}, backend.access))
    assert report.ending is Ending.FAILED
    assert any("outside" in p or "Unreadable" in p or "not readable" in p for p in report.problems), report.problems
    assert left.plan == b""
    shutil.rmtree(outside)


@pytest.mark.parametrize(
    "source",
    [
        "git::ext::sh -c 'touch {proof}'",
        "git::file://{root}",
        "git::https://127.0.0.1:9/x?ref=--upload-pack=touch%20{proof}",
        "git::ssh://-oProxyCommand=touch%20{proof}/x",
        "git::https://127.0.0.1:9/x?depth=1;touch%20{proof}",
    ],
)
async def test_a_git_module_with_tricks_in_its_url_runs_nothing(scene: Scene, backend: Backend, source: str) -> None:
    proof = scene.root / "proof"
    text = source.format(proof=proof, root=scene.root)
    code = f'module "m" {{\n source = "{text}"\n}}\n'
    report, _ = await scene.run(scene.execution({"main.tf": code}, backend.access))
    assert report.ending is Ending.FAILED
    assert report.problems
    assert not proof.exists()


@pytest.mark.parametrize("name", ["zzzzz_override.tf", "zzzz_kedge_override.tf.json", "~_override.tf.json"])
@pytest.mark.parametrize("tool", ONCE, indirect=True, ids=str)
async def test_code_can_not_send_the_state_and_its_token_elsewhere(scene: Scene, backend: Backend, name: str) -> None:
    bad = '{"terraform": {"backend": {"http": {"address": "http://127.0.0.1:9/"}}}}'
    with pytest.raises(Invalid, match="with which Kedge sets the backend"):
        await scene.exec.start(scene.execution({"main.tf": STACK, name: bad}, backend.access))


async def test_a_backend_in_an_override_of_the_codes_own_is_laid_below_ours(scene: Scene, backend: Backend) -> None:
    bad = '{"terraform": {"backend": {"http": {"address": "http://127.0.0.1:9/"}}}}'
    plan = scene.execution({"main.tf": STACK, "a_override.tf.json": bad, "override.tf.json": bad}, backend.access)
    report, made = await scene.run(plan)
    assert report.ending is Ending.SUCCEEDED, report.problems
    assert (await scene.applied(plan, made.plan))[0].ending is Ending.SUCCEEDED
    assert backend.saved


async def test_a_plan_that_needs_more_memory_than_it_is_given_is_told(scene: Scene, backend: Backend) -> None:
    code = STACK + "locals {\n a = range(1000)\n b = length(setproduct(local.a, local.a, range(50)))\n}\n"
    code += "output b {\n value = local.b\n}\n"
    report, _ = await scene.run(scene.execution({"main.tf": code}, backend.access, memory=512 << 20))
    assert report.ending is Ending.FAILED
    assert report.problems[0] == "the tool needs more memory than the 512 MiB that it is given"


@pytest.mark.slow
@pytest.mark.parametrize("tool", ONCE, indirect=True, ids=str)
async def test_twenty_million_bytes_of_a_provisioners_output_are_bounded(scene: Scene, backend: Backend) -> None:
    code = """
resource "terraform_data" "loud" {
  provisioner "local-exec" {
    command = "yes $(head -c 1000 /dev/zero | tr -c x x) | head -c 20000000"
  }
}
"""
    plan = scene.execution({"main.tf": code}, backend.access)
    _, made = await scene.run(plan)
    report, _ = await scene.applied(plan, made.plan)
    assert report.ending is Ending.SUCCEEDED, report.problems
    assert (scene.root / report.id / "lines").stat().st_size < 9 << 20


SENT = 21.0
"""Seconds after its first step was done from which on a tool sends its state with each that is; 20 is its own floor."""
MOMENTS = ("at the first step", "after it", "before the first word to the backend", "after that word")


async def struck(scene: Scene, backend: Backend, go: Path, moment: str, who: int, number: signal.Signals) -> str:
    """An apply of four steps, in which one process gets a signal at this moment: while it is at work at a step."""
    id = await begun(scene, backend, chain(go, 4), "s0: Creating...")
    for done in range(min(MOMENTS.index(moment), 2)):
        if done and moment == MOMENTS[-1]:
            await asyncio.sleep(SENT)
        step(go, done).touch()
        await scene.until_told(id, f"s{done}: Creation complete")
        await scene.until_told(id, f"s{done + 1}: Creating...")
    async with asyncio.timeout(PATIENT):
        while moment == MOMENTS[-1] and not backend.saved:
            await asyncio.sleep(0.02)
    os.kill(processes(scene, id)[who].pid, number)
    return id


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("tool", ONCE, indirect=True, ids=str)
async def test_whenever_a_runner_is_killed_the_apply_goes_on(
    scene: Scene, backend: Backend, go: Path, moment: str
) -> None:
    id = await struck(scene, backend, go, moment, 0, signal.SIGKILL)
    for number in range(4):
        step(go, number).touch()
    assert (await scene.until_ended(id)).ending is Ending.LOST
    assert tainted(backend) == ["", "", "", ""]
    assert not backend.lock


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("who", [0, 1], ids=["runner", "tool"])
@pytest.mark.parametrize("tool", ONCE, indirect=True, ids=str)
async def test_whenever_one_is_asked_to_end_what_is_done_is_saved(
    scene: Scene, backend: Backend, go: Path, moment: str, who: int
) -> None:
    id = await struck(scene, backend, go, moment, who, signal.SIGTERM)
    assert (await scene.until_ended(id)).ending is (Ending.FAILED if who else Ending.STOPPED)
    assert tainted(backend) == [*[""] * min(MOMENTS.index(moment), 2), "tainted"]
    assert not backend.lock


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("tool", ONCE, indirect=True, ids=str)
async def test_a_tool_that_is_killed_has_saved_only_what_is_twenty_seconds_old(
    scene: Scene, backend: Backend, go: Path, moment: str
) -> None:
    id = await struck(scene, backend, go, moment, 1, signal.SIGKILL)
    assert (await scene.until_ended(id)).ending is Ending.FAILED
    assert backend.lock
    assert bool(backend.saved) == (moment == MOMENTS[-1])


async def test_two_of_one_id_are_one(scene: Scene, backend: Backend) -> None:
    plan = scene.execution({"main.tf": STACK}, backend.access)
    await asyncio.gather(scene.exec.start(plan), scene.exec.start(replace(plan, unit="shop/other")))
    report = await scene.until_ended(plan.id)
    assert report.ending is Ending.SUCCEEDED
    assert scene.rung == [(report.unit, plan.id)]
