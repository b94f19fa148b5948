"""Executions as processes of this machine: `kedge.ports.Exec`.

Everything is in the folders; what is in memory here can be found again by `adopt`. A runner that is gone has written
its last report before, or was killed: then its tool is waited for (it goes on alone), and the execution is lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from kedge import detached
from kedge.detached import Birth
from kedge.executions import admission, command, layout
from kedge.executions.admission import Job
from kedge.executions.folder import PATIENCE, Folder, Request, ended, open_report, read_bytes
from kedge.executions.kept import Kept
from kedge.executions.starter import Starter
from kedge.executions.stream import Mask
from kedge.executions.tools import Tools
from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.execution import Ending, Execution, Report, Task
from kedge.ports import Clock, Entropy, Seal

_POLL = 0.5
"""Seconds between two looks at processes whose end nobody tells of, and at lines that somebody follows."""
_TRIES = 2
"""How often a runner is started that dies before it is one."""
_LOG = 2_000
_AS_BEFORE = "start Kedge with its KEDGE_JOBS settings until it has"
_CONFIG = ".tool-config"
_CACHE = ".plugins"


@dataclass(frozen=True, slots=True)
class Supply:
    """What the operator gives to every execution: a folder that mirrors providers, one that caches them, or a
    configuration file of their own in place of both; and variables such as those of a proxy. `room` is how many work at
    once, 0 for what the machine's memory allows; `patience` in seconds as `folder.PATIENCE`."""

    mirror: str = ""
    cache: str = ""
    cli_config: str = ""
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    room: int = 0
    patience: float = PATIENCE


@dataclass(slots=True)
class _Open:
    """One that has not ended: `watching` is the process whose end is waited for, `fd` what tells of it."""

    request: Request
    watching: Birth | None = None
    fd: int | None = None
    tries: int = 0
    yields: bool = False

    @property
    def waiting(self) -> bool:
        return self.watching is None

    @property
    def job(self) -> Job:
        request = self.request
        return Job(request.id, request.task, request.began, request.drift, self.yields)


