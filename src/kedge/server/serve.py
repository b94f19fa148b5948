"""Serving: one uvicorn inside the one process, stopped by whoever started it, never by a signal of its own."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from kedge.model.errors import Unavailable

GRACE = 5
"""Seconds that requests under way get when the server stops; streams are ended at once."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the process's own loop."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Unavailable when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(256)
    except OSError as error:
        made.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="another port: --port 0 takes a free one"
        ) from error
    made.setblocking(False)
    return made


class Serving:
    """A FastAPI application on a socket. `run` until `stop`."""

    def __init__(self, app: FastAPI, place: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=GRACE,
            server_header=False,
            h11_max_incomplete_event_size=64 * 1024,
        )
        self._place = place
        self._server = _Server(config)

    async def run(self) -> None:
        await self._server.serve(sockets=[self._place])

    def stop(self) -> None:
        self._server.should_exit = True
