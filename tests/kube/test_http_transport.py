"""HTTP: tokens, certificates, redirects, sizes, and streams cut anywhere."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from kedge import http
from kedge.certificate import self_signed
from kedge.clock import SystemClock
from kedge.kube import http1, http_transport
from kedge.kube.http_transport import HttpTransport, open_transport
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import Lost, Refused
from kedge.model.errors import Unavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(handler, tls)` answers the URL of a server on loopback."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler, tls: ssl.SSLContext | None = None) -> str:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        runners.append(runner)
        return f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def get(transport: HttpTransport, path: str = "/api") -> object:
    return await transport.request("GET", path, {}, {"accept": "application/json"}, b"")


async def echo(request: web.Request) -> web.StreamResponse:
    told = {
        "path": request.raw_path,
        "query": dict(request.query),
        "token": request.headers.get("authorization", ""),
        "body": (await request.read()).decode(),
    }
    return web.json_response(told)


async def test_a_request_arrives_as_it_was_asked(serve: Serve) -> None:
    transport = open_transport(Access(await serve(echo), token="t0ken"))
    query = {"labelSelector": "a in (b,c)", "continue": "x+y/z=="}
    answer = await transport.request("PATCH", "/api/v1/a%3Fb", query, {}, b"{}")
    told = orjson.loads(answer.body)
    assert told["path"].startswith("/api/v1/a%3Fb?")
    assert (told["query"], told["token"], told["body"]) == (query, "Bearer t0ken", "{}")
    await transport.close()


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"dryRun": "All", "limit": "500"},
        {"continue": ""},
        {"labelSelector": "a in (b,c)", "limit": "500"},
        {"fieldSelector": "a=b&c=d"},
        {"a&b": "c"},
        {"name": "wörter"},
        {"name": "１２"},
    ],
)
async def test_no_word_of_a_query_is_read_as_another(serve: Serve, query: dict[str, str]) -> None:
    transport = open_transport(Access(await serve(echo)))
    answer = await transport.request("GET", "/api", query, {}, b"")
    assert orjson.loads(answer.body)["query"] == query
    await transport.close()


@pytest.mark.parametrize("size", [0, 1, http1.AT_ONCE, http1.AT_ONCE + 1, 3 << 20])
async def test_a_body_of_any_size_arrives_whole(serve: Serve, size: int) -> None:
    async def measure(request: web.Request) -> web.StreamResponse:
        body = b"".join([chunk async for chunk in request.content.iter_any()])
        return web.json_response([request.headers.get("content-length"), len(body), len(body.strip(b"x"))])

    transport = open_transport(Access(await serve(measure)))
    answer = await transport.request("PATCH", "/api", {}, {}, b"x" * size)
    assert orjson.loads(answer.body) == [str(size) if size else "0", size, 0]
    await transport.close()


async def test_a_renewed_token_is_sent_with_the_next_request(serve: Serve) -> None:
    tokens = ["first"]
    access = Access(await serve(echo), token="old", renewed=lambda: tokens[-1])
    transport = open_transport(access)
    assert b"Bearer first" in (await get(transport)).body
    tokens.append("second")
    assert b"Bearer second" in (await get(transport)).body
    await transport.close()


async def test_any_status_is_an_answer(serve: Serve) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "3"}, text="slow")

    transport = open_transport(Access(await serve(refuse)))
    answer = await get(transport)
    assert (answer.status, answer.headers["retry-after"], answer.body) == (429, "3", b"slow")
    await transport.close()


async def test_a_redirect_is_not_followed_so_the_token_stays(serve: Serve) -> None:
    seen: list[str] = []

    async def thief(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("authorization", ""))
        return web.json_response({})

    elsewhere = await serve(thief)

    async def redirect(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": elsewhere})

    transport = open_transport(Access(await serve(redirect), token="t0ken"))
    assert (await get(transport)).status == 302
    assert seen == []
    await transport.close()


async def test_a_connection_that_is_cut_is_unavailable(serve: Serve) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    transport = open_transport(Access(await serve(cut)))
    with pytest.raises(Unavailable, match="GET /api: no answer from"):
        await get(transport)
    await transport.close()


async def test_an_answer_without_end_is_unavailable(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            for _ in range(100):
                await answer.write(b"x" * 100_000)
        except ConnectionError:
            return answer
        return answer

    monkeypatch.setattr(http, "RESPONSE_LIMIT", 1_000_000)
    transport = open_transport(Access(await serve(flood)))
    with pytest.raises(Unavailable, match="1000000 bytes allowed"):
        await get(transport)
    await transport.close()


async def lines_of(transport: HttpTransport) -> list[bytes]:
    return [line async for line in transport.watch("/watch", {})]


async def test_lines_of_a_watch_are_whole_however_they_are_cut(serve: Serve) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for part in (b'{"a"', b":1}\n{", b'"b":2}\n', b'\n{"c":3}\n{"d"', b":4}"):
            await answer.write(part)
        return answer

    transport = open_transport(Access(await serve(stream)))
    assert await lines_of(transport) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    await transport.close()


async def test_a_line_without_end_is_unavailable(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            for _ in range(200):
                await answer.write(b"x" * 10_000)
        except ConnectionError:
            return answer
        return answer

    monkeypatch.setattr(http_transport, "MAX_LINE", 100_000)
    transport = open_transport(Access(await serve(flood)))
    with pytest.raises(Unavailable, match="a line of more than"):
        await lines_of(transport)
    await transport.close()


async def test_a_refused_watch_is_an_error_line(serve: Serve) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "code": 410, "reason": "Expired"}, status=410)

    transport = open_transport(Access(await serve(refuse)))
    (line,) = await lines_of(transport)
    assert orjson.loads(line)["type"] == "ERROR"
    assert orjson.loads(line)["object"]["code"] == 410
    await transport.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str, Path]:
    """(certificate, key, folder with both as files)"""
    made, key = self_signed(SystemClock().now())
    (tmp_path / "crt").write_bytes(made)
    (tmp_path / "key").write_bytes(key)
    return made.decode(), key.decode(), tmp_path


def server_tls(folder: Path, *, clients: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "crt")
    return context


async def test_a_server_is_trusted_by_its_ca_alone(serve: Serve, certificate: tuple[str, str, Path]) -> None:
    made, _, folder = certificate
    url = await serve(echo, server_tls(folder))
    known = open_transport(Access(url, ca=made, token="t0ken"))
    assert (await get(known)).status == 200
    await known.close()
    unknown = open_transport(Access(url, token="t0ken"))
    with pytest.raises(Unavailable, match="not the authority we trust\n  give the certificate authority"):
        await get(unknown)
    await unknown.close()


async def test_a_client_certificate_is_shown_and_leaves_no_file(
    serve: Serve,
    certificate: tuple[str, str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, key, folder = certificate
    room = tmp_path_factory.mktemp("room")
    monkeypatch.setattr(http_transport.tempfile, "tempdir", str(room))
    url = await serve(echo, server_tls(folder, clients=True))
    transport = open_transport(Access(url, ca=made, certificate=made, key=key))
    assert (await get(transport)).status == 200
    assert list(room.iterdir()) == []
    await transport.close()


async def test_closing_before_the_first_request_is_fine() -> None:
    transport = open_transport(Access("https://127.0.0.1:1"))
    await transport.close()
    with pytest.raises((Unavailable, RuntimeError)):
        await get(transport)


async def test_a_client_certificate_that_the_server_refuses_is_told_as_such(
    serve: Serve, certificate: tuple[str, str, Path]
) -> None:
    made, _, folder = certificate
    url = await serve(echo, server_tls(folder, clients=True))
    other, key = (part.decode() for part in self_signed(SystemClock().now()))
    for access in (Access(url, ca=made), Access(url, ca=made, certificate=other, key=key)):
        transport = open_transport(access)
        with pytest.raises(Lost, match="client certificate"):
            await get(transport)
        await transport.close()


@pytest.mark.parametrize(("age", "sentence"), [(4000, "has expired"), (-5, "is not valid yet")])
async def test_what_is_wrong_with_a_certificate_is_said_in_words(
    serve: Serve, tmp_path: Path, age: float, sentence: str
) -> None:
    made, key = self_signed(SystemClock().now() - age * 86_400)
    (tmp_path / "tls.pem").write_bytes(made + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    url = await serve(echo, context)
    transport = open_transport(Access(url, ca=made.decode()))
    with pytest.raises(Lost, match=f"the server's certificate {sentence}"):
        await get(transport)
    await transport.close()


async def test_a_connection_that_was_given_up_says_so(serve: Serve) -> None:
    transport = open_transport(Access(await serve(echo)))
    await get(transport)
    await transport.close()
    with pytest.raises(Unavailable, match="has been given up: how it is reached has changed"):
        await get(transport)


async def test_a_stream_is_passed_on_as_it_comes_and_ends_with_it(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for part in (b"one\n", b"tw", b"o\n", request.headers["authorization"].encode()):
            await answer.write(part)
        return answer

    transport = open_transport(Access(await serve(handler), token="t0ken"))
    parts = [part async for part in transport.stream("/log", {"follow": "true"})]
    assert b"".join(parts) == b"one\ntwo\nBearer t0ken"
    await transport.close()


async def test_a_refused_stream_carries_the_whole_answer_and_no_token(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=400, body=b"it waits")

    transport = open_transport(Access(await serve(handler), token="t0ken"))
    with pytest.raises(Refused) as refused:
        [part async for part in transport.stream("/log", {})]
    assert (refused.value.response.status, refused.value.response.body) == (400, b"it waits")
    assert "t0ken" not in str(refused.value)
    await transport.close()


async def test_a_stream_that_is_cut_is_lost_and_no_end(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(b"one\n")
        assert request.transport is not None
        request.transport.abort()
        return answer

    transport = open_transport(Access(await serve(handler)))
    with pytest.raises(Lost):
        [part async for part in transport.stream("/log", {})]
    await transport.close()
