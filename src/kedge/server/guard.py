"""What a request must be before any handler sees it, and the headers of every answer.

- Host: loopback, or a name this server is known by, so that a rebinding name reaches nothing.
- Origin, where a browser sends one: the same host, so that a foreign page changes nothing.
- A body: JSON, at most `BODY_LIMIT` bytes, within `BODY_SECONDS`; read before it is handed on. A state and what an
  execution brings home are larger: they are read by their handlers, once those know who sends them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kedge.model.errors import Invalid
from kedge.model.execution import LARGEST_WORD
from kedge.model.state import LARGEST_STATE
from kedge.server.problems import problem

BODY_LIMIT = 1024 * 1024
BODY_SECONDS = 30.0
STATE_SECONDS = 120.0
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
STATES = "/state/"
EXECUTIONS = "/executions/"
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Guard:
    """ASGI middleware. `hosts` are further names of this server, without ports. `served(status)` counts answers.

    Webhooks come from forges under whatever name they know; their signature stands in for the Host check.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], served: Callable[[int], None]) -> None:
        self._app = app
        self._hosts = _LOCAL | {host.lower() for host in hosts}
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._served(message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = self.refusal(scope)
        if refused is not None:
            await refused(scope, receive, dressed)
        elif scope["method"] in _BODILESS or limit_of(scope["path"]) > BODY_LIMIT:
            await self._app(scope, receive, dressed)
        else:
            await self._with_body(scope, receive, dressed)

    def refusal(self, scope: Scope) -> Response | None:
        """Why this request is not looked at any further, from its headers alone; None where it is."""
        headers = Headers(scope=scope)
        host = host_name(headers.get("host", ""))
        webhook = scope["path"].startswith("/webhooks/")
        if not webhook and host not in self._hosts:
            return problem(403, "this server is not known by that name", hint="add the name to its known hosts")
        origin = headers.get("origin")
        if origin is not None and not _same(origin, headers.get("host", "")):
            return problem(403, "a page of another site may not ask this", hint="use the API with a token")
        if scope["method"] in _BODILESS:
            return None
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            return problem(415, "the body must be application/json", hint="Content-Type: application/json")
        length = headers.get("content-length", "0")
        limit = limit_of(scope["path"])
        if length.isdecimal() and int(length[:20]) > limit:
            return _too_large(limit)
        return None

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_body(receive, BODY_LIMIT)
        except TimeoutError:
            await problem(408, "the body did not arrive in time")(scope, receive, send)
            return
        if body is None:
            await _too_large(BODY_LIMIT)(scope, receive, send)
            return
        pending = [body]

        async def replay() -> Message:
            if pending:
                return {"type": "http.request", "body": pending.pop(), "more_body": False}
            return await receive()

        await self._app(scope, replay, send)


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None as soon as it is larger than `limit` bytes. What came before a hang-up counts as all."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def limit_of(path: str) -> int:
    """Bytes of a body. A state that a person pushes is a text within JSON, which makes it longer."""
    if path.startswith(STATES):
        return LARGEST_STATE
    if path.startswith(EXECUTIONS):
        return LARGEST_WORD
    return 2 * LARGEST_STATE if path.startswith("/api/") and path.endswith("/state/push") else BODY_LIMIT


async def received(request: Request, limit: int) -> bytes:
    """The body of a request that was let through unread. Raises Invalid where it is too large or too slow."""
    try:
        async with asyncio.timeout(STATE_SECONDS):
            body = await read_body(request.receive, limit)
    except TimeoutError:
        raise Invalid("the body did not arrive in time") from None
    if body is None:
        raise Invalid(f"the body is larger than {limit} bytes")
    return body


def host_name(host: str) -> str:
    """A Host header without its port, lower case; "" for what is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _too_large(limit: int) -> Response:
    return problem(413, f"the body is larger than {limit} bytes")
