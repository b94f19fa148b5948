"""The only starter of tasks: ordered, named, and none is ever lost.

A `Spawner` owns its tasks: closing it cancels them in reverse order of their start and waits for each. An exception
that escapes a task is a bug; it is handed to `report` and never disappears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Spawner:
    """Starts tasks and ends them. `report(name, error)` hears of every exception that escapes one."""

    def __init__(self, report: Callable[[str, BaseException], None]) -> None:
        self._report = report
        self._tasks: dict[asyncio.Task[Any], str] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = name
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        name = self._tasks.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(name, error)

    async def close(self) -> None:
        """Cancel every task, newest first, and wait until each has ended."""
        for task in list(self._tasks)[::-1]:
            task.cancel()
        for task in list(self._tasks):
            await _end(task)


async def _end(task: asyncio.Task[Any]) -> None:
    """Wait until a cancelled task has ended. One whose own timeout ran out in the same instant takes our cancelling for
    that timeout and goes on; giving up on it cancels it once more."""
    while not task.done():
        try:
            async with asyncio.timeout(1.0):
                await asyncio.gather(task, return_exceptions=True)
        except TimeoutError:
            continue
