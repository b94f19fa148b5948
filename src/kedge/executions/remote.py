"""Executions as Jobs of a cluster: `kedge.ports.Exec`, and `kedge.ports.Errands` for their pods.

Everything is in the folders (`folder.py`), and in the cluster; what is in memory here can be found again by `adopt`. A
pod asks for what is to be done, tells how far it is and brings home what it leaves; the cluster is looked at only to
see whether a pod can begin, and whether it is gone.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import msgspec

from kedge.executions import admission, command, job, layout
from kedge.executions.cluster import Jobs, Seen
from kedge.executions.folder import Folder, ended, read_bytes, valid_id
from kedge.executions.job import Facts, Place, judge
from kedge.executions.kept import Kept
from kedge.executions.stream import Mask
from kedge.model.errors import Conflict, Invalid, KedgeError, Unavailable
from kedge.model.execution import Ending, Execution, Report, Task, Word
from kedge.model.installation import Installation
from kedge.ports import Clock, Entropy, Seal
from kedge.spawn import Spawner

LOOK = 5.0
"""Seconds between two looks at the cluster, while there is something to look for."""
MOST_LINES = 9 << 20
"""Bytes of lines that are kept; a runner sends no more than eight million."""
_MOST_PROBLEMS = 50
_LONGEST = 4_000
_AS_BEFORE = "start Kedge as it was started then until it has"
_plain = Mask(())


@dataclass(frozen=True, slots=True)
class Means:
    """What Jobs are begun with. `reach` opens the cluster. `look` in seconds as `LOOK`."""

    reach: Callable[[], Awaitable[Jobs]]
    installation: Installation
    clock: Clock
    entropy: Entropy
    spawner: Spawner
    seal: Seal | None = None
    look: float = LOOK


@dataclass(slots=True)
class _Going:
    """One that has not ended: `launched` is when (epoch seconds) its Job was made, None while it waits for its turn."""

    report: Report
    launched: float | None = None
    drift: bool = False
    yields: bool = False
    told: str = ""

    @property
    def job(self) -> admission.Job:
        return admission.Job(self.report.id, self.report.task, self.report.started, self.drift, self.yields)


@dataclass(slots=True)
class _Line:
    """The connection to the cluster, and what is wrong with it."""

    jobs: Jobs | None = None
    trouble: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)


class JobExec(Kept[_Going]):
    """Call `adopt` once, within the event loop, before anything else."""

    def __init__(self, root: Path, place: Place, means: Means) -> None:
        super().__init__(root, means.clock, means.seal)
        self._place, self._means = place, means
        self._line = _Line()
        self._key = sha256(b"kedge execution token\0" + means.installation.effects_key).digest()

    async def adopt(self) -> None:
        """Find everything again that was begun before. Raises Invalid for one that has not ended as a process, or as a
        Job elsewhere."""
        for folder in self._places():
            self._adopt(folder)
        self._means.spawner.start(self._tend(), "jobs of executions")

    def _adopt(self, folder: Folder) -> None:
        report = folder.report()
        if self._has_ended(folder, report):
            return
        if folder.request() is not None:
            raise Invalid(f"run {folder.path.name} is a process that has not ended", hint=_AS_BEFORE)
        if report is None:
            return
        made = json.loads(read_bytes(folder.path / "job.json") or b"{}")
        if made and made["place"] != self._where:
            raise Invalid(f"run {report.id} is a Job in {made['place']} that has not ended", hint=_AS_BEFORE)
        self._open[report.id] = _Going(report, made.get("at"), (folder.path / "drift").exists())

    @property
    def _where(self) -> str:
        return f"namespace {self._place.namespace} of cluster {self._place.cluster}"

    @property
    def looks(self) -> int:
        return admission.drifting(self._place.room)

    async def start(self, execution: Execution) -> None:
        folder = self._folder(execution.id)
        layout.checked((file.path for file in execution.files), execution.folder)
        command.refuse_environment(execution.environment)
        if execution.id in self._open or execution.id in self._ended:
            return
        report = Report(execution.id, execution.unit, execution.task, self._clock.now())
        sent = msgspec.json.encode(self._pinned(execution))
        folder.begin(self._means.entropy.token(8), lambda draft: draft.entrust(sent, report, execution))
        self._adopt(folder)
        self._line.news.set()

    def _pinned(self, wanted: Execution) -> Execution:
        """A plan is applied by the version of the tool that made it."""
        planned = self._ended.get(wanted.planned)
        exact = planned is not None and wanted.task is Task.APPLY and planned.version
        return replace(wanted, version=f"={exact}") if exact else wanted

    async def _tend(self) -> None:
        while True:
            self._line.news.clear()
            if self._open:
                await self._turn()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._means.look if self._open else None):
                    await self._line.news.wait()

    async def _turn(self) -> None:
        """Look at the cluster, and do what is to be done. While it does not answer, nothing is judged."""
        line = self._line
        try:
            if line.jobs is None:
                line.jobs = await self._means.reach()
            before = {id: (one.launched, self._claimed(id)) for id, one in self._open.items()}
            seen = await line.jobs.seen()
            for id, (launched, claimed) in before.items():
                if launched is not None:
                    await self._look(line.jobs, id, self._facts(id, launched, claimed, seen))
            await self._pump(line.jobs)
            line.trouble = ""
        except (KedgeError, OSError) as error:
            said = error.problems[0].text if isinstance(error, KedgeError) else str(error.strerror)
            line.trouble = f"cluster {self._place.cluster}: {said}"
            jobs, line.jobs = line.jobs, None
            if jobs is not None:
                await jobs.close()

    def _facts(self, id: str, launched: float, claimed: bool, seen: Seen) -> Facts:
        folder, name = self._folder(id), self._name(id)
        return Facts(
            job=seen.jobs.get(name),
            pods=seen.pods.get(name, ()),
            claimed=claimed,
            since=self._clock.now() - launched,
            stop=folder.asked_to_stop() or "",
            late=read_bytes(folder.path / "late").decode("utf-8", "replace"),
        )

    async def _look(self, jobs: Jobs, id: str, facts: Facts) -> None:
        one, found = self._open.get(id), judge(facts)
        if one is None or facts.claimed != self._claimed(id):
            return  # a pod has spoken since the cluster was looked at
        one.told = found.told
        if found.late:
            self._folder(id).note("late", found.late.encode())
        if found.delete:
            await jobs.delete(self._name(id))
        if found.ending is not None:
            self._conclude(id, found.ending, found.told)

    async def _pump(self, jobs: Jobs) -> None:
        """Begin what may begin; end what nobody wants any more before it has a Job."""
        for id in [one.id for one in self._queue()]:
            why = self._folder(id).asked_to_stop()
            if why is not None and self._open[id].launched is None:
                await jobs.delete(self._name(id))  # it may have come as far as that
                self._conclude(id, Ending.STOPPED, why)
        working, waiting = [one.job for one in self._open.values() if one.launched is not None], self._queue()
        for id in admission.yielding(waiting, working, self._place.room):
            self._open[id].yields = True
            await self.stop(id, admission.MAKES_WAY)
        for id in admission.admitted(waiting, working, self._place.room):
            await self._launch(jobs, id)

    def _queue(self) -> list[admission.Job]:
        return [one.job for one in self._open.values() if one.launched is None]

    async def _launch(self, jobs: Jobs, id: str) -> None:
        folder, one = self._folder(id), self._open.get(id)
        if one is None or one.launched is not None:
            return
        execution = msgspec.json.decode(read_bytes(folder.path / "input.json"), type=Execution)
        try:
            await jobs.launch(execution, self.token(id))
        except (Invalid, Conflict) as error:
            if isinstance(error, Invalid):
                await jobs.delete(self._name(id))  # its Secret may be what is refused
            self._conclude(id, Ending.FAILED, error.problems[0].text)
            return
        if self._open.get(id) is one:
            self._note_launched(id)

    def _note_launched(self, id: str) -> None:
        now = self._clock.now()
        self._folder(id).note("job.json", json.dumps({"place": self._where, "at": now}).encode())
        self._open[id].launched = now

    def _conclude(self, id: str, ending: Ending, why: str) -> None:
        """The last report of one that tells none itself."""
        self._close(id, ended(self._open[id].report, ending, self._clock.now(), told=why, problems=(why,)))

    def _close(self, id: str, report: Report) -> None:
        folder = self._folder(id)
        folder.tidy()
        folder.write_report(report)
        self._end(id, report)
        self._line.news.set()

    def report(self, id: str) -> Report | None:
        if id in self._ended:
            return self._ended[id]
        one = self._open.get(id)
        if one is None:
            return None
        if self._claimed(id):
            return one.report
        if one.launched is None and not self._line.trouble:
            order = sorted(self._queue(), key=lambda other: other.order)
            place = [other.id for other in order].index(id) + 1
            return replace(one.report, told=admission.told(place, self._place.room))
        return replace(one.report, told=self._line.trouble or one.told)

    async def follow(self, id: str) -> AsyncIterator[str]:
        async for line in super().follow(id):
            yield _plain(line)

    async def stop(self, id: str, why: str) -> None:
        if id in self._open:
            self._folder(id).ask_to_stop(why)
            self._line.news.set()

    def token(self, id: str) -> str:
        """The same again for the same execution, also after a restart, and stored nowhere but in its Secret."""
        return hmac.new(self._key, f"{self._means.installation.id}\0{id}".encode(), sha256).hexdigest()

    def admitted(self, id: str, token: str) -> bool:
        right = hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self.token(id).encode())
        return right and (id in self._open or id in self._ended)

    async def claim(self, id: str, runner: str) -> bytes:
        folder = self._wanted(id)
        place = folder.path / "claim"
        if not place.exists():
            if folder.asked_to_stop() is not None or (folder.path / "late").exists():
                raise Conflict(f"nobody wants execution {id} any more")
            if self._open[id].launched is None:
                self._note_launched(id)  # its pod is quicker than the cluster's answer, or we died before that
            folder.note("claim", runner.encode())
        given = read_bytes(folder.path / "input.json")
        if read_bytes(place) != runner.encode() or not given:
            raise Conflict(f"another pod runs execution {id}")
        return given

    async def hear(self, id: str, word: Word) -> None:
        folder = self._wanted(id)
        report = self._believed(id, word.report)
        if report.ending is not None and word.left is None:
            raise Invalid(f"the last word of execution {id} says nothing of what it leaves")
        try:
            folder.hear_lines(word.lines, word.at, MOST_LINES)
            (folder.path / "input.json").unlink(missing_ok=True)
            if report.ending is None or word.left is None:
                self._open[id].report = report
                folder.write_report(report)
                return
            folder.keep(word.left)
            self._close(id, report)
        except OSError as error:
            raise Unavailable(f"what execution {id} tells can not be kept: {error.strerror}") from None

    def _wanted(self, id: str) -> Folder:
        if valid_id(id) not in self._open:
            raise Conflict(f"execution {id} is over")
        return self._folder(id)

    def _believed(self, id: str, told: Report) -> Report:
        """A pod tells how its execution goes, not which one it is."""
        ours = self._open[id].report
        finished = None if told.ending is None else max(self._clock.now(), ours.started)
        why = self._folder(id).asked_to_stop() if told.ending is Ending.STOPPED else None
        return replace(
            ours,
            stage=_short(told.stage),
            told=_short(why or told.told),
            finished=finished,
            ending=told.ending,
            problems=tuple(_short(text) for text in told.problems[:_MOST_PROBLEMS]),
            version=_short(told.version),
        )

    def _claimed(self, id: str) -> bool:
        return (self._folder(id).path / "claim").exists()

    def _name(self, id: str) -> str:
        return job.name_of(self._means.installation.id, id)

    async def close(self) -> None:
        """Look at nothing any more. Executions go on."""
        if self._line.jobs is not None:
            await self._line.jobs.close()


def _short(text: str) -> str:
    return _plain(text)[:_LONGEST]
