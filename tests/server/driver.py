"""Drives an ASGI application in this process, and the fakes at the server's doors: store, clock, watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, cast

from tests.doors.memory_live import MemoryLive
from tests.doors.memory_states import memory_states

from kedge.control.road.commands import Commands
from kedge.control.road.doors import Doors, RenderedSets
from kedge.control.states.backend import StateBackend
from kedge.model.declaration import Cluster
from kedge.model.dossier import Dossier, Sync
from kedge.model.enlistment import Head, RootState
from kedge.model.errors import Conflict
from kedge.model.event import Event
from kedge.model.fleet import Page, UnitQuery, UnitRow
from kedge.model.health import Ailment, Status
from kedge.model.installation import Installation
from kedge.model.manifest import Manifest
from kedge.model.operation import Operation, Sight
from kedge.model.person import Person
from kedge.model.plan import Plan
from kedge.model.record import Record
from kedge.model.ref import Ref, UnitName
from kedge.server.access import READERS
from kedge.server.app import build
from kedge.server.desk import Desk

TOKEN = "an-admin-token"
READER = "a-reader-token"


class FixedClock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class MemoryStore:
    """The part of the store that the server reads and the commands write."""

    def __init__(self) -> None:
        self.dossiers: dict[str, Dossier] = {}
        self.sealed_events: list[Event] = []
        self.runs: list[Operation] = []
        self.plans: dict[str, Plan] = {}
        self.claimed: dict[tuple[str, Ref], str] = {}
        self.known_heads: list[Head] = []
        self.known_roots: list[RootState] = []
        self.known_clusters: tuple[Cluster, ...] = ()
        self.secrets: dict[str, str] = {}
        self.sets: dict[str, tuple[Manifest, ...]] = {}
        self.moved = asyncio.Event()
        self.reads = 0
        self.problem = ""

    def seal(self, event: Event) -> Event:
        sealed = replace(event, id=len(self.sealed_events) + 1, chain="c")
        self.sealed_events.append(sealed)
        self.moved.set()
        return sealed

    async def load(self, name: UnitName) -> Dossier | None:
        return self.dossiers.get(str(name))

    async def record(self, record: Record) -> Dossier:
        name = str(record.dossier.name)
        if self.dossiers[name].version != record.dossier.version:
            raise Conflict("moved")
        after = replace(record.dossier, version=record.dossier.version + 1)
        self.dossiers[name] = after
        for event in record.events:
            self.seal(event)
        return after

    async def units(self, query: UnitQuery) -> Page[UnitRow]:
        rows = [_row(dossier) for dossier in self.dossiers.values()]
        rows = [
            row
            for row in rows
            if query.project in ("", row.project)
            and query.kind in ("", "app" if row.cluster else "stack")
            and query.health in ("", row.health.value)
            and query.sync in ("", row.sync.value)
            and query.text in row.name
        ]
        rows.sort(key=lambda row: (-row.health.rank, row.name))
        start = next((i + 1 for i, row in enumerate(rows) if row.name == query.after), 0)
        page = rows[start : start + query.limit]
        more = page[-1].name if start + query.limit < len(rows) else ""
        return Page(tuple(page), more, len(rows))

    async def clusters(self) -> Sequence[Cluster]:
        return self.known_clusters

    async def heads(self) -> Sequence[Head]:
        return self.known_heads

    async def roots(self) -> Sequence[RootState]:
        return self.known_roots

    async def claims(self, cluster: str, refs: Sequence[Ref]) -> Mapping[Ref, str]:
        return {ref: self.claimed[cluster, ref] for ref in refs if (cluster, ref) in self.claimed}

    async def keep(self, name: str, value: str | None, event: Event) -> None:
        if value is None:
            self.secrets.pop(name, None)
        else:
            self.secrets[name] = value
        self.seal(event)

    async def note(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self.seal(event)

    async def rendered(self, digest: str) -> tuple[Manifest, ...] | None:
        return self.sets.get(digest)

    async def kept_names(self) -> list[str]:
        return sorted(self.secrets)

    async def operations(self, unit: str, before: int = 0, limit: int = 50) -> Sequence[Operation]:
        found = [run for run in self.runs if str(run.unit) == unit and (not before or run.number < before)]
        return sorted(found, key=lambda run: -run.number)[:limit]

    async def operation(self, unit: str, number: int) -> Operation | None:
        return next((run for run in self.runs if str(run.unit) == unit and run.number == number), None)

    async def plan(self, plan: str) -> Plan | None:
        return self.plans.get(plan)

    async def events(self, after: int = 0, unit: str = "", limit: int = 100) -> Sequence[Event]:
        self.reads += 1
        return [event for event in self.sealed_events if event.id > after and unit in ("", event.unit)][:limit]

    async def latest(self, unit: str = "", before: int = 0, limit: int = 100) -> Sequence[Event]:
        found = [e for e in self.sealed_events if (not before or e.id < before) and unit in ("", e.unit)]
        return found[::-1][:limit]

    async def sealed(self) -> AsyncIterator[int]:
        while True:
            await self.moved.wait()
            self.moved.clear()
            yield len(self.sealed_events)


def _row(dossier: Dossier) -> UnitRow:
    live = dossier.applied
    return UnitRow(
        name=str(dossier.name),
        project=dossier.name.project,
        sync=dossier.shown.sync,
        health=dossier.shown.health.status,
        why=dossier.shown.why,
        cluster=dossier.unit.target.cluster,
        namespace=dossier.unit.target.namespace,
        repository=dossier.unit.source.repository,
        path=dossier.unit.source.path,
        commit=live.commit if live else "",
        author=live.author if live else "",
        subject=live.subject if live else "",
        verified=dossier.verified,
        changed=0.0,
        waiting="",
        pinned=dossier.pin is not None,
        suspended=bool(dossier.suspended),
        version=dossier.version,
    )


@dataclass
class Fakes:
    """Everything a test may turn."""

    store: MemoryStore = field(default_factory=MemoryStore)
    clock: FixedClock = field(default_factory=FixedClock)
    fresh: dict[str, float] = field(default_factory=dict)
    ailing: dict[str, Ailment] = field(default_factory=dict)
    proved: dict[str, float] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    sights: dict[Ref, Sight] = field(default_factory=dict)
    live: MemoryLive = field(default_factory=MemoryLive)
    pushes: list[Any] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)
    listeners: list[Any] = field(default_factory=list)
    secret: str = ""
    states: StateBackend = field(init=False)

    def __post_init__(self) -> None:
        self.states = memory_states(self.clock, Installation("inst", b"k" * 32, "key"))

    def put(self, dossier: Dossier) -> Dossier:
        self.store.dossiers[str(dossier.name)] = dossier
        return dossier

    def desk(self) -> Desk:
        async def look(dossier: Dossier) -> Mapping[Ref, Sight]:
            return self.sights

        async def push(pushed: Any) -> int:
            self.pushes.append(pushed)
            return 1

        def ring(name: UnitName, why: str) -> None:
            self.rung.append(f"{name} {why}")

        absent = cast(Any, None)
        target = cast(Any, SimpleNamespace(live=self.live))
        store = cast(Any, self.store)
        rendered = RenderedSets(store)
        doors = Doors(self.clock, absent, store, absent, absent, target, Installation("inst", b"", ""), rendered)
        people = {TOKEN: Person("admin", ("admin",)), READER: Person("rita", (READERS,))}
        return Desk(
            store=cast(Any, self.store),
            commands=Commands(doors, ring),
            clock=self.clock,
            fresh=self.fresh.get,
            current=lambda unit, cluster: self.fresh.get(cluster),
            ailment=self.ailing.get,
            look=look,
            push=push,
            tokens={sha256(token.encode()).hexdigest(): person for token, person in people.items()},
            webhook_secret=self.secret,
            vitals=lambda: {"units": float(len(self.store.dossiers)), "turns_total": 3.0},
            follow=self.listeners.append,
            verified=self.proved.get,
            late=lambda unit: self.late.get(unit, ""),
            states=self.states,
            ailments=lambda: {name: self.ailing.get(name) for name in (*self.fresh, *self.ailing)},
        )


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        found = self.json["error"]
        assert isinstance(found, dict)
        return found


class Client:
    """One application, asked in this process."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.send("POST", path, {} if body is None else body, **more)

    async def send(self, method: str, path: str, body: Any, **more: Any) -> Answer:
        headers = {"content-type": "application/json", **more.pop("headers", {})}
        return await self.ask(method, path, body=json.dumps(body).encode(), headers=headers, **more)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        token: str | None = TOKEN,
    ) -> Answer:
        sent: list[Any] = []
        pending = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return pending.pop() if pending else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope(method, path, headers, token), receive, send)
        start = sent[0]
        named = {key.decode(): value.decode() for key, value in start["headers"]}
        return Answer(start["status"], named, b"".join(part.get("body", b"") for part in sent[1:]))


def scope(method: str, path: str, headers: Mapping[str, str] | None, token: str | None) -> dict[str, Any]:
    given = {"host": "127.0.0.1:7420", **({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
    plain, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": plain,
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "headers": [(key.encode(), value.encode()) for key, value in given.items() if value],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 7420),
    }


@asynccontextmanager
async def running(fakes: Fakes) -> AsyncIterator[Client]:
    """The application with its lifespan."""
    app = build(fakes.desk())
    async with app.router.lifespan_context(app):
        yield Client(app)


def synced(**more: Any) -> dict[str, Any]:
    from kedge.model.dossier import Shown
    from kedge.model.health import Health

    return {"shown": Shown(Sync.SYNCED, Health(Status.HEALTHY)), **more}
