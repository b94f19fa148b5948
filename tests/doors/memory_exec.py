"""Executions in memory: each works until it is answered, at once or after a while of the loop's own time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.execution import Ending, Execution, Report, Task, Yield
from kedge.model.version import parse, read
from kedge.ports import Clock


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of an execution, after `seconds`."""

    ending: Ending = Ending.SUCCEEDED
    left: Yield = Yield(plan=b"plan", shown=b"{}")
    problems: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(slots=True)
class _Kept:
    execution: Execution
    report: Report
    left: Yield = Yield()
    lines: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryExec:
    """`kedge.ports.Exec`. `answer(execution)` says what comes of one; where it answers None, the execution works until
    `end` is called. Outlives the house: `house_is_gone` takes the rings of one that crashed."""

    def __init__(
        self,
        clock: Clock,
        answer: Callable[[Execution], Answer | None] = lambda _: Answer(),
        *,
        version: str = "1.12.6",
    ) -> None:
        self._clock, self._answer, self._version = clock, answer, version
        self._kept: dict[str, _Kept] = {}
        self._rings: list[Callable[[str, str], None]] = []
        self.looks = 8
        self.begun: list[Execution] = []
        """Every execution that was started, in order."""

    def house_is_gone(self) -> None:
        self._rings.clear()

    async def start(self, execution: Execution) -> None:
        if execution.id in self._kept:
            return
        version = read(self._version)
        if version is None or not parse(execution.version or "*", tool=True).admits(version):
            raise Invalid(
                f"{execution.tool} {execution.version} is wanted, and only {self._version} is here", hint="install it"
            )
        report = Report(execution.id, execution.unit, execution.task, self._clock.now(), execution.task.value)
        self._kept[execution.id] = _Kept(execution, replace(report, version=self._version))
        self.begun.append(execution)
        answer = self._answer(execution)
        if answer is not None:
            asyncio.get_running_loop().call_later(answer.seconds, self.end, execution.id, answer)

    def say(self, id: str, line: str) -> None:
        self._kept[id].lines.append(line)

    def end(self, id: str, answer: Answer = Answer()) -> None:
        """It ends now, unless it has, or nobody knows of it any more."""
        kept = self._kept.get(id)
        if kept is None or kept.report.ending is not None:
            return
        kept.lines += answer.lines
        kept.left = answer.left if answer.ending is Ending.SUCCEEDED else Yield(errored=answer.left.errored)
        if kept.report.task is Task.APPLY:
            kept.left = replace(kept.left, plan=b"", shown=b"")
        kept.report = replace(
            kept.report, ending=answer.ending, finished=self._clock.now(), problems=answer.problems, told=""
        )
        kept.over.set()
        for ring in self._rings:
            ring(kept.report.unit, id)

    def report(self, id: str) -> Report | None:
        kept = self._kept.get(id)
        return kept.report if kept is not None else None

    def reports(self) -> Sequence[Report]:
        return sorted((kept.report for kept in self._kept.values()), key=lambda report: (report.started, report.id))

    async def result(self, id: str) -> Yield:
        kept = self._kept.get(id)
        if kept is None or kept.report.ending is None:
            why = "is not kept any more" if kept is None else "is still at work"
            raise Unavailable(f"execution {id} {why}")
        return kept.left

    async def stop(self, id: str, why: str) -> None:
        if id in self._kept:
            self.end(id, Answer(Ending.STOPPED))

    async def forget(self, id: str) -> None:
        kept = self._kept.get(id)
        if kept is not None and kept.report.ending is None:
            raise Conflict(f"execution {id} is still at work", hint="stop it first")
        self._kept.pop(id, None)

    async def follow(self, id: str) -> AsyncIterator[str]:
        kept = self._kept.get(id)
        if kept is None:
            return
        await kept.over.wait()
        for line in kept.lines:
            yield line

    def subscribe(self, ring: Callable[[str, str], None]) -> None:
        self._rings.append(ring)
