"""Waking those who wait for sealed events. Lives on the loop alone."""

from __future__ import annotations

import asyncio


class Announcer:
    """Holds the newest sealed id and tells its listeners when it moves."""

    def __init__(self, head: int) -> None:
        self.head = head
        self.closed = False
        self._waiting: list[asyncio.Future[None]] = []

    def announce(self, head: int) -> None:
        if head > self.head:
            self.head = head
            self._wake()

    def close(self) -> None:
        self.closed = True
        self._wake()

    def listen(self) -> Listener:
        return Listener(self)

    async def moved(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class Listener:
    """An async iterator over heads: it starts from the head at its making, and skips what a newer head covers."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._seen = announcer.head

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> int:
        announcer = self._announcer
        while announcer.head == self._seen:
            if announcer.closed:
                raise StopAsyncIteration
            await announcer.moved()
        self._seen = announcer.head
        return self._seen
