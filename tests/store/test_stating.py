"""States in the database: encrypted, bound to what they are of, and let go of when they are too many or too old."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.doors.statefiles import output, resource, run_of, statefile
from tests.store.opening import FullDisk, StillClock, opened

from kedge.control.states.backend import StateBackend
from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.state import StateFacts
from kedge.store.sql import SqlStore
from kedge.store.stating import ENDED, FLOOR, INTERIM, LOT, Keep, outdated

DB = "shop/db"
CANARY = "canary-7f3a-secret"
DAY = 86400.0


async def backend_over(store: SqlStore, clock: StillClock) -> StateBackend:
    return StateBackend(store.states, await store.installation(), clock, lambda: "http://kedge")


async def numbers(store: SqlStore, unit: str = DB) -> list[int]:
    return [version.number for version in await store.states.versions(unit, limit=1000)]


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


async def test_neither_a_secret_nor_a_token_is_in_the_database_in_clear(tmp_path: Path) -> None:
    path = tmp_path / "kedge.db"
    store = opened(path, clock=StillClock())
    run = await run_of(await backend_over(store, StillClock())).granted()
    await run.applied(statefile(1, resource(CANARY), outputs={"p": output(CANARY, sensitive=True)}))
    await store.close()
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert CANARY.encode() not in held
    assert run.token.encode() not in held


async def test_a_state_of_one_unit_can_not_be_passed_off_as_anothers(tmp_path: Path) -> None:
    path = tmp_path / "kedge.db"
    store = opened(path)
    await (await run_of(await backend_over(store, StillClock())).granted()).applied(statefile(1))
    await store.close()
    database = sqlite3.connect(path)
    database.execute("UPDATE states SET unit = 'shop/other'")
    database.commit()
    database.close()
    store = opened(path)
    with pytest.raises(Unavailable, match="does not decrypt"):
        await store.states.content("shop/other", 1)
    with pytest.raises(Unavailable, match="does not decrypt"):
        await store.states.head("shop/other")
    await store.close()


async def test_states_outlive_a_rotation_of_the_key_and_need_the_one_they_were_made_with(tmp_path: Path) -> None:
    path = tmp_path / "kedge.db"
    store = opened(path)
    run = await run_of(await backend_over(store, StillClock())).granted()
    await run.applied(statefile(1))
    await store.close()
    store = opened(path, key=b"n" * 32, older=(b"k" * 32,))
    backend = await backend_over(store, StillClock())
    assert await backend.read(DB) == statefile(1)
    assert (await backend.grant(DB, "run-1", write=True)).token == run.token
    await store.close()
    store = opened(path, key=b"n" * 32)
    with pytest.raises(Invalid, match="was not given"):
        await store.states.content(DB, 1)
    await store.close()


@pytest.mark.parametrize("point", ["record", "written", "commit"])
async def test_a_write_that_meets_a_full_disk_is_not_half_there(tmp_path: Path, point: str) -> None:
    disk = FullDisk()
    store = opened(tmp_path / "kedge.db", fail=disk)
    run = await run_of(await backend_over(store, StillClock())).granted()
    await run.lock()
    disk.points = {point}
    with pytest.raises(Unavailable, match="disk is full"):
        await run.write(statefile(1))
    disk.points = set()
    held = await store.states.facts(DB)
    assert (held.newest, held.lock is not None) == (None, True)
    await run.write(statefile(1))
    await store.close()


async def test_what_was_acknowledged_is_there_after_a_restart_with_lock_and_grant(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    run = await run_of(await backend_over(store, StillClock())).granted()
    await run.lock()
    await run.write(statefile(1))
    before = await store.states.facts(DB, "run-1")
    await store.close()
    store = opened(tmp_path / "kedge.db")
    assert await store.states.facts(DB, "run-1") == before
    again = run_of(await backend_over(store, StillClock()))
    assert (await again.granted()).token == run.token
    await again.write(statefile(2))
    await store.close()


def test_every_version_stays_where_nobody_set_a_bound() -> None:
    rows = [(number, 0.0, f"run-{number}") for number in range(3000, 0, -1)]
    assert list(outdated(rows, 1e12, Keep())) == []


def test_only_so_many_versions_stay() -> None:
    rows = [(number, 0.0, "") for number in range(300, 0, -1)]
    assert list(outdated(rows, 1.0, Keep(versions=200))) == list(range(100, 0, -1))
    assert list(outdated(rows[:1], 1e12, Keep(versions=0))) == []


def test_old_ones_go_where_there_are_newer_ones_enough() -> None:
    rows = [(number, 0.0, "") for number in range(30, 0, -1)]
    assert list(outdated(rows, 91 * DAY, Keep(seconds=90 * DAY))) == list(range(30 - FLOOR, 0, -1))
    assert list(outdated(rows, 89 * DAY, Keep(seconds=90 * DAY))) == []


def test_what_a_run_wrote_in_between_goes_after_a_day_and_its_last_stays() -> None:
    rows = [(6, 0.0, ""), (5, 0.0, "b"), (4, 0.0, "a"), (3, 0.0, "a"), (2, 0.0, "a"), (1, 0.0, "b")]
    assert list(outdated(rows, INTERIM + 1, Keep())) == [3, 2]
    assert list(outdated(rows, INTERIM - 1, Keep())) == []


async def test_what_a_run_left_behind_takes_no_place_from_the_others_and_goes_when_it_is_old(tmp_path: Path) -> None:
    clock = StillClock()
    store = opened(tmp_path / "kedge.db", clock=clock, states=Keep(versions=1, seconds=90 * DAY))
    backend = await backend_over(store, clock)
    run = await run_of(backend).granted()
    await run.applied(statefile(1))
    await run.lock()
    await backend.revoke("run-1")
    await (await run_of(backend, "run-2").granted()).applied(statefile(2))
    with pytest.raises(Conflict):
        await backend.bring_home(DB, "run-1", statefile(5, resource()))
    await store.collect(clock.now())
    assert await numbers(store) == [3, 2]
    await store.collect(clock.now() + 91 * DAY)
    assert await numbers(store) == [2]
    await store.close()


async def test_collection_goes_through_all_units_a_few_at_a_time_and_forgets_what_is_over(tmp_path: Path) -> None:
    clock = StillClock()
    store = opened(tmp_path / "kedge.db", clock=clock, states=Keep(versions=2))
    backend = await backend_over(store, clock)
    units = [f"shop/u{n:02}" for n in range(LOT + 5)]
    for unit in units:
        run = await run_of(backend, f"run-of-{unit}", unit).granted()
        await run.applied(*(statefile(n) for n in (1, 2, 3)))
        await backend.revoke(run.execution)
    assert await store.collect(clock.now()) == LOT
    assert await store.collect(clock.now()) == 5
    assert await store.collect(clock.now()) == 0
    assert [await numbers(store, unit) for unit in units] == [[3, 2]] * len(units)
    assert await store.states.facts("shop/u00", "run-of-shop/u00") != StateFacts("shop/u00")
    await store.collect(clock.now() + ENDED + 1)
    assert await store.states.granted("run-of-shop/u00") is None
    await store.close()
