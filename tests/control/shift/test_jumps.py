"""A wall clock that jumps, by an hour or by a day: runs, waits, pins, sweeps and tries go on as before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from tests.doors.town import WEB, Town, file, in_town, unit

from kedge.control.shift.turns import CLOCK
from kedge.model.declaration import SyncSection
from kedge.model.dossier import Sync
from kedge.model.errors import Unavailable
from kedge.model.operation import Operation, Result
from kedge.model.person import Person

MONA = Person("mona")
HOUR, DAY = 3600.0, 86400.0
JUMPS = [-DAY, -HOUR, HOUR, DAY]


async def runs_of(town: Town) -> Sequence[Operation]:
    return await town.store.operations("shop/web")


async def restarted(town: Town) -> None:
    await town.kedge.close()
    await town.live()


@pytest.mark.parametrize("jump", JUMPS)
def test_a_run_that_waits_is_not_ended_by_a_jump(jump: float) -> None:
    """A day forward was a false timeout."""

    async def story(town: Town) -> None:
        await town.open(file("Deployment", "a", seconds=60))
        await asyncio.sleep(20)
        town.clock.jump(jump)
        await asyncio.sleep(60)
        assert [(run.number, run.result) for run in await runs_of(town)] == [(1, Result.SUCCEEDED)]
        assert (await town.web()).shown.sync is Sync.SYNCED

    in_town(story)


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("anew", [False, True])
def test_a_run_has_the_time_that_it_was_given_and_no_more(jump: float, anew: bool) -> None:
    """A day back gave it another day; and with each restart it began to count anew from what the wall clock said."""

    async def story(town: Town) -> None:
        await town.open(file("Deployment", "a", seconds=10_000), sync=SyncSection(timeout=60))
        await asyncio.sleep(40)
        town.clock.jump(jump)
        if anew:
            await restarted(town)
        await asyncio.sleep(15)
        assert [run.result for run in await runs_of(town)] == [None]
        await asyncio.sleep(60 if anew else 10)
        (first,) = await runs_of(town)
        assert (first.result, first.message[:20]) == (Result.FAILED, "timed out after 60 s")
        assert 59 < first.spent < 122

    in_town(story)


def test_the_time_in_which_nobody_was_at_work_does_not_count() -> None:
    """After a night of maintenance every run that had been open was timed out before anybody had looked."""

    async def story(town: Town) -> None:
        await town.open(file("Deployment", "a", seconds=60), sync=SyncSection(timeout=100))
        await asyncio.sleep(20)
        town.clock.jump(8 * HOUR)
        await restarted(town)
        await asyncio.sleep(45)
        assert [(run.number, run.result) for run in await runs_of(town)] == [(1, Result.SUCCEEDED)]

    in_town(story)


@pytest.mark.parametrize("down", [False, True])
def test_restarts_again_and_again_give_a_run_little_more_than_its_time(down: bool) -> None:
    """Its time was written down when something had come of it. A run that waited, or could not even ask, began to count
    anew with every restart, and never ended."""

    async def story(town: Town) -> None:
        await town.open(file("Deployment", "a", seconds=10_000), sync=SyncSection(timeout=400))
        for _ in range(5):
            await asyncio.sleep(90)
            await restarted(town)
            if down:
                town.kedge.target.before = away
        await asyncio.sleep(200)
        (first,) = await runs_of(town)
        if down:
            assert first.spent > 400
        else:
            assert (first.result, first.message[:21]) == (Result.FAILED, "timed out after 400 s")

    async def away(what: str) -> None:
        raise Unavailable("the cluster does not answer")

    in_town(story)


@pytest.mark.parametrize("jump", JUMPS)
def test_an_object_that_looks_sick_right_after_it_was_applied_keeps_its_grace(jump: float) -> None:
    async def story(town: Town) -> None:
        await town.open(file("Deployment", "a", seconds=2, sick=True))
        await asyncio.sleep(1)
        town.clock.jump(jump)
        town.recover()
        await asyncio.sleep(30)
        assert [run.result for run in await runs_of(town)] == [Result.SUCCEEDED]

    in_town(story)


@pytest.mark.parametrize("jump", JUMPS)
def test_what_failed_is_tried_again_in_time(jump: float) -> None:
    async def story(town: Town) -> None:
        await town.live()
        tries: list[float] = []

        async def down(what: str) -> None:
            tries.append(town.clock.monotonic())
            raise Unavailable("the cluster does not answer")

        town.kedge.target.before = down
        town.source.commit(dict([file("ConfigMap", "a")]), time=town.clock.now())
        await town.enlist({"shop/web": unit()})
        await asyncio.sleep(60)
        before = len(tries)
        assert 2 <= before < 12
        town.clock.jump(jump)
        await asyncio.sleep(400)
        assert before + 1 < len(tries) < before + 12
        assert max(late - soon for soon, late in pairwise(tries)) < 200

    in_town(story)


@pytest.mark.parametrize("jump", [HOUR, DAY])
def test_a_pin_whose_time_a_jump_brings_says_so_soon_and_never_rolls_forward(jump: float) -> None:
    """It was noticed when as many seconds had gone by as it had left."""

    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(5)
        town.push(file("ConfigMap", "a"), file("ConfigMap", "b"))
        await asyncio.sleep(5)
        await town.kedge.commands.rollback(MONA, WEB, "1", "b is bad", lasting=HOUR)
        await asyncio.sleep(5)
        town.clock.jump(jump)
        await asyncio.sleep(2 * CLOCK)
        assert "expired" in (await town.web()).shown.why
        assert town.standing() == ["ConfigMap a"]
        town.clock.jump(-jump)
        await asyncio.sleep(7 * HOUR)
        assert "expired" in (await town.web()).shown.why
        assert town.standing() == ["ConfigMap a"]

    in_town(story)


@pytest.mark.parametrize("jump", [-HOUR, -DAY])
def test_a_pin_lasts_by_the_wall_clock_also_when_that_is_set_back(jump: float) -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(5)
        town.push(file("ConfigMap", "a"), file("ConfigMap", "b"))
        await asyncio.sleep(5)
        await town.kedge.commands.rollback(MONA, WEB, "1", "b is bad", lasting=HOUR)
        await asyncio.sleep(60)
        town.clock.jump(jump)
        await asyncio.sleep(HOUR)
        assert (await town.web()).shown.why.startswith("pinned to run 1")
        await asyncio.sleep(-jump)
        assert "expired" in (await town.web()).shown.why

    in_town(story)


@pytest.mark.parametrize("jump", JUMPS)
def test_the_slow_sweep_goes_its_way(jump: float) -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        looks: list[float] = []

        async def counted(what: str) -> None:
            looks.append(town.clock.monotonic())

        town.kedge.target.before = counted
        town.clock.jump(jump)
        await asyncio.sleep(25 * HOUR)
        swept = [look for number, look in enumerate(looks) if not number or look - looks[number - 1] > HOUR]
        assert 4 <= len(swept) <= 6
        assert len(looks) < 12

    in_town(story)
