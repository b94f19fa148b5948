"""HTTP/1.1, as much of it as an API server speaks (RFC 9112): one connection, one exchange at a time.

A general client spends four times as long on a small exchange. What a server says is read by llhttp, the parser of
Node.js. It may say anything: what is not yet body is bounded, a body waits for its reader, and a connection on which
anything was odd is used no more.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import httptools
from aiohappyeyeballs import start_connection

from kedge import http
from kedge.model.errors import Invalid, Unavailable

HEAD_LIMIT = 64 * 1024
"""Bytes that a server may say in one go that are no body: heads, interim answers, sizes of chunks, trailers."""
HEARD = {
    name.encode(): name
    for name in ("content-encoding", "content-length", "location", "retry-after", "transfer-encoding")
}
"""Headers that anybody asks for; an API server tells as many others with every answer."""
INTERIM = 100
"""Interim answers before an answer: there is a bound, and nobody sends that many."""
HELD = 1024 * 1024
"""Bytes that wait for their reader, after which the server is made to wait."""
AT_ONCE = 64 * 1024
"""Bytes of a body that are written at once; a longer one in pieces, between which others get a turn."""
PIECE = 256 * 1024
BOTH_WAYS = 0.25
"""Seconds after which a name's next address is tried beside the first (RFC 8305)."""


class Ended(ConnectionError):
    """The server ended the connection before it answered anything."""


class Malformed(ConnectionError):
    """What came is no HTTP, or nothing that was asked for."""


@dataclass(frozen=True, slots=True)
class Head:
    """How an answer begins. Of the headers those in `HEARD`; names are lower case."""

    status: int
    headers: dict[str, str]

    @property
    def measured(self) -> bool:
        """Whether the answer tells where it ends; else it ends with the connection."""
        return self.status in (204, 304) or "content-length" in self.headers or "transfer-encoding" in self.headers


