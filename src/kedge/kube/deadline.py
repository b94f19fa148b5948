"""How long something is waited for, at the price of a look at the clock.

As `asyncio.timeout`, which sets a timer for every wait and takes it away again: for a small exchange, or a line of a
watch, that is more than a tenth of all there is to do. Here the waits on one cluster share a timer, set for the first
that may be late; nearly none is, and so it hardly ever rings.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadlines:
    """`with deadlines.within(seconds)` raises TimeoutError, in a task, for what takes longer."""

    def __init__(self) -> None:
        self._waits: dict[Wait, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> Wait:
        return Wait(self, seconds)

    def begin(self, wait: Wait) -> None:
        self._waits[wait] = None
        if self._timer is None:
            self._set(wait.until)
        elif wait.until < self._timer.when():
            self._timer.cancel()
            self._set(wait.until)

    def end(self, wait: Wait) -> None:
        self._waits.pop(wait, None)

    def _set(self, until: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(until, self._ring)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        for wait in [wait for wait in self._waits if wait.until <= now]:
            del self._waits[wait]
            wait.cut()
        self._timer = None
        if self._waits:
            self._set(min(wait.until for wait in self._waits))


class Wait:
    """One wait of the task that enters it."""

    __slots__ = ("_all", "_before", "_cut", "_task", "until")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._all = deadlines
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be told that it is late")
        self._task, self._before, self._cut = task, task.cancelling(), False
        self.until = asyncio.get_running_loop().time() + seconds

    def __enter__(self) -> None:
        self._all.begin(self)

    def cut(self) -> None:
        self._cut = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._all.end(self)
        # Whoever else cancels the task meanwhile is heard: then this is no matter of time.
        if self._cut and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error
