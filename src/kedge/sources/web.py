"""Asking web servers for charts, artifacts and large files: bounded, judged, and with a credential for one host only.

Whoever asks names the place that a credential is for. It goes to that scheme, host and port and to no other, however
the answer redirects and whatever an index says; other hosts are asked without one.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp

from kedge.http import read as read_body
from kedge.http import refusal, session
from kedge.model.errors import Denied, Invalid, KedgeError, Unavailable
from kedge.ports import Secrets
from kedge.sources.address import Allowed

SECONDS = 120.0
"""How long one answer may take, redirects included."""
_REDIRECTS = 5
_LONGEST = 4_000
_UNFIT = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\Z|[0-9A-Fa-f:.]+\Z")
_LITERAL = re.compile(r"(.*\.)?(0[xX][0-9a-fA-F]*|[0-9]+)\.?\Z|.*:")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"https": 443, "http": 80}
_SECRET = ("username", "password", "token", "certificate", "key")
_MOVED = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Ask:
    """One question. `home` is the URL whose credential goes along, "" for none, and `prefix` what it is declared for
    where that is written in another way; `limit` in bytes of the answer; `known` is the mark of the answer that is here
    already; `bearer` takes the place of a declared credential. `challenged`: a 401 is an answer too."""

    url: str
    home: str = ""
    prefix: str = ""
    limit: int = 1 << 20
    accept: str = ""
    known: str = ""
    method: str = "GET"
    challenged: bool = False
    bearer: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` is 2xx, 304 where nothing is new, or 401 with a `challenge`."""

    status: int
    body: bytes = b""
    mark: str = ""
    kind: str = ""
    digest: str = ""
    next: str = ""
    challenge: str = ""


def judge(url: str, allowed: Allowed) -> str:
    """The URL's host. Raises Invalid for what is not asked: anything but https (and http as `allowed` says), users in
    URLs, addresses of no proper machine."""
    if len(url) > _LONGEST or _UNFIT.search(url):
        raise Invalid("a URL has no spaces, backslashes or control characters")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise Invalid("the URL cannot be taken apart: its host or port is wrong") from None
    if "@" in parts.netloc:
        raise Invalid("a URL holds no user or password", hint="declare a Credential for its prefix")
    plain = allowed.plain or (allowed.loopback and host in _LOOPBACK)
    if parts.scheme != "https" and not (parts.scheme == "http" and plain):
        raise Invalid(f"{parts.scheme}:// is not asked: {shown(url)}", hint="write an https:// URL")
    if not _HOST.match(host) or port == 0:
        raise Invalid("the URL has no proper host")
    reason = refusal(host, allow_loopback=allowed.loopback) if _LITERAL.match(host) else ""
    if reason:
        raise Invalid(f"{host} is not connected to: {reason}")
    return host


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a credential stays with."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)


def shown(url: str) -> str:
    """Without the query, which may be a signature that opens what it stands for."""
    return url.partition("?")[0].partition("#")[0]


class Web:
    """Asks. Each answer has a connection of its own: nothing is kept open between polls."""

    def __init__(self, secrets: Secrets, allowed: Allowed) -> None:
        self._secrets = secrets
        self._allowed = allowed

    async def ask(self, ask: Ask) -> Answer:
        """The answer, redirects followed. Raises Denied (401 without a challenge, 403), Invalid (404 and what is not
        asked), Unavailable."""
        url, seconds = ask.url, SECONDS
        try:
            async with asyncio.timeout(seconds):
                for _ in range(_REDIRECTS + 1):
                    answer, to = await self._once(ask, url)
                    if not to:
                        return answer
                    if url.startswith("https:") and not to.startswith("https:"):
                        raise Invalid(f"{shown(url)} redirects to a URL without TLS: {shown(to)}")
                    url = to
        except TimeoutError:
            raise Unavailable(f"{shown(ask.url)} took longer than {seconds:.0f} s") from None
        raise Invalid(f"{shown(ask.url)} redirects more than {_REDIRECTS} times")

    async def _once(self, ask: Ask, url: str) -> tuple[Answer, str]:
        judge(url, self._allowed)
        values = await self._values(ask, url)
        try:
            async with (
                _opened(values, loopback=self._allowed.loopback) as web,
                web.request(
                    ask.method,
                    url,
                    headers=_headers(ask, values, home=origin(url) == origin(ask.home or ask.url)),
                    data=ask.body or None,
                    allow_redirects=False,
                    proxy=values.get("proxy") or None,
                ) as response,
            ):
                return await _answer(ask, url, response)
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            text = f"{shown(url)} can not be reached: {_words(error)}"
            raise Unavailable(text, hint="look whether its server runs and can be reached from here") from None

    async def _values(self, ask: Ask, url: str) -> Mapping[str, str]:
        """The credential of the place that is asked for; of any other place only how it is reached."""
        if ask.home and origin(url) == origin(ask.home):
            own = await self._secrets.credential(ask.prefix or ask.home)
            values = own if ask.prefix else await self._secrets.credential(url)
            if _secret(values) == _secret(own):
                return values
        else:
            values = await self._secrets.credential(url)
        return {name: value for name, value in values.items() if name not in _SECRET}


