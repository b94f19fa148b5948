"""Outgoing HTTP: what is reached, what is refused, and how much is read."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kedge.http import read, refusal, session, tls
from kedge.model.errors import Invalid


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "not an address",
    ],
)
def test_an_address_that_must_not_be_reached_is_refused(address: str) -> None:
    assert refusal(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "172.16.0.1", "8.8.8.8", "fd12::1", "2606:4700::1"])
def test_machines_and_private_networks_are_reached(address: str) -> None:
    assert refusal(address) == ""


def test_loopback_is_only_for_who_asks_for_it_and_nothing_else_is() -> None:
    assert refusal("127.0.0.1", allow_loopback=True) == ""
    assert refusal("::1", allow_loopback=True) == ""
    assert refusal("169.254.169.254", allow_loopback=True)


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("Authorization", "nobody"))

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound("/hello")

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 100_000)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"\0" * 10_000)
        return response

    app = web.Application()
    for path, handler in (("/hello", hello), ("/away", away), ("/large", large), ("/endless", endless)):
        app.router.add_get(path, handler)
    running = TestServer(app)
    await running.start_server()
    yield running
    await running.close()


async def test_a_literal_loopback_address_is_refused_at_the_socket(server: TestServer) -> None:
    async with session() as client:
        with pytest.raises(aiohttp.ClientConnectorError, match="not connected to"):
            await client.get(f"http://127.0.0.1:{server.port}/hello")


async def test_a_name_that_leads_to_loopback_is_refused_at_the_socket(server: TestServer) -> None:
    async with session() as client:
        with pytest.raises(aiohttp.ClientConnectorError, match="not connected to"):
            await client.get(f"http://localhost:{server.port}/hello")


async def test_loopback_is_reached_when_it_is_allowed(server: TestServer) -> None:
    url = f"http://127.0.0.1:{server.port}/hello"
    headers = {"Authorization": "Bearer x"}
    async with session(allow_loopback=True, headers=headers) as client, client.get(url) as response:
        assert await read(response) == b"Bearer x"


async def test_a_redirect_is_an_error_or_the_plain_answer(server: TestServer) -> None:
    url = f"http://127.0.0.1:{server.port}/away"
    async with session(allow_loopback=True) as client:
        with pytest.raises(aiohttp.ClientError, match="redirect"):
            await client.get(url)
        async with client.get(url, allow_redirects=False) as response:
            assert response.status == 302


async def test_a_session_for_some_hosts_reaches_no_other(server: TestServer) -> None:
    async with session(allow_loopback=True, hosts=[f"127.0.0.1:{server.port}"]) as client:
        async with client.get(f"http://127.0.0.1:{server.port}/hello") as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ClientError, match="not among the hosts"):
            await client.get(f"http://localhost:{server.port}/hello")


async def test_proxies_of_the_environment_are_not_used(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    url = f"http://127.0.0.1:{server.port}/hello"
    async with session(allow_loopback=True) as client, client.get(url) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/large", "/endless"])
async def test_no_more_is_read_than_allowed_compressed_or_not(server: TestServer, path: str) -> None:
    async with session(allow_loopback=True) as client:
        async with client.get(f"http://127.0.0.1:{server.port}{path}") as response:
            with pytest.raises(Invalid, match="more than"):
                await read(response, 50_000)
        async with client.get(f"http://127.0.0.1:{server.port}/large") as response:
            assert len(await read(response, 100_000)) == 100_000


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, private


async def test_only_the_given_authority_is_trusted(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    app = web.Application()
    app.router.add_get("/", hello)
    running = TestServer(app, scheme="https")
    await running.start_server(ssl=context)
    try:
        url = f"https://127.0.0.1:{running.port}/"
        async with session(allow_loopback=True, ca=cert.read_text()) as client, client.get(url) as response:
            assert await read(response) == b"hello"
        async with session(allow_loopback=True, verify=False) as client, client.get(url) as response:
            assert response.status == 200
        async with session(allow_loopback=True) as client:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await client.get(url)
    finally:
        await running.close()


def test_a_wrong_authority_or_certificate_is_invalid(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="CA"):
        tls("no PEM at all")
    with pytest.raises(Invalid, match="client certificate"):
        tls(certificate=(str(tmp_path / "nope"), str(tmp_path / "nope")))
