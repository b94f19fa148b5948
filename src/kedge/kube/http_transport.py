"""Kubernetes over HTTP: the transport of production, on connections of `http1` that are kept for the next request."""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from kedge import http
from kedge.kube.http1 import Connection, Ended, Head, Place, asked, connect
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import JSON, Lost, Refused, Response, refusal_line
from kedge.model.errors import Invalid, Unavailable

MAX_LINE = 16 * 1024 * 1024
KEPT = 15.0
"""Seconds for which a connection without work is kept: what stands between may forget it, and tells nobody."""
ANYTHING = "application/json, */*"
"""As kubectl asks for logs: text when it is there, a Status when not."""


class HttpTransport:
    """`kedge.kube.transport.Transport` to one server. `token` is asked at every request: mounted tokens are renewed.

    There is no bound on connections: whoever asks through a `Window` has one, and each watch needs its own."""

    def __init__(self, server: str, tls: Callable[[], ssl.SSLContext], token: Callable[[], str] | None = None) -> None:
        self._server = server.rstrip("/")
        self._url = URL(self._server)
        self._root = self._url.raw_path.rstrip("/")
        self._host = f"host: {self._url.host_port_subcomponent or ''}"
        self._tls = tls
        self._token = token
        self._place: Place | None = None
        self._open: set[Connection] = set()
        self._idle: list[tuple[Connection, float]] = []
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Response:
        try:
            connection, head = await self._ask(method, path, query, {**headers, "accept-encoding": "gzip"}, body)
            try:
                return Response(head.status, head.headers, await connection.whole(head, http.RESPONSE_LIMIT))
            finally:
                self._done(connection)
        except (OSError, Invalid) as error:
            raise self._lost(method, path, error) from error

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        try:
            connection, head = await self._ask("GET", path, query, {"accept": JSON}, b"")
            try:
                if head.status != 200:
                    body = await connection.whole(head, http.RESPONSE_LIMIT)
                    yield refusal_line(Response(head.status, head.headers, body))
                    return
                lines = _Lines()
                async with aclosing(connection.pieces(head)) as pieces:
                    async for piece in pieces:
                        for line in lines.of(piece):
                            yield line
            finally:
                self._done(connection)
        except (OSError, Invalid) as error:
            raise self._lost("watch", path, error) from error

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        try:
            connection, head = await self._ask("GET", path, query, {"accept": ANYTHING}, b"")
            try:
                if head.status != 200:
                    body = await connection.whole(head, http.RESPONSE_LIMIT)
                    raise Refused(f"GET {path}: HTTP {head.status}", Response(head.status, head.headers, body))
                async with aclosing(connection.pieces(head)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                self._done(connection)
        except (OSError, Invalid) as error:
            raise self._lost("GET", path, error) from error

    async def close(self) -> None:
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._idle.clear()
        gone = [connection.gone for connection in self._open]
        for connection in list(self._open):
            connection.abort()
        await asyncio.gather(*gone)

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[Connection, Head]:
        """The connection is the caller's until `_done`."""
        head = self._asked(method, path, query, headers, body)
        while True:
            connection, used = await self._connection()
            try:
                await connection.send(head, body)
                return connection, await connection.head()
            except BaseException as error:
                connection.abort()
                self._give_up_idle(len(self._idle))  # where one is dead or does not answer, the others may be so, too
                # A server may end a connection that it finds idle just when the next request is on its way.
                if not (used and method == "GET" and isinstance(error, ConnectionError) and not connection.answered):
                    raise

    def _asked(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> bytes:
        token = self._token() if self._token is not None else ""
        sent = [f"{name}: {value}" for name, value in headers.items()]
        if token:
            sent.append(f"authorization: Bearer {token}")
        if body or method != "GET":
            sent.append(f"content-length: {len(body)}")
        line = f"{method} {self._root}{path}{_encoded(query)} HTTP/1.1"
        return asked(line, self._host, "user-agent: kedge", *sent)

    async def _connection(self) -> tuple[Connection, bool]:
        """One that is free, or a new one; whether it was used before."""
        self._check_open()
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.ready:
                return connection, True
            connection.abort()
        made = await connect(self._where(), self._open)
        try:
            self._check_open()
        except Unavailable:
            made.abort()
            raise
        return made, False

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"the connection to {self._server} has been given up: how it is reached has changed")

    def _where(self) -> Place:
        """Certificates are read when the first connection is made."""
        if self._place is None:
            host = self._url.raw_host or ""
            loopback = host in ("localhost", "::1") or host.startswith("127.")
            tls = self._tls() if self._url.scheme == "https" else None
            self._place = Place(host, self._url.port or 443, tls, loopback)
        return self._place

    def _done(self, connection: Connection) -> None:
        if not connection.ready or self._closed:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        self._idle.append((connection, loop.time()))
        if self._sweeping is None:
            self._sweeping = loop.call_later(KEPT, self._sweep)

    def _sweep(self) -> None:
        """End what nobody has needed for a while: the first of the list, for the last is taken first."""
        loop = asyncio.get_running_loop()
        old = sum(since <= loop.time() - KEPT for _, since in self._idle)
        self._give_up_idle(old)
        self._sweeping = loop.call_later(KEPT, self._sweep) if self._idle else None

    def _give_up_idle(self, count: int) -> None:
        for connection, _ in self._idle[:count]:
            connection.abort()
        del self._idle[:count]

    def _lost(self, method: str, path: str, error: Exception) -> Unavailable:
        what = f"{method} {path}"
        if isinstance(error, Invalid):
            return Unavailable(f"{what}: no answer from {self._server} that can be read: {error}")
        reason, hint = told(error)
        return Lost(what, f"no answer from {self._server}: {reason}", hint=hint)


def _encoded(query: Mapping[str, str]) -> str:
    """With its question mark. Most are words that stand there as they are, and it takes long to find that of each."""
    words = "".join([*query, *query.values()])
    if words.isalnum() and words.isascii():
        return "?" + "&".join([f"{name}={value}" for name, value in query.items()])
    return f"?{urlencode(query)}" if query else ""


_UNTRUSTED = "give the certificate authority of the server as caData of its Cluster, if that is the right server"
_TRUST = {
    10: ("the server's certificate has expired", "renew the server's certificate"),
    9: ("the server's certificate is not valid yet", "look at the clocks of the server and of this machine"),
    18: ("the server's certificate is signed by itself, and is not the authority we trust", _UNTRUSTED),
    19: ("the server's certificate is of an authority that we do not trust", _UNTRUSTED),
    20: ("the server's certificate is of an authority that we do not trust", _UNTRUSTED),
    7: ("the server's certificate is not signed by the authority we trust", _UNTRUSTED),
    62: ("the server's certificate is for another name", "address the server by a name in its certificate"),
    64: ("the server's certificate is for another address", "address the server by a name in its certificate"),
}
"""OpenSSL's number of what is wrong with a certificate → what to tell, and what to do."""


def told(error: BaseException) -> tuple[str, str]:
    """(what happened, what to do) for an exchange that failed; the second is "" where nothing special helps."""
    seen: BaseException = (
        error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
    )
    if isinstance(seen, ssl.SSLCertVerificationError):
        text, hint = _TRUST.get(seen.verify_code, (f"the server's certificate is refused: {seen.verify_message}", ""))
        return text, hint
    words = str(error)
    if "ALERT" in words.upper() and "SSL" in words:
        what = words.rpartition("[SSL: ")[2].partition("]")[0].lower().replace("_", " ")
        return f"the server refuses our client certificate ({what})", "renew the client certificate of the credential"
    if isinstance(error, (aiohttp.ServerDisconnectedError, Ended)):
        hint = "look whether the API server runs, and whether it wants a client certificate that we do not have"
        return "it ended the connection without a word", hint
    return words or type(error).__name__, ""


class _Lines:
    """Lines out of pieces that are cut anywhere."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._size = 0

    def of(self, piece: bytes) -> list[bytes]:
        """Those that end in this piece, without their end. Raises Unavailable for one over MAX_LINE: no object of
        Kubernetes is that large."""
        first, *others = piece.split(b"\n")
        self._begun.append(first)
        self._size += len(first)
        ended: list[bytes] = []
        if others:
            ended = [b"".join(self._begun), *others[:-1]]
            self._begun, self._size = [others[-1]], len(others[-1])
        if self._size > MAX_LINE:
            raise Unavailable(f"a watch sent a line of more than {MAX_LINE} bytes")
        return [line for line in ended if line]


def open_transport(access: Access) -> HttpTransport:
    """A transport for an access, which reaches its host alone."""
    read_token = access.renewed or ((lambda: access.token) if access.token else None)
    return HttpTransport(access.server, lambda: _tls(access), read_token)


def prove(access: Access) -> None:
    """Raises Invalid where the authority, the certificate or its key can not be used, without asking anybody."""
    _tls(access)


def _tls(access: Access) -> ssl.SSLContext:
    if not access.certificate:
        return http.tls(access.ca or None)
    # OpenSSL reads certificates from files only: they live for the moment of reading, for this user alone.
    with tempfile.TemporaryDirectory(prefix="kedge-") as folder:
        paths = os.path.join(folder, "certificate"), os.path.join(folder, "key")
        for path, text in zip(paths, (access.certificate, access.key), strict=True):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as file:
                file.write(text)
        return http.tls(access.ca or None, certificate=paths)
