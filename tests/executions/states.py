"""A state backend in memory: what the tools ask of one, with what they did in order."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from kedge.model.execution import StateAccess

TOKEN = "token-of-this-one"


@dataclass
class Backend:
    """`saved` are the versions that were sent, `asked` the methods in order; `down` answers nothing but errors."""

    address: str = ""
    saved: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    lock: bytes = b""
    down: bool = False
    refuses: bool = False

    @property
    def access(self) -> StateAccess:
        return StateAccess(self.address, "kedge", TOKEN)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.method)
        if self.down:
            return web.Response(status=503)
        if request.headers.get("Authorization") != f"Basic {b64encode(f'kedge:{TOKEN}'.encode()).decode()}":
            return web.Response(status=401)
        body = await request.read()
        match request.method:
            case "GET" if self.saved:
                return web.Response(body=self.saved[-1], content_type="application/json")
            case "GET":
                return web.Response(status=404)
            case "LOCK" if self.lock:
                return web.Response(status=423, body=self.lock)
            case "LOCK":
                self.lock = body
            case "UNLOCK":
                self.lock = b""
            case "POST" if self.refuses:
                return web.Response(status=409, text="the lock was broken")
            case "POST":
                self.saved.append(body)
        return web.Response()


@asynccontextmanager
async def serving() -> AsyncIterator[Backend]:
    backend = Backend()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/state", backend.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    backend.address = f"http://127.0.0.1:{port}/state"
    try:
        yield backend
    finally:
        await runner.cleanup()
