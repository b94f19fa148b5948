"""The only maker of outgoing HTTP sessions: what may be reached, how long it may take, how much it may answer.

API servers are spoken to by `kedge.kube.http1`, under the same guard, TLS and limits.

Every socket passes `guard`, after name resolution and for literal addresses alike, so that neither a rebinding name
nor a redirect leads to a cloud's metadata service. Redirects are an error (`Strayed`), or the plain 3xx answer where
a request says `allow_redirects=False`; they are never followed, so that a credential stays with its host.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp

from kedge.model.errors import Invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

RESPONSE_LIMIT = 64 * 1024 * 1024
CONNECTIONS = 100
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 120.0
CHUNK = 256 * 1024

# Metadata services that do not live on link-local addresses: Amazon (IPv6), Alibaba, Azure's host agent, Oracle.
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(OSError):
    """An address that Kedge does not connect to. aiohttp hands it on inside a ClientConnectorError."""


class Strayed(aiohttp.ClientError):
    """A request that would leave the hosts it is meant for, by its URL or by a redirect."""


def refusal(address: str, *, allow_loopback: bool = False) -> str:
    """Why `address` (a literal IP address) is not connected to, or "" where it may be."""
    try:
        found = _plain(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return "it is not an IP address"
    if found.is_loopback:
        return "" if allow_loopback else "loopback addresses are only for what was declared with one"
    if found in _METADATA:
        return "it is a cloud's metadata service"
    if found.is_link_local:
        return "link-local addresses (metadata services among them) are never connected to"
    if found.is_unspecified or found.is_multicast or found.is_reserved:
        return "it is not the address of one machine"
    return ""


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one where there is one: the same machine must not have two names."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def guard(allow_loopback: bool) -> Callable[[Any], socket.socket]:
    """A socket factory that refuses by the address really connected to."""

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, place = info
        reason = refusal(str(place[0]), allow_loopback=allow_loopback)
        if reason:
            raise Refused(errno.EACCES, f"{place[0]} is not connected to: {reason}")
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


def tls(ca: str | None = None, *, verify: bool = True, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """A client's TLS context. `ca` is PEM text (None: the system's); `certificate` are paths of certificate and key.

    Raises Invalid for a CA that is no PEM certificate, or a certificate that cannot be loaded.
    """
    try:
        context = ssl.create_default_context(cadata=ca or None)
    except (ssl.SSLError, ValueError) as error:
        raise Invalid(f"the CA is not a PEM certificate: {error}") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        try:
            context.load_cert_chain(*certificate)
        except (ssl.SSLError, OSError) as error:
            raise Invalid(f"the client certificate cannot be loaded: {error}") from None
    return context


def session(
    *,
    ca: str | None = None,
    verify: bool = True,
    allow_loopback: bool = False,
    limit: int = CONNECTIONS,
    headers: Mapping[str, str] | None = None,
    hosts: Sequence[str] | None = None,
    certificate: tuple[str, str] | None = None,
) -> aiohttp.ClientSession:
    """A session that reaches only what it may. Close it; call inside a running loop.

    `ca` is PEM text, `certificate` paths of a client's certificate and key, `limit` the number of connections.
    `hosts` (`name` or `name:port`) is the allow-list: give it whenever `headers` hold a credential. Neither proxies
    nor `.netrc` of the environment are used, cookies are not kept, and a request may be silent for two minutes at most
    (a watch passes its own timeout). Raises Invalid for a CA or certificate that cannot be loaded.
    """
    connector = aiohttp.TCPConnector(
        limit=limit,
        ssl=tls(ca, verify=verify, certificate=certificate),
        socket_factory=guard(allow_loopback),
    )
    return aiohttp.ClientSession(
        connector=connector,
        headers=dict(headers or {}),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[_no_redirects()],
        middlewares=() if hosts is None else (_only(frozenset(host.lower() for host in hosts)),),
    )


def _no_redirects() -> aiohttp.TraceConfig:
    """A trace that raises before a redirect is followed: sessions have no switch for it, only each request has."""

    async def refuse(_: object, __: object, params: aiohttp.TraceRequestRedirectParams) -> None:
        status = params.response.status
        raise Strayed(f"{params.url.origin()} answered {status}, a redirect: Kedge does not follow it")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


def _only(hosts: frozenset[str]) -> aiohttp.ClientMiddlewareType:
    async def check(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        host = (request.url.host or "").lower()
        if host not in hosts and f"{host}:{request.url.port}" not in hosts:
            raise Strayed(f"{host} is not among the hosts that this connection is for")
        return await handler(request)

    return check


async def read(response: aiohttp.ClientResponse, limit: int = RESPONSE_LIMIT) -> bytes:
    """The whole body, at most `limit` bytes (after decompression). Raises Invalid where it is larger."""
    if response.content_length is not None and response.content_length > limit:
        response.close()
        raise Invalid(f"{response.url.origin()} answers {response.content_length} bytes, more than the {limit} allowed")
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(CHUNK):
        size += len(part)
        if size > limit:
            response.close()
            raise Invalid(f"{response.url.origin()} answers more than the {limit} bytes allowed")
        parts.append(part)
    return b"".join(parts)
