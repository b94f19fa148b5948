"""Executions of the tiny tool (`tiny_iac`) in the loop's own time: they plan, lock, apply, write their state, may be
asked to end or killed anywhere, and go on when the house that began them has crashed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.doors import tiny_iac
from tests.doors.memory_exec import Answer, MemoryExec
from tests.doors.statefiles import lock_info
from tests.doors.tiny_iac import Cloud, Given, Refused, State

from kedge.control.states.backend import StateBackend
from kedge.model.errors import KedgeError, Unavailable
from kedge.model.execution import Ending, Execution, Task, Yield
from kedge.model.state import StateGrant
from kedge.ports import Clock

SENSITIVE = "zzzz_kedge_inputs_override.tf.json"
STALE = "Saved plan is stale"


class Killed(Exception):
    """Its process is gone without a word."""


@dataclass(slots=True)
class Job:
    """One execution at work. `asked` says why it is to end; once `killed`, it comes no further than it is."""

    execution: Execution
    asked: str = ""
    killed: bool = False
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def unit(self) -> str:
        return self.execution.unit

    def ask(self, why: str) -> None:
        self.asked = self.asked or why
        self.stirred.set()

    def kill(self) -> None:
        self.killed = True
        self.stirred.set()

    async def wait(self, seconds: float) -> None:
        """So long, unless somebody asks it to end. Raises Killed."""
        if not self.asked and not self.killed and seconds > 0:
            self.stirred.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.stirred.wait()
        if self.killed:
            raise Killed


class MemoryTool(MemoryExec):
    """`kedge.ports.Exec`. `do(job)` is what an execution does, and answers what comes of it."""

    def __init__(self, clock: Clock, do: Callable[[Job], Awaitable[Answer]], *, version: str = "1.12.6") -> None:
        super().__init__(clock, self._begin, version=version)
        self._do = do
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.jobs: dict[str, Job] = {}
        """Those at work."""

    def _begin(self, execution: Execution) -> None:
        job = self.jobs[execution.id] = Job(execution)
        self._tasks[execution.id] = asyncio.get_running_loop().create_task(self._work(job), name=execution.id)

    async def _work(self, job: Job) -> None:
        id = job.execution.id
        try:
            answer = await self._do(job)
        except Killed:
            answer = Answer(Ending.LOST, problems=("its runner was killed",))
        del self.jobs[id], self._tasks[id]
        self.end(id, answer)

    async def stop(self, id: str, why: str) -> None:
        """Ask it: it ends when it has put its things away."""
        if id in self.jobs:
            self.jobs[id].ask(why)


class Hands(Protocol):
    """What may happen to an execution on its way, and who hears of it."""

    async def go_on(self, job: Job, what: str) -> None:
        """It comes to a point. May take its time; raises Killed, Refused."""

    async def call(self, job: Job, what: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask the state backend. Raises Unavailable when it does not answer for long, and what it answers."""

    def made(self, job: Job, shown: dict[str, Any], state: State) -> None:
        """A plan has seen the world."""

    def applies(self, job: Job, saved: dict[str, Any], state: State) -> None:
        """An apply holds the lock, and begins to change things."""

    def snaps(self, job: Job) -> bool:
        """Whether it writes its state in the middle."""


