"""The HTTP front: carries requests to ``handle``, streams watches, keeps the controllers going by a real clock.

Only loopback, one bearer token, no compression. It starts no tasks: the controllers are driven by timer callbacks.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web

from kedge.sandbox.core import Sandbox
from kedge.sandbox.faults import Outcome
from kedge.sandbox.problems import Problem, too_large
from kedge.sandbox.watching import Watch
from kedge.sandbox.wire import Request, Response

Meet = Callable[[Request], Outcome]
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/livez", "/version"})
BREATH = 0.02  # how long the controllers may keep requests waiting
SAVE_AFTER, SAVE_SHARE = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class Front:
    """How to serve. ``meet`` puts faults in between; ``state`` is the file that keeps what is stored across
    restarts."""

    host: str = "127.0.0.1"
    port: int = 0
    token: str = ""
    tls: ssl.SSLContext | None = None
    meet: Meet | None = None
    state: Path | None = None


@dataclass(slots=True)
class Server:
    """A running front."""

    sandbox: Sandbox
    front: Front
    runner: web.AppRunner
    url: str = ""
    _timer: asyncio.TimerHandle | None = None
    _soon: asyncio.Handle | None = None
    _saver: asyncio.TimerHandle | None = None
    _saved: int = -1
    _took: float = 0.0
    _open: dict[int, Watch] = field(default_factory=dict)

    async def close(self) -> None:
        """Ends watches, lets running requests finish, writes the state a last time."""
        for watch in list(self._open.values()):
            watch.close()
        await self.runner.cleanup()
        # Last, for every request that was still running has stirred the controllers once more.
        for handle in (self._timer, self._soon, self._saver):
            if handle is not None:
                handle.cancel()
        self._save()

    def stir(self) -> None:
        """Has the controllers run as soon as the loop is free; cheap to call often."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._soon = None
        loop = asyncio.get_running_loop()
        until = loop.time() + BREATH
        while self.sandbox.tick() and loop.time() < until:
            pass
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.sandbox.due()
        if due is not None:
            self._timer = loop.call_later(max(0.0, due - self.sandbox.cluster.now()) + 0.001, self._pump)
        if self.front.state is not None and self._saver is None and self.sandbox.version != self._saved:
            self._saver = loop.call_later(max(SAVE_AFTER, SAVE_SHARE * self._took), self._save)

    def _save(self) -> None:
        """Writes all there is; the longer that takes, the longer until the next time."""
        self._saver = None
        began = asyncio.get_running_loop().time()
        path = self.front.state
        if path is None or self.sandbox.version == self._saved:
            return
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        # secrets are in it: for its owner only, from the first byte on
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(self.sandbox.save())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        self._saved = self.sandbox.version
        self._took = asyncio.get_running_loop().time() - began

    async def answer(self, incoming: web.Request) -> web.StreamResponse:
        """One HTTP request."""
        if not self._admitted(incoming):
            problem = Problem(401, "Unauthorized", "Unauthorized")
            return _plain(problem.response())
        try:
            body = await incoming.read()
        except web.HTTPRequestEntityTooLarge:
            return _plain(too_large(self.sandbox.cluster.options.body_limit).response())
        headers = {key.lower(): value for key, value in incoming.headers.items()}
        request = Request(
            incoming.method, incoming.path, {key: incoming.query[key] for key in incoming.query}, headers, body
        )
        meet = self.front.meet
        outcome = meet(request) if meet is not None else Outcome(self.sandbox.handle(request))
        self.stir()
        if outcome.delay:
            await asyncio.sleep(outcome.delay)
        if outcome.response is None:
            if incoming.transport is not None:
                incoming.transport.abort()
            return web.Response(status=500)
        if isinstance(outcome.response.body, Watch):
            return await self._stream(incoming, outcome.response.body)
        return _plain(outcome.response)

    def _admitted(self, incoming: web.Request) -> bool:
        if not self.front.token or incoming.path in OPEN_PATHS:
            return True
        given = incoming.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self.front.token.encode())

    async def _stream(self, incoming: web.Request, watch: Watch) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"})
        answer.enable_chunked_encoding()
        bell = asyncio.Event()
        self._open[id(watch)] = watch
        try:
            await answer.prepare(incoming)
            watch.subscribe(bell.set)
            while True:
                bell.clear()
                lines = watch.take()
                if lines:
                    await answer.write(b"".join(lines))
                elif watch.closed:
                    await answer.write_eof()
                    return answer
                else:
                    await bell.wait()
        except ConnectionResetError:
            return answer
        finally:
            del self._open[id(watch)]
            watch.close()


def _plain(response: Response) -> web.Response:
    body = response.body if isinstance(response.body, bytes) else b""
    headers = {**response.headers}
    return web.Response(status=response.status, body=body, headers=headers)


async def serve(sandbox: Sandbox, front: Front) -> Server:
    """Listens; the answer's ``url`` says where. Raises ValueError for an address that is not loopback."""
    if front.host != "localhost" and not ip_address(front.host).is_loopback:
        raise ValueError(f"the sandbox serves on loopback only, not on {front.host}: use 127.0.0.1")
    app = web.Application(client_max_size=sandbox.cluster.options.body_limit + 1024)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    server = Server(sandbox, front, runner)
    app.router.add_route("*", "/{rest:.*}", server.answer)
    await runner.setup()
    site = web.TCPSite(runner, front.host, front.port, ssl_context=front.tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    shown = f"[{host}]" if ":" in host else host
    server.url = f"{'https' if front.tls else 'http'}://{shown}:{port}"
    server.stir()
    return server


def kubeconfig(url: str, token: str = "", authority: bytes = b"", name: str = "sandbox") -> str:
    """A kubeconfig as YAML text that selects this server; ``authority`` is the certificate (PEM) it is to be trusted
    by.

    kubectl sends a token over TLS only: without ``authority`` it can not use one.
    """
    trusted = f"\n    certificate-authority-data: {base64.b64encode(authority).decode()}" if authority else ""
    user = f"\n    token: {token}" if token else " {}"
    return (
        "apiVersion: v1\nkind: Config\n"
        f"clusters:\n- name: {name}\n  cluster:\n    server: {url}{trusted}\n"
        f"users:\n- name: {name}\n  user:{user}\n"
        f"contexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {name}\n"
        f"current-context: {name}\n"
    )
