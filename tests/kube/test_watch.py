"""Watches: snapshots, changes, and every way to lose a connection."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from tests.kube.scripted import Scripted, bookmark, client, event, item, ok, status, virtual
from tests.simulation.loop import VirtualClock

from kedge.kube.transport import Lost, refusal_line
from kedge.kube.watch import Interest, Watcher, WatchEvent, What
from kedge.model.errors import Denied, Unavailable

INTEREST = Interest("", "ConfigMap", "web", "kedge.dev/shard")
REFUSED = refusal_line(status(422, "sendInitialEvents is forbidden unless the WatchList feature gate is enabled"))
EXPIRED = refusal_line(status(410, "too old resource version", "Expired"))


def listing(*items: dict, version: int = 5) -> object:
    return ok({"metadata": {"resourceVersion": str(version)}, "items": list(items)})


async def read(
    transport: Scripted, clock: VirtualClock, count: int, watcher: Watcher | None = None
) -> list[WatchEvent]:
    found: list[WatchEvent] = []
    async with aclosing((watcher or Watcher(client(transport, clock), INTEREST)).events()) as events:
        async for told in events:
            found.append(told)
            if len(found) == count:
                break
    return found


def told(events: list[WatchEvent]) -> list[str]:
    return [
        f"{event.what.value} {event.object['metadata']['name']}" if event.object else event.what.value
        for event in events
    ]


@virtual
async def test_a_snapshot_is_streamed_where_the_server_can(clock: VirtualClock) -> None:
    stream = [event("ADDED", item("a", 3)), bookmark(5, end=True), event("MODIFIED", item("a", 6))]
    transport = Scripted(streams=([*stream, 10],))
    assert told(await read(transport, clock, 4)) == ["began", "added a", "synced", "modified a"]
    assert transport.watched[0]["sendInitialEvents"] == "true"
    assert transport.watched[0]["labelSelector"] == "kedge.dev/shard"


@virtual
async def test_a_server_that_can_not_stream_it_is_listed(clock: VirtualClock) -> None:
    transport = Scripted(listing(item("a", 3)), streams=([REFUSED], [event("DELETED", item("a", 6)), 10]))
    assert told(await read(transport, clock, 5)) == ["began", "began", "added a", "synced", "deleted a"]
    assert transport.watched[1]["resourceVersion"] == "5"


@virtual
async def test_an_old_server_that_ignores_the_wish_is_listed_too(clock: VirtualClock) -> None:
    transport = Scripted(listing(), streams=([event("ADDED", item("a", 3)), 1_000], [10]))
    assert told(await read(transport, clock, 4))[-1] == "synced"


@virtual
async def test_a_stream_that_ends_goes_on_from_its_last_version(clock: VirtualClock) -> None:
    streams = ([bookmark(5, end=True), event("ADDED", item("a", 7))], [event("ADDED", item("b", 8)), 10])
    transport = Scripted(streams=streams)
    assert told(await read(transport, clock, 4)) == ["began", "synced", "added a", "added b"]
    assert transport.watched[1]["resourceVersion"] == "7"


@virtual
async def test_bookmarks_move_the_version_and_the_time(clock: VirtualClock) -> None:
    transport = Scripted(streams=([bookmark(5, end=True), 60, bookmark(90)], [event("ADDED", item("a", 91)), 10]))
    events = await read(transport, clock, 4)
    assert told(events) == ["began", "synced", "bookmark", "added a"]
    assert events[2].at >= events[1].at + 60
    assert transport.watched[1]["resourceVersion"] == "90"


@virtual
async def test_a_forgotten_version_means_a_new_snapshot(clock: VirtualClock) -> None:
    transport = Scripted(streams=([bookmark(5, end=True)], [EXPIRED], [bookmark(9, end=True), 10]))
    assert told(await read(transport, clock, 4)) == ["began", "synced", "began", "synced"]
    assert "resourceVersion" not in transport.watched[2]


@virtual
async def test_a_silent_stream_is_given_up(clock: VirtualClock) -> None:
    transport = Scripted(streams=([bookmark(5, end=True), 10_000], [event("ADDED", item("a", 6)), 10]))
    began = clock.monotonic()
    events = await read(transport, clock, 4)
    assert told(events) == ["began", "synced", "lost", "added a"]
    assert "silent for 100 s" in str(events[2].error)
    assert 100 <= clock.monotonic() - began < 110


@virtual
async def test_lost_connections_are_tried_again_ever_slower(clock: VirtualClock) -> None:
    gone = [Unavailable("connection refused")]
    transport = Scripted(streams=(gone,) * 12)
    began = clock.monotonic()
    events = await read(transport, clock, 24)
    assert told(events).count("lost") == 12
    assert 60 < clock.monotonic() - began < 400


@virtual
async def test_a_refusal_is_told_and_tried_again(clock: VirtualClock) -> None:
    transport = Scripted(streams=([refusal_line(status(403, "configmaps is forbidden"))], [bookmark(5, end=True), 10]))
    events = await read(transport, clock, 4)
    assert told(events) == ["began", "lost", "began", "synced"]
    assert isinstance(events[1].error, Denied)


@virtual
async def test_the_server_s_own_pause_is_kept(clock: VirtualClock) -> None:
    busy = refusal_line(status(429, "slow down", **{"retry-after": "17"}))
    transport = Scripted(streams=([busy], [bookmark(5, end=True), 10]))
    began = clock.monotonic()
    await read(transport, clock, 4)
    assert clock.monotonic() - began >= 17


@virtual
async def test_a_nudge_ends_the_pause(clock: VirtualClock) -> None:
    transport = Scripted(streams=(*([Unavailable("refused")] for _ in range(9)), [bookmark(5, end=True), 10]))
    watcher = Watcher(client(transport, clock), INTEREST)
    async with aclosing(watcher.events()) as events:
        async for found in events:
            if found.what is What.LOST:
                asyncio.get_running_loop().call_later(0.01, watcher.nudge)
            if found.what is What.SYNCED:
                break
    assert clock.monotonic() - 1_000_000 < 1


@virtual
async def test_garbage_in_a_stream_is_a_loss_and_not_a_crash(clock: VirtualClock) -> None:
    for line in (
        b"{",
        b"[]",
        b'{"type":"ODD","object":{}}',
        b'{"type":"ADDED","object":7}',
        b'{"type":"ADDED","object":{}}',
    ):
        transport = Scripted(streams=([bookmark(5, end=True), line], [event("ADDED", item("a", 6)), 10]))
        assert told(await read(transport, clock, 4)) == ["began", "synced", "lost", "added a"]


@virtual
async def test_a_kind_that_is_not_served_is_an_empty_snapshot_and_a_loss(clock: VirtualClock) -> None:
    watcher = Watcher(client(Scripted(), clock), Interest("example.org", "Widget"))
    assert told(await read(Scripted(), clock, 3, watcher)) == ["began", "synced", "lost"]


@virtual
async def test_a_snapshot_without_an_end_is_given_up(clock: VirtualClock) -> None:
    transport = Scripted(streams=([event("ADDED", item("a", 3))] * 50,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kedge.kube.watch.MAX_OBJECTS", 20)
        found = await read(transport, clock, 22)
    assert found[-1].what is What.LOST
    assert "has no end" in str(found[-1].error)


@virtual
async def test_a_stream_tells_the_pulse_what_became_of_it(clock: VirtualClock) -> None:
    lost = Lost("watch /x", "no answer from https://c: refused")
    unknown = event("ERROR", {"kind": "Status", "code": 401, "message": "Unauthorized"})
    transport = Scripted(listing(), streams=([bookmark(5, end=True), lost], [unknown], [bookmark(6), 10]))
    watcher_of = client(transport, clock)
    reasons = []
    async with aclosing(Watcher(watcher_of, INTEREST).events()) as events:
        async for seen in events:
            ailment = watcher_of.asker.pulse.ailment
            reasons.append((str(seen.what), ailment.reason.partition(":")[0] if ailment is not None else ""))
            if len(reasons) == 5:
                break
    assert reasons == [
        ("began", ""),
        ("synced", ""),
        ("lost", "no answer from https"),
        ("lost", "the credential is not accepted"),
        ("bookmark", ""),
    ]


TOO_LARGE = refusal_line(status(504, "Too large resource version: 9, current: 4", "Timeout"))


def versions(events: list[WatchEvent]) -> list[str]:
    return [f"{told([event])[0]}{' anew' if event.anew else ''}" for event in events]


@virtual
async def test_a_server_that_was_put_back_to_an_earlier_state_is_believed_when_it_stays_there(
    clock: VirtualClock,
) -> None:
    """Its watch was asked for again and again with a version of the time to come, and what it showed was old news."""
    earlier = [event("ADDED", item("a", 3)), bookmark(4, end=True)]
    begun = [event("ADDED", item("a", 3)), bookmark(9, end=True)]
    transport = Scripted(streams=(begun, [TOO_LARGE], earlier, earlier, [*earlier, 10]))
    found = versions(await read(transport, clock, 12))
    older = ["began", "added a", "lost"]
    assert found == ["began", "added a", "synced", *older, *older, "began anew", "added a", "synced"]
    assert [query.get("resourceVersion") for query in transport.watched] == [None, "9", None, None, None]


@virtual
async def test_a_list_of_a_replica_that_lags_behind_is_asked_for_again(clock: VirtualClock) -> None:
    answers = [listing(item("a", 3), version=9), listing(version=4), listing(item("a", 3), version=10)]
    transport = Scripted(*answers, streams=([REFUSED], [EXPIRED], [10]))
    found = versions(await read(transport, clock, 8))
    assert found == ["began", "began", "added a", "synced", "lost", "began", "added a", "synced"]


@virtual
async def test_news_of_another_kind_are_not_believed(clock: VirtualClock) -> None:
    lie = event("ADDED", {**item("a", 3), "kind": "Secret"})
    found = await read(Scripted(streams=([lie],)), clock, 2)
    assert (told(found), str(found[1].error)) == (
        ["began", "lost"],
        "watch /api/v1/namespaces/web/configmaps: it tells of a Secret, not of a ConfigMap",
    )


@virtual
async def test_a_list_that_is_none_says_nothing_is_gone(clock: VirtualClock) -> None:
    """A Status, or an object without items, was taken for an empty list: everything seemed to be gone."""
    for lie in ({"kind": "Status", "status": "Success"}, {"metadata": {"resourceVersion": "5"}}, {"items": []}):
        found = await read(Scripted(ok(lie), streams=([REFUSED],)), clock, 2)
        assert told(found) == ["began", "lost"], lie