def _secret(values: Mapping[str, str]) -> list[str | None]:
    return [values.get(name) for name in _SECRET]


def _opened(values: Mapping[str, str], *, loopback: bool) -> aiohttp.ClientSession:
    """A session with the authority and the certificate that the place asks for. A proxy may be on loopback: it is the
    operator who names it."""
    reached = loopback or bool(values.get("proxy"))
    if not (values.get("certificate") and values.get("key")):
        return session(ca=values.get("ca"), allow_loopback=reached)
    with tempfile.TemporaryDirectory(prefix="kedge-") as folder:
        pair = (str(Path(folder, "certificate")), str(Path(folder, "key")))
        Path(pair[0]).write_text(values["certificate"])
        Path(pair[1]).write_text(values["key"])
        return session(ca=values.get("ca"), allow_loopback=reached, certificate=pair)


def _headers(ask: Ask, values: Mapping[str, str], *, home: bool) -> dict[str, str]:
    headers = {"User-Agent": "kedge", **({"Accept": ask.accept} if ask.accept else {})}
    if ask.known:
        headers["If-None-Match"] = ask.known
    headers |= dict(ask.headers)
    if ask.bearer:
        return {**headers, "Authorization": f"Bearer {ask.bearer}"} if home else headers
    secret = values.get("password") or values.get("token")
    if secret and values.get("username"):
        pair = base64.b64encode(f"{values['username']}:{secret}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    elif secret:
        headers["Authorization"] = f"Bearer {secret}"
    return headers


async def _answer(ask: Ask, url: str, response: aiohttp.ClientResponse) -> tuple[Answer, str]:
    status, headers = response.status, response.headers
    if status in _MOVED and headers.get("Location"):
        return Answer(status), urljoin(url, headers["Location"])
    if status == 401 and ask.challenged and headers.get("WWW-Authenticate"):
        return Answer(status, challenge=headers["WWW-Authenticate"][:_LONGEST]), ""
    if status != 304 and not 200 <= status < 300:
        raise failure(url, status, headers.get("Retry-After", ""))
    body = b"" if status == 304 or ask.method == "HEAD" else await read_body(response, ask.limit)
    link = response.links["next"].get("url") if "next" in response.links else None
    return (
        Answer(
            status,
            body,
            mark=headers.get("ETag", "")[:500],
            kind=headers.get("Content-Type", "").partition(";")[0].strip(),
            digest=headers.get("Docker-Content-Digest", ""),
            next=str(link) if link else "",
        ),
        "",
    )


def failure(url: str, status: int, after: str = "") -> KedgeError:
    """What an answer's status means for who has to act."""
    text = f"{shown(url)} answers {status}"
    if status in (401, 403):
        return Denied(text, hint="declare a Credential whose prefix fits this URL, or correct its value")
    if status in (404, 410):
        return Invalid(text, hint="there is nothing of that name, or not for this credential")
    if status == 429 or status >= 500:
        return Unavailable(
            text, hint="it is asked again", retry_after=float(after) if after.isdecimal() and len(after) < 6 else None
        )
    return Invalid(text, hint="it is not what was expected of such a server")


def _words(error: BaseException) -> str:
    """The reason, without what a proxy's URL may hold."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError | ssl.SSLError):
        return "its certificate is not trusted (a private authority is named in the Credential's `ca`)"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answers {error.status}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "the proxy does not answer"
    return str(error)[:300] or type(error).__name__
