"""Executions as processes: found again, asked to end, taken in turn. With a program that pretends to be a tool."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.executions.pretender import pretender
from tests.executions.scene import PATIENT, Scene

from kedge import detached
from kedge.clock import SystemEntropy
from kedge.executions.folder import Folder, ended, open_report
from kedge.executions.local import Supply
from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.execution import BundleFile, Ending, Execution, StateAccess, Task, Tool
from kedge.store.vault import Vault


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    one = Scene(tmp_path / "executions", pretender(tmp_path / "bin"), Tool.OPENTOFU, Supply(patience=PATIENT, room=3))
    await one.open()
    yield one
    for report in one.exec.reports():
        gate(one, report.id).touch()
        await one.until_ended(report.id)
    await one.leave()


def gate(scene: Scene, id: str) -> Path:
    return scene.root.parent / f"gate-{id}"


def work(scene: Scene, id: str, wild: str = "", **more: Any) -> Execution:
    environment = (("GATE", str(gate(scene, id))), ("WILD", wild))
    return scene.execution({"main.tf": ""}, id=id, environment=environment, **more)


def folder(scene: Scene, id: str) -> Folder:
    return Folder(scene.root / id)


async def at_work(scene: Scene, id: str) -> None:
    await scene.until_told(id, "at work")


async def test_one_that_was_begun_before_is_found_again_at_work(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    await scene.leave()
    await scene.open()
    (found,) = scene.exec.reports()
    assert (found.id, found.stage, found.ending) == ("one", "plan", None)
    gate(scene, "one").touch()
    assert (await scene.until_ended("one")).ending is Ending.SUCCEEDED
    assert (await scene.exec.result("one")).plan == b"the plan\n"


async def test_one_that_has_written_its_last_word_is_at_work_until_its_result_is_there(scene: Scene) -> None:
    one = work(scene, "one")
    await scene.exec.start(one)
    request = folder(scene, "one").request()
    assert request is not None
    folder(scene, "one").write_report(ended(open_report(request), Ending.SUCCEEDED, 1.0))
    report = scene.exec.report("one")
    assert report is not None
    assert (report.ending, report.finished) == (None, None), "whoever believed it asked for a result that was refused"


async def test_one_that_ended_while_nobody_looked_is_found_ended(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    runner = folder(scene, "one").runner()
    assert runner is not None
    await scene.leave()
    gate(scene, "one").touch()
    async with asyncio.timeout(PATIENT):
        while detached.alive(runner):
            detached.bury(runner.pid)
            await asyncio.sleep(0.01)
    await scene.open()
    assert [report.ending for report in scene.exec.reports()] == [Ending.SUCCEEDED]


async def test_one_whose_runner_is_killed_is_lost_only_when_its_tool_is_gone_too(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    runner, tool = folder(scene, "one").runner(), folder(scene, "one").tool()
    assert runner is not None
    assert tool is not None
    os.kill(runner.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENT):
        while (report := scene.exec.report("one")) is None or "its tool still works" not in report.told:
            await asyncio.sleep(0.01)
    assert report.ending is None
    assert detached.alive(tool)
    gate(scene, "one").touch()
    report = await scene.until_ended("one")
    assert report.ending is Ending.LOST
    assert not detached.alive(tool)


async def test_a_tool_without_a_runner_can_be_stopped(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    runner = folder(scene, "one").runner()
    assert runner is not None
    os.kill(runner.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENT):
        while detached.alive(runner):
            await asyncio.sleep(0.01)
    await scene.exec.stop("one", "a person")
    assert (await scene.until_ended("one")).ending is Ending.LOST


async def test_one_that_was_lost_while_nobody_looked_is_found_lost(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    runner, tool = folder(scene, "one").runner(), folder(scene, "one").tool()
    assert runner is not None
    assert tool is not None
    await scene.leave()
    os.kill(runner.pid, signal.SIGKILL)
    os.killpg(tool.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENT):
        while detached.alive(runner) or detached.alive(tool):
            detached.bury(runner.pid)
            await asyncio.sleep(0.01)
    await scene.open()
    assert [report.ending for report in scene.exec.reports()] == [Ending.LOST]
    assert scene.rung == [("shop/db", "one")]


async def test_a_process_that_has_the_id_of_a_dead_runner_is_not_taken_for_it(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    runner = folder(scene, "one").runner()
    assert runner is not None
    assert detached.alive(runner)
    assert not detached.alive(detached.Birth(runner.pid, runner.started - 1, runner.boot))
    assert not detached.alive(detached.Birth(runner.pid, runner.started, "another boot"))


async def test_a_second_runner_of_one_execution_does_nothing(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    first = folder(scene, "one").runner()
    scene.exec._launch("one")  # as a controller does that died after it had started the first
    second = scene.exec._open["one"].watching
    assert second is not None
    async with asyncio.timeout(PATIENT):
        while detached.alive(second):
            await asyncio.sleep(0.01)
    assert folder(scene, "one").runner() == first
    gate(scene, "one").touch()
    assert (await scene.until_ended("one")).ending is Ending.SUCCEEDED
    assert scene.rung == [("shop/db", "one")]


async def test_two_controllers_that_start_one_execution_start_it_once(scene: Scene) -> None:
    other = Scene(scene.root, scene.program, scene.tool, scene.supply)
    await other.open()
    execution = work(scene, "one")
    await asyncio.gather(scene.exec.start(execution), other.exec.start(execution))
    gate(scene, "one").touch()
    assert await scene.until_ended("one") == await other.until_ended("one")
    assert scene.lines("one").count("at work") == 1
    await other.leave()


async def test_one_that_is_asked_to_end_ends_in_order(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    await scene.exec.stop("one", "a newer commit supersedes it")
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.STOPPED, "a newer commit supersedes it")
    assert "lets go" in scene.lines("one")


async def test_one_that_takes_too_long_is_asked_to_end(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one", timeout=0.3))
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.STOPPED, "it took longer than 0.3 s")


async def test_a_tool_that_hears_nothing_is_ended_when_all_patience_is_over(scene: Scene) -> None:
    await scene.leave()
    scene.supply = replace(scene.supply, patience=0.5)
    await scene.open()
    await scene.exec.start(work(scene, "one", "deaf"))
    await at_work(scene, "one")
    tool = folder(scene, "one").tool()
    await scene.exec.stop("one", "a person")
    report = await scene.until_ended("one")
    assert report.ending is Ending.STOPPED
    assert report.problems == ("the tool did not end within 1 s, and was ended",)
    assert scene.lines("one").count("asked to end: a person") == 2
    assert tool is not None
    assert not detached.alive(tool)


async def test_a_runner_hears_the_machines_own_wish_to_end(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    await at_work(scene, "one")
    runner = folder(scene, "one").runner()
    assert runner is not None
    os.kill(runner.pid, signal.SIGTERM)
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.STOPPED, "its runner was asked to end")


async def test_no_more_work_at_once_than_there_is_room_and_applies_are_before_plans(scene: Scene) -> None:
    for id in ("plan1", "plan2", "plan3", "plan4"):
        await scene.exec.start(work(scene, id))
    await scene.exec.start(work(scene, "apply1", task=Task.APPLY, plan=b"x"))
    await scene.exec.start(work(scene, "apply2", task=Task.APPLY, plan=b"x"))
    waits = [report.id for report in scene.exec.reports() if "waits for its turn" in report.told]
    assert waits == ["plan3", "plan4", "apply2"]
    waiting = scene.exec.report("apply2")
    assert waiting is not None
    assert waiting.told == "waits for its turn: 1 of those that wait, 3 at a time"
    await at_work(scene, "plan1")
    gate(scene, "plan1").touch()
    await scene.until_ended("plan1")
    await at_work(scene, "apply2")
    assert "waits" in scene.exec.report("plan3").told  # type: ignore[union-attr]


async def test_one_that_waits_is_on_record_and_begins_after_a_restart(scene: Scene) -> None:
    for id in ("one", "two", "three"):
        await scene.exec.start(work(scene, id))
    await scene.leave()
    await scene.open()
    assert "waits" in scene.exec.report("three").told  # type: ignore[union-attr]
    gate(scene, "three").touch()
    for id in ("one", "two"):
        await at_work(scene, id)
    await scene.exec.stop("one", "make room")
    assert (await scene.until_ended("three")).ending is Ending.SUCCEEDED


async def test_one_that_waits_is_stopped_without_a_beginning(scene: Scene) -> None:
    for id in ("one", "two", "three"):
        await scene.exec.start(work(scene, id))
    await scene.exec.stop("three", "nobody wants it any more")
    report = scene.exec.report("three")
    assert report is not None
    assert (report.ending, report.told) == (Ending.STOPPED, "nobody wants it any more")
    assert not (scene.root / "three" / "secrets.json").exists()
    assert folder(scene, "three").runner() is None


async def test_what_is_planned_can_not_be_forgotten_while_it_is_applied(scene: Scene) -> None:
    await scene.exec.start(planned := work(scene, "one"))
    gate(scene, "one").touch()
    await scene.until_ended("one")
    left = await scene.exec.result("one")
    apply = scene.applying(planned, left.plan, id="two", environment=work(scene, "two").environment)
    await scene.exec.start(apply)
    await at_work(scene, "two")
    with pytest.raises(Conflict, match="being applied by two"):
        await scene.exec.forget("one")
    gate(scene, "two").touch()
    await scene.until_ended("two")
    await scene.exec.forget("one")
    assert not (scene.root / "one").exists()


async def test_twenty_million_bytes_of_output_are_read_and_most_of_them_not_kept(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one", "flood"))
    report = await scene.until_ended("one")
    assert (report.ending, report.problems) == (Ending.FAILED, ("the tool has made no plan",))
    assert (scene.root / "one" / "lines").stat().st_size <= 8 << 20
    assert scene.lines("one").endswith("… more is not kept\n")
    assert sum(place.stat().st_size for place in (scene.root / "one").rglob("*")) < 9 << 20


async def test_a_line_without_end_costs_no_memory(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one", "endless"))
    await at_work(scene, "one")
    gate(scene, "one").touch()
    assert (await scene.until_ended("one")).ending is Ending.SUCCEEDED


async def test_a_tool_that_fails_without_a_word_is_told_by_its_exit_code(scene: Scene) -> None:
    report, _ = await scene.run(work(scene, "one", "mute"))
    assert (report.ending, report.problems) == (Ending.FAILED, ("tofu plan ended with 3, without a word",))


async def test_a_tool_that_takes_more_memory_than_it_is_given_is_asked_to_end(scene: Scene) -> None:
    execution = work(scene, "one", "greedy", task=Task.APPLY, plan=b"x", memory=100 << 20)
    await scene.exec.start(execution)
    report = await scene.until_ended("one")
    assert report.ending is Ending.FAILED
    assert report.problems == ("the tool needs more memory than the 100 MiB that it is given",)
    assert "lets go" in scene.lines("one")


async def test_a_runner_that_can_not_begin_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.exec._starter.close()
    monkeypatch.setattr("sys.executable", "/bin/false")
    await scene.exec.start(work(scene, "one"))
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.LOST, "its runner died before it began")


@pytest.mark.parametrize("id", ["", "..", "a/b", ".hidden", "x" * 200, "a\0b", "ä"])
async def test_an_id_that_is_no_name_of_a_folder_is_refused(scene: Scene, id: str) -> None:
    with pytest.raises(Invalid, match="not the id"):
        await scene.exec.start(work(scene, id))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "", "a\0b", "a\nb"])
async def test_a_bundle_that_leads_out_of_its_folder_is_refused(scene: Scene, path: str) -> None:
    execution = scene.execution({}, folder="")
    with pytest.raises(Invalid, match="no path within a bundle"):
        await scene.exec.start(Execution(**{**_fields(execution), "files": (BundleFile(path, b""),)}))
    assert list(scene.exec.reports()) == []


def _fields(execution: Execution) -> dict[str, Any]:
    return {name: getattr(execution, name) for name in Execution.__dataclass_fields__}


@pytest.mark.parametrize("name", ["TF_CLI_ARGS_plan", "LD_PRELOAD", "TF_LOG", "TF_REATTACH_PROVIDERS", "A=B", ""])
async def test_a_credential_can_not_change_what_is_run(scene: Scene, name: str) -> None:
    with pytest.raises(Invalid):
        await scene.exec.start(scene.execution({"main.tf": ""}, environment=((name, "x"),)))


async def test_a_disk_that_is_full_before_the_beginning_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Folder, *_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "fill", full)
    with pytest.raises(Unavailable, match="No space left"):
        await scene.exec.start(work(scene, "one"))
    assert [place.name for place in scene.root.iterdir() if place.name.startswith(".new")] == []


async def test_a_runner_is_started_all_the_same_where_no_process_is_ready_to_become_one(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one"))
    ready = scene.exec._starter._ready
    assert ready is not None
    os.kill(ready.pid, signal.SIGKILL)
    await scene.exec.start(work(scene, "two"))
    for id in ("one", "two"):
        gate(scene, id).touch()
        assert (await scene.until_ended(id)).ending is Ending.SUCCEEDED


async def test_a_bug_of_a_runner_is_told_with_its_trace(scene: Scene) -> None:
    scene.exec._room = 0
    await scene.exec.start(work(scene, "one"))
    (scene.root / "one" / "secrets.json").write_text("[1]")
    scene.exec._room = 1
    scene.exec._pump()
    report = await scene.until_ended("one")
    assert report.ending is Ending.LOST
    assert "AttributeError" in report.problems[1]


async def test_of_the_operators_variables_only_passwords_are_hidden(tmp_path: Path) -> None:
    proxy = (("HTTPS_PROXY", "http://kedge:hunter2@proxy:3128"), ("NO_PROXY", "localhost"))
    one = Scene(tmp_path / "executions", pretender(tmp_path / "bin"), Tool.OPENTOFU, Supply(room=1, environment=proxy))
    await one.open()
    one.exec._room = 0
    await one.exec.start(work(one, "one", hidden=("hunter3",)))
    secrets = folder(one, "one").take_secrets()
    assert dict(secrets.environment)["NO_PROXY"] == "localhost"
    assert set(secrets.hidden) == {"hunter3", "hunter2", str(gate(one, "one")), ""}
    await one.leave()


async def test_an_apply_that_is_done_when_it_is_asked_to_end_is_done(scene: Scene) -> None:
    await scene.exec.start(work(scene, "one", "slow-outputs", task=Task.APPLY, plan=b"x"))
    gate(scene, "one").touch()
    async with asyncio.timeout(PATIENT):
        while (report := scene.exec.report("one")) is None or report.stage != "outputs":
            await asyncio.sleep(0.02)
    await scene.exec.stop("one", "a person")
    report = await scene.until_ended("one")
    assert (report.ending, report.told) == (Ending.SUCCEEDED, "it was done when it was asked to end")


async def test_a_plan_that_looks_for_drift_makes_way_for_who_is_waited_for(scene: Scene) -> None:
    await scene.exec.start(work(scene, "drift1", drift=True))
    await scene.exec.start(work(scene, "drift2", drift=True))
    waits = scene.exec.report("drift2")
    assert waits is not None
    assert "waits for its turn" in waits.told, "of three places drift has one"
    await at_work(scene, "drift1")
    await scene.exec.start(work(scene, "plan1"))
    await at_work(scene, "plan1")
    await scene.exec.start(work(scene, "plan2"))
    stopped = await scene.until_ended("drift1")
    assert (stopped.ending, stopped.told) == (
        Ending.STOPPED,
        "makes way for what somebody waits for, and is made again",
    )
    await at_work(scene, "plan2")
    for id in ("plan1", "plan2", "drift2"):
        gate(scene, id).touch()
    assert (await scene.until_ended("drift2")).ending is Ending.SUCCEEDED


SECRET = "what the plan and the state hold in clear"


def _with_secrets(scene: Scene, id: str) -> None:
    """As a tool leaves it: the pretender itself makes nothing that is worth hiding."""
    for place in (folder(scene, id).plan, folder(scene, id).shown):
        place.write_text(SECRET)


@pytest.fixture
def sealed(scene: Scene) -> Scene:
    scene.seal = Vault(b"k" * 32, SystemEntropy())
    return scene


async def test_what_a_plan_leaves_rests_encrypted(sealed: Scene) -> None:
    await sealed.leave()
    await sealed.open()
    await sealed.exec.start(work(sealed, "one"))
    gate(sealed, "one").touch()
    await sealed.until_ended("one")
    assert not folder(sealed, "one").plan.exists()
    assert not folder(sealed, "one").shown.exists()
    left = await sealed.exec.result("one")
    assert (left.plan, left.shown) == (b"the plan\n", b'{"shown": true}\n')
    await sealed.leave()
    await sealed.open()
    assert (await sealed.exec.result("one")).plan == b"the plan\n", "also after a restart"


async def test_what_was_left_in_clear_is_encrypted_at_the_next_start(sealed: Scene) -> None:
    """By a controller that was not there at its end, or had no room on its disk."""
    await sealed.exec.start(work(sealed, "one"))
    gate(sealed, "one").touch()
    await sealed.until_ended("one")
    await sealed.leave()
    _with_secrets(sealed, "one")
    await sealed.open()
    assert (await sealed.exec.result("one")).shown == SECRET.encode()
    clear = [path for path in sealed.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert clear == []


async def test_a_plan_is_in_clear_only_while_it_is_applied(sealed: Scene) -> None:
    await sealed.leave()
    await sealed.open()
    planned = work(sealed, "one")
    gate(sealed, "one").touch()
    _, left = await sealed.run(planned)
    apply = sealed.applying(planned, left.plan, id="two", environment=work(sealed, "two").environment)
    await sealed.exec.start(apply)
    await at_work(sealed, "two")
    assert folder(sealed, "two").plan.read_bytes() == left.plan
    gate(sealed, "two").touch()
    await sealed.until_ended("two")
    assert not [path for path in sealed.root.glob("*/plan.bin") if path.exists()]


async def test_a_full_disk_leaves_what_it_can_not_encrypt_as_it_is(
    sealed: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sealed.leave()
    await sealed.open()

    def full(place: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("kedge.executions.folder._write_through", full)
        await sealed.exec.start(work(sealed, "one"))
        gate(sealed, "one").touch()
        await sealed.until_ended("one")
    assert (await sealed.exec.result("one")).plan == b"the plan\n"
    await sealed.leave()
    await sealed.open()
    assert not folder(sealed, "one").plan.exists()
    assert (await sealed.exec.result("one")).plan == b"the plan\n"


async def test_a_state_that_only_a_person_can_bring_home_stays_readable_and_is_not_forgotten(sealed: Scene) -> None:
    """Cut short by a full disk, or meant for a backend that is not ours."""
    await sealed.leave()
    await sealed.open()
    ours = StateAccess("http://127.0.0.1:1/state/shop/db", "one", "token")
    whole, cut = b'{"version": 4}', b'{"version": 4, "resou'
    for id, state, text in (("whole", ours, whole), ("cut", ours, cut), ("theirs", None, whole)):
        await sealed.exec.start(work(sealed, id, "mute", state=state))
        folder(sealed, id).errored.write_bytes(text)
        await sealed.until_ended(id)
        assert (await sealed.exec.result(id)).errored == text
    assert [id for id in ("whole", "cut", "theirs") if folder(sealed, id).errored.exists()] == ["cut", "theirs"]
    await sealed.exec.forget("whole")
    for id in ("cut", "theirs"):
        with pytest.raises(Conflict, match="kept nowhere else"):
            await sealed.exec.forget(id)
        folder(sealed, id).errored.unlink()
        await sealed.exec.forget(id)