class LocalExec(Kept[_Open]):
    """`kedge.ports.Exec`. Call `adopt` once, within the event loop, before anything else. What executions leave is kept
    encrypted with `seal`, without one in clear."""

    def __init__(
        self,
        root: Path,
        tools: Tools,
        clock: Clock,
        entropy: Entropy,
        supply: Supply = Supply(),
        seal: Seal | None = None,
    ) -> None:
        super().__init__(root, clock, seal)
        self._tools, self._entropy, self._supply = tools, entropy, supply
        self._room = supply.room or admission.width(machine_memory(), os.cpu_count() or 1)
        self._closed = False
        self._starter = Starter()

    async def adopt(self) -> None:
        """Find everything again that was begun before: what has ended meanwhile, what still works (and is watched from
        now on), what waits. Rings for what is found lost. Raises Invalid for one that has not ended as a Job."""
        folders = list(self._places())
        self._configure()
        self._starter.warm_up()
        for folder in folders:
            self._adopt(folder)
        self._pump()

    def _adopt(self, folder: Folder) -> None:
        request, report = folder.request(), folder.report()
        if self._has_ended(folder, report):
            return
        if request is None:
            if report is not None:
                raise Invalid(f"run {report.id} of {report.unit} is a Job that has not ended", hint=_AS_BEFORE)
            return
        self._open[request.id] = _Open(request)
        self._look(request.id)

    def _configure(self) -> None:
        """The tools' configuration file, and the cache behind it."""
        if self._supply.cli_config:
            return
        if self._cache():
            Path(self._cache()).mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._root / f".new-{self._entropy.token(8)}"
        draft.write_text(command.cli_config(self._supply.mirror, self._cache()))
        draft.replace(self._root / _CONFIG)

    def _cache(self) -> str:
        if self._supply.cli_config or self._supply.mirror:
            return self._supply.cache
        return self._supply.cache or str(self._root / _CACHE)

    @property
    def looks(self) -> int:
        return admission.drifting(self._room)

    async def start(self, execution: Execution) -> None:
        folder = self._folder(execution.id)
        layout.checked((file.path for file in execution.files), execution.folder)
        command.refuse_environment(execution.environment)
        if not folder.path.exists():
            request = await self._request(execution)
            supplied = self._supply.environment
            folder.begin(self._entropy.token(8), lambda draft: draft.fill(request, execution, supplied))
        if execution.id not in self._open and execution.id not in self._ended:
            self._adopt(folder)
            self._pump()

    async def _request(self, wanted: Execution) -> Request:
        planned = self._planned(wanted)
        if planned is not None and os.access(planned.program, os.X_OK):
            program, version = planned.program, planned.version
        else:
            found = await self._tools.find(wanted.tool, wanted.version)
            program, version = found.path, str(found.version)
        state = wanted.state
        return Request(
            id=wanted.id,
            unit=wanted.unit,
            task=wanted.task,
            tool=wanted.tool,
            program=program,
            version=version,
            folder=wanted.folder,
            files=tuple((file.path, len(file.content), file.executable) for file in wanted.files),
            variable_files=wanted.variable_files,
            address=state.address if state is not None else "",
            user=state.user if state is not None else "",
            plan=hashlib.sha256(wanted.plan).hexdigest() if wanted.task is Task.APPLY else "",
            place=str(self._folder(wanted.planned).path) if planned is not None else "",
            began=self._clock.now(),
            timeout=wanted.timeout,
            memory=wanted.memory,
            patience=self._supply.patience,
            cli_config=self._supply.cli_config or str(self._root / _CONFIG),
            cache=self._cache(),
            drift=wanted.drift,
            backend=wanted.backend,
            workspace=wanted.workspace,
        )

    def _planned(self, wanted: Execution) -> Request | None:
        """The request of the execution that planned what is to be applied, where its folder is at hand."""
        before = self._ended.get(wanted.planned)
        if wanted.task is not Task.APPLY or before is None or before.ending is not Ending.SUCCEEDED:
            return None
        folder = self._folder(wanted.planned)
        request = folder.request() if folder.initialized.exists() else None
        return request if request is not None and request.unit == wanted.unit else None

    def _pump(self) -> None:
        """Begin what may begin."""
        if self._closed:
            return
        working = [one.job for one in self._open.values() if not one.waiting]
        waiting = self._queue()
        for id in admission.yielding(waiting, working, self._room):
            self._open[id].yields = True
            self._end_early(id, admission.MAKES_WAY)
        for id in admission.admitted(waiting, working, self._room):
            self._launch(id)

    def _queue(self) -> list[Job]:
        return [one.job for one in self._open.values() if one.waiting]

    def _launch(self, id: str) -> None:
        one, folder = self._open[id], self._folder(id)
        one.tries += 1
        try:
            pid = self._starter.start(folder)
        except Unavailable as error:
            self._conclude(id, Ending.FAILED, str(error))
            return
        self._watch(id, detached.born(pid) or Birth(pid, 0, ""))  # one that died at once is told as every other

    def _watch(self, id: str, birth: Birth) -> None:
        loop, one = asyncio.get_running_loop(), self._open[id]
        self._unwatch(one)
        one.watching, one.fd = birth, detached.watched(birth)
        if one.fd is not None:
            loop.add_reader(one.fd, self._gone, id, birth)
        elif detached.can_watch():
            loop.call_soon(self._gone, id, birth)
        else:
            loop.call_later(_POLL, self._poll, id, birth)

    def _poll(self, id: str, birth: Birth) -> None:
        if self._closed or id not in self._open:
            return
        detached.bury(birth.pid)
        if detached.alive(birth):
            asyncio.get_running_loop().call_later(_POLL, self._poll, id, birth)
        else:
            self._gone(id, birth)

    def _gone(self, id: str, birth: Birth) -> None:
        """A process that was watched has ended."""
        one = self._open.get(id)
        if one is None or one.watching != birth or self._closed:
            return
        self._unwatch(one)
        detached.bury(birth.pid)
        self._look(id)
        self._pump()

    def _unwatch(self, one: _Open) -> None:
        if one.fd is not None:
            asyncio.get_running_loop().remove_reader(one.fd)
            os.close(one.fd)
        one.watching, one.fd = None, None

    def _look(self, id: str) -> None:
        """What the folder tells of one that has not ended, and whom to wait for."""
        one, folder = self._open[id], self._folder(id)
        report = folder.report()
        if report is not None and report.ending is not None:
            self._end(id, report)
            return
        runner, tool = folder.runner(), folder.tool()
        for birth in (runner, tool):
            if birth is not None and detached.alive(birth):
                self._watch(id, birth)
                return
        if runner is not None:
            if tool is not None:
                for stray in detached.strays(runner.pid, tool.pid):
                    detached.end_one(stray)
            self._conclude(id, Ending.LOST, "its runner was killed, or the machine went down")
        elif one.tries >= _TRIES:
            self._conclude(id, Ending.LOST, "its runner died before it began")

    def _conclude(self, id: str, ending: Ending, why: str) -> None:
        """The last report of one that can not write it itself."""
        one, folder = self._open[id], self._folder(id)
        report = folder.report() or open_report(one.request)
        said = Mask(())(read_bytes(folder.log)[-_LOG:].decode("utf-8", "replace"))
        problems = (why, " ".join(said.split())) if said.strip() else (why,)
        last = ended(report, ending, self._clock.now(), told=why, problems=problems)
        folder.tidy()
        folder.bring_errored_home(one.request)
        folder.write_report(last)
        self._end(id, last)

    def report(self, id: str) -> Report | None:
        if id in self._ended:
            return self._ended[id]
        one = self._open.get(id)
        if one is None:
            return None
        return self._waits(id, one) if one.waiting else self._works(id, one)

    def _waits(self, id: str, one: _Open) -> Report:
        order = sorted(self._queue(), key=lambda other: other.order)
        place = [other.id for other in order].index(id) + 1
        told = admission.told(place, self._room)
        return open_report(one.request, told)

    def _works(self, id: str, one: _Open) -> Report:
        report = self._folder(id).report() or open_report(one.request)
        if one.watching == self._folder(id).tool():
            return open_report(one.request, "its runner was killed; its tool still works")
        # Its last word is written before it is gone, and `result` has nothing until then.
        return replace(report, ending=None, finished=None)

    async def stop(self, id: str, why: str) -> None:
        one = self._open.get(id)
        if one is None:
            return
        if one.waiting:
            self._conclude(id, Ending.STOPPED, why)
            self._pump()
            return
        self._end_early(id, why)

    def _end_early(self, id: str, why: str) -> None:
        folder = self._folder(id)
        folder.ask_to_stop(why)
        runner, tool = folder.runner(), folder.tool()
        if runner is not None and not detached.terminate(runner) and tool is not None:
            detached.interrupt(tool)

    async def forget(self, id: str) -> None:
        place = str(self._folder(id).path)
        user = next((one.request.id for one in self._open.values() if one.request.place == place), "")
        if user:
            raise Conflict(f"what execution {id} planned is being applied by {user}")
        await super().forget(id)

    async def close(self) -> None:
        """Watch nothing any more. Executions go on."""
        self._closed = True
        self._starter.close()
        for one in self._open.values():
            self._unwatch(one)


def machine_memory() -> int:
    """Bytes of memory for this process and those it starts: the machine's, or its control group's."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = read_bytes(Path("/sys/fs/cgroup/memory.max")).strip()
    return min(whole, int(limit)) if limit.isdigit() else whole
