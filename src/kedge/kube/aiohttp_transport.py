"""Kubernetes over HTTP: the transport of production, on a session of `kedge.http`."""

from __future__ import annotations

import io
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from kedge import http
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import Lost, Refused, Response, refusal_line
from kedge.model.errors import Invalid, Unavailable

T = TypeVar("T")

MAX_LINE = 16 * 1024 * 1024
AT_ONCE = 64 * 1024
"""Bytes of a body that are written at once; a longer one in pieces, between which others get a turn."""
CONNECTIONS = 256
ANYTHING = "application/json, */*"
"""As kubectl asks for logs: text when it is there, a Status when not."""
WATCH = aiohttp.ClientTimeout(total=None, sock_connect=http.CONNECT_SECONDS, sock_read=None)
PLAIN = aiohttp.ClientTimeout(total=None, sock_connect=http.CONNECT_SECONDS, sock_read=60.0)


class AiohttpTransport:
    """`kedge.kube.transport.Transport` to one server. `token` is asked at every request: mounted tokens are renewed."""

    def __init__(
        self, server: str, open_session: Callable[[], aiohttp.ClientSession], token: Callable[[], str] | None = None
    ) -> None:
        self._server = server.rstrip("/")
        self._open = open_session
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def _ready(self) -> aiohttp.ClientSession:
        """Sessions belong to a running loop, so the first request opens it."""
        if self._closed:
            raise Unavailable(f"the connection to {self._server} has been given up: how it is reached has changed")
        if self._session is None:
            self._session = self._open()
        return self._session

    def _url(self, path: str, query: Mapping[str, str]) -> URL:
        return URL(f"{self._server}{path}", encoded=True).with_query(dict(query) or None)

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        token = self._token() if self._token is not None else ""
        return {**headers, "authorization": f"Bearer {token}"} if token else dict(headers)

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Response:
        try:
            async with self._ready().request(
                method,
                self._url(path, query),
                headers=self._headers(headers),
                data=_sent(body),
                timeout=PLAIN,
                allow_redirects=False,
            ) as answer:
                return Response(answer.status, _lowered(answer.headers), await http.read(answer))
        except (aiohttp.ClientError, OSError, TimeoutError, Invalid) as error:
            raise self._lost(method, path, error) from error

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        headers = self._headers({"accept": "application/json"})
        try:
            async with self._ready().get(
                self._url(path, query), headers=headers, timeout=WATCH, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    yield refusal_line(Response(answer.status, _lowered(answer.headers), await http.read(answer)))
                    return
                async for line in _lines(answer.content):
                    yield line
        except (aiohttp.ClientError, OSError, TimeoutError, Invalid) as error:
            raise self._lost("watch", path, error) from error

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        headers = self._headers({"accept": ANYTHING})
        try:
            async with self._ready().get(
                self._url(path, query), headers=headers, timeout=WATCH, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    refusal = Response(answer.status, _lowered(answer.headers), await http.read(answer))
                    raise Refused(f"GET {path}: HTTP {answer.status}", refusal)
                async for chunk in answer.content.iter_any():
                    yield chunk
        except (aiohttp.ClientError, OSError, TimeoutError, Invalid) as error:
            raise self._lost("GET", path, error) from error

    def _lost(self, method: str, path: str, error: Exception) -> Unavailable:
        what = f"{method} {path}"
        if isinstance(error, Invalid):
            return Unavailable(f"{what}: no answer from {self._server} that can be read: {error}")
        reason, hint = told(error)
        return Lost(what, f"no answer from {self._server}: {reason}", hint=hint)

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()


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
    if isinstance(error, aiohttp.ServerDisconnectedError):
        hint = "look whether the API server runs, and whether it wants a client certificate that we do not have"
        return "it ended the connection without a word", hint
    return words or type(error).__name__, ""


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines without their end. Raises Unavailable for one over MAX_LINE: no Kubernetes object is that large."""
    rest: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        first, *others = chunk.split(b"\n")
        rest.append(first)
        size += len(first)
        for piece in others:
            if line := b"".join(rest):
                yield line
            rest, size = [piece], len(piece)
        if size > MAX_LINE:
            raise Unavailable(f"a watch sent a line of more than {MAX_LINE} bytes")


def _sent(body: bytes) -> bytes | io.BytesIO | None:
    return (io.BytesIO(body) if len(body) > AT_ONCE else body) or None


def open_transport(access: Access) -> AiohttpTransport:
    """A transport for an access, on a session that reaches its host alone."""
    url = URL(access.server)
    host = url.host or ""
    settings: dict[str, Any] = {
        "ca": access.ca or None,
        "allow_loopback": host == "localhost" or host.startswith("127.") or host == "::1",
        "limit": CONNECTIONS,
        "hosts": [host],
    }
    read_token = access.renewed or ((lambda: access.token) if access.token else None)
    return AiohttpTransport(access.server, lambda: _session(access, settings), read_token)


def prove(access: Access) -> None:
    """Raises Invalid where the authority, the certificate or its key can not be used, without asking anybody."""
    _with_certificate(access, lambda paths: http.tls(access.ca or None, certificate=paths))


def _session(access: Access, settings: dict[str, Any]) -> aiohttp.ClientSession:
    return _with_certificate(access, lambda paths: http.session(certificate=paths, **settings))


def _with_certificate(access: Access, use: Callable[[tuple[str, str] | None], T]) -> T:
    if not access.certificate:
        return use(None)
    # OpenSSL reads certificates from files only: they live for the moment of reading, for this user alone.
    with tempfile.TemporaryDirectory(prefix="kedge-") as folder:
        paths = os.path.join(folder, "certificate"), os.path.join(folder, "key")
        for path, text in zip(paths, (access.certificate, access.key), strict=True):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as file:
                file.write(text)
        return use(paths)
