"""Turns: take the next due unit, reconcile it, and turn what went wrong into when to come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kedge.control.road.doors import Doors, Turn
from kedge.control.road.reconcile import reconcile
from kedge.control.shift.queue import DueQueue, Lane
from kedge.control.shift.waiting import Waiting
from kedge.engine.delivery import stumbled
from kedge.model.dossier import Dossier
from kedge.model.errors import Conflict, Denied, Invalid, KedgeError, Unavailable
from kedge.model.event import Event
from kedge.model.person import AUTOMATION
from kedge.model.record import Record
from kedge.model.ref import UnitName
from kedge.spawn import Spawner

LIMIT = 85
"""Units in flight at once, of all clusters; one alone gets 64, and leaves the rest to others."""

RETOLD = 1.0
"""Seconds until what an object says of itself is told anew, where its state is as it was: a rollout says something else
at every step, and decides nothing by it. So many more for every LIMIT units that wait for a turn."""

AFTER_A_BUG = 60.0
AFTER_A_CONFLICT = 0.5
AFTER_A_REFUSAL = 180.0
AFTER_THE_STORE = 5.0
"""Seconds until a unit comes back after a bug of ours, after something moved under it (a cluster that answers nothing
but conflicts must not keep us spinning), after a cluster refused us, and when the store is not there."""


CLOCK, JUMP = 15.0, 1.0
"""Seconds between two looks at the wall clock while anybody waits for a time, and by how many it has to be off."""


class Turns:
    """Works off the queue. `seen(dossier)` hears of every dossier a turn leaves behind (None with its name: gone),
    `proved` of every unit that a turn found as Git states."""

    def __init__(
        self,
        doors: Doors,
        spawner: Spawner,
        seen: Callable[[str, Dossier | None], None],
        proved: Callable[[str], None] = lambda unit: None,
    ) -> None:
        self._doors = doors
        self._spawner = spawner
        self._seen = seen
        self._proved = proved
        self._bell = asyncio.Event()
        self._waiting = Waiting()
        self._unwritten: set[str] = set()
        self._ahead = doors.clock.now() - doors.clock.monotonic()
        self.queue = DueQueue()
        self.taken = 0
        self.awaited: Callable[[str], bool] = lambda unit: False
        """Whether a unit's source has not been asked for the first time: the answer rings it."""

    def ring(self, unit: str, lane: Lane = Lane.CHANGE) -> None:
        self.queue.ring(unit, lane)
        self._bell.set()

    def hear(self, unit: str, what: str) -> None:
        """A target rang, see `kedge.ports.Target.subscribe`."""
        if what == "words":
            self.later(unit, self._doors.clock.now() + RETOLD * (1 + len(self.queue) / LIMIT))
        else:
            self.ring(unit)

    def declared(self, unit: str) -> None:
        """What Git declares of it has changed: whoever it holds up has other things to say of it, too."""
        for name in (unit, *self._waiting.for_objects_of(unit)):
            self.ring(name)

    def later(self, unit: str, at: float) -> None:
        """Take a turn at `at` (epoch seconds). The wait is kept in monotonic seconds: a clock that is set back must not
        lengthen it."""
        clock = self._doors.clock
        self.queue.later(unit, clock.monotonic() + at - clock.now())
        self._bell.set()

    async def run(self) -> None:
        """Hand out turns for ever."""
        while True:
            self._bell.clear()
            self._follow_the_clock()
            self.queue.wake(self._doors.clock.monotonic())
            while (taken := self.queue.take(LIMIT)) is not None:
                unit, lane = taken
                self.taken += 1
                self._spawner.start(self._turn(unit, lane), f"turn {unit}")
            await self._pause()

    def _follow_the_clock(self) -> None:
        """When the wall clock was set, or the machine slept, whoever waits for a time looks again: it may have come,
        as the end of a pin."""
        ahead = self._doors.clock.now() - self._doors.clock.monotonic()
        if abs(ahead - self._ahead) > JUMP:
            self._ahead = ahead
            self.queue.wake_all()

    async def _pause(self) -> None:
        at = self.queue.next_time()
        wait = None if at is None else min(CLOCK, max(0.0, at - self._doors.clock.monotonic()))
        try:
            async with asyncio.timeout(wait):
                await self._bell.wait()
        except TimeoutError:
            return

    async def _turn(self, unit: str, lane: Lane) -> None:
        again: float | None = self._doors.clock.now() + AFTER_A_BUG
        began, turn = self._waiting.begin(), None
        try:
            turn, again = await self._reconcile(unit, lane)
        finally:
            self.queue.done(unit)
            for rung in self._waiting.end(unit, turn, began):
                self.queue.ring(rung)
            if again is not None:
                self.later(unit, again)
            self._bell.set()

    async def _reconcile(self, unit: str, lane: Lane) -> tuple[Turn | None, float | None]:
        """What the turn came to, if to anything, and when to come back."""
        name = UnitName.parse(unit)
        try:
            await self._prove_writable(name)
            turn = await reconcile(self._doors, name, sweep=lane is Lane.SWEEP)
        except Conflict:
            return None, self._doors.clock.now() + AFTER_A_CONFLICT
        except (Invalid, Denied, Unavailable) as error:
            return None, await self._stumble(name, error)
        self._remember(unit, turn.dossier)
        if turn.proved:
            self._proved(unit)
        if turn.dossier is None:
            self.queue.forget(unit)
        return turn, turn.again

    async def _prove_writable(self, name: UnitName) -> None:
        """After the store refused what a turn had done, it has to take a record before anything is done again: a full
        disk would have us act on the cluster every few seconds and forget it each time. Raises Unavailable."""
        if str(name) in self._unwritten:
            dossier = await self._doors.store.load(name)
            if dossier is not None:
                await self._doors.store.record(Record(dossier))
            self._unwritten.discard(str(name))

    def _remember(self, unit: str, dossier: Dossier | None) -> None:
        if dossier is not None:
            self.queue.place(unit, dossier.unit.target.cluster)
        self._seen(unit, dossier)

    async def _stumble(self, name: UnitName, error: KedgeError) -> float | None:
        """Remember what went wrong, so that status does not lie, and say when to come back."""
        now = self._doors.clock.now()
        try:
            dossier = await self._doors.store.load(name)
            if dossier is None:
                return None
            # Its source must be asked for news even though it never got as far as reading it.
            self._remember(str(name), dossier)
            if dossier.head is None and dossier.removed is None and self.awaited(str(name)):
                return None
            again = _again(error, now)
            key = f"{type(error).__name__}:{dossier.head.commit if dossier.head else ''}"
            after = stumbled(dossier, key, str(error), now, again=again, lasting=isinstance(error, Invalid))
            first = dossier.trouble is None or dossier.trouble.key != key or dossier.trouble.text != str(error)
            events = (_event(name, error, dossier, now),) if first else ()
            await self._doors.store.record(Record(after, events))
        except Conflict:
            return now + AFTER_A_CONFLICT
        except Unavailable:
            self._unwritten.add(str(name))
            return now + AFTER_THE_STORE
        return after.due


def _again(error: KedgeError, now: float) -> float | None:
    if isinstance(error, Denied):
        return now + AFTER_A_REFUSAL
    if isinstance(error, Unavailable) and error.retry_after is not None:
        return now + max(1.0, min(AFTER_A_REFUSAL, error.retry_after))
    return None


def _event(name: UnitName, error: KedgeError, dossier: Dossier, now: float) -> Event:
    commit = dossier.head.known if dossier.head is not None else ""
    return Event("unit.trouble", now, AUTOMATION.name, str(name), commit=commit, message=str(error))
