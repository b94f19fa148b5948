"""The application: every route, the guard around them, and the life of the event stream."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from kedge import __version__
from kedge.server import (
    backend,
    errands,
    fleet,
    operating,
    probes,
    reading,
    secrets,
    states,
    stream,
    tracing,
    webhooks,
    wishing,
)
from kedge.server.desk import Desk
from kedge.server.guard import Guard
from kedge.server.hub import Hub
from kedge.server.probes import Meters
from kedge.server.problems import install
from kedge.spawn import Spawner

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/version", "/webhooks/push"})
"""The paths that ask for no token."""

ROOMS = (
    probes.router,
    reading.router,
    wishing.router,
    operating.router,
    fleet.router,
    tracing.router,
    secrets.router,
    stream.router,
    webhooks.router,
    backend.router,
    states.router,
    errands.router,
)


def build(desk: Desk, hosts: frozenset[str] = frozenset()) -> FastAPI:
    """The ASGI application over `desk`. `hosts` are names, beside loopback's, under which it is reached.

    `app.state.hub` is the stream's `Hub`: call its `close` first when shutting down, so that streams end and the
    server need not wait for them.
    """
    hub = Hub(desk.store, desk.clock)
    desk.follow(hub.hint)
    meters = Meters(desk, hub)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await hub.begin()
        spawner = Spawner(_report)
        spawner.start(hub.follow(), "event stream")
        try:
            yield
        finally:
            hub.close()
            await spawner.close()

    # The rooms' own routes, and not `include_router`: that builds each of them once more, at the first request.
    routes = [route for room in ROOMS for route in room.routes]
    app = FastAPI(
        title="Kedge",
        version=__version__,
        lifespan=life,
        routes=routes,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.desk, app.state.hub, app.state.meters = desk, hub, meters
    install(app)
    app.add_middleware(Guard, hosts=hosts, served=meters.served)
    return app


def _report(name: str, error: BaseException) -> None:
    """An error that escaped a task is a bug: it is said, and the stream's clients fall back to asking."""
    print(f"kedge: the task “{name}” ended: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
