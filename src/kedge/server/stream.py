"""The event stream (Server-Sent Events): sealed events carry their id, hints carry none, silence carries comments.

A client that comes back with `Last-Event-ID` misses nothing: sealed ids are dense and in order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from kedge.model.errors import Invalid
from kedge.model.event import Event
from kedge.server.access import Reader
from kedge.server.hub import BATCH, Hub
from kedge.server.reading import Text

router = APIRouter(prefix="/api/v1", tags=["events"])

HEARTBEAT = 15.0
RETRY = b"retry: 2000\n\n"


@router.get("/stream", response_class=StreamingResponse)
async def stream(
    request: Request,
    person: Reader,
    unit: Text = "",
    after: Annotated[int | None, Query(ge=0)] = None,
    last_event_id: Annotated[str, Header(max_length=20)] = "",
) -> StreamingResponse:
    """Events from now on, or above `Last-Event-ID` (or `after`). `event: record` are sealed, `event: hint` are not."""
    hub: Hub = request.app.state.hub
    begin = _place(last_event_id, after, hub.newest)
    return StreamingResponse(
        frames(hub, begin, unit),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _place(header: str, after: int | None, newest: int) -> int:
    if header:
        if not header.isdecimal() or int(header) > newest:
            raise Invalid(f"there is no event “{header}” to resume from", hint="list /api/v1/units anew")
        return int(header)
    return newest if after is None else after


async def frames(hub: Hub, after: int, unit: str, heartbeat: float = HEARTBEAT) -> AsyncIterator[bytes]:
    """What one client is sent, until it leaves or the hub closes. At most one batch is held at a time."""
    seat = hub.join()
    try:
        yield RETRY
        while not hub.closed:
            events = await hub.since(after, unit)
            if events:
                after = events[-1].id
                yield b"".join(map(record, events))
            hints = {name: version for name, version in seat.hints().items() if unit in ("", name)}
            if hints:
                yield b"".join(hint(name, version) for name, version in hints.items())
            if len(events) < BATCH and not hub.closed and not await seat.wait(heartbeat):
                yield b": still here\n\n"
    finally:
        hub.leave(seat)


def record(event: Event) -> bytes:
    return b"id: %d\nevent: record\ndata: %s\n\n" % (event.id, orjson.dumps(event))


def hint(unit: str, version: int) -> bytes:
    return b"event: hint\ndata: %s\n\n" % orjson.dumps({"unit": unit, "version": version})
