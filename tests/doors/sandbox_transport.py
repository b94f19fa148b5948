"""Kubernetes without HTTP: the client's transport, straight onto a sandbox's `handle`.

The sandbox is met by shape alone: `handle(request)` answers `status`, `headers` and a `body` that is bytes, or a watch
with `take()`, `subscribe(wake)`, `close()` and `closed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote

from kedge.kube.transport import Lost, Refused, Response, refusal_line

Gate = Callable[[str, str], Awaitable[None]]


async def _open(_method: str, _path: str) -> None:
    return None


class SandboxTransport:
    """`kedge.kube.transport.Transport`. `before` and `after` are where faults come from: both may wait or raise
    Unavailable; after `after` raised, the request has been carried out all the same.

    `log` holds (method, path with its query) of every request that reached the sandbox.
    """

    def __init__(
        self, sandbox: Any, make_request: Callable[..., Any], *, before: Gate = _open, after: Gate = _open
    ) -> None:
        self._sandbox = sandbox
        self._make = make_request
        self._before = before
        self._after = after
        self._watches: list[Any] = []
        self.log: list[tuple[str, str, dict[str, str]]] = []
        self.down = False

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Response:
        await self._before(method, path)
        self._check(method, path)
        answer = self._handle(method, path, query, headers, body)
        await asyncio.sleep(0)
        await self._after(method, path)
        return Response(answer.status, dict(answer.headers), answer.body)

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        await self._before("WATCH", path)
        self._check("WATCH", path)
        answer = self._handle("GET", path, query, {"accept": "application/json"}, b"")
        if isinstance(answer.body, bytes):
            yield refusal_line(Response(answer.status, dict(answer.headers), answer.body))
            return
        watch = answer.body
        self._watches.append(watch)
        woken = asyncio.Event()
        watch.subscribe(woken.set)
        try:
            while True:
                woken.clear()
                for line in watch.take():
                    yield line.rstrip(b"\n")
                if watch.closed:
                    return
                await woken.wait()
                self._check("WATCH", path)
        finally:
            watch.close()
            self._watches.remove(watch)

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        answer = await self.request("GET", path, query, {"accept": "application/json, */*"}, b"")
        if answer.status != 200:
            raise Refused(f"GET {path}: HTTP {answer.status}", answer)
        yield answer.body

    def drop_watches(self) -> None:
        """End every open watch, as a restarting API server does."""
        for watch in list(self._watches):
            watch.close()

    @property
    def open_watches(self) -> int:
        return len(self._watches)

    def writes(self) -> list[tuple[str, str]]:
        """The requests that changed something: no reads, no dry runs."""
        return [(m, p) for m, p, query in self.log if m not in ("GET", "WATCH") and "dryRun" not in query]

    def calls(self) -> list[tuple[str, str]]:
        """Requests about objects, without discovery and watches."""
        return [(m, p) for m, p, query in self.log if "watch" not in query and p.count("/") > 3]

    async def close(self) -> None:
        self.drop_watches()

    def _check(self, method: str, path: str) -> None:
        if self.down:
            raise Lost(f"{method} {path}", "connection refused")

    def _handle(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Any:
        self.log.append((method, path, dict(query)))
        return self._sandbox.handle(self._make(method, unquote(path), dict(query), dict(headers), body))
