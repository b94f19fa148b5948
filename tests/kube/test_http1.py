"""HTTP byte by byte: how answers begin and end, what is no answer, and which connections are used again."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.parts.listener import listening

from kedge import http
from kedge.kube import http1, http_transport
from kedge.kube.http_transport import HttpTransport, open_transport
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import Lost, Response
from kedge.model.errors import Unavailable

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Scripted:
    """A server that answers each request with the next of its `answers`, whatever it was asked. One that is empty, or
    ends with “!”, ends the connection. `asked` are the requests, `made` counts connections; `came`: one was asked,
    `gone`: a connection was ended by us."""

    def __init__(self) -> None:
        self.answers: list[bytes | list[bytes]] = []
        self.asked: list[bytes] = []
        self.made = 0
        self.url = ""
        self.gone = asyncio.Event()
        self.came = asyncio.Event()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, found, rest = head.lower().partition(b"content-length: ")
                body = await reader.readexactly(int(rest.split(b"\r\n")[0])) if found else b""
                self.asked.append(head + body)
                self.came.set()
                answer = self.answers.pop(0)
                parts = [answer] if isinstance(answer, bytes) else answer
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                if b"".join(parts)[-1:] in (b"", b"!"):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    async with listening(scripted.meet) as port:
        scripted.url = f"http://127.0.0.1:{port}"
        yield scripted


@pytest.fixture
async def transport(server: Scripted) -> AsyncIterator[HttpTransport]:
    opened = open_transport(Access(server.url, token="t0ken"))
    yield opened
    await opened.close()


async def ask(transport: HttpTransport, method: str = "GET", body: bytes = b"") -> Response:
    return await transport.request(method, "/api", {}, {}, body)


WHOLE: dict[str, bytes] = {
    "has a length": b"HTTP/1.1 200 OK\r\nContent-Length:  7 \r\n\r\n{'a':1}",
    "comes after an interim one": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{'a':1}",
    "comes in chunks": CHUNKED + b"3\r\n{'a\r\n4;of=it\r\n':1}\r\n0\r\nx-more: 1\r\n\r\n",
    "ends with the connection": b"HTTP/1.0 200 OK\r\n\r\n{'a':1}!",
    "has no words": b"HTTP/1.1 200\r\ncontent-length: 7\r\n\r\n{'a':1}",
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE.keys())
async def test_an_answer_is_whole_however_it_is_cut(server: Scripted, transport: HttpTransport, answer: bytes) -> None:
    for cut in ([answer], [answer[at : at + 1] for at in range(len(answer))]):
        server.answers = [cut]
        found = await ask(transport)
        assert (found.status, found.body.rstrip(b"!")) == (200, b"{'a':1}")


async def test_what_has_no_body_is_not_waited_for(server: Scripted, transport: HttpTransport) -> None:
    server.answers = [b"HTTP/1.1 204 No Content\r\n\r\n", OK]
    assert (await ask(transport)).body == b""
    assert (await ask(transport)).body == b"{}"
    assert server.made == 1


async def test_a_packed_answer_is_unpacked(server: Scripted, transport: HttpTransport) -> None:
    packed = gzip.compress(b"x" * 1_000_000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    server.answers = [head + packed]
    assert (await ask(transport)).body == b"x" * 1_000_000
    assert b"accept-encoding: gzip\r\n" in server.asked[0]


async def test_a_packed_answer_is_no_larger_than_another(
    server: Scripted, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "RESPONSE_LIMIT", 1_000_000)
    packed = gzip.compress(b"x" * 50_000_000)
    server.answers = [b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed]
    with pytest.raises(Unavailable, match="more than the 1000000 bytes allowed"):
        await ask(transport)


NONE: dict[str, tuple[bytes, str]] = {
    "is of another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is no HTTP/1.1: Expected HTTP"),
    "has a status of four figures": (b"HTTP/1.1 2000 OK\r\n\r\n", "is no HTTP/1.1: Invalid response status"),
    "has a line that is no header": (b"HTTP/1.1 200 OK\r\nhello\r\n\r\n", "is no HTTP/1.1: Invalid header"),
    "continues a header": (b"HTTP/1.1 200 OK\r\na: b\r\n c: d\r\n\r\n", "is no HTTP/1.1: Unexpected whitespace"),
    "has a head without end": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, "is no HTTP/1.1: more than 65536 bytes"),
    "is interim for ever": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 200, "is no HTTP/1.1: .*100 interim answers"),
    "has two lengths": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        "is no HTTP/1.1: Duplicate Content-Length",
    ),
    "tells its length in two ways": (
        CHUNKED[:-2] + b"content-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "is no HTTP/1.1: Content-Length can't be present",
    ),
    "has trailers without end": (CHUNKED + b"0\r\nx: " + b"y" * 200_000, "is no HTTP/1.1: more than 65536 bytes"),
    "switches to another protocol": (
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nabc",
        "is no HTTP/1.1: ",
    ),
    "has less than no length": (
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "is no HTTP/1.1: Invalid character in Content-Length",
    ),
    "has a chunk of no size": (CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", "is no HTTP/1.1: Invalid character in chunk size"),
    "has a chunk longer than it says": (CHUNKED + b"2\r\nabc\r\n0\r\n\r\n", "is no HTTP/1.1: "),
    "is packed in an unknown way": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\n{}",
        "a content encoding that nobody asked for: br",
    ),
    "is not packed as it says": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
        "it is not packed as it says",
    ),
    "is cut": (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{!", "in the middle of its answer"),
    "is cut in a chunk": (CHUNKED + b"50\r\n{!", "in the middle of its answer"),
    "is nothing": (b"", "it ended the connection without a word"),
}


@pytest.mark.parametrize(("answer", "sentence"), NONE.values(), ids=NONE.keys())
async def test_what_is_no_answer_is_lost_and_says_why(
    server: Scripted, transport: HttpTransport, answer: bytes, sentence: str
) -> None:
    server.answers = [answer, OK]
    with pytest.raises(Lost, match=f"no answer from http://127.*{sentence}"):
        await ask(transport, "PATCH")
    assert (await ask(transport)).body == b"{}"
    assert server.made == 2


async def test_a_connection_is_used_again(server: Scripted, transport: HttpTransport) -> None:
    server.answers = [OK, CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", OK]
    assert [(await ask(transport)).body for _ in range(3)] == [b"{}"] * 3
    assert server.made == 1


async def test_a_large_answer_does_not_silence_its_connection(server: Scripted, transport: HttpTransport) -> None:
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 3_000_000
    server.answers = [large, OK]
    assert len((await ask(transport)).body) == 3_000_000
    assert (await ask(transport)).body == b"{}"
    assert server.made == 1


ONCE: dict[str, bytes | list[bytes]] = {
    "is to be closed": b"HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 2\r\n\r\n{}",
    "is of an old version": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "told more than was asked": OK + OK,
    "told more than was asked, later": [OK, OK],
}


@pytest.mark.parametrize("answer", ONCE.values(), ids=ONCE.keys())
async def test_a_connection_is_not_used_again_that(
    server: Scripted, transport: HttpTransport, answer: bytes | list[bytes]
) -> None:
    server.answers = [answer, OK]
    assert (await ask(transport)).body == b"{}"
    async with asyncio.timeout(60):
        while any(connection.ready for connection, _ in transport._idle):
            await asyncio.sleep(0)  # what nobody asked for is on its way
    assert (await ask(transport)).body == b"{}"
    assert server.made == 2


async def test_a_read_is_asked_again_when_a_kept_connection_was_ended(
    server: Scripted, transport: HttpTransport
) -> None:
    server.answers = [OK, b"", OK]
    await ask(transport)
    assert (await ask(transport)).body == b"{}"
    assert (len(server.asked), server.made) == (3, 2)


async def test_a_write_is_not_asked_again(server: Scripted, transport: HttpTransport) -> None:
    server.answers = [OK, b"", OK]
    await ask(transport)
    with pytest.raises(Lost):
        await ask(transport, "PATCH", b"{}")
    assert len(server.asked) == 2


async def test_a_request_that_is_given_up_takes_its_connection_with_it(
    server: Scripted, transport: HttpTransport
) -> None:
    server.answers = [b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"]
    asking = asyncio.create_task(ask(transport))
    await server.came.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(60):
        await server.gone.wait()


async def test_a_connection_that_nobody_needs_is_ended(
    server: Scripted, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_transport, "KEPT", 0.0)
    server.answers = [OK]
    await ask(transport)
    async with asyncio.timeout(60):
        assert await server.gone.wait()


async def test_an_answer_that_comes_early_ends_what_is_being_sent() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        await asyncio.get_running_loop().create_future()

    async with listening(hasty, limit=1) as port:
        opened = open_transport(Access(f"http://127.0.0.1:{port}"))
        assert (await ask(opened, "PATCH", b"x" * (32 << 20))).status == 413
        await opened.close()


async def test_a_slow_reader_makes_the_server_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "HELD", 100_000)
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while written < 100_000_000:
            writer.write(b"x" * 100_000)
            await writer.drain()
            written += 100_000

    async with listening(flood) as port:
        opened = open_transport(Access(f"http://127.0.0.1:{port}"))
        stream = opened.stream("/log", {})
        await anext(stream)
        before = -1
        while written != before:
            before = written
            for _ in range(100):
                await asyncio.sleep(0)
        assert written < 30_000_000
        await stream.aclose()  # type: ignore[attr-defined]
        await opened.close()


BEYOND: dict[str, Callable[[HttpTransport], Awaitable[object]]] = {
    "a path with a line in it": lambda one: one.request("GET", "/api/v1/a\r\nhost: b", {}, {}, b""),
    "a path with a space in it": lambda one: one.request("GET", "/api/v1/a HTTP/1.1", {}, {}, b""),
    "a header with a line in it": lambda one: one.request("GET", "/api", {}, {"impersonate-user": "a\r\nb: c"}, b""),
    "a path of other letters": lambda one: one.request("GET", "/api/v1/wörter", {}, {}, b""),
}


@pytest.mark.parametrize("asking", BEYOND.values(), ids=BEYOND.keys())
async def test_nothing_is_sent_that_would_be_read_as_something_else(
    server: Scripted, transport: HttpTransport, asking: Callable[[HttpTransport], Awaitable[object]]
) -> None:
    with pytest.raises(Unavailable, match="characters that HTTP has no place for"):
        await asking(transport)
    assert server.made == 0


async def test_a_token_of_two_lines_is_not_sent_nor_told(server: Scripted) -> None:
    opened = open_transport(Access(server.url, token="t0ken\r\nb: c"))
    with pytest.raises(Unavailable, match="characters that HTTP has no place for") as refused:
        await ask(opened)
    assert "t0ken" not in str(refused.value)
    assert server.made == 0


@pytest.mark.parametrize("address", ["http://169.254.169.254", "http://[fd00:ec2::254]:6443", "http://0.0.0.0:1"])
async def test_what_may_not_be_reached_is_not_connected_to(address: str) -> None:
    opened = open_transport(Access(address))
    with pytest.raises(Lost, match="is not connected to"):
        await ask(opened)
    await opened.close()


async def test_what_is_no_name_of_a_host_is_told_as_such() -> None:
    opened = open_transport(Access(f"http://{'a' * 70}.example"))
    with pytest.raises(Lost, match="is no name of a host"):
        await ask(opened)
    await opened.close()
