"""What is asked of a running unit: its logs, what the cluster says of it; restart, scale and actions.

Logs are lines of JSON: first `{several}`, whether more than one container is read, then `{pod, container, text}`, or
with `note` instead of `text` a sentence of ours. An empty line now and then tells that nobody has said anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.types import Receive, Scope, Send

from kedge.control.road import operate
from kedge.control.road.operate import Asked
from kedge.model.family import ClusterEvent, LogLine, LogWish
from kedge.model.person import Person
from kedge.model.ref import UnitName
from kedge.ports import Log
from kedge.server import answers
from kedge.server.access import Allowed, Named, Reader, Verb
from kedge.server.answers import answer
from kedge.server.hub import Hub
from kedge.server.reading import Text, desk_of, dossier_of
from kedge.server.wishing import WithReason

router = APIRouter(prefix="/api/v1/units/{project}/{name}", tags=["operating"])

LINES = "application/x-ndjson"


class Restart(WithReason):
    """`object` is `[KIND/]NAME` of one of the unit's objects; "": all that can be restarted."""

    object: str = Field("", max_length=400)
    dryRun: bool = False


class Rescale(Restart):
    """`force` scales although Git or an autoscaler states another number, which will be put back."""

    object: str = Field(min_length=1, max_length=400)
    replicas: int = Field(ge=0, le=100_000)
    force: bool = False


class ActWish(Restart):
    """`force` does it although Git states a field that it sets, which will be put back."""

    object: str = Field(min_length=1, max_length=400)
    action: str = Field(min_length=1, max_length=100)
    force: bool = False


@router.get("/actions", response_model=answers.Actions)
async def actions(request: Request, person: Reader, name: Named, object: Text = "") -> Response:
    """What can be done to the unit's objects beside Git, or to those that `[KIND/]NAME` means."""
    desk = desk_of(request)
    found = await operate.actions(desk.commands.doors, await dossier_of(desk, name), object)
    items = tuple(answers.ActionView(str(one.ref), one.action, one.does, one.hindrance) for one in found)
    return answer(answers.Actions(str(name), items))


def _touched(name: UnitName, done: Sequence[operate.Touched], *, dry_run: bool) -> Response:
    items = tuple(answers.TouchedView(str(one.ref), one.follows) for one in done)
    return answer(answers.Touched(str(name), items, dry_run))


@router.post("/act", response_model=answers.Touched)
async def act(
    request: Request, name: Named, body: ActWish, person: Annotated[Person, Depends(Allowed(Verb.ACT))]
) -> Response:
    """Do one of an object's actions: pause, promote, run now … No sync undoes it where Git is silent."""
    desk = desk_of(request)
    asked = Asked(person, body.object, body.reason, body.dryRun, body.force)
    done = await operate.act(desk.commands.doors, await dossier_of(desk, name), asked, body.action)
    return _touched(name, done, dry_run=body.dryRun)


@router.post("/restart", response_model=answers.Touched)
async def restart(
    request: Request, name: Named, body: Restart, person: Annotated[Person, Depends(Allowed(Verb.RESTART))]
) -> Response:
    """Make the Pods of a Deployment, StatefulSet or DaemonSet anew. No sync undoes it."""
    desk = desk_of(request)
    asked = Asked(person, body.object, body.reason, body.dryRun)
    done = await operate.restart(desk.commands.doors, await dossier_of(desk, name), asked)
    return _touched(name, done, dry_run=body.dryRun)


@router.post("/scale", response_model=answers.Touched)
async def scale(
    request: Request, name: Named, body: Rescale, person: Annotated[Person, Depends(Allowed(Verb.SCALE))]
) -> Response:
    """Set the replicas of one object, where Git states none."""
    desk = desk_of(request)
    asked = Asked(person, body.object, body.reason, body.dryRun, body.force)
    done = await operate.scale(desk.commands.doors, await dossier_of(desk, name), asked, body.replicas)
    return _touched(name, done, dry_run=body.dryRun)


@router.get("/cluster-events", response_model=answers.ClusterEvents)
async def cluster_events(request: Request, person: Reader, name: Named) -> Response:
    """What Kubernetes itself says of the unit's objects and their children, newest last; read for this answer."""
    desk = desk_of(request)
    found = await operate.events_of(desk.commands.doors, await dossier_of(desk, name))
    return answer(answers.ClusterEvents(str(name), tuple(map(_event, found.items)), found.notes))


def _event(event: ClusterEvent) -> answers.ClusterEventView:
    return answers.ClusterEventView(
        object=str(event.ref),
        kind=event.kind,
        reason=event.reason,
        message=event.message,
        source=event.source,
        count=event.count,
        first=event.first,
        last=event.last,
    )


@router.get("/logs", response_class=StreamingResponse)
async def logs(
    request: Request,
    name: Named,
    person: Annotated[Person, Depends(Allowed(Verb.LOGS))],
    object: Text = "",
    container: Text = "",
    follow: bool = False,
    previous: bool = False,
    since: Annotated[float | None, Query(gt=0, le=10**9)] = None,
    tail: Annotated[int | None, Query(ge=0, le=10**9)] = None,
) -> StreamingResponse:
    """Lines of the unit's Pods, or of one object's: `object` is `[KIND/]NAME`. `since` in seconds; `tail` of each
    container. With `follow`, until the client leaves."""
    desk = desk_of(request)
    wish = LogWish(object, container, follow, previous, since, tail)
    log = await operate.logs_of(desk.commands.doors, await dossier_of(desk, name), wish)
    hub: Hub = request.app.state.hub
    return _Closing(sent(hub, log), media_type=LINES, headers={"X-Accel-Buffering": "no"})


class _Closing(StreamingResponse):
    """A stream that ends what it reads from as soon as the client is gone, and not when memory is tidied up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            closing = getattr(self.body_iterator, "aclose", None)
            if closing is not None:
                await closing()


async def sent(hub: Hub, log: Log) -> AsyncIterator[bytes]:
    """What one client is sent, until there is no more, it leaves, or the server closes."""
    try:
        yield orjson.dumps({"several": log.several}) + b"\n"
        async for line in log.lines:
            if hub.closed:
                return
            yield _line(line)
    finally:
        # closed by hand: a protocol's iterator need not be a generator
        closing = getattr(log.lines, "aclose", None)
        if closing is not None:
            await closing()


def _line(line: LogLine) -> bytes:
    if line.note and not line.text:
        return b"\n"
    said = {"note" if line.note else "text": line.text}
    return orjson.dumps({"pod": line.pod, "container": line.container, **said}) + b"\n"
