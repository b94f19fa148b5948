import asyncio
import json

from tests.server.driver import TOKEN, Fakes, running, scope

from kedge.model.event import Event
from kedge.server.hub import BATCH, HINTS, KEPT, Hub
from kedge.server.stream import frames

STREAM = "/api/v1/stream"


def event(number: int = 0, unit: str = "shop/web") -> Event:
    return Event("unit.sync", float(number), "admin", unit=unit, message=f"m{number}")


class Listener:
    """One client of the stream: collects frames until it is told to hang up."""

    def __init__(self, client, path=STREAM, headers=None):
        self.frames: list[str] = []
        self.status = 0
        self._gone = asyncio.Event()
        self._got = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(
            client.app(scope("GET", path, headers, TOKEN), self._receive, self._send)
        )

    async def _receive(self):
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
        text = message.get("body", b"").decode()
        self.frames += [part for part in text.split("\n\n") if part]
        self._got.set()

    async def until(self, enough):
        async with asyncio.timeout(60):
            while not enough(self):
                await self._got.wait()
                self._got.clear()
        return self

    def ids(self):
        return [int(line[4:]) for frame in self.frames for line in frame.splitlines() if line.startswith("id: ")]

    async def hang_up(self):
        self._gone.set()
        await self._task

    async def ended(self):
        async with asyncio.timeout(60):
            await self._task


async def test_a_client_that_comes_back_misses_nothing():
    fakes = Fakes()
    async with running(fakes) as client:
        first = Listener(client)
        await first.until(lambda it: it.frames)
        for number in range(3):
            fakes.store.seal(event(number))
        await first.until(lambda it: len(it.ids()) == 3)
        await first.hang_up()
        for number in range(3, 7):
            fakes.store.seal(event(number))
        second = Listener(client, headers={"last-event-id": str(first.ids()[-1])})
        await second.until(lambda it: len(it.ids()) == 4)
        await second.hang_up()
    assert first.ids() + second.ids() == [1, 2, 3, 4, 5, 6, 7]


async def test_a_frame_holds_the_whole_event_on_one_line():
    fakes = Fakes()
    async with running(fakes) as client:
        listener = Listener(client)
        await listener.until(lambda it: it.frames)
        fakes.store.seal(Event("x", 1.0, "mona", message="two\nlines\r\n\nid: 99"))
        await listener.until(lambda it: it.ids())
        await listener.hang_up()
    record = next(frame for frame in listener.frames if frame.startswith("id:"))
    lines = record.split("\n")
    assert lines[:2] == ["id: 1", "event: record"]
    assert json.loads(lines[2].removeprefix("data: "))["message"] == "two\nlines\r\n\nid: 99"
    assert len(lines) == 3


async def test_a_stream_without_a_place_starts_at_the_end_of_the_record():
    fakes = Fakes()
    fakes.store.seal(event(0))
    async with running(fakes) as client:
        listener = Listener(client)
        await listener.until(lambda it: it.frames)
        fakes.store.seal(event(1))
        await listener.until(lambda it: it.ids())
        await listener.hang_up()
    assert listener.ids() == [2]


async def test_a_place_that_does_not_exist_is_refused():
    async with running(Fakes()) as client:
        for place in ("77", "-1", "x", "1.5"):
            assert (await client.get(STREAM, headers={"last-event-id": place})).status == 422


async def test_only_the_named_unit_is_streamed_where_one_is_named():
    fakes = Fakes()
    async with running(fakes) as client:
        listener = Listener(client, f"{STREAM}?unit=shop/web")
        await listener.until(lambda it: it.frames)
        fakes.store.seal(event(0, "shop/api"))
        fakes.store.seal(event(1, "shop/web"))
        await listener.until(lambda it: it.ids())
        await listener.hang_up()
    assert listener.ids() == [2]


async def test_a_hint_has_no_id_and_only_the_newest_of_a_unit_is_kept():
    fakes = Fakes()
    async with running(fakes) as client:
        listener = Listener(client)
        await listener.until(lambda it: it.frames)
        hub = client.app.state.hub
        hub.hint("shop/web", 4)
        hub.hint("shop/web", 5)
        await listener.until(lambda it: any("hint" in frame for frame in it.frames))
        await listener.hang_up()
    hints = [frame for frame in listener.frames if "hint" in frame]
    assert hints == ['event: hint\ndata: {"unit":"shop/web","version":5}']


async def test_shutting_down_ends_every_stream():
    async with running(Fakes()) as client:
        listeners = [Listener(client), Listener(client)]
        for listener in listeners:
            await listener.until(lambda it: it.frames)
        client.app.state.hub.close()
        for listener in listeners:
            await listener.ended()
        assert len(client.app.state.hub) == 0


async def test_silence_is_filled_with_comments():
    fakes = Fakes()
    hub = Hub(fakes.store, fakes.clock)
    stream = frames(hub, 0, "", heartbeat=0.0)
    assert await anext(stream) == b"retry: 2000\n\n"
    assert await anext(stream) == b": still here\n\n"
    await stream.aclose()
    assert len(hub) == 0


async def test_a_listener_far_behind_reads_from_the_store_one_batch_at_a_time():
    fakes = Fakes()
    hub = Hub(fakes.store, fakes.clock)
    for number in range(KEPT + 250):
        fakes.store.seal(event(number))
    seat = hub.join()
    await hub._bring(KEPT + 250)
    assert await seat.wait(0.0)
    behind = await hub.since(0, "")
    assert [found.id for found in behind] == list(range(1, BATCH + 1))
    reads = fakes.store.reads
    assert [found.id for found in await hub.since(KEPT, "")][:1] == [KEPT + 1]
    assert fakes.store.reads == reads


async def test_while_nobody_listens_no_event_is_read_and_none_is_missing_to_who_comes_then():
    fakes = Fakes()
    hub = Hub(fakes.store, fakes.clock)
    seat = hub.join()
    fakes.store.seal(event(0))
    await hub._bring(1)
    hub.leave(seat)
    for number in (1, 2):
        fakes.store.seal(event(number))
    reads = fakes.store.reads
    await hub._bring(3)
    assert (hub.newest, fakes.store.reads) == (3, reads)
    hub.join()
    fakes.store.seal(event(3))
    await hub._bring(4)
    assert [found.id for found in await hub.since(0, "")] == [1, 2, 3, 4]
    assert [found.id for found in await hub.since(3, "")] == [4]


async def test_a_listener_that_never_reads_holds_a_bounded_number_of_hints():
    hub = Hub(Fakes().store, Fakes().clock)
    seat = hub.join()
    for number in range(HINTS + 50):
        hub.hint(f"shop/u{number}", 1)
    hints = seat.hints()
    assert (len(hints), "shop/u0" in hints, f"shop/u{HINTS + 49}" in hints) == (HINTS, False, True)


async def test_a_turn_of_a_unit_reaches_whoever_listens():
    fakes = Fakes()
    async with running(fakes) as client:
        listener = Listener(client)
        await listener.until(lambda it: it.frames)
        for told in fakes.listeners:
            told("shop/web", 7)
        await listener.until(lambda it: any("hint" in frame for frame in it.frames))
        await listener.hang_up()
    assert any('{"unit":"shop/web","version":7}' in frame for frame in listener.frames)
