"""Calls the command line in this process, and a real server over the fakes of `tests.server` on loopback."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import uvicorn
from tests.server.driver import TOKEN, Fakes

from kedge.cli.main import run
from kedge.server.app import build


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class _Stdin(io.TextIOWrapper):
    def isatty(self) -> bool:
        return False


def call(*args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Result:
    """One command line without a terminal; only `env` of the environment's KEDGE_ variables is seen."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KEDGE_") and key != "NO_COLOR"}
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {**kept, **(env or {})}, clear=True),
        mock.patch.object(sys, "stdin", _Stdin(io.BytesIO(stdin), "utf-8")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = run(list(args))
    return Result(int(code), out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Living:
    """A server that runs in a thread, and what it is made of. `do` runs a function in its loop."""

    fakes: Fakes
    url: str
    data: Path
    loop: asyncio.AbstractEventLoop
    app: Any

    def kedge(self, *args: str, env: Mapping[str, str] | None = None) -> Result:
        return call(*args, env={"KEDGE_DATA": str(self.data), **(env or {})})

    def do(self, work: Any) -> Any:
        async def inside() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(inside(), self.loop).result(10)


class _Quiet(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        return


@contextmanager
def living(fakes: Fakes, data: Path) -> Iterator[Living]:
    """Serve `fakes` on a free port, with the `server.json` that `kedge up` would write."""
    place = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{place.getsockname()[1]}"
    app = build(fakes.desk())
    server = _Quiet(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=3))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve(sockets=[place])))
    thread.start()
    (data / "server.json").write_text(json.dumps({"url": url, "token": TOKEN}))
    try:
        while not server.started:
            thread.join(0.01)
        yield Living(fakes, url, data, loop, app)
    finally:
        loop.call_soon_threadsafe(app.state.hub.close)
        server.should_exit = True
        thread.join(10)
        place.close()
        loop.close()
