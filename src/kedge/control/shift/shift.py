"""The shift: rounds bring news of sources, roots say which units there are, turns reconcile them.

Start takes up where the store left off; a bell lost in a crash costs one poll, never correctness.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from kedge.control.road.doors import Doors
from kedge.control.road.enlist import AdminRoot, Enlister
from kedge.control.road.recollect import tell_unclaimed
from kedge.control.shift.queue import Lane
from kedge.control.shift.rounds import POLL, Rounds
from kedge.control.shift.turns import Turns
from kedge.control.shift.vigil import Vigil
from kedge.model.declaration import Credential
from kedge.model.dossier import Dossier
from kedge.model.errors import Invalid, KedgeError, Unavailable
from kedge.model.event import Event
from kedge.model.fleet import UnitQuery
from kedge.model.person import AUTOMATION
from kedge.model.ref import Ref, UnitName
from kedge.model.source import Revision
from kedge.model.unit import Unit
from kedge.spawn import Spawner

SWEEP = 6 * 3600.0
"""Seconds in which every unit is dry-run once, whatever its watch says."""

PAGE = 1000

NEWS = 10.0
"""Seconds that somebody who asks for a sync waits for Git's answer; after that, what is known counts."""

TIDY = 60.0
"""Seconds between two bounded clean-ups of the store."""

AGAIN = 30.0
"""Seconds until a root that could not be read is read again."""


