"""One execution within a pod of its Job: `python -m kedge.pod ACCESS FOLDER`.

ACCESS holds the files `address` (of this execution, at Kedge's own server) and `token`; FOLDER is where it works. The
work is `LocalExec`'s, exactly as on Kedge's own machine, with the settings that the image has in its environment: what
comes on top is asking what to do, telling how far it is, and bringing home what it leaves, for as long as it takes.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec

from kedge import http
from kedge.compose import Parts, environment, local_executions
from kedge.executions.local import LocalExec
from kedge.executions.runner import SECOND
from kedge.model.errors import Invalid, KedgeError, Unavailable
from kedge.model.execution import LARGEST_WORD, Ending, Execution, Report, Word, Yield
from kedge.ports import Clock

_TELL = 1.0
"""Seconds between two words about how far it is."""
_AGAIN = (1.0, 15.0)
"""Seconds until Kedge is asked again that did not answer: the first time, and at most."""
_BEGINS = 600.0
"""Seconds within which Kedge has to say what is to be done."""
_PIECE = 1 << 20
"""Bytes of lines in one word."""
_LOCAL = ("localhost", "127.0.0.1", "::1")
_CONFLICT = 409
_LARGEST_TASK = 512 << 20


class Over(Exception):
    """Kedge says that another pod runs this, or that nobody wants it any more."""


@dataclass(frozen=True, slots=True)
class Home:
    """Kedge, as this pod reaches it."""

    session: aiohttp.ClientSession
    address: str

    async def ask(self, what: str, body: bytes) -> bytes:
        """Raises Over, and Unavailable for all else that is no answer: what stands between may say anything."""
        headers = {"content-type": "application/json"}
        try:
            async with self.session.post(
                f"{self.address}/{what}", data=body, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status == _CONFLICT:
                    raise Over(await answer.text())
                if answer.status >= 300:
                    raise Unavailable(f"{self.address}/{what} answers {answer.status}")
                return await http.read(answer, _LARGEST_TASK)
        except (aiohttp.ClientError, TimeoutError, OSError, Invalid) as error:
            raise Unavailable(f"{self.address}/{what} does not answer: {type(error).__name__}") from None


async def _patiently(home: Home, what: str, body: bytes, clock: Clock, within: float | None = None) -> bytes:
    """Until Kedge answers, or raises Unavailable when it has not for `within` seconds."""
    began, pause = clock.monotonic(), _AGAIN[0]
    while True:
        try:
            return await home.ask(what, body)
        except Unavailable as error:
            if within is not None and clock.monotonic() - began > within:
                raise
            print(f"kedge: {error}; it is asked again", file=sys.stderr, flush=True)  # noqa: T201
        await clock.sleep(pause)
        pause = min(2 * pause, _AGAIN[1])


class Carrier:
    """Runs one execution and tells of it."""

    def __init__(self, home: Home, exec: LocalExec, execution: Execution, parts: Parts) -> None:
        self._home, self._exec, self._clock = home, exec, parts.clock
        self._execution = execution
        self._lines = parts.data / "executions" / execution.id / "lines"
        self._told = 0
        self._asked = False
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Raises Over."""
        self._exec.subscribe(lambda unit, id: self._news.set())
        try:
            await self._exec.start(self._execution)
        except KedgeError as error:
            await self._bring(self._failed(error), Yield())
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_to_end)
        report = await self._until_ended()
        await self._bring(report, await self._exec.result(self._execution.id))

    def _failed(self, error: KedgeError) -> Report:
        wanted, now = self._execution, self._clock.now()
        text = " ".join(str(error).split())
        begun = Report(wanted.id, wanted.unit, wanted.task, now, finished=now)
        return replace(begun, ending=Ending.FAILED, told=text, problems=(text,))

    def _ask_to_end(self) -> None:
        self._asked = True
        self._news.set()

    async def _until_ended(self) -> Report:
        said: Report | None = None
        while True:
            self._news.clear()
            if self._asked:
                self._asked = False
                await self._exec.stop(self._execution.id, "its pod was asked to end")
            report = self._exec.report(self._execution.id)
            if report is not None and report.ending is not None:
                return report
            piece = self._piece()
            if report is not None and (report != said or piece):
                try:
                    await self._home.ask("word", _written(Word(report, piece, self._told)))
                    said, self._told = report, self._told + len(piece)
                except Unavailable:
                    said = None  # it is told with the next
            with suppress(TimeoutError):
                async with asyncio.timeout(_TELL):
                    await self._news.wait()

    def _piece(self) -> bytes:
        try:
            with open(self._lines, "rb") as file:
                file.seek(self._told)
                return file.read(_PIECE)
        except FileNotFoundError:
            return b""

    async def _bring(self, report: Report, left: Yield) -> None:
        """Until it is home: nothing else has it."""
        while piece := self._piece():
            going = replace(report, ending=None, finished=None)
            await _patiently(self._home, "word", _written(Word(going, piece, self._told)), self._clock)
            self._told += len(piece)
        await _patiently(self._home, "word", last_word(report, left), self._clock)


def last_word(report: Report, left: Yield) -> bytes:
    """With what is left, as far as there is room for it: a state before a plan."""
    whole = _written(Word(report, left=left))
    if len(whole) <= LARGEST_WORD:
        return whole
    text = f"what the tool has left is larger than the {LARGEST_WORD >> 20} MiB that can be brought home from a pod"
    failed = replace(report, ending=Ending.FAILED, told=text, problems=(text, *report.problems))
    kept = Yield(errored=left.errored)
    room = len(_written(Word(failed, left=kept))) <= LARGEST_WORD
    return _written(Word(failed, left=kept if room else Yield()))


def _written(word: Word) -> bytes:
    return msgspec.json.encode(word)


async def carry(access: Path, parts: Parts) -> int:
    """The exit code."""
    address, token = ((access / name).read_text().strip() for name in ("address", "token"))
    host = urlsplit(address).hostname or ""
    headers = {"authorization": f"Bearer {token}"}
    session = http.session(hosts=[host], headers=headers, allow_loopback=host in _LOCAL)
    exec = local_executions(parts)
    try:
        home = Home(session, address)
        who = json.dumps({"runner": parts.entropy.token(16)}).encode()
        given = await _patiently(home, "claim", who, parts.clock, _BEGINS)
        await exec.adopt()
        await Carrier(home, exec, msgspec.json.decode(given, type=Execution), parts).run()
    except Over as error:
        print(f"kedge: {error}", file=sys.stderr)  # noqa: T201
        return SECOND
    except KedgeError as error:
        print(f"kedge: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        await exec.close()
        await session.close()
    return 0


def main(argv: list[str]) -> int:
    # Nothing has begun yet. A container's first process is not ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    access, folder = (Path(word) for word in argv[1:])
    tempfile.tempdir = str(folder)  # nothing else can be written
    return asyncio.run(carry(access, Parts(folder, environment())))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
