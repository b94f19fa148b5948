"""Who listens to the event stream, and what they have not heard yet.

One task follows the store's seal and, while anybody listens, keeps the newest events in memory; a listener is a place
in that record, so a slow one costs nothing: it reads on from memory or, when it has fallen too far behind, from the
store. Hints (a unit has moved on) are not stored; of each unit a listener keeps the newest alone, of at most `HINTS`
units.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from kedge.model.errors import KedgeError
from kedge.model.event import Event
from kedge.ports import Clock, Store

BATCH = 100
KEPT = 1000
HINTS = 1000
_PAUSE = 1.0


class Seat:
    """One listener."""

    def __init__(self) -> None:
        self._bell = asyncio.Event()
        self._hints: dict[str, int] = {}

    def ring(self) -> None:
        self._bell.set()

    def hint(self, unit: str, version: int) -> None:
        """Past `HINTS` units the oldest hint is dropped: a listener that slow reads the fleet again anyway."""
        self._hints.pop(unit, None)
        self._hints[unit] = version
        if len(self._hints) > HINTS:
            del self._hints[next(iter(self._hints))]
        self._bell.set()

    def hints(self) -> dict[str, int]:
        """What was hinted at since the last call."""
        found, self._hints = self._hints, {}
        return found

    async def wait(self, seconds: float) -> bool:
        """Until something happens, at most `seconds`; answers whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return False
        self._bell.clear()
        return True


class Hub:
    """`close` ends every stream: call it before the HTTP server waits for its connections to end."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seats: dict[Seat, None] = {}
        self._recent: deque[Event] = deque(maxlen=KEPT)
        self.newest = 0
        self.closed = False

    def __len__(self) -> int:
        return len(self._seats)

    async def begin(self) -> None:
        """Find the end of the record; streams that resume from nowhere start there."""
        latest = await self._store.latest(limit=1)
        self.newest = latest[0].id if latest else 0

    async def follow(self) -> None:
        """Until cancelled: bring in sealed events and ring. A store that cannot answer is asked again."""
        while not self.closed:
            try:
                sealed = self._store.sealed()
                latest = await self._store.latest(limit=1)
                await self._bring(latest[0].id if latest else 0)
                async for number in sealed:
                    await self._bring(number)
            except KedgeError:
                await self._clock.sleep(_PAUSE)

    async def _bring(self, newest: int) -> None:
        """What is sealed up to `newest`. Not read while nobody listens: a fleet at work seals hundreds a second."""
        if not self._seats:
            self._recent.clear()
            self.newest = max(newest, self.newest)
        while self.newest < newest:
            events = await self._store.events(self.newest, limit=BATCH)
            if not events:
                return
            self._recent.extend(events)
            self.newest = events[-1].id
            for seat in list(self._seats):
                seat.ring()

    def hint(self, unit: str, version: int) -> None:
        """Tell every listener that a unit has moved on without an event."""
        for seat in list(self._seats):
            seat.hint(unit, version)

    def join(self) -> Seat:
        seat = Seat()
        self._seats[seat] = None
        return seat

    def leave(self, seat: Seat) -> None:
        self._seats.pop(seat, None)

    async def since(self, after: int, unit: str) -> Sequence[Event]:
        """At most `BATCH` sealed events above `after`, in order."""
        if after >= self.newest:
            return ()
        if self._recent and self._recent[0].id <= after + 1:
            found = [event for event in self._recent if event.id > after and unit in ("", event.unit)]
            return found[:BATCH]
        return await self._store.events(after, unit, BATCH)

    def close(self) -> None:
        self.closed = True
        for seat in list(self._seats):
            seat.ring()
