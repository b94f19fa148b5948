"""Rounds: ask each (repository, ref) for news, once for all units that use it, and ring those whose files changed.

Webhooks and polling are both only hints: a lost one costs time, never correctness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from kedge.control.road.doors import Doors
from kedge.control.shift.readers import Readers
from kedge.model.dossier import Dossier
from kedge.model.enlistment import Head
from kedge.model.errors import KedgeError
from kedge.model.event import Event
from kedge.model.origin import followed_by_parts, parts_of, range_of, spoken
from kedge.model.person import AUTOMATION
from kedge.model.source import Revision
from kedge.spawn import Spawner

POLL = 60.0
"""Seconds between two looks at one (repository, ref); a fifth more or less, so that they spread."""

WINDOW = 1.0
"""Seconds in which any number of hints for one (repository, ref) cost one fetch."""

RARELY = 10
"""Polls of its parts to one of what is put together of them."""

AT_ONCE = 8
"""Fetches in flight at once."""

Key = tuple[str, str]


@dataclass(slots=True)
class Stop:
    """One (repository, ref) of the round. `checked` is what people read (epoch seconds), `answered` the last time that
    there was an answer since the start; `looked` and `due` are in
    monotonic seconds: a clock that is set back must not end the asking."""

    readers: Readers
    head: Revision | None = None
    checked: float = 0.0
    answered: float | None = None
    looked: float = -WINDOW
    due: float = 0.0
    problem: str = ""
    hinted: bool = False
    asked: list[asyncio.Event] = field(default_factory=list)
    busy: bool = False

    @property
    def time(self) -> float:
        """When it is to be asked, in monotonic seconds."""
        return min(self.due, self.looked + WINDOW) if self.hinted else self.due


class Rounds:
    """Keeps heads current. `ring(unit)` makes a unit due; `moved(revision, changed)` has roots read the news (the
    paths that changed, None for everything), and answers whether they could; `kept` are asked for whoever reads
    them."""

    def __init__(
        self,
        doors: Doors,
        spawner: Spawner,
        ring: Callable[[str], None],
        moved: Callable[[Revision, tuple[str, ...] | None], Awaitable[bool]],
        poll: float = POLL,
        kept: Callable[[], Collection[Key]] = tuple,
    ) -> None:
        self._poll = poll
        self._kept = kept
        self._doors = doors
        self._spawner = spawner
        self._ring = ring
        self._moved = moved
        self._bell = asyncio.Event()
        self._stops: dict[Key, Stop] = {}
        self._key_of: dict[str, Key] = {}
        self._wholes: dict[Key, dict[Key, None]] = {}
        self._agenda: list[tuple[float, int, Key]] = []
        self._serial = count()
        self._busy = 0

    async def load(self, keys: Iterable[Key]) -> None:
        """Take up where the store left off: heads, and who reads what."""
        for head in await self._doors.store.heads():
            stop = self._stop((head.repository, head.ref))
            stop.head, stop.problem, stop.checked = head.revision, head.problem, head.checked
        for key in keys:
            self._stop(key)
        for key, stop in self._stops.items():
            for unit, paths in await self._doors.store.readers(*key):
                stop.readers.put(unit, paths or None)
                self._key_of[unit] = key

    def add(self, key: Key) -> None:
        if key not in self._stops:
            self._stop(key)
            self._bell.set()

    def seen(self, unit: str, dossier: Dossier | None) -> None:
        """Keep the readers current after a turn."""
        key = (dossier.unit.source.repository, dossier.unit.source.ref) if dossier is not None else None
        before = self._key_of.get(unit)
        if before is not None and before != key:
            self._stops[before].readers.drop(unit)
            del self._key_of[unit]
        if dossier is None or key is None:
            return
        self.add(key)
        reads = tuple(read.path for read in dossier.rendering.reads) if dossier.rendering is not None else None
        self._stops[key].readers.put(unit, reads)
        self._key_of[unit] = key

    def awaited(self, unit: str) -> bool:
        """Whether the unit's source has not been asked yet: it is rung as soon as there is an answer."""
        stop = self._stops.get(self._key_of.get(unit, ("", "")))
        return stop is not None and stop.head is None and not stop.problem

    def hint(self, matches: Callable[[str], bool], ref: str) -> int:
        """A push was announced: look at every fitting (repository, ref) soon. Answers how many there are."""
        fitting = [
            key
            for key in self._stops
            if any(matches(repository) and _same_ref(ref, name) for repository, name in parts_of(*key))
        ]
        for key in fitting:
            self._soon(key)
        self._bell.set()
        return len(fitting)

    def ask_troubled(self) -> None:
        """Look soon at whatever did not answer last time."""
        for key, stop in self._stops.items():
            if stop.problem:
                self._soon(key)
        self._bell.set()

    async def ask(self, keys: Iterable[Key]) -> None:
        """Look at these now, and come back when the looks are over, whatever came of them."""
        looks = []
        for key in dict.fromkeys(keys):
            if (stop := self._stops.get(key)) is not None:
                look = asyncio.Event()
                stop.asked.append(look)
                self._soon(key)
                looks.append(look)
        self._bell.set()
        for look in looks:
            await look.wait()

    async def run(self) -> None:
        """Go round for ever: whatever is due or hinted, several repositories at once, each pair one at a time."""
        while True:
            self._bell.clear()
            while self._busy < AT_ONCE and (key := self._next()) is not None:
                self._stops[key].busy = True
                self._busy += 1
                self._spawner.start(self._check(key), f"source {key[0]} {key[1]}")
            await self._pause()

    def _next(self) -> Key | None:
        """Who is due, the longest waiting first. What a stop waits for may have moved since it was written down."""
        now = self._doors.clock.monotonic()
        while self._agenda and self._agenda[0][0] <= now:
            key = heappop(self._agenda)[2]
            stop = self._stops.get(key)
            if stop is not None and not stop.busy and stop.time <= now:
                return key
        return None

    async def _pause(self) -> None:
        """Until the next stop is due; while all places are taken, until one is free."""
        free = self._agenda and self._busy < AT_ONCE
        wait = max(0.0, self._agenda[0][0] - self._doors.clock.monotonic()) if free else None
        try:
            async with asyncio.timeout(wait):
                await self._bell.wait()
        except TimeoutError:
            return

    def _plan(self, key: Key) -> None:
        heappush(self._agenda, (self._stops[key].time, next(self._serial), key))

    def _soon(self, key: Key) -> None:
        stop = self._stops[key]
        if not stop.hinted:
            stop.hinted = True
            self._plan(key)

    async def _check(self, key: Key) -> None:
        stop = self._stops[key]
        asked, stop.asked = stop.asked, []
        try:
            await (self._forget(key) if self._unread(key) else self.check(key))
        except KedgeError:
            # The store did not take it: nothing was remembered, so the next look at this stop finds the same news.
            return
        finally:
            for look in asked:
                look.set()
            stop.busy = False
            self._busy -= 1
            if key in self._stops:
                self._plan(key)
            self._bell.set()

    def _unread(self, key: Key) -> bool:
        """Whether nobody asks for it any more: no unit, no root, and nothing that it is a part of."""
        return not self._stops[key].readers and not self._wholes.get(key) and key not in self._kept()

    async def _forget(self, key: Key) -> None:
        await self._doors.store.forget_head(*key)
        if not self._unread(key):  # somebody came meanwhile: it is asked anew
            self._stops[key].head, self._stops[key].problem = None, ""
            return
        for part in parts_of(*key):
            self._wholes.get(part, {}).pop(key, None)
        del self._stops[key]

    async def check(self, key: Key) -> None:
        """Ask the remote now. A problem is remembered and shown; the last good head stays in force."""
        stop = self._stop(key)
        stop.hinted, stop.checked, stop.looked = False, self._doors.clock.now(), self._doors.clock.monotonic()
        stop.due = stop.looked + self._poll * (0.8 + 0.4 * self._doors.entropy.uniform())
        if followed_by_parts(key[1]) and stop.head is not None and not stop.problem:
            # What it is put together of is asked, once for all, and rings it. This is for what was lost on disk.
            stop.due = stop.looked + RARELY * self._poll
        try:
            revision = await self._doors.source.fetch(*key)
        except KedgeError as error:
            await self._problem(key, stop, str(error))
            return
        stop.answered = self._doors.clock.now()
        if stop.head is not None and stop.head.commit == revision.commit and not stop.problem:
            return
        await self._advance(key, stop, revision)

    async def _problem(self, key: Key, stop: Stop, text: str) -> None:
        if stop.problem == text:
            return
        event = Event("source.trouble", stop.checked, AUTOMATION.name, message=f"{key[0]} {spoken(key[1])}: {text}")
        await self._doors.store.set_head(Head(*key, stop.head, stop.checked, text), (event,))
        stop.problem = text
        self._tell_wholes(key)
        for unit in stop.readers.all():
            if stop.head is None:
                self._ring(unit)

    async def _advance(self, key: Key, stop: Stop, revision: Revision) -> None:
        before = stop.head
        changed = self._doors.source.changed(before, revision) if before is not None else None
        if not await self._moved(revision, None if changed is None else tuple(changed)):
            return  # No unit goes on to a commit whose declarations are not known; the next look finds the same news.
        events = self._events(key, before, revision, stop.checked)
        await self._doors.store.set_head(Head(*key, revision, stop.checked), events)
        stop.head, stop.problem = revision, ""
        self._tell_wholes(key)
        units = stop.readers.all() if changed is None else stop.readers.of(changed)
        for unit in units:
            self._ring(unit)

    def _events(self, key: Key, before: Revision | None, revision: Revision, now: float) -> tuple[Event, ...]:
        if before is None or before.commit == revision.commit:
            return ()
        forced = not self._doors.source.descends(before, revision)
        kind = "source.rewritten" if forced else "source.moved"
        event = Event(
            kind,
            now,
            revision.author or AUTOMATION.name,
            reason=revision.subject,
            commit=revision.known,
            before=before.known,
            after=revision.known,
            message=f"{key[0]} {spoken(key[1])}" + (": history was rewritten (force push)" if forced else ""),
        )
        return (event,)

    def asked(self) -> dict[Key, tuple[float, float | None]]:
        """(repository, ref) → when it was last asked, and when it last answered (None: not since the start)."""
        return {key: self._times(key) for key, stop in self._stops.items() if stop.checked}

    def _times(self, key: Key) -> tuple[float, float | None]:
        """Of what is put together, those of the part that was asked, and that answered, longest ago."""
        own = self._stops[key]
        stops = [self._stops[part] for part in parts_of(*key)] if followed_by_parts(key[1]) else [own]
        answers = [stop.answered for stop in stops if stop.answered is not None]
        answered = min(answers) if len(answers) == len(stops) else own.answered
        return min((stop.checked for stop in stops if stop.checked), default=own.checked), answered

    def _tell_wholes(self, key: Key) -> None:
        """What is put together of it is looked at anew."""
        for whole in self._wholes.get(key, ()):
            self._soon(whole)
        self._bell.set()

    def _stop(self, key: Key) -> Stop:
        if key not in self._stops:
            self._stops[key] = Stop(Readers())
            self._plan(key)
            for part in parts_of(*key) if followed_by_parts(key[1]) else ():
                self._wholes.setdefault(part, {})[key] = None
                self._stop(part)
        return self._stops[key]


def _same_ref(pushed: str, wanted: str) -> bool:
    if range_of(wanted) is not None:
        return not pushed.startswith("refs/heads/")
    short = pushed.removeprefix("refs/heads/").removeprefix("refs/tags/")
    return not pushed or not wanted or wanted in (pushed, short, "HEAD")
