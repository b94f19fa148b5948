"""The door for processes that outlive us, and for the one that starts tools without an event loop.

`process.py` starts what ends with Kedge; here is what does not: a detached process leads a session of its own and is
known by its birth from then on (its id alone is used again, after a reboot by anybody). Imports little, so that what is
detached starts fast.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kedge.model.errors import Unavailable

_OURS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Birth:
    """One process of one machine's life: `started` is in the kernel's ticks since `boot`, 0 where it does not tell."""

    pid: int
    started: int
    boot: str


@dataclass(frozen=True, slots=True)
class Output:
    """Where a process writes: files that are appended to."""

    stdout: Path
    stderr: Path


def born(pid: int) -> Birth | None:
    """Which process has this id now; None where none has, or a dead one that nobody has waited for."""
    if not (_PROC / "self").exists():
        return Birth(pid, 0, "") if _signal(pid, 0) else None
    fields = _stat(pid)
    return Birth(pid, int(fields[19]), _boot()) if fields and fields[0] not in "ZX" else None


def alive(birth: Birth) -> bool:
    """Whether this very process still is. Proven either way where the kernel tells when a process has started."""
    return born(birth.pid) == birth


def _stat(pid: int) -> list[str]:
    """What the kernel tells of a process, from its state on (field 3 of proc(5))."""
    try:
        return (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def detach(argv: Sequence[str], *, env: Mapping[str, str], log: Path) -> int:
    """Start a process that survives us and everything that is done to our process group; answers its id. What it says
    goes to `log`. Raises Unavailable when it can not be started."""
    return _begin(argv, env, Output(log, log), session=True)


def begin(argv: Sequence[str], *, env: Mapping[str, str], output: Output) -> int:
    """Start a child, in this process's folder and session and in a group of its own, so that signals to us do not reach
    it; answers its id. It stays whole when we die. Raises Unavailable when it can not be started."""
    return _begin(argv, env, output, session=False)


def _begin(argv: Sequence[str], env: Mapping[str, str], output: Output, *, session: bool) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output.stdout), flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, str(output.stderr), flags, 0o600),
    ]
    try:
        if session:
            return os.posix_spawn(argv[0], list(argv), env, file_actions=files, setsigdef=_OURS, setsid=True)
        return os.posix_spawn(argv[0], list(argv), env, file_actions=files, setsigdef=_OURS, setpgroup=0)
    except OSError as error:
        raise Unavailable(f"{argv[0]} can not be run: {error.strerror}") from error


def bound_memory(pid: int, size: int) -> None:
    """Bound what a process (and each that it starts) may write to, in bytes. Address space is no measure: programs in
    Go reserve far more than they use."""
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))


def reap(pid: int) -> int | None:
    """The exit code of a child that has ended (negative: the signal that ended it), None while it runs. What it has
    left behind in its group is ended before its id can be used again."""
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    if ended is None:
        return None
    end_group(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def bury(pid: int) -> None:
    """Take the exit code of a detached process where it is our child, so that it leaves nothing behind."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def interrupt(birth: Birth) -> bool:
    """Ask this very process to end, as Ctrl-C does. False where it is gone."""
    return alive(birth) and _signal(birth.pid, signal.SIGINT)


def terminate(birth: Birth) -> bool:
    """Ask this very process to end. False where it is gone."""
    return alive(birth) and _signal(birth.pid, signal.SIGTERM)


def end_group(pid: int) -> None:
    """End a process group at once."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_one(pid: int) -> None:
    """End a process at once."""
    _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def watched(birth: Birth) -> int | None:
    """A descriptor that becomes readable when this very process ends; None where it has ended already, or where the
    system has none (then `alive` has to be asked now and then)."""
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        fd = opener(birth.pid)
    except OSError:
        return None
    if alive(birth):
        return fd
    os.close(fd)
    return None


def can_watch() -> bool:
    """Whether this system tells of the end of processes that are not our children (Linux)."""
    return sys.platform.startswith("linux") and hasattr(os, "pidfd_open")


def family(pid: int) -> list[int]:
    """A process and all that descend from it, where the system tells."""
    found = [pid]
    for one in found:
        for task in (_PROC / str(one) / "task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, task.read_text().split())
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process and its descendants hold; 0 where the system does not tell."""
    pages = 0
    for one in family(pid):
        fields = _stat(one)
        pages += int(fields[21]) if fields else 0
    return pages * resource.getpagesize()


def strays(session: int, group: int) -> list[int]:
    """Processes of a group within a session, whose leaders may both be gone."""
    wanted = [str(group), str(session)]
    return [int(place.name) for place in _PROC.glob("[0-9]*") if _stat(int(place.name))[2:4] == wanted]


class Signals:
    """Hears SIGINT, SIGTERM and the end of children while a process waits; none of them interrupts anything else."""

    def __init__(self) -> None:
        self.asked = False
        self._wake, far = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(far, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def wait(self, seconds: float) -> None:
        """Until one of them comes, `seconds` at most."""
        if self._poll.poll(seconds * 1000):
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wake, 512):
                    pass
