"""One call of a tool, waited for: what it says is read as it comes, and it is asked to end when it has to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kedge import detached
from kedge.detached import Birth, Output, Signals
from kedge.executions.command import Command
from kedge.executions.folder import LAST_PATIENCE, Folder, Request
from kedge.executions.stream import Heard
from kedge.model.execution import Task

if TYPE_CHECKING:
    from kedge.ports import Clock

_LOOK = 0.1
"""Seconds between two looks at what a tool has said."""
_WEIGH = 1.0
"""Seconds between two looks at how much memory it holds."""
_PIECE = 1 << 20
_MOST_STREAM = 32 << 20
"""How much of a stream is on disk at a time."""
_MOST_LINES = 8 << 20
_MOST_KEPT = 256 << 20
"""The longest answer that is kept (`show -json`)."""
_TAIL = 4096
_CHATTER = b'"type":"provision_progress"'
"""What a provisioner prints: of no meaning to anybody but people."""


class Lines:
    """What people read of an execution, bounded."""

    def __init__(self, place: Path) -> None:
        self._out = open(place, "ab", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600))  # noqa: SIM115
        self._room = _MOST_LINES

    @property
    def full(self) -> bool:
        return self._room <= 0

    def tell(self, lines: list[str]) -> None:
        """A full disk takes lines, never the execution."""
        for line in lines:
            if self._room <= 0:
                return
            raw = line.encode() + b"\n"
            self._room -= len(raw)
            try:
                self._out.write(raw if self._room > 0 else "… more is not kept\n".encode())
            except OSError:
                return


class Stream:
    """The tool's stdout as it grows. A file and no pipe: a tool whose runner dies goes on."""

    def __init__(self, place: Path, heard: Heard, lines: Lines) -> None:
        place.unlink(missing_ok=True)
        self._file = open(place, "w+b", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600))  # noqa: SIM115
        self._heard, self._lines = heard, lines
        self._rest = b""
        self._read = 0

    def drain(self, *, last: bool = False) -> None:
        """Read all that has come since."""
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)  # it was cut meanwhile
        while piece := self._file.read(_PIECE):
            self._read += len(piece)
            *whole, rest = (self._rest + piece).split(b"\n")
            for line in whole:
                if not (self._lines.full and _CHATTER in line):
                    self._lines.tell(self._heard.hear(line))
            self._rest = rest if len(rest) <= _PIECE else b""  # of a line without end, the end is taken for one
        if last and self._rest:
            self._lines.tell(self._heard.hear(self._rest))
        if self._read > _MOST_STREAM:
            self._file.truncate(0)
            self._file.seek(0)
            self._read = 0

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class Ask:
    """When and why a tool is asked to end: `at` on the monotonic clock. `why` is "" while nobody has asked."""

    why: str = ""
    at: float = 0.0
    asked: int = 0
    failure: bool = False
    """It is ended for something that it has done, not because somebody wants it to."""


class Caller:
    """Calls a tool, one stage after the other."""

    def __init__(self, folder: Folder, request: Request, clock: Clock, signals: Signals, heard: Heard) -> None:
        self.folder, self.request, self.heard = folder, request, heard
        self.lines = Lines(folder.lines)
        self.ask = Ask()
        self.signals = signals
        self._clock = clock
        self._deadline = clock.monotonic() + request.timeout
        self._weigh_at = 0.0

    def call(self, command: Command, env: Mapping[str, str], progress: Callable[[], None]) -> int:
        """The exit code (negative: the signal that ended it). `progress` is called whenever something may be new.
        Raises Unavailable when the tool can not be started, OSError on a full disk."""
        keeps = Path(command.keeps) if command.keeps else None
        output = Output(keeps or self.folder.path / "stream", self.folder.path / "stderr")
        output.stderr.unlink(missing_ok=True)
        stream = Stream(output.stdout, self.heard, self.lines) if keeps is None else None
        pid = detached.begin(command.argv, env=env, output=output)
        if self.request.task is not Task.APPLY:
            detached.bound_memory(pid, self.request.memory)
        birth = detached.born(pid)
        self.folder.note_tool(birth)
        while (code := detached.reap(pid)) is None:
            self.signals.wait(_LOOK)
            if stream is not None:
                stream.drain()
            self._bound(output)
            self._judge(birth)
            progress()
        if stream is not None:
            stream.drain(last=True)
            stream.close()
        self.folder.note_tool(None)
        self._last_words(code, output)
        return code

    def stopping(self) -> bool:
        """Whether the execution is to end; asks itself whether somebody wants that."""
        if not self.ask.why:
            if (self.signals.asked) or (self.folder.path / "stop").exists():
                self.ask = Ask(self.folder.asked_to_stop() or "its runner was asked to end", self._clock.monotonic())
            elif self._clock.monotonic() > self._deadline:
                self.ask = Ask(f"it took longer than {self.request.timeout:g} s", self._clock.monotonic())
        return bool(self.ask.why)

    def _judge(self, tool: Birth | None) -> None:
        """Interrupt a tool that has to end; once more after minutes, when it gives up what it holds; then end it."""
        now = self._clock.monotonic()
        self._weigh(tool, now)
        if tool is None or not self.stopping():
            return
        patience, last = self.request.patience, min(LAST_PATIENCE, self.request.patience)
        due = (0.0, patience, patience + last)
        if self.ask.asked < len(due) and now >= self.ask.at + due[self.ask.asked]:
            self.ask.asked += 1
            if self.ask.asked < len(due):
                self.lines.tell([self.heard.mask(f"asked to end: {self.ask.why}")])
                detached.interrupt(tool)
            else:
                self.heard.failed(f"the tool did not end within {patience + last:g} s, and was ended")
                detached.end_group(tool.pid)

    def _weigh(self, tool: Birth | None, now: float) -> None:
        if tool is None or self.ask.why or now < self._weigh_at:
            return
        first, self._weigh_at = not self._weigh_at, now + _WEIGH
        if first:
            return
        held = detached.resident(tool.pid)
        if held > self.request.memory:
            self.heard.failed(_over(self.request))
            self.ask = Ask(f"it held {held >> 20} MiB", now, failure=True)

    def _bound(self, output: Output) -> None:
        """A tool that prints faster than it is read loses what it has printed; an answer that is too long is none."""
        for place in (output.stdout, output.stderr):
            if place.stat().st_size <= _MOST_KEPT:
                continue
            os.truncate(place, 0)
            text = f"the tool printed more than {_MOST_KEPT >> 20} MiB, which are not kept"
            if place == self.folder.shown:
                self.heard.failed(text)
            else:
                self.heard.warned(text)

    def _last_words(self, code: int, output: Output) -> None:
        """What a tool printed beside its events is told when it has failed."""
        if code == 0:
            return
        said = _tail(output.stderr)
        if "cannot allocate memory" in said or "out of memory" in said:
            self.heard.failed(_over(self.request))
        elif said.strip():
            self.lines.tell([self.heard.mask(line) for line in said.splitlines()])
            if not self.heard.errors:
                self.heard.failed(" ".join(said.split()))


def _over(request: Request) -> str:
    return f"the tool needs more memory than the {request.memory >> 20} MiB that it is given"


def _tail(place: Path) -> str:
    """The beginning and the end of what a tool printed: a crash is told first, in a long trace."""
    try:
        with open(place, "rb") as file:
            head = file.read(_TAIL)
            file.seek(max(_TAIL, place.stat().st_size - _TAIL))
            return (head + file.read(_TAIL)).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
