"""What every `kedge.ports.Exec` does alike: processes and Jobs, with a program that pretends to be a tool; twins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.doors.memory_exec import Answer, MemoryExec
from tests.doors.memory_tool import Job, MemoryTool
from tests.executions.jobscene import runs, standing  # noqa: F401  (a fixture is found by name)
from tests.executions.pretender import pretender
from tests.parts.fixtures import control_plane  # noqa: F401

from kedge.clock import SystemClock, SystemEntropy
from kedge.executions.local import LocalExec, Supply
from kedge.executions.tools import Tools
from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.execution import BundleFile, Ending, Execution, Report, Task, Tool
from kedge.ports import Exec


@dataclass
class Subject:
    exec: Exec
    finish: Callable[[str], None]
    gates: Path
    rung: list[tuple[str, str]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def ring(self, unit: str, id: str) -> None:
        self.rung.append((unit, id))
        self.news.set()

    def execution(self, id: str, version: str = "") -> Execution:
        gate = ("GATE", str(self.gates / id))
        files = (BundleFile("main.tf", b""),)
        return Execution(id, "shop/db", Task.PLAN, Tool.OPENTOFU, version, "", files, environment=(gate,))

    async def ended(self, id: str) -> Report:
        async with asyncio.timeout(30):
            while (report := self.exec.report(id)) is None or report.ending is None:
                self.news.clear()
                await self.news.wait()
        return report


async def _until_it_is_let(job: Job) -> Answer:
    """What the twin that works by itself does here: it waits, as the pretended tool does."""
    await job.wait(30)
    return Answer() if job.asked == _LET else Answer(Ending.STOPPED)


_LET = "it may end"


@pytest.fixture(params=["local", "memory", "tool", pytest.param("jobs", marks=pytest.mark.e2e)])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    if request.param == "jobs":
        async with standing(request.getfixturevalue("runs"), tmp_path, pretender(tmp_path / "bin")) as scene:
            jobs = Subject(scene.exec, lambda id: (tmp_path / id).touch(), tmp_path)
            scene.exec.subscribe(jobs.ring)
            yield jobs
        return
    if request.param == "memory":
        twin = MemoryExec(SystemClock(), lambda _: None)
        one = Subject(twin, twin.end, tmp_path)
        twin.subscribe(one.ring)
        yield one
        return
    if request.param == "tool":
        tool = MemoryTool(SystemClock(), _until_it_is_let)
        one = Subject(tool, lambda id: tool.jobs[id].ask(_LET), tmp_path)
        tool.subscribe(one.ring)
        yield one
        for job in list(tool.jobs.values()):
            job.ask("the test is over")
            await one.ended(job.execution.id)
        return
    program = pretender(tmp_path / "bin")
    tools = Tools("", [program.parent])
    local = LocalExec(tmp_path / "executions", tools, SystemClock(), SystemEntropy(), Supply(patience=5))
    one = Subject(local, lambda id: (tmp_path / id).touch(), tmp_path)
    local.subscribe(one.ring)
    await local.adopt()
    yield one
    for report in local.reports():
        (tmp_path / report.id).touch()
        await one.ended(report.id)
    await local.close()


async def test_one_works_until_it_ends_and_leaves_what_it_made(subject: Subject) -> None:
    await subject.exec.start(subject.execution("one"))
    report = subject.exec.report("one")
    assert report is not None
    assert (report.unit, report.task, report.ending, report.finished) == ("shop/db", Task.PLAN, None, None)
    with pytest.raises(Unavailable, match="still at work"):
        await subject.exec.result("one")
    subject.finish("one")
    report = await subject.ended("one")
    assert (report.ending, report.version) == (Ending.SUCCEEDED, "1.12.6")
    assert report.finished is not None
    assert report.finished >= report.started
    left = await subject.exec.result("one")
    assert left.plan
    assert left.shown
    assert subject.rung == [("shop/db", "one")]


async def test_one_that_was_begun_is_not_begun_again(subject: Subject) -> None:
    await asyncio.gather(*(subject.exec.start(subject.execution("one")) for _ in range(3)))
    subject.finish("one")
    first = await subject.ended("one")
    await subject.exec.start(subject.execution("one"))
    assert subject.exec.report("one") == first
    assert subject.rung == [("shop/db", "one")]


async def test_nothing_is_known_of_one_that_never_was(subject: Subject) -> None:
    assert subject.exec.report("none") is None
    assert list(subject.exec.reports()) == []
    await subject.exec.stop("none", "nobody wants it")
    await subject.exec.forget("none")
    assert [line async for line in subject.exec.follow("none")] == []
    with pytest.raises(Unavailable, match="not kept"):
        await subject.exec.result("none")


async def test_one_that_is_stopped_ends_in_order(subject: Subject) -> None:
    await subject.exec.start(subject.execution("one"))
    await subject.exec.stop("one", "a newer commit")
    assert (await subject.ended("one")).ending is Ending.STOPPED
    assert (await subject.exec.result("one")).plan == b""


async def test_one_that_ended_can_be_forgotten_and_one_at_work_can_not(subject: Subject) -> None:
    await subject.exec.start(subject.execution("one"))
    with pytest.raises(Conflict, match="still at work"):
        await subject.exec.forget("one")
    subject.finish("one")
    await subject.ended("one")
    await subject.exec.forget("one")
    assert subject.exec.report("one") is None
    assert list(subject.exec.reports()) == []


async def test_a_version_that_is_not_here_is_named_with_what_is(subject: Subject) -> None:
    """At once, or by a report where the tools are elsewhere."""
    try:
        await subject.exec.start(subject.execution("one", version="2.x"))
    except Invalid as error:
        told = str(error)
        assert subject.exec.report("one") is None
    else:
        report = await subject.ended("one")
        assert report.ending is Ending.FAILED
        told = report.told
    assert "2.x is wanted, and only 1.12.6" in told


async def test_the_oldest_is_told_first(subject: Subject) -> None:
    for id in ("b", "a", "c"):
        await subject.exec.start(subject.execution(id))
    assert [report.id for report in subject.exec.reports()] == ["b", "a", "c"]


async def test_whoever_follows_is_done_when_it_ends(subject: Subject) -> None:
    await subject.exec.start(subject.execution("one"))
    subject.finish("one")
    async with asyncio.timeout(30):
        lines = [line async for line in subject.exec.follow("one")]
    assert (await subject.ended("one")).ending is Ending.SUCCEEDED
    assert all("\n" not in line for line in lines)
