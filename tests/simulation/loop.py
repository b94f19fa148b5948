"""A seeded event loop in virtual time: when nothing is ready, the clock jumps to the next timer.

The same program run twice takes the same steps in the same order. It can not hang in real time: a program that waits
for something that can never happen, for something outside virtual time (a socket, a thread, a process), that spins
without time going by, or that does not give the loop back at all is stopped, and says so.
"""

from __future__ import annotations

import asyncio
import selectors
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from random import Random
from types import FrameType
from typing import Any

SPIN = 1_000
"""Turns of the loop without a timer to wait for, before it counts as spinning."""

TURNS = 300_000
"""Turns of the loop in one history: the longest ones need a thirtieth of it."""

WORK = 120.0
"""Seconds of processor time for one history: the longest ones need a hundredth of it, however busy the machine is."""

TICK = 1e-6
"""Seconds that one turn of the loop takes: in time that stood still, a timer one rounding error away never rings."""


BEGIN = 1_000_000.0
"""What the clock says when a history begins."""


class Stuck(AssertionError):
    """The program would not come to an end by itself."""


class Deadlock(Stuck):
    """Every task waits for another, and no timer is set."""


class Spinning(Stuck):
    """The program goes round and round while no time passes."""


class Outside(Stuck):
    """The program waits for something that is not in virtual time."""


class VirtualSelector(selectors.SelectSelector):
    """Waiting is a jump of the clock; there is nothing else to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.idle = 0
        self.turns = 0

    def register(self, fileobj, events, data=None):
        """The loop's own pipe is the first and only one."""
        if self.get_map():
            raise Outside(f"a wait on {fileobj}: only virtual time goes by here")
        return super().register(fileobj, events, data)

    def select(self, timeout=None):
        self.turns += 1
        if self.turns > TURNS:
            self.turns = 0
            raise Spinning(f"{TURNS} turns of the loop and no end")
        if timeout == 0:
            self.now += TICK
            self.idle += 1
            if self.idle > SPIN:
                self.idle = 0
                raise Spinning(f"{SPIN} turns of the loop and nothing was waited for")
            return ()
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        self.idle = 0
        self.now += max(TICK, timeout)
        return ()


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.virtual = VirtualSelector()
        super().__init__(self.virtual)

    def time(self) -> float:
        return self.virtual.now

    def run_in_executor(self, executor, func, *args):
        raise Outside(f"a wait on a thread that runs {func}: only virtual time goes by here")


class VirtualClock:
    """`kedge.ports.Clock` in the loop's time. `jump` moves the wall clock, and nothing else."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._ahead = 0.0

    def jump(self, seconds: float) -> None:
        self._ahead += seconds

    def now(self) -> float:
        return self._loop.time() + self._ahead

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SeededEntropy:
    """`kedge.ports.Entropy` from a seed."""

    def __init__(self, seed: int | str) -> None:
        self._random = Random(seed)

    def token(self, size: int = 16) -> str:
        return self._random.randbytes(size).hex()

    def uniform(self) -> float:
        return self._random.random()


def simulate(program: Coroutine[Any, Any, Any], loop: VirtualLoop) -> Any:
    """Run to the end in virtual time and leave nothing behind. Raises Stuck where there would be no end."""
    with _bounded_work():
        try:
            return loop.run_until_complete(program)
        finally:
            for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


@contextmanager
def _bounded_work() -> Iterator[None]:
    """A task that never gives the loop back is beyond the loop's reach: the processor time it takes is not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "nowhere"
        raise Spinning(f"{WORK:.0f} s of work and no end, at {where}")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, WORK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)
