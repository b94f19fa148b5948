"""Waits that share a timer: each ends at its own time, and none is disturbed by another."""

from __future__ import annotations

import asyncio

import pytest
from tests.kube.scripted import virtual
from tests.simulation.loop import VirtualClock

from kedge.kube.deadline import Deadlines


def now() -> float:
    return asyncio.get_running_loop().time()


async def late(deadlines: Deadlines, seconds: float, takes: float) -> float | None:
    """When the wait was cut, or None when it was over before."""
    began = now()
    try:
        with deadlines.within(seconds):
            await asyncio.sleep(takes)
    except TimeoutError:
        return now() - began
    return None


@virtual
async def test_what_takes_longer_is_cut_at_its_time(clock: VirtualClock) -> None:
    assert await late(Deadlines(), 30, 1_000) == pytest.approx(30, abs=0.01)


@virtual
async def test_each_wait_has_its_own_time_in_whatever_order_they_began(clock: VirtualClock) -> None:
    deadlines = Deadlines()
    found = await asyncio.gather(*(late(deadlines, seconds, 1_000) for seconds in (100, 10, 30, 10, 200)))
    assert found == [pytest.approx(seconds, abs=0.01) for seconds in (100, 10, 30, 10, 200)]


@virtual
async def test_what_is_over_in_time_is_cut_neither_then_nor_later(clock: VirtualClock) -> None:
    deadlines = Deadlines()
    for _ in range(50):
        assert await late(deadlines, 30, 7) is None
    await asyncio.sleep(1_000)
    assert await late(deadlines, 30, 29) is None
    assert await late(deadlines, 30, 31) == pytest.approx(30, abs=0.01)


@virtual
async def test_a_task_that_is_cancelled_by_others_is_not_late(clock: VirtualClock) -> None:
    task = asyncio.create_task(late(Deadlines(), 30, 1_000))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@virtual
async def test_a_cancellation_at_the_very_moment_is_not_lost(clock: VirtualClock) -> None:
    """Taken for a matter of time, it would leave a task at work that was told to end."""
    task = asyncio.create_task(late(Deadlines(), 30, 1_000))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(now() + 30, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


@virtual
async def test_a_wait_that_was_cut_leaves_its_task_as_it_was(clock: VirtualClock) -> None:
    task = asyncio.current_task()
    assert task is not None
    assert await late(Deadlines(), 1, 10) is not None
    assert task.cancelling() == 0
    async with asyncio.timeout(1_000):
        await asyncio.sleep(10)


@virtual
async def test_what_fails_in_its_own_way_when_it_is_cut_says_so_itself(clock: VirtualClock) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(1_000)
        except asyncio.CancelledError:
            raise ConnectionError("cut") from None

    with pytest.raises(ConnectionError, match="cut"), Deadlines().within(1):
        await stubborn()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
