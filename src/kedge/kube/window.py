"""How many requests one cluster is asked at once: grows while it copes, halves when it says 429 (AIMD, as TCP does)."""

from __future__ import annotations

import asyncio
from collections import deque

from kedge.ports import Clock

FIRST, LEAST, MOST = 16.0, 1.0, 64.0


class Window:
    """`async with window as started` around each request: it waits for a place, and says at which (monotonic) time the
    request starts. `throttled` when it was answered 429.

    After a 429 that names a time, no request starts before it. One burst of 429s halves once: only requests that
    started after the last halving count.
    """

    def __init__(self, clock: Clock, *, first: float = FIRST, most: float = MOST) -> None:
        self._clock = clock
        self._size = first
        self._most = most
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._halved = -1.0
        self._closed_until = 0.0

    @property
    def size(self) -> float:
        return self._size

    def closed_for(self) -> float:
        """Seconds until the time that a 429 named; 0 or less when there is none."""
        return self._closed_until - self._clock.monotonic()

    async def __aenter__(self) -> float:
        await self._enter()
        now = self._clock.monotonic()
        if now >= self._closed_until:
            return now
        try:
            await self._clock.sleep(self._closed_until - now)
        except BaseException:
            self._leave()
            raise
        return self._clock.monotonic()

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._busy -= 1
        self._wake()

    def succeeded(self) -> None:
        """Grow by one place per window's worth of answers."""
        self._size = min(self._most, self._size + 1.0 / self._size)

    def throttled(self, started: float, retry_after: float | None) -> None:
        """The request that started at `started` was answered 429."""
        now = self._clock.monotonic()
        if retry_after is not None:
            self._closed_until = max(self._closed_until, now + retry_after)
        if started >= self._halved:
            self._size = max(LEAST, self._size / 2)
            self._halved = now

    async def _enter(self) -> None:
        if self._busy < int(self._size) and not self._waiting:
            self._busy += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            # The place may have been given just before we were cancelled: hand it on.
            if place.done() and not place.cancelled():
                self._leave()
            raise

    def _wake(self) -> None:
        while self._waiting and self._busy < int(self._size):
            place = self._waiting.popleft()
            if not place.done():
                self._busy += 1
                place.set_result(None)
