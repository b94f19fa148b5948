"""The only file that starts a process: bounded in time, memory, output and environment, never through a shell.

Three faces: `run` for a tool that starts, answers and ends; `spawn` for a long-lived child that is spoken to over its
pipes; `Pipes` for the same from code that does not know the event loop. A child is the leader of its own process group,
inherits no environment, and when it is ended its whole group is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TypeVar, cast

from kedge.model.errors import Invalid, Unavailable

GRACE = 2.0
"""Seconds between asking a process to end and ending it."""

_TAIL = 4096
_BUFFER = 8 << 20
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Completed:
    """A process that ended by itself. `stderr` is its last 4 KiB, without control characters."""

    code: int
    stdout: bytes
    stderr: str


def plain_text(raw: bytes) -> str:
    """The end of what a tool printed, safe to show: no control characters, no terminal escapes."""
    return _CONTROL.sub("", raw[-_TAIL:].decode("utf-8", "replace")).strip()


def _limit(pid: int, memory: int | None, file: int | None = None) -> None:
    """Bound a child's address space and any file that it writes, in bytes. Where the system can not (not Linux), the
    deadline still stands."""
    for what, bound in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, file)):
        if bound is not None and hasattr(resource, "prlimit"):
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, what, (bound, bound))


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


class _Protocol(asyncio.SubprocessProtocol):
    """What is common to both faces: the tail of stderr, the end of the process, and ending its group."""

    def __init__(self) -> None:
        self.transport: asyncio.SubprocessTransport | None = None
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self.loop.create_future()
        self.errors = bytearray()
        self._last_word: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.errors += data
            del self.errors[:-_TAIL]
        else:
            self.received(data)

    def received(self, data: bytes) -> None: ...

    def process_exited(self) -> None:
        if self._last_word is not None:
            self._last_word.cancel()
        if self.transport is not None:
            _signal_group(self.transport.get_pid(), signal.SIGKILL)  # what it left behind must not hold our pipes
            self._last_word = self.loop.call_later(GRACE, self.transport.close)  # nor what has left the group

    def connection_lost(self, exc: Exception | None) -> None:
        if self._last_word is not None:
            self._last_word.cancel()
        if self.transport is not None:
            self.transport.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def end(self, *, at_once: bool) -> None:
        """Ask the group to end, and end it after the grace; `at_once` leaves the asking out."""
        if self.transport is None or self.transport.get_returncode() is not None:
            return
        pid = self.transport.get_pid()
        if at_once:
            _signal_group(pid, signal.SIGKILL)
            self._let_go(self.transport)
        else:
            _signal_group(pid, signal.SIGTERM)
            if self._last_word is None:
                self._last_word = self.loop.call_later(GRACE, _signal_group, pid, signal.SIGKILL)

    @staticmethod
    def _let_go(transport: asyncio.SubprocessTransport) -> None:
        """Close the pipes only: to close the transport of a child that has not been reaped is to reap it behind the
        back of the loop's child watcher, which then tells of an unknown child."""
        for fd in (0, 1, 2):
            pipe = transport.get_pipe_transport(fd)
            if pipe is not None:
                pipe.close()


_P = TypeVar("_P", bound=_Protocol)


class _Gathering(_Protocol):
    """Collects stdout up to a bound; over it, the process is ended."""

    def __init__(self, bound: int) -> None:
        super().__init__()
        self.output = bytearray()
        self.bound = bound
        self.flooded = False

    def received(self, data: bytes) -> None:
        if self.flooded:
            return
        self.output += data
        if len(self.output) > self.bound:
            self.flooded = True
            self.output.clear()
            self.end(at_once=True)


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float,
    max_output: int = 64 << 20,
    cwd: str = "/",
    memory: int | None = None,
    file: int | None = None,
) -> Completed:
    """Run a program to its end. `timeout` in seconds, `max_output`, `memory` and `file` (any that it writes) in bytes;
    `env` is all it gets.

    A non-zero exit is the caller's to judge. Raises Unavailable when the program is missing or takes too long, Invalid
    when it prints more than `max_output`.
    """
    name = os.path.basename(argv[0])
    protocol = await _start(lambda: _Gathering(max_output), argv, env=env, cwd=cwd, memory=memory)
    _limit(cast(asyncio.SubprocessTransport, protocol.transport).get_pid(), None, file)
    transport = cast(asyncio.SubprocessTransport, protocol.transport)
    try:
        _feed(transport, stdin)
        async with asyncio.timeout(timeout):
            await asyncio.shield(protocol.ended)
    except TimeoutError:
        protocol.end(at_once=False)
        await asyncio.shield(protocol.ended)
        said = plain_text(bytes(protocol.errors))
        raise Unavailable(f"{name} took longer than {timeout:g} s and was ended{': ' if said else ''}{said}") from None
    finally:
        protocol.end(at_once=True)
        # Also when cancelled: a loop that closes before the child is reaped would leave a zombie.
        await asyncio.shield(protocol.ended)
    if protocol.flooded:
        raise Invalid(f"{name} printed more than {max_output} bytes and was ended")
    return Completed(transport.get_returncode() or 0, bytes(protocol.output), plain_text(bytes(protocol.errors)))


