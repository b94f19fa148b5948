"""One commit for many, each for itself, and a full disk."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import manifest, owned, plan_of, ref
from tests.store.opening import FullDisk, event, fresh, opened, wrote

from kedge.model.errors import Conflict, Invalid, Unavailable
from kedge.model.fleet import UnitQuery
from kedge.store import chain
from kedge.store.sql import SqlStore
from kedge.store.writer import POINTS, Pace

BEFORE_COMMIT = POINTS[:-1]


async def test_records_handed_in_together_share_a_commit(tmp_path: Path) -> None:
    disk = FullDisk()
    store = opened(tmp_path / "kedge.db", fail=disk)
    await asyncio.gather(*(store.record(wrote(fresh(f"u{n}"))) for n in range(200)))
    assert disk.seen.count("written") == 200
    assert disk.seen.count("commit") <= 20
    await store.close()


def test_a_few_commits_follow_each_other_at_once_and_many_keep_a_distance() -> None:
    pace = Pace(every=0.025, at_once=3)
    assert [pace.next(100.0) for _ in range(4)] == pytest.approx([0.0, 0.0, 0.0, 0.025])
    assert pace.next(100.025) == pytest.approx(0.025)
    assert [pace.next(200.0) for _ in range(4)] == pytest.approx([0.0, 0.0, 0.0, 0.025])


async def test_a_record_that_fails_takes_only_itself_back(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    claimed = (owned(ref("ConfigMap", "shared")),)
    answers = await asyncio.gather(
        store.record(wrote(fresh("a", inventory=claimed), event("a"))),
        store.record(wrote(fresh("b", inventory=claimed), event("b"))),
        store.record(wrote(fresh("c", version=7), event("c"))),
        store.record(wrote(fresh("d"), event("d"))),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers[1:3]] == [Invalid, Conflict]
    assert [row.name for row in (await store.units(UnitQuery())).items] == ["shop/a", "shop/d"]
    assert [each.kind for each in await store.events()] == ["a", "d"]
    await store.close()


async def test_a_batch_is_run_once_more_where_one_of_it_fails_and_only_then(tmp_path: Path) -> None:
    disk = FullDisk()
    store = opened(tmp_path / "kedge.db", fail=disk, threads=False)
    works = [lambda session: chain.insert(session, (event("a"),)), lambda session: chain.insert(session, (event("b"),))]
    assert [answer.error for answer in store._writer.commit(works)] == [None, None]
    assert disk.seen.count("record") == 2
    *_, last = store._writer.commit([*works, lambda session: 1 // 0])
    assert isinstance(last.error, ZeroDivisionError)
    assert disk.seen.count("record") == 2 + 3 + 3
    assert [each.kind for each in await store.events()] == ["a", "b", "a", "b"]
    assert (await store.verify_chain()).sound == 4
    await store.close()


async def test_our_own_bug_in_one_record_does_not_reach_the_others(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    broken = replace(fresh("b"), inventory=("not an object",))  # type: ignore[arg-type]
    answers = await asyncio.gather(
        store.record(wrote(fresh("a"))), store.record(wrote(broken)), store.record(wrote(fresh("c"))),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(answer).__name__ for answer in answers] == ["Dossier", "AttributeError", "Dossier"]
    await store.close()


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("point", BEFORE_COMMIT)
async def test_a_full_disk_keeps_nothing_says_so_and_passes(tmp_path: Path, point: str, threads: bool) -> None:
    disk = FullDisk()
    store = opened(tmp_path / "kedge.db", fail=disk, threads=threads)
    web = await store.record(wrote(fresh(), event("before")))
    disk.points = {point}
    plan = plan_of(manifest("ConfigMap", "web"))
    moved = replace(web, plan=plan, inventory=(owned(ref("ConfigMap", "web")),))
    with pytest.raises(Unavailable, match="the disk is full"):
        await store.record(wrote(moved, event("during")))
    assert await store.load(web.name) == web
    assert await store.claims("default", [ref("ConfigMap", "web")]) == {}
    disk.points = set()
    await store.record(wrote(moved, event("after")))
    assert [each.kind for each in await store.events()] == ["before", "after"]
    assert (await store.verify_chain()).sound == 2
    await store.close()


async def test_a_disk_that_is_really_full_keeps_nothing_and_passes(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db", threads=False)
    session = store._sessions[0]
    web = await store.record(wrote(fresh()))
    pages = session.raw.cursor().execute("PRAGMA page_count").fetchone()[0]
    session.command(f"PRAGMA max_page_count = {pages}")
    large = replace(web, suspended="x" * 200_000)
    with pytest.raises(Unavailable, match="the disk is full"):
        await store.record(wrote(large, event("during")))
    assert "the disk is full" in store.problem
    assert await store.load(web.name) == web
    session.command("PRAGMA max_page_count = 1000000")
    assert (await store.record(wrote(large))).version == 2
    assert store.problem == ""
    assert await store.events() == []
    await store.close()


async def test_a_database_held_by_another_process_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.store.sqlite._PATIENCE", 0.0)
    store = opened(tmp_path / "kedge.db")
    other = sqlite3.connect(tmp_path / "kedge.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="held by another process"):
        await store.record(wrote(fresh()))
    other.execute("ROLLBACK")
    other.close()
    await store.record(wrote(fresh()))
    await store.close()


async def test_a_cancelled_caller_does_not_harm_the_batch(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    loop = asyncio.get_running_loop()
    first = loop.create_task(store.record(wrote(fresh("a"))))
    second = loop.create_task(store.record(wrote(fresh("b"))))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).version == 1
    await store.close()


async def test_closing_finishes_what_was_handed_in(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    loop = asyncio.get_running_loop()
    writes = [loop.create_task(store.record(wrote(fresh(f"u{n}")))) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert all(each.version == 1 for each in await asyncio.gather(*writes))
    await store.close()


async def test_two_stores_on_one_file_share_the_chain(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "kedge.db"), opened(tmp_path / "kedge.db")

    async def note(store: SqlStore) -> None:
        for _ in range(20):
            await store.note((event(),))

    await asyncio.gather(note(one), note(two))
    assert (await one.verify_chain()).sound == 40
    await one.close()
    await two.close()


async def test_inline_the_same_seed_writes_the_same_log(tmp_path: Path) -> None:
    heads = []
    for name in ("a", "b"):
        store = opened(tmp_path / name, threads=False)
        await asyncio.gather(*(store.record(wrote(fresh(f"u{n}"), event(message=str(n)))) for n in range(20)))
        heads.append(await store.witness())
        await store.close()
    assert heads[0] == heads[1]
