"""Kubernetes over HTTP: the transport of production, on a session of `kedge.http`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
from yarl import URL

from kedge import http
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import Response, refusal_line
from kedge.model.errors import Invalid, Unavailable

MAX_LINE = 16 * 1024 * 1024
CONNECTIONS = 256
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

    def _ready(self) -> aiohttp.ClientSession:
        """Sessions belong to a running loop, so the first request opens it."""
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
                data=body or None,
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

    def _lost(self, method: str, path: str, error: Exception) -> Unavailable:
        reason = str(error) or type(error).__name__
        return Unavailable(
            f"{method} {path}: no answer from {self._server}: {reason}",
            hint="look whether the API server runs and can be reached from here",
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


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


def _session(access: Access, settings: dict[str, Any]) -> aiohttp.ClientSession:
    if not access.certificate:
        return http.session(**settings)
    # OpenSSL reads certificates from files only: they live for the moment of reading, for this user alone.
    with tempfile.TemporaryDirectory(prefix="kedge-") as folder:
        paths = os.path.join(folder, "certificate"), os.path.join(folder, "key")
        for path, text in zip(paths, (access.certificate, access.key), strict=True):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as file:
                file.write(text)
        return http.session(certificate=paths, **settings)