class Shift:
    """Everything that works without being asked. `close` of its spawner ends it."""

    def __init__(self, doors: Doors, spawner: Spawner, admin: AdminRoot, poll: float = POLL) -> None:
        self._doors = doors
        self._spawner = spawner
        self._enlister = Enlister(doors, admin)
        self._enlisting: dict[str, bool] = {}
        self._troubles: dict[str, str] = {}
        self._again: dict[str, None] = {}
        self._awaited: dict[str, list[asyncio.Future[bool]]] = {}
        self._news: dict[str, Revision] = {}
        self._refused: dict[str, None] = {}
        self._units: dict[str, None] = {}
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._listeners: list[Callable[[str, int], None]] = []
        self.vigil = Vigil(doors, SWEEP)
        self.turns = Turns(doors, spawner, self._seen, self.vigil.proved)
        self.rounds = Rounds(doors, spawner, self.turns.ring, self._moved, poll, self._enlister.places)
        self.turns.awaited = self.rounds.awaited

    async def start(self) -> None:
        """Load what is remembered, ring what is due, and begin."""
        await self.rounds.load([*self._enlister.places(), *await self._doors.store.sources()])
        await self._place()
        await self.vigil.recall()
        await self._enlister.recall()
        for unit, due in await self._doors.store.wakeups():
            self._units[unit] = None
            self.turns.ring(unit)
            if due is not None:
                self.turns.later(unit, due)
        self._doors.target.subscribe(self._rung)
        self._spawner.start(self.turns.run(), "turns")
        self._spawner.start(self.rounds.run(), "rounds")
        self._spawner.start(self._sweep(), "sweep")
        self._spawner.start(self.vigil.run(), "vigil")
        self._spawner.start(self._tidy(), "tidy")
        for root in self._enlister.roots():
            self._enlist(root)

    async def _place(self) -> None:
        """Tell the turns which cluster each unit is of, before the first of them is handed out."""
        page = await self._doors.store.units(UnitQuery(limit=PAGE))
        while True:
            for row in page.items:
                self.turns.queue.place(row.name, row.cluster)
                self.vigil.place(row)
            if not page.next:
                return
            page = await self._doors.store.units(UnitQuery(after=page.next, limit=PAGE))

    def ring(self, name: UnitName, why: str) -> None:
        """A person waits for it."""
        self.turns.ring(str(name), Lane.INTERACTIVE)

    async def ask(self, unit: Unit) -> None:
        """Have the unit's source and its root's looked at now; a source that is slow to answer is not waited for."""
        root = self._enlister.place(unit.root)
        keys = [(unit.source.repository, unit.source.ref), *([root] if root is not None else [])]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NEWS):
                await self.rounds.ask(keys)

    def credentials(self) -> tuple[Credential, ...] | None:
        """Those that the admin root declares just now; None while it has not been read since the start."""
        return self._enlister.credentials()

    def follow(self, listener: Callable[[str, int], None]) -> None:
        """Have `listener` told a unit and its version after each of its turns."""
        self._listeners.append(listener)

    def push(self, matches: Callable[[str], bool], ref: str) -> int:
        """A push was announced; answers how many (repository, ref) it may concern."""
        return self.rounds.hint(matches, ref)

    def secret_moved(self, name: str) -> None:
        """A secret was kept or deleted: whoever renders with it is looked at, and sources in trouble are asked:
        it may have been what opens them."""
        for unit, names in self._secrets.items():
            if name in names:
                self.turns.ring(unit)
        self.rounds.ask_troubled()

    def vitals(self) -> dict[str, float]:
        """Gauges for `/metrics`."""
        queue = self.turns.queue
        return {
            "units": float(len(self._units)),
            "units_in_flight": float(queue.busy),
            "units_due": float(len(queue)),
            "turns_total": float(self.turns.taken),
            "tasks": float(len(self._spawner)),
            **self.vigil.vitals(),
        }

    def _rung(self, unit: str, ref: Ref, what: str) -> None:
        if unit in self._units:
            self.turns.hear(unit, what)

    def _seen(self, unit: str, dossier: Dossier | None) -> None:
        if dossier is None:
            self._units.pop(unit, None)
        self._secrets.pop(unit, None)
        if dossier is not None and dossier.unit.render.secrets:
            self._secrets[unit] = dossier.unit.render.secrets
        self.rounds.seen(unit, dossier)
        self.vigil.seen(unit, dossier)
        for tell in self._listeners:
            tell(unit, dossier.version if dossier is not None else 0)

    async def _moved(self, revision: Revision, changed: tuple[str, ...] | None) -> bool:
        """Have the roots that this touches read; whether all of them could be. A root whose text is refused was read:
        what it said before stays in force."""
        readings = []
        for root in self._enlister.concerned((revision.repository, revision.ref), changed):
            self._news[root] = revision
            reading: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._awaited.setdefault(root, []).append(reading)
            self._enlist(root)
            readings.append(reading)
        return all([await reading for reading in readings])

    def _enlist(self, root: str) -> None:
        """Read a root; when it is being read already, once more afterwards."""
        if root in self._enlisting:
            self._enlisting[root] = True
            return
        self._enlisting[root] = False
        self._spawner.start(self._read(root), f"root {root}")

    async def _read(self, root: str) -> None:
        awaited, read = self._awaited.pop(root, []), False
        try:
            enlisted = await self._enlister.read(root, self._news.pop(root, None))
            read = True
        except KedgeError as error:
            read = isinstance(error, Invalid)
            if root not in self._again:
                self._again[root] = None
                self._spawner.start(self._trouble(root, str(error)), f"root {root}, again")
            return
        finally:
            again = self._enlisting.pop(root)
            for reading in awaited:
                if not reading.done():
                    reading.set_result(read)
            if again:
                self._enlist(root)
        self._troubles.pop(root, None)
        for unit in (*enlisted.added, *enlisted.changed, *enlisted.removed):
            self._units[unit] = None
            self.turns.declared(unit)
        self._free(root, refused=bool(enlisted.refused), freed=bool(enlisted.removed))
        for key in self._enlister.places():
            self.rounds.add(key)
        for name in self._enlister.unread():
            self._enlist(name)

    def _free(self, root: str, *, refused: bool, freed: bool) -> None:
        """A name that a root lets go is for those who were refused it: they are read again."""
        waiting = [name for name in self._refused if name != root and name in self._enlister.roots()]
        if refused:
            self._refused[root] = None
        else:
            self._refused.pop(root, None)
        for name in waiting if freed else ():
            self._enlist(name)

    async def _trouble(self, root: str, text: str) -> None:
        """Tell once what is wrong, and read the root again later: its next commit may be a long time off."""
        try:
            if self._troubles.get(root) != text:
                await self._doors.store.note((_trouble(root, text, self._doors.clock.now()),))
                self._troubles[root] = text
        except Unavailable:
            self._troubles.pop(root, None)
        await self._doors.clock.sleep(AGAIN)
        del self._again[root]
        if root in self._enlister.roots():
            self._enlist(root)

    async def _sweep(self) -> None:
        """Walk the fleet once per `SWEEP`, one unit at a time, evenly."""
        while True:
            for unit in list(self._units) or [""]:
                await self._doors.clock.sleep(SWEEP / max(1, len(self._units)))
                if unit in self._units:
                    self.turns.ring(unit, Lane.SWEEP)

    async def _tidy(self) -> None:
        """Let go of plans and rendered sets that nothing needs any more, a bounded number at a time."""
        while True:
            await self._doors.clock.sleep(TIDY)
            with contextlib.suppress(Unavailable):  # a full disk: the next time will do
                await tell_unclaimed(self._doors)
                await self._doors.store.collect(self._doors.clock.now())


def _trouble(root: str, text: str, now: float) -> Event:
    return Event("root.trouble", now, AUTOMATION.name, message=f"root {root}: {text}")
