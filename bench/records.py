"""Records per second of the one writer, beside committing each record alone.

A record is what a simple unit's turn writes: its dossier, its claims and one event. Alone means that a producer waits
for its acknowledgement before it hands in the next. The bare line is SQLite itself: one small row and one commit each,
which is what the disk can do at most when nothing is shared.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench._machine import sized
from kedge.clock import SystemClock, SystemEntropy
from kedge.model.declaration import TargetSection
from kedge.model.enlistment import Enlistment, RootState
from kedge.model.event import Event
from kedge.model.operation import Owned
from kedge.model.record import Record
from kedge.model.ref import Ref, UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import Unit
from kedge.store.sql import Opening, SqlStore, open_store

UNITS, ALONE, SHARED = 500, 500, sized("BENCH_RECORDS", 10_000, 2_000)


def _unit(number: int) -> Unit:
    source = SourceSpec("https://git.example/fleet", "main", f"apps/{number}")
    return Unit(UnitName("bench", f"u{number}"), "admin", source, TargetSection("default", "bench"), digest="1")


async def _produce(store: SqlStore, numbers: range, records: int) -> None:
    """One producer: its own units in turn, each acknowledgement awaited."""
    dossiers = [dossier for n in numbers if (dossier := await store.load(UnitName("bench", f"u{n}"))) is not None]
    for turn in range(records):
        at = turn % len(dossiers)
        dossier = dossiers[at]
        claims = tuple(
            Owned(Ref("", "ConfigMap", "bench", f"{dossier.name.name}-{k}"), str(turn // len(dossiers)))
            for k in range(4)
        )
        event = Event("bench.wrote", float(turn), "bench", str(dossier.name))
        dossiers[at] = await store.record(Record(replace(dossier, inventory=claims), (event,)))


async def _rate(store: SqlStore, producers: int, records: int) -> float:
    share = UNITS // producers
    lots = [range(n * share, (n + 1) * share) for n in range(producers)]
    started = time.perf_counter()
    await asyncio.gather(*(_produce(store, lot, records // producers) for lot in lots))
    return records // producers * producers / (time.perf_counter() - started)


def _bare(path: Path) -> float:
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    database.execute("CREATE TABLE small (id INTEGER PRIMARY KEY, body TEXT)")
    started = time.perf_counter()
    for n in range(ALONE):
        database.execute("INSERT INTO small VALUES (?, ?)", (n, "x" * 200))
    rate = ALONE / (time.perf_counter() - started)
    database.close()
    return rate


async def _run(folder: Path) -> None:
    store = open_store(Opening(folder / "kedge.db", b"k" * 32, SystemClock(), SystemEntropy()))
    state = RootState("admin", None, True)
    started = time.perf_counter()
    await store.enlist(Enlistment(state, tuple(_unit(n) for n in range(UNITS))))
    print(f"   enlisting {UNITS} units: {time.perf_counter() - started:.2f} s")
    bare = _bare(folder / "bare.db")
    alone = await _rate(store, 1, ALONE)
    print(f"   bare SQLite, one row and one commit each: {bare:8,.0f} a second")
    print(f"   one producer, each record alone:          {alone:8,.0f} a second  ({alone / bare:.1f} × bare)")
    for producers in (8, 64, 250):
        shared = await _rate(store, producers, SHARED)
        print(
            f"   {producers:3} producers, sharing commits:          "
            f"{shared:8,.0f} a second  ({shared / alone:.1f} × alone, {shared / bare:.1f} × bare)"
        )
    started = time.perf_counter()
    loads = 2000
    for n in range(loads):
        await store.load(UnitName("bench", f"u{n % UNITS}"))
    print(f"   load of one dossier with 4 objects: {(time.perf_counter() - started) / loads * 1e3:.3f} ms")
    started = time.perf_counter()
    report = await store.verify_chain()
    took = time.perf_counter() - started
    print(f"   verifying {report.sound:,} events: {took:.2f} s, broken: {report.broken or 'none'}")
    await store.close()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as folder:
        asyncio.run(_run(Path(folder)))