@dataclass(slots=True)
class Runner:
    """The tool: `work` is one execution from its first look to its report."""

    backend: StateBackend
    cloud: Cloud
    hands: Hands
    lineages: int = 0

    async def work(self, job: Job) -> Answer:
        timer = asyncio.get_running_loop().call_later(job.execution.timeout, job.ask, "timed out")
        try:
            await self.hands.go_on(job, "begin")
            if job.execution.task is Task.APPLY:
                return await self._apply(job)
            return await self._plan(job)
        except Refused as error:
            return Answer(Ending.FAILED, problems=(str(error),))
        except KedgeError as error:
            return Answer(Ending.FAILED, problems=(f"the state backend: {error}",))
        finally:
            timer.cancel()

    async def _plan(self, job: Job) -> Answer:
        given, destroy = given_of(job.execution), job.execution.task is Task.DESTROY
        state = await self._read(job)
        shown = tiny_iac.planned(given, state, self.cloud, destroy=destroy)
        self.hands.made(job, shown, state)
        await self.hands.go_on(job, "planned")
        if job.asked:
            return Answer(Ending.STOPPED, problems=(job.asked,))
        saved = {
            "id": job.execution.id,
            "serial": state.serial,
            "lineage": state.lineage,
            "destroy": destroy,
            "variables": dict(given.variables),
            "secret": sorted(given.secret),
            "shown": shown,
        }
        told = json.dumps(shown, sort_keys=True).encode()
        return Answer(left=Yield(plan=json.dumps(saved, sort_keys=True).encode(), shown=told))

    async def _apply(self, job: Job) -> Answer:
        saved = json.loads(job.execution.plan)
        lock = f"lock-of-{job.execution.id}"
        await self._ask(job, "lock", lambda grant: self.backend.lock(grant, lock_info(lock)))
        state = await self._read(job)
        if (state.serial, state.lineage) != (saved["serial"], saved["lineage"]):
            await self._ask(job, "unlock", lambda grant: self.backend.unlock(grant, lock_info(lock)))
            return Answer(Ending.FAILED, problems=(STALE,))
        self.hands.applies(job, saved, state)
        trouble = await self._changes(job, saved, state, lock)
        problems = tuple(text for text in (trouble, job.asked) if text)
        ending = Ending.FAILED if trouble else Ending.STOPPED if job.asked else Ending.SUCCEEDED
        try:
            await self._write(job, state, lock)
        except KedgeError as error:
            return Answer(Ending.FAILED, Yield(errored=state.text()), (*problems, f"the state backend: {error}"))
        await self.hands.go_on(job, "written")
        await self._ask(job, "unlock", lambda grant: self.backend.unlock(grant, lock_info(lock)))
        await self.hands.go_on(job, "unlocked")
        return Answer(ending, problems=problems)

    async def _changes(self, job: Job, saved: dict[str, Any], state: State, lock: str) -> str:
        """Make them one after the other, until one is refused or somebody asks to end: why, "" where all are made."""
        given = Given(given_of(job.execution).code, saved["variables"], saved["secret"])
        who = (job.unit, job.execution.id)
        for entry in tiny_iac.turns(saved["shown"]):
            try:
                await self.hands.go_on(job, f"before {entry['address']}")
                if job.asked:
                    return ""
                tiny_iac.carry_out(entry, given, state, self.cloud, who)
                await self.hands.go_on(job, f"after {entry['address']}")
            except Refused as error:
                return f"{entry['address']}: {error}"
            if self.hands.snaps(job):
                with contextlib.suppress(KedgeError):  # it is tried again at the end
                    await self._write(job, state, lock)
        tiny_iac.concluded(given, saved["shown"], state, destroy=saved["destroy"])
        return ""

    async def _read(self, job: Job) -> State:
        return tiny_iac.state_of(await self._ask(job, "read", lambda grant: self.backend.read(grant.unit)))

    async def _write(self, job: Job, state: State, lock: str) -> None:
        if not state.lineage:
            self.lineages += 1
            state.lineage = f"lineage-{self.lineages}"
        state.serial += 1
        await self._ask(job, "write", lambda grant: self.backend.write(grant, lock, state.text()))

    async def _ask(self, job: Job, what: str, ask: Callable[[StateGrant], Awaitable[Any]]) -> Any:
        access = job.execution.state
        if access is None:
            raise Unavailable("there is no backend")

        async def asked() -> Any:
            grant = await self.backend.admitted(job.unit, job.execution.id, access.token)
            if grant is None:
                raise Refused(f"HTTP 401: may not {what} the state")
            return await ask(grant)

        return await self.hands.call(job, what, asked)


def given_of(execution: Execution) -> Given:
    """Raises Refused for code that can not be read."""
    files = {file.path.removeprefix(execution.folder).lstrip("/"): file.content for file in execution.files}
    try:
        code = tiny_iac.code_of(files[tiny_iac.MAIN])
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("the code can not be read") from error
    marked = json.loads(files[SENSITIVE])["variable"] if SENSITIVE in files else {}
    return Given(code, json.loads(execution.variables), tuple(marked))
