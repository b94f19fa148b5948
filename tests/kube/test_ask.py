"""One request within bounds: the window, deadlines, and patience with 429."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from tests.kube.scripted import Scripted, ok, status, virtual
from tests.simulation.loop import SeededEntropy, VirtualClock

from kedge.kube.ask import Asker
from kedge.kube.transport import Lost, Response
from kedge.kube.window import Window
from kedge.model.errors import Unavailable


def refused(sentence: str) -> Response:
    body = {"kind": "Status", "status": "Failure", "message": sentence, "reason": "InternalError", "code": 500}
    return Response(500, {}, orjson.dumps(body))


def asker(transport: Scripted, clock: VirtualClock) -> Asker:
    return Asker(transport, clock, SeededEntropy(1))


@virtual
async def test_a_429_is_asked_again_after_the_time_it_names(clock: VirtualClock) -> None:
    transport = Scripted(status(429, **{"retry-after": "5"}), ok({}))
    began = clock.monotonic()
    assert (await asker(transport, clock).ask("GET", "/x")).status == 200
    assert 5 <= clock.monotonic() - began < 6


@virtual
async def test_a_429_for_ever_is_given_back(clock: VirtualClock) -> None:
    transport = Scripted(*[status(429)] * 4)
    assert (await asker(transport, clock).ask("GET", "/x")).status == 429
    assert len(transport.asked) == 4


@virtual
async def test_a_429_that_asks_for_too_long_is_given_back_at_once(clock: VirtualClock) -> None:
    transport = Scripted(status(429, **{"retry-after": "300"}))
    began = clock.monotonic()
    assert (await asker(transport, clock).ask("GET", "/x")).status == 429
    assert clock.monotonic() - began < 1


@virtual
async def test_a_write_that_may_have_been_carried_out_is_never_asked_again(clock: VirtualClock) -> None:
    for code in (500, 502, 503, 504):
        transport = Scripted(status(code))
        assert (await asker(transport, clock).ask("PATCH", "/x")).status == code
        assert len(transport.asked) == 1


@virtual
async def test_a_write_whose_answer_was_lost_is_never_asked_again(clock: VirtualClock) -> None:
    transport = Scripted(Lost("PATCH /x", "reset"))
    with pytest.raises(Lost, match="reset"):
        await asker(transport, clock).ask("PATCH", "/x")
    assert len(transport.asked) == 1


@virtual
async def test_what_changes_nothing_is_asked_again_after_what_passes(clock: VirtualClock) -> None:
    asked: tuple[tuple[str, dict[str, str]], ...] = (("GET", {}), ("PATCH", {"dryRun": "All"}))
    for method, query in asked:
        transport = Scripted(Lost(f"{method} /x", "reset"), status(503), status(504), ok({}))
        began = clock.monotonic()
        assert (await asker(transport, clock).ask(method, "/x", query)).status == 200
        assert 0.5 < clock.monotonic() - began < 4


@virtual
async def test_a_500_to_a_dry_run_costs_no_comparison_of_many_objects(clock: VirtualClock) -> None:
    """It was given back at once: of twenty objects one always met it, and the whole comparison began anew."""
    asked: tuple[tuple[str, dict[str, str]], ...] = (("GET", {}), ("PATCH", {"dryRun": "All"}))
    for method, query in asked:
        transport = Scripted(status(500), refused("etcdserver: leader changed"), ok({}))
        assert (await asker(transport, clock).ask(method, "/x", query)).status == 200


@virtual
async def test_a_500_that_is_about_what_was_sent_or_a_webhook_is_an_answer(clock: VirtualClock) -> None:
    for sentence in (
        "failed to create typed patch object (web/web; apps/v1, Kind=Deployment): .spec.replica: field not declared",
        "etcdserver: request is too large",
        'Internal error occurred: failed calling webhook "a.example.org": context deadline exceeded',
    ):
        transport = Scripted(refused(sentence))
        assert (await asker(transport, clock).ask("PATCH", "/x", {"dryRun": "All"})).status == 500
        assert len(transport.asked) == 1


@virtual
async def test_what_does_not_pass_is_told_after_a_few_tries(clock: VirtualClock) -> None:
    transport = Scripted(*[status(503)] * 4)
    assert (await asker(transport, clock).ask("GET", "/x")).status == 503
    assert len(transport.asked) == 4
    transport = Scripted(*[Lost("GET /x", "reset")] * 3)
    with pytest.raises(Lost, match="reset"):
        await asker(transport, clock).ask("GET", "/x")
    assert len(transport.asked) == 3, "the third loss in a row opens the breaker"


@virtual
async def test_a_read_that_is_refused_for_long_is_not_waited_for(clock: VirtualClock) -> None:
    transport = Scripted(status(503, **{"retry-after": "300"}))
    assert (await asker(transport, clock).ask("GET", "/x")).status == 503


@virtual
async def test_a_late_answer_is_unavailable(clock: VirtualClock) -> None:
    class Late(Scripted):
        async def request(self, *args: object) -> object:
            await asyncio.sleep(3600)

    with pytest.raises(Unavailable, match="no answer within 30 s"):
        await asker(Late(), clock).ask("GET", "/x")


@virtual
async def test_no_more_than_the_window_are_on_their_way(clock: VirtualClock) -> None:
    window, busy, most = Window(clock, first=4), 0, 0

    async def one() -> None:
        nonlocal busy, most
        async with window:
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(1)
            busy -= 1

    await asyncio.gather(*(one() for _ in range(20)))
    assert most == 4


@virtual
async def test_the_window_grows_by_one_for_a_window_of_answers(clock: VirtualClock) -> None:
    window = Window(clock, first=10)
    for _ in range(10):
        window.succeeded()
    assert 10.9 < window.size < 11.1


@virtual
async def test_the_window_never_passes_its_bounds(clock: VirtualClock) -> None:
    window = Window(clock, first=2, most=4)
    for _ in range(500):
        window.succeeded()
    assert window.size == 4
    for _ in range(10):
        async with window as started:
            window.throttled(started, None)
        await clock.sleep(1)
    assert window.size == 1


@virtual
async def test_a_burst_of_429_halves_once(clock: VirtualClock) -> None:
    window = Window(clock, first=16)

    async def one() -> None:
        async with window as started:
            await asyncio.sleep(1)
            window.throttled(started, None)

    await asyncio.gather(*(one() for _ in range(16)))
    assert window.size == 8


@virtual
async def test_nothing_starts_before_the_time_that_the_server_named(clock: VirtualClock) -> None:
    window = Window(clock)
    async with window as started:
        window.throttled(started, 10.0)
    async with window as later:
        assert later >= started + 10


@virtual
async def test_a_cancelled_waiter_loses_no_place(clock: VirtualClock) -> None:
    window = Window(clock, first=1)
    entered: list[int] = []

    async def one(number: int) -> None:
        async with window:
            entered.append(number)
            await asyncio.sleep(1)

    tasks = [asyncio.get_running_loop().create_task(one(number)) for number in range(3)]
    await asyncio.sleep(0.5)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert entered == [0, 2]
    async with window:
        entered.append(9)
    assert entered[-1] == 9


@virtual
async def test_who_is_cancelled_before_the_time_that_the_server_named_loses_no_place(clock: VirtualClock) -> None:
    window = Window(clock, first=1)
    async with window as started:
        window.throttled(started, 10.0)

    async def one() -> None:
        async with window:
            raise AssertionError("nothing starts before that time")

    task = asyncio.get_running_loop().create_task(one())
    await clock.sleep(5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    async with window as later:
        assert later >= started + 10