def _feed(transport: asyncio.SubprocessTransport, stdin: bytes) -> None:
    pipe = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
    if stdin:
        pipe.write(stdin)
    pipe.close()  # flushes first


async def _start(
    make: Callable[[], _P], argv: Sequence[str], *, env: Mapping[str, str], cwd: str, memory: int | None
) -> _P:
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.subprocess_exec(
            make, *argv, env=dict(env), cwd=cwd, start_new_session=True, stdin=-1, stdout=-1, stderr=-1
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        raise _not_started(argv[0], error) from error
    _limit(transport.get_pid(), memory)
    return protocol


def _not_started(program: str, error: OSError) -> Unavailable:
    reason = error.strerror or "it can not be started"
    return Unavailable(
        f"{program} can not be run: {reason}", hint="install it, or put it on the PATH that Kedge is given"
    )


class _Conversing(_Protocol):
    """Buffers stdout, and stops reading while the buffer is full."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = bytearray()
        self.news: asyncio.Future[None] | None = None
        self.paused = False
        self.finished = False

    def received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) > _BUFFER and not self.paused:
            self.paused = True
            self._stdout().pause_reading()
        self._wake()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self.finished = True
            self._wake()

    def take(self) -> bytes:
        data = bytes(self.buffer)
        self.buffer.clear()
        if self.paused:
            self.paused = False
            self._stdout().resume_reading()
        return data

    def _stdout(self) -> asyncio.ReadTransport:
        return cast(asyncio.ReadTransport, cast(asyncio.SubprocessTransport, self.transport).get_pipe_transport(1))

    def _wake(self) -> None:
        if self.news is not None and not self.news.done():
            self.news.set_result(None)


class Child:
    """A long-lived child and its pipes, for one conversation at a time."""

    def __init__(self, protocol: _Conversing) -> None:
        self._protocol = protocol
        self._transport = cast(asyncio.SubprocessTransport, protocol.transport)

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    @property
    def alive(self) -> bool:
        return self._transport.get_returncode() is None and not self._protocol.finished

    @property
    def last_words(self) -> str:
        """What it wrote to stderr last."""
        return plain_text(bytes(self._protocol.errors))

    def write(self, data: bytes) -> None:
        """Queue bytes for its stdin. A child that is gone takes them silently: `read` then answers the end."""
        pipe = self._transport.get_pipe_transport(0)
        if pipe is not None:
            cast(asyncio.WriteTransport, pipe).write(data)

    async def read(self) -> bytes:
        """The bytes that have come since; b"" at the end of its output."""
        protocol = self._protocol
        while not protocol.buffer and not protocol.finished:
            protocol.news = protocol.loop.create_future()
            await protocol.news
        return protocol.take()

    def kill(self) -> None:
        """End it and its group at once, without waiting for it to be gone."""
        self._protocol.end(at_once=True)

    @property
    def reaped(self) -> bool:
        """Whether it has ended, its exit code has been taken and its pipes are closed."""
        return self._protocol.ended.done()

    async def gone(self) -> None:
        """Wait until it is `reaped`."""
        await asyncio.shield(self._protocol.ended)


async def spawn(argv: Sequence[str], *, env: Mapping[str, str], cwd: str = "/", memory: int | None = None) -> Child:
    """Start a child that is spoken to over its pipes. `memory` in bytes. Raises Unavailable when it is missing."""
    return Child(await _start(_Conversing, argv, env=env, cwd=cwd, memory=memory))


class Pipes:
    """A long-lived child for code without an event loop: blocking reads with a deadline, in seconds."""

    def __init__(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str = "/", memory: int | None = None
    ) -> None:
        try:
            self._process = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=cwd,
                bufsize=0,
                start_new_session=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise _not_started(argv[0], error) from error
        _limit(self._process.pid, memory)
        self._poll = select.poll()
        self._poll.register(self._output.fileno(), select.POLLIN)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def _output(self) -> IO[bytes]:
        return cast(IO[bytes], self._process.stdout)

    def write(self, data: bytes) -> None:
        """Raises Unavailable when the child is gone."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(cast(IO[bytes], self._process.stdin).fileno(), rest) :]
        except BrokenPipeError as error:
            raise Unavailable("the child process has ended") from error

    def read(self, timeout: float) -> bytes:
        """At least one byte. Raises Unavailable when the child is gone or silent for `timeout` seconds."""
        if not self._poll.poll(timeout * 1000):
            raise Unavailable(f"the child process did not answer within {timeout:g} s")
        data = os.read(self._output.fileno(), 1 << 20)
        if not data:
            raise Unavailable("the child process has ended")
        return data

    def hang_up(self) -> None:
        """Close the child's stdin, and leave it to the child to end."""
        cast(IO[bytes], self._process.stdin).close()

    def wait(self, timeout: float) -> int:
        """Its exit code. Raises Unavailable when it still runs after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"the child process has not ended within {timeout:g} s") from error
        finally:
            self.close()

    def close(self) -> None:
        """End the child and its group, and wait for it."""
        _signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()
        with contextlib.suppress(BrokenPipeError):
            cast(IO[bytes], self._process.stdin).close()
