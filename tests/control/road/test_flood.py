"""A root of more declarations than anybody has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.control.road.test_half_read import FILES, commit, enlister
from tests.doors.memory_source import MemorySource
from tests.store.opening import opened

from kedge.control.road import enlist
from kedge.control.road.enlist import ADMIN
from kedge.model.ref import UnitName


@pytest.mark.parametrize(("bound", "value"), [("MOST_FILES", 5), ("MOST_BYTES", 1_000)])
async def test_declarations_without_end_are_refused_unread_and_what_was_said_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    # A tree of a few kilobytes that names one file a hundred thousand times was read as often, in one go.
    store, source = opened(tmp_path / "kedge.db", threads=False), MemorySource()
    commit(source, **FILES)
    house = enlister(source, store)
    await house.read(ADMIN)
    before = await store.load(UnitName.parse("shop/web"))
    monkeypatch.setattr(enlist, bound, value)
    commit(source, **{**FILES, **{f".kedge/{n}.yaml": "# nothing\n" * 50 for n in range(6)}})
    await house.read(ADMIN)
    (state,) = await store.roots()
    assert not state.complete
    assert "too many to be read" in state.problems[0].text
    after = await store.load(UnitName.parse("shop/web"))
    assert before is not None
    assert after is not None
    assert (after.removed, after.unit) == (None, before.unit)


async def test_others_have_their_turn_while_a_root_is_read(tmp_path: Path) -> None:
    store, source = opened(tmp_path / "kedge.db", threads=False), MemorySource()
    commit(source, **{**FILES, **{f".kedge/{n}.yaml": "# nothing\n" * 7_000 for n in range(20)}})
    turns = 0

    async def other() -> Any:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    house = enlister(source, store)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(other())
        readings, _, _ = await house._readings_of(house._roots[ADMIN], await source.fetch(*house.places()[0]))
        task.cancel()
    assert len(readings) == 25
    assert turns >= 20
