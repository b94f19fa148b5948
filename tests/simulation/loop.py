"""A seeded event loop in virtual time: when nothing is ready, the clock jumps to the next timer.

The same program run twice takes the same steps in the same order. A program that waits for something that can never
happen is a deadlock, and is reported as one instead of hanging; so is one that spins without time going by.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from random import Random
from typing import Any

SPIN = 20_000
"""Turns of the loop without a timer to wait for, before it counts as spinning."""

TICK = 1e-6
"""Seconds that one turn of the loop takes: in time that stood still, a timer one rounding error away never rings."""


class Deadlock(AssertionError):
    """Every task waits for another, and no timer is set."""


class Spinning(AssertionError):
    """The program goes round and round while no time passes."""


class VirtualSelector(selectors.SelectSelector):
    """Real file descriptors are asked without waiting; waiting is only a jump of the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        self.idle = 0

    def select(self, timeout=None):
        if timeout == 0:
            self.now += TICK
            self.idle += 1
            if self.idle > SPIN:
                self.idle = 0
                raise Spinning(f"{SPIN} turns of the loop and nothing was waited for")
            return ()
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        self.idle = 0
        self.now += max(TICK, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.virtual = VirtualSelector()
        super().__init__(self.virtual)

    def time(self) -> float:
        return self.virtual.now


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
    """Run to the end in virtual time and leave nothing behind."""
    try:
        return loop.run_until_complete(program)
    finally:
        for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
