"""The pulse of a cluster: one that is away is not asked by everybody, and it says so for as long as that lasts."""

from __future__ import annotations

import asyncio

import pytest
from tests.kube.scripted import Scripted, client, ok, status, virtual
from tests.simulation.loop import VirtualClock

from kedge.kube.ask import Asker
from kedge.kube.pulse import LOSSES, MOST
from kedge.kube.transport import Lost
from kedge.model.errors import Unavailable

AWAY = Lost("GET /x", "no answer from https://c: refused")


async def asked(asker: Asker, path: str = "/x") -> str:
    """Of a write, which is asked once; reads are asked again by themselves."""
    try:
        await asker.ask("PATCH", path)
    except Unavailable as error:
        return str(error)
    return ""


@virtual
async def test_after_some_losses_nobody_waits_for_the_cluster(clock: VirtualClock) -> None:
    transport = Scripted(*[AWAY] * LOSSES)
    asker = client(transport, clock).asker
    for _ in range(LOSSES):
        await asked(asker)
    sentence = await asked(asker, "/mine")
    assert sentence.startswith("PATCH /mine: no answer from https://c: refused")
    assert len(transport.asked) == LOSSES


@virtual
async def test_who_is_not_let_through_is_told_what_helps_too(clock: VirtualClock) -> None:
    """It was told to look whether the server runs, where its certificate had expired."""
    expired = Lost("GET /x", "the certificate has expired", hint="renew the certificate")
    asker = client(Scripted(*[expired] * LOSSES), clock).asker
    assert ["renew the certificate" in await asked(asker) for _ in range(LOSSES + 1)] == [True] * (LOSSES + 1)


@virtual
async def test_now_and_then_one_question_goes_through_ever_more_seldom(clock: VirtualClock) -> None:
    transport = Scripted(*[AWAY] * 1000)
    asker = client(transport, clock).asker
    seen = []
    for _ in range(200):
        before = len(transport.asked)
        await asked(asker)
        if len(transport.asked) > before:
            seen.append(clock.monotonic())
        await clock.sleep(0.5)
    gaps = [later - earlier for earlier, later in zip(seen[LOSSES:], seen[LOSSES + 1 :], strict=False)]
    assert gaps == sorted(gaps)
    assert MOST <= gaps[-1] <= MOST + 0.5


@virtual
async def test_an_answer_ends_it_and_is_told_once(clock: VirtualClock) -> None:
    told: list[float] = []
    transport = Scripted(*[AWAY] * LOSSES, ok({}), ok({}))
    asker = client(transport, clock).asker
    asker.pulse.recovered = lambda: told.append(clock.now())
    for _ in range(LOSSES):
        await asked(asker)
    assert asker.pulse.ailment is not None
    since = asker.pulse.ailment.since
    assert since == pytest.approx(clock.now(), abs=1.0)
    await clock.sleep(5)
    assert await asked(asker) == ""
    assert await asked(asker) == ""
    assert asker.pulse.ailment is None
    assert len(told) == 1


@virtual
async def test_a_single_lost_answer_is_noted_and_rings_nobody(clock: VirtualClock) -> None:
    told: list[int] = []
    asker = client(Scripted(AWAY, ok({})), clock).asker
    asker.pulse.recovered = lambda: told.append(1)
    await asked(asker)
    assert asker.pulse.ailment is not None
    assert "refused" in asker.pulse.ailment.reason
    await asked(asker)
    assert (asker.pulse.ailment, told) == (None, [])


@virtual
async def test_a_cluster_that_wavers_rings_its_units_seldom(clock: VirtualClock) -> None:
    told: list[float] = []
    denied = status(401, "Unauthorized")
    asker = client(Scripted(*[denied, ok({})] * 50), clock).asker
    asker.pulse.recovered = lambda: told.append(clock.monotonic())
    for _ in range(100):
        await asked(asker)
        await clock.sleep(0.1)
    assert 1 <= len(told) <= 3


@pytest.mark.parametrize(("code", "words"), [(401, "the credential is not accepted"), (503, "HTTP 503"), (429, "429")])
def test_an_answer_that_is_none_is_an_ailment(code: int, words: str) -> None:
    @virtual
    async def scene(clock: VirtualClock) -> None:
        asker = client(Scripted(*[status(code, "no", **{"retry-after": "1"})] * 4), clock).asker
        await asked(asker)
        assert asker.pulse.ailment is not None
        assert words in asker.pulse.ailment.reason

    scene()


@virtual
async def test_a_refused_object_is_no_ailment(clock: VirtualClock) -> None:
    asker = client(Scripted(status(403), status(404), status(409), status(422), status(500)), clock).asker
    for _ in range(5):
        await asked(asker)
    assert asker.pulse.ailment is None


@virtual
async def test_those_who_waited_for_a_place_do_not_each_wait_for_the_cluster_to_be_late(clock: VirtualClock) -> None:
    asker = Asker(Slow(), clock, client(Scripted(), clock).entropy)
    started = clock.monotonic()
    found = await asyncio.gather(*(asked(asker) for _ in range(400)))
    assert all("no answer within 30 s" in sentence for sentence in found)
    assert clock.monotonic() - started < 31


@virtual
async def test_a_server_that_wants_to_be_left_alone_for_an_hour_keeps_nobody_waiting(clock: VirtualClock) -> None:
    transport = Scripted(status(429, "busy", **{"retry-after": "3600"}))
    asker = client(transport, clock).asker
    started = clock.monotonic()
    assert (await asker.ask("GET", "/x")).status == 429
    assert "asked not to be asked again for 3600 s" in await asked(asker)
    assert clock.monotonic() - started < 1


class Slow(Scripted):
    async def request(self, *_: object) -> None:  # type: ignore[override]
        await asyncio.sleep(1e6)
