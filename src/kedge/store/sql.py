"""`kedge.ports.Store` over SQL: every method a piece of work for the writer, the reading thread, or the loop itself.

Reads of one unit or one key run on the loop's own connection (a fraction of a millisecond; a thread costs more than
that to reach). Reads that grow with the fleet or the log go to the reading thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from kedge.model.declaration import Cluster, Credential
from kedge.model.dossier import Dossier
from kedge.model.enlistment import Enlisted, Enlistment, Head, RootState
from kedge.model.errors import Invalid
from kedge.model.event import ChainReport, Event, Witness
from kedge.model.fleet import Page, UnitQuery, UnitRow
from kedge.model.installation import Installation
from kedge.model.manifest import Manifest
from kedge.model.operation import Operation
from kedge.model.plan import Plan
from kedge.model.record import Record
from kedge.model.ref import Ref, UnitName
from kedge.model.rule import HealthRule
from kedge.model.unit import Unit
from kedge.ports import Clock, Entropy
from kedge.store import (
    chain,
    claiming,
    collecting,
    enlisting,
    fleet,
    founding,
    keeping,
    reading,
    recording,
    sqlite,
    stating,
)
from kedge.store.ledger import SqlStateStore
from kedge.store.listening import Announcer
from kedge.store.migrate import migrate
from kedge.store.session import Session
from kedge.store.vault import Vault
from kedge.store.writer import MOST, InlineLane, Lane, Pace, Reader, ThreadLane, Writer, closed

T = TypeVar("T")

_READS = 16


@dataclass(frozen=True, slots=True)
class Opening:
    """How to open a store. `key` has 32 bytes (`keys.load_or_create_key`), `older` are keys from before a rotation.

    `path` may be `:memory:` with `threads=False`. `fail(point)` is called at each of `writer.POINTS` of every batch;
    what it raises happens there. `name` is the installation that a new database goes on as, "" for one of its own.
    `states` says how many versions of stacks' states are kept.
    """

    path: str | Path
    key: bytes
    clock: Clock
    entropy: Entropy
    older: tuple[bytes, ...] = ()
    threads: bool = True
    name: str = ""
    states: stating.Keep = stating.Keep()
    fail: Callable[[str], None] = field(default=lambda point: None)


def open_store(opening: Opening) -> SqlStore:
    """Open the database, making or upgrading it first; call it on the running loop.

    Raises Invalid (another key, a newer schema, not ours) and Unavailable (not to be opened, held by another)."""
    path = str(opening.path)
    if opening.threads and path == sqlite.MEMORY:
        raise Invalid("a database in memory has one connection only: open it with threads=False")
    vault = Vault(opening.key, opening.entropy, opening.older)
    session = sqlite.connect(path)
    try:
        migrate(session, path)
        session.command(sqlite.BEGIN_WRITE)
        installation = founding.found(session, vault, opening.entropy, opening.clock.now(), opening.name)
        session.command("COMMIT")
    except sqlite.Error as error:
        session.raw.close()
        raise sqlite.explain(error, path) from error
    except BaseException:
        session.raw.close()
        raise
    return SqlStore(opening, installation, vault, session)


class SqlStore:
    """See `kedge.ports.Store`. Made by `open_store`, on the running loop."""

    def __init__(self, opening: Opening, installation: Installation, vault: Vault, session: Session) -> None:
        self._path = str(opening.path)
        self._clock = opening.clock
        self._installation = installation
        self._vault = vault
        self._cursor = collecting.Cursor()
        self._keep, self._swept = opening.states, ""
        self._recalled = reading.Recalled()
        self._closed = False
        self._announcer = Announcer(chain.head(session)[0])
        self._writer = Writer(session, self._path, chain.seal, opening.fail)
        self._sessions = [session]
        self._writes, self._scans, self._bulk, self._quick = self._lanes(session, opening.threads)
        self.states = SqlStateStore(vault, self._look, self._bulk, self._writes)

    def _lanes(self, session: Session, threads: bool) -> tuple[Lane, Lane, Lane, Reader]:
        """The writer, the reader of what grows with the fleet, the one of what is bulky, and the loop's own."""
        if not threads:
            reader = Reader(session, self._path)
            reads = InlineLane(reader.read, self._nothing)
            return InlineLane(self._writer.commit, self._served), reads, reads, reader
        scanning, bulk, quick = (sqlite.connect(self._path, reading=True) for _ in range(3))
        self._sessions += [scanning, bulk, quick]
        return (
            ThreadLane("kedge-writer", self._writer.commit, self._served, MOST, Pace()),
            ThreadLane("kedge-reader", Reader(scanning, self._path).read, self._nothing, _READS),
            ThreadLane("kedge-states", Reader(bulk, self._path).read, self._nothing, 1),
            Reader(quick, self._path),
        )

    def _served(self) -> None:
        self._announcer.announce(self._writer.head)

    def _nothing(self) -> None:
        """Reads move nothing."""

    def _desk(self) -> recording.Desk:
        return recording.Desk(self._clock.now(), self._vault)

    def _glance(self, work: Callable[[Session], T]) -> T:
        """Work of a single statement, or of several that need not see the same moment: a transaction around it would
        cost more than it."""
        if self._closed:
            raise closed()
        return self._quick.glance(work)

    def _look(self, work: Callable[[Session], T]) -> T:
        if self._closed:
            raise closed()
        (answer,) = self._quick.read([work])
        if answer.error is not None:
            raise answer.error
        value: T = answer.value
        return value

    async def installation(self) -> Installation:
        return self._installation

    async def load(self, name: UnitName) -> Dossier | None:
        unit, recalled = str(name), self._recalled
        known = self._glance(lambda session: reading.recall(session, unit, recalled))
        return known or self._glance(lambda session: reading.load(session, unit, recalled))

    async def record(self, record: Record) -> Dossier:
        desk = self._desk()
        dossier, stamp = await self._writes.do(lambda session: recording.record(session, desk, record))
        if stamp:
            self._recalled.put(str(dossier.name), stamp, dossier)
        else:
            self._recalled.drop(str(dossier.name))
        return dossier

    async def enlist(self, enlistment: Enlistment) -> Enlisted:
        desk = self._desk()
        return await self._writes.do(lambda session: enlisting.enlist(session, desk, enlistment))

    async def units(self, query: UnitQuery) -> Page[UnitRow]:
        return await self._scans.do(lambda session: fleet.page(session, query))

    async def wakeups(self) -> Sequence[tuple[str, float | None]]:
        return await self._scans.do(reading.wakeups)

    async def readers(self, repository: str, ref: str) -> Sequence[tuple[str, tuple[str, ...]]]:
        return await self._scans.do(lambda session: reading.readers(session, repository, ref))

    async def sources(self) -> Sequence[tuple[str, str]]:
        return await self._scans.do(reading.sources)

    async def declared_elsewhere(self, root: str) -> Sequence[str]:
        return await self._scans.do(lambda session: reading.declared_elsewhere(session, root))

    async def heads(self) -> Sequence[Head]:
        return self._glance(reading.known_heads)

    async def set_head(self, head: Head, events: tuple[Event, ...] = ()) -> None:
        def write(session: Session) -> None:
            enlisting.write_head(session, head)
            chain.insert(session, events)

        await self._writes.do(write)

    async def forget_head(self, repository: str, ref: str) -> None:
        await self._writes.do(lambda session: enlisting.drop_head(session, repository, ref))

    async def roots(self) -> Sequence[RootState]:
        return self._glance(reading.known_roots)

    async def clusters(self) -> Sequence[Cluster]:
        return self._glance(reading.clusters)

    async def credentials(self) -> Sequence[Credential]:
        return self._glance(reading.credentials)

    async def rules(self) -> Sequence[HealthRule]:
        return self._glance(reading.rules)

    async def keep(self, name: str, value: str | None, event: Event) -> None:
        await self._writes.do(lambda session: keeping.keep(session, self._vault, name, value, event))

    async def kept(self, name: str) -> str | None:
        return self._look(lambda session: keeping.kept(session, self._vault, name))

    async def kept_names(self) -> Sequence[str]:
        return self._glance(keeping.names)

    async def claims(self, cluster: str, refs: Sequence[Ref]) -> Mapping[Ref, str]:
        return self._glance(lambda session: claiming.holders(session, cluster, tuple(refs)))

    async def operations(self, unit: str, before: int = 0, limit: int = 50) -> Sequence[Operation]:
        return await self._scans.do(lambda session: reading.runs(session, unit, before, limit))

    async def operation(self, unit: str, number: int) -> Operation | None:
        return self._glance(lambda session: reading.operation(session, unit, number))

    async def plan(self, plan: str) -> Plan | None:
        return self._glance(lambda session: reading.plan(session, plan))

    async def frozen(self, unit: str, number: int) -> Unit | None:
        return self._glance(lambda session: reading.frozen(session, unit, number))

    async def rendered(self, digest: str) -> tuple[Manifest, ...] | None:
        return await self._scans.do(lambda session: reading.rendered(session, self._vault, digest))

    async def events(self, after: int = 0, unit: str = "", limit: int = 100) -> Sequence[Event]:
        return await self._scans.do(lambda session: reading.events_after(session, after, unit, limit))

    async def latest(self, unit: str = "", before: int = 0, limit: int = 100) -> Sequence[Event]:
        return await self._scans.do(lambda session: reading.events_before(session, before, unit, limit))

    async def note(self, events: tuple[Event, ...]) -> None:
        await self._writes.do(lambda session: chain.insert(session, events))

    def sealed(self) -> AsyncIterator[int]:
        return self._announcer.listen()

    async def witness(self) -> Witness:
        return self._look(chain.witness)

    async def verify_chain(self, seen: Witness | None = None) -> ChainReport:
        return await self._scans.do(lambda session: chain.verify(session, seen))

    async def collect(self, now: float) -> int:
        gone, self._cursor = await self._writes.do(partial(_collect, now, self._cursor))
        old, self._swept = await self._writes.do(partial(self._outdated, now))
        return gone + old

    def _outdated(self, now: float, session: Session) -> tuple[int, str]:
        return stating.collect(session, now, self._keep, self._swept)

    @property
    def problem(self) -> str:
        return self._writer.problem

    async def close(self) -> None:
        """Finish what was handed in, then close. Later calls raise Unavailable; a second close does nothing."""
        if self._closed:
            return
        self._closed = True
        await self._writes.close()
        await self._scans.close()
        await self._bulk.close()
        self._announcer.close()
        for session in self._sessions[::-1]:
            session.raw.close()


def _collect(now: float, cursor: collecting.Cursor, session: Session) -> tuple[int, collecting.Cursor]:
    return collecting.collect(session, now, cursor)