@dataclass(frozen=True, slots=True)
class Place:
    """Where connections go. `tls` None: plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    loopback: bool


class Connection(asyncio.Protocol):
    """Use: `send`, `head`, then `whole` or all of `pieces`; from then on it is `ready` for another exchange, or not."""

    def __init__(self, alive: set[Connection]) -> None:
        """`alive`: where it stands from the moment it is made to the moment it is lost."""
        self._alive = alive
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._head: Head | None = None
        self._body: deque[bytes] = deque()
        self._held = self._unread = self._interim = 0
        self._waiter: asyncio.Future[None] | None = None
        self._paused = self._stuffed = self._ended = self._odd = False
        self._whole = self._taken = True
        """Whether the last answer has come to its end, and was read to it."""
        self._error: Exception | None = None
        self.answered = False
        """Whether anything came since the last `send`."""

    @property
    def ready(self) -> bool:
        return self._taken and not self._odd and not self._ended

    def abort(self) -> None:
        self._transport.abort()

    # -- asking -------------------------------------------------------------------------------------------------------

    async def send(self, head: bytes, body: bytes) -> None:
        """Stops where the server answers before it has heard everything: then it wants no more."""
        self._whole = self._taken = self.answered = False
        self._head = None
        self._interim = 0
        if len(body) <= AT_ONCE:
            self._transport.write(head + body)
            return
        self._transport.write(head)
        for start in range(0, len(body), AT_ONCE):
            self._transport.write(body[start : start + AT_ONCE])
            await asyncio.sleep(0)
            while self._stuffed and not self.answered and not self._ended:
                await self._woken()
            if self.answered or self._ended:
                self._odd = True
                return

    async def head(self) -> Head:
        """Raises Ended and Malformed."""
        while self._head is None:
            if self._ended:
                raise self._broken()
            await self._woken()
        return self._head

    # -- reading ------------------------------------------------------------------------------------------------------

    async def whole(self, head: Head, limit: int) -> bytes:
        """The body, unpacked. Raises ConnectionError, and Invalid where it is larger than `limit` bytes."""
        packed = head.headers.get("content-encoding", "identity")
        if self._whole and packed == "identity" and self._held <= limit:
            body = b"".join(self._body)
            self._body.clear()
            self._held, self._taken = 0, True
            return body
        parts: list[bytes] = []
        size = 0
        async with aclosing(self.pieces(head)) as plain, aclosing(_unpacked(plain, packed)) as pieces:
            async for piece in pieces:
                parts.append(piece)
                size += len(piece)
                if size > limit:
                    raise Invalid(f"it is more than the {limit} bytes allowed")
        return b"".join(parts)

    async def pieces(self, head: Head) -> AsyncGenerator[bytes]:
        """The body as it comes, packed or not. Raises ConnectionError."""
        while True:
            while self._body:
                piece = self._body.popleft()
                self._held -= len(piece)
                yield piece
            if self._whole:
                self._taken = True
                return
            if self._ended:
                if head.measured or self._error is not None:
                    raise self._broken()
                return
            await self._woken()

    def _broken(self) -> Exception:
        if self._error is not None:
            return self._error
        if self.answered:
            return ConnectionError("it ended the connection in the middle of its answer")
        return Ended("it ended the connection")

    async def _woken(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- told by the parser -------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._odd = self._odd or self._whole  # more than was asked
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        key = HEARD.get(name.lower())
        if key is not None:
            text = value.decode("latin-1").strip()
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._interim += 1
        elif not self._whole:
            self._head = Head(status, self._headers)
            self._unread = 0

    def on_body(self, body: bytes) -> None:
        if not self._whole:
            self._body.append(body)
            self._held += len(body)
            self._unread = 0

    def on_message_complete(self) -> None:
        if self._head is not None and not self._whole:
            self._whole = True
            self._odd = self._odd or not self._parser.should_keep_alive()

    # -- told by the loop ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._alive.add(self)

    def data_received(self, data: bytes) -> None:
        self.answered = True
        if self._ended:
            return
        if self._whole:
            self._refuse("nobody asked")
            return
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._refuse(str(error))
        if self._unread > HEAD_LIMIT or self._interim > INTERIM:
            self._refuse(f"more than {HEAD_LIMIT} bytes or {INTERIM} interim answers, and no body")
        if self._held > HELD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def _refuse(self, why: str) -> None:
        """Nothing that comes now can be told from anything else. What is whole already stays an answer."""
        self._odd = self._ended = True
        self._error = self._error or Malformed(f"what came is no HTTP/1.1: {why[:100]}")

    def pause_writing(self) -> None:
        self._stuffed = True

    def resume_writing(self) -> None:
        self._stuffed = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._error = True, self._error or exc
        self._wake()
        self._alive.discard(self)
        if not self.gone.done():
            self.gone.set_result(None)


async def connect(place: Place, alive: set[Connection]) -> Connection:
    """A connection to an address that may be reached. Raises OSError: refused by us (`http.Refused`) or by the server,
    a certificate that is not trusted, or too late."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(http.CONNECT_SECONDS):
            found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
            guard = http.guard(place.loopback)
            plain = await start_connection(found, happy_eyeballs_delay=BOTH_WAYS, interleave=1, socket_factory=guard)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            name = place.host if place.tls is not None else None
            _, made = await loop.create_connection(
                lambda: Connection(alive), sock=plain, ssl=place.tls, server_hostname=name
            )
            return made
    except UnicodeError:
        raise OSError(f"{place.host[:80]} is no name of a host") from None
    except TimeoutError:
        raise TimeoutError(f"no connection within {http.CONNECT_SECONDS:.0f} s") from None


def asked(line: str, *headers: str) -> bytes:
    """The head of a request from its lines. Raises Unavailable for what would be read as something else: names from a
    cluster's discovery and tokens from files come together here."""
    said = "".join([line, *headers])
    if line.count(" ") != 2 or not said.isascii() or "\r" in said or "\n" in said or "\0" in said:
        raise Unavailable(
            f"{line[:200]!r} can not be asked: it or its headers hold characters that HTTP has no place for"
        )
    return "\r\n".join([line, *headers, "", ""]).encode()


async def _unpacked(pieces: AsyncGenerator[bytes], packed: str) -> AsyncGenerator[bytes]:
    if packed not in ("identity", "gzip"):
        raise Malformed(f"a content encoding that nobody asked for: {packed[:40]}")
    unpacking = zlib.decompressobj(wbits=31)
    async for piece in pieces:
        if packed == "identity":
            yield piece
            continue
        rest = piece
        while rest and not unpacking.eof:
            try:
                yield unpacking.decompress(rest, PIECE)
            except zlib.error as error:
                raise Malformed(f"it is not packed as it says: {error}") from None
            rest = unpacking.unconsumed_tail
    if packed == "gzip" and not unpacking.eof:
        raise Malformed("what is packed has no end")
