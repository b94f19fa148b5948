"""The virtual loop: whatever would hang in real time is stopped and says what it was."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from tests.simulation import loop as virtual
from tests.simulation.loop import Deadlock, Outside, Spinning, VirtualLoop, simulate
from tests.simulation.run import Failed, run


def live(program: Callable[[], Awaitable[None]]) -> None:
    loop = VirtualLoop()

    async def whole() -> None:
        await program()

    simulate(whole(), loop)


def test_a_wait_for_nothing_is_a_deadlock() -> None:
    async def program() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        live(program)


def test_going_round_without_time_going_by_is_spinning() -> None:
    async def program() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Spinning):
        live(program)


def test_going_round_for_ever_in_small_steps_is_spinning(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program() -> None:
        while True:
            await asyncio.sleep(0.001)

    monkeypatch.setattr(virtual, "TURNS", 500)
    with pytest.raises(Spinning):
        live(program)


def test_a_task_that_never_gives_the_loop_back_is_spinning(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program() -> None:
        while True:
            pass

    monkeypatch.setattr(virtual, "WORK", 0.05)
    with pytest.raises(Spinning, match=r"test_loop\.py"):
        live(program)


def test_a_wait_for_a_socket_is_outside_of_virtual_time() -> None:
    async def program() -> None:
        mine, other = socket.socketpair()
        with mine, other:
            mine.setblocking(False)
            await asyncio.get_running_loop().sock_recv(mine, 1)

    with pytest.raises(Outside):
        live(program)


def test_a_wait_for_a_thread_is_outside_of_virtual_time() -> None:
    async def program() -> None:
        await asyncio.get_running_loop().run_in_executor(None, print)

    with pytest.raises(Outside):
        live(program)


def test_a_seed_that_would_hang_fails_with_its_story(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.get_running_loop().run_in_executor(None, print)

    monkeypatch.setattr("tests.simulation.run.still", hang)
    with pytest.raises(Failed, match=r"(?s)seed 3: a wait on a thread.*settled.*again: python"):
        run(3)
