"""What a unit's row remembers is not decoded twice, and never told a moment longer than it is true."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import manifest, owned, plan_of, ref, revision
from tests.store.opening import StillClock, fresh, named, opened, reading, wrote

from kedge.model.enlistment import Head
from kedge.model.ref import UnitName
from kedge.store.reading import Recalled
from kedge.store.sql import SqlStore

WEB = UnitName("shop", "web")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = opened(tmp_path / "kedge.db")
    yield made
    await made.close()


async def test_a_unit_that_has_not_moved_is_decoded_once(tmp_path: Path, store: SqlStore) -> None:
    written = await store.record(wrote(fresh(inventory=(owned(ref("ConfigMap", "a")),))))
    assert await store.load(WEB) is written
    other = opened(tmp_path / "kedge.db")
    assert await other.load(WEB) == written
    assert await other.load(WEB) is await other.load(WEB)
    await other.close()


async def test_each_write_is_seen_by_the_next_read(tmp_path: Path, store: SqlStore) -> None:
    last, other = await store.record(wrote(fresh())), opened(tmp_path / "kedge.db")
    for change in (
        {"inventory": (owned(ref("ConfigMap", "a"), digest="1"),)},
        {"inventory": (owned(ref("ConfigMap", "a"), digest="2"),)},
        {"plan": plan_of(manifest("ConfigMap", "a"))},
        {"plan": None, "inventory": ()},
        {"due": 9.0},
    ):
        await store.load(WEB)
        last = await store.record(wrote(replace(last, **change)))
        assert await store.load(WEB) == last
        assert await other.load(WEB) == last  # as it was written, not as it is remembered here
    await other.close()


async def test_what_another_process_writes_is_seen(tmp_path: Path, store: SqlStore) -> None:
    first = await store.record(wrote(fresh()))
    assert await store.load(WEB) == first
    other = opened(tmp_path / "kedge.db")
    second = await other.record(wrote(replace(first, due=9.0)))
    assert await store.load(WEB) == second
    await other.close()


async def test_a_head_that_moves_is_seen_without_a_write_to_the_unit(store: SqlStore) -> None:
    web = await store.record(wrote(fresh()))
    await store.load(WEB)
    newer = revision("1" * 40)
    source = web.unit.source
    await store.set_head(Head(source.repository, source.ref, newer, 1.0))
    loaded = await store.load(WEB)
    assert loaded is not None
    assert loaded.head == newer


async def test_a_unit_that_is_forgotten_is_not_recalled(store: SqlStore) -> None:
    web = await store.record(wrote(fresh()))
    await store.load(WEB)
    await store.record(wrote(web, forget=True))
    assert await store.load(WEB) is None


async def test_a_unit_that_comes_back_at_the_same_version_is_not_taken_for_what_it_was(
    tmp_path: Path, store: SqlStore
) -> None:
    await store.enlist(reading(named("web", digest="1")))
    assert await store.load(WEB) is await store.load(WEB)
    clock = StillClock()
    other = opened(tmp_path / "kedge.db", clock=clock)
    for declared, later in ((named("web", digest="2"), 0.0), (named("web", digest="2"), 1.0)):
        was = await other.load(WEB)
        assert was is not None
        await other.record(wrote(was, forget=True))
        clock.at += later
        await other.enlist(reading(declared))
        loaded = await store.load(WEB)
        assert loaded is not None
        assert (loaded is was, loaded.unit, loaded.version) == (False, declared, 1)
    await other.close()


def test_only_the_last_ones_are_kept() -> None:
    recalled = Recalled(limit=2)
    for name in ("a", "b", "c"):
        recalled.put(name, (1,), fresh(name))
    assert recalled.get("a", (1,)) is None
    assert recalled.get("c", (1,)) == fresh("c")
    assert recalled.get("c", (2,)) is None
