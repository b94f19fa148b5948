"""A proxy with bad manners between Kedge and any API server: it loses, delays, repeats, tears and lies, as it is told.

Requests are handed on whole, tokens and all, and watches as they come. Its certificate is its own; the server behind
it is verified. What becomes of a request is `meet`'s to say: a test's own function, or a `Weather` drawn from a seed.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from kedge.certificate import server_context
from kedge.kube.kubeconfig import Access

LIMIT = 64 * 1024 * 1024
PASSING = 0.3
"""Seconds of a DELAYED answer, at most."""
SECOND = 1
"""What a THROTTLED answer asks for: Retry-After."""
MINE = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "keep-alive"})
"""Headers that belong to one connection, or to a body whose length is written anew."""


class Fate(StrEnum):
    """What becomes of a request."""

    FINE = "fine"
    DROPPED = "dropped"  # it never arrives, and the connection is reset
    UNHEARD = "unheard"  # it is carried out, and the connection is reset
    DELAYED = "delayed"
    GHOST = "ghost"  # whoever asked has given up long before it is carried out
    TWICE = "twice"  # carried out twice; the second answer is the one that is heard
    TORN = "torn"  # reset in the middle of the answer
    THROTTLED = "429"
    BROKEN = "500"
    AWAY = "503"
    OVERDUE = "504"
    EXPIRED = "410"  # the page, or the version to watch from, is forgotten
    STALE = "stale"  # an earlier answer to the same list
    CUT = "cut"  # a watch that is reset after its first news
    SILENT = "silent"  # a watch that stays open and tells nothing more after its first news
    MUTE = "mute"  # connected, and then nothing
    HALF = "half"  # the headers, and never the body
    STUCK = "stuck"  # a body, or a line of a watch, that stops in the middle
    ENDLESS = "endless"  # a body that never comes to its end
    BLOATED = "bloated"  # headers of a megabyte


CODES = {Fate.THROTTLED: "TooManyRequests", Fate.BROKEN: "InternalError", Fate.AWAY: "ServiceUnavailable"}
CODES[Fate.OVERDUE], CODES[Fate.EXPIRED] = "Timeout", "Expired"
LIES = (Fate.MUTE, Fate.HALF, Fate.STUCK, Fate.ENDLESS, Fate.BLOATED)
"""Of whole servers, and no weather."""
OF_WATCHES = (Fate.CUT, Fate.SILENT)
OF_WRITES = (Fate.TWICE, Fate.GHOST)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `times` counts those of the same method and path before it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    times: int

    @property
    def watching(self) -> bool:
        return self.query.get("watch") in ("true", "1")

    @property
    def write(self) -> bool:
        """Whether it means to change anything: a dry run and a question about rights do not."""
        return self.method != "GET" and "dryRun" not in self.query and "review" not in self.path

    @property
    def what(self) -> str:
        return f"{self.method} {self.path}"


Meet = Callable[[Asked], Fate]


def fine(asked: Asked) -> Fate:
    return Fate.FINE


@dataclass
class Weather:
    """Fates from a seed: the same for the n-th request of a method and path, in whatever order they come.

    `chances` are per request; a fate that makes no sense for a request is FINE."""

    seed: int
    chances: Mapping[Fate, float]

    def __call__(self, asked: Asked) -> Fate:
        dice = random.Random(f"{self.seed} {asked.what} {asked.watching} {asked.times}").random()
        for fate, chance in self.chances.items():
            dice -= chance
            if dice < 0:
                return fate if fits(fate, asked) else Fate.FINE
        return Fate.FINE


def fits(fate: Fate, asked: Asked) -> bool:
    if fate in OF_WATCHES:
        return asked.watching
    if fate in OF_WRITES:
        return asked.write
    if fate is Fate.STALE:
        return asked.method == "GET" and not asked.watching
    return not (asked.watching and fate in (Fate.UNHEARD, Fate.TORN))


def storm(chance: float, *without: Fate) -> dict[Fate, float]:
    """Every fate alike often, but those in `without` and what is no weather."""
    return {fate: chance for fate in Fate if fate not in (Fate.FINE, Fate.EXPIRED, *LIES, *without)}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def said_by(event: Any) -> str:
    """The type of an event of a watch. The bookmark that ends a snapshot is told from those that a server sends now and
    then."""
    metadata = (event.get("object") or {}).get("metadata") or {}
    ends = "k8s.io/initial-events-end" in (metadata.get("annotations") or {})
    return "END OF SNAPSHOT" if ends else str(event["type"])


@dataclass
class Proxy:
    """`meet` may be exchanged at any time, and so may `change`, which says what is asked of the server instead of what
    was asked of the proxy, `instead`, which answers in its place, and `lie`, which alters what it says (not what a
    watch tells). `heard` counts what watches told, by path and type of event.
    `wrote` are the writes that were carried out; `struck` counts fates."""

    upstream: Access
    session: aiohttp.ClientSession
    tls: ssl.SSLContext
    meet: Meet = fine
    change: Callable[[Asked], Asked] = lambda asked: asked
    instead: Callable[[Asked], Said | None] = lambda asked: None
    lie: Callable[[Asked, Said], Said] = lambda asked, said: said
    heard: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked: list[Asked] = field(default_factory=list)
    wrote: list[Asked] = field(default_factory=list)
    struck: Counter[Fate] = field(default_factory=Counter)
    times: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    lists: dict[str, list[Said]] = field(default_factory=dict)
    context: ssl.SSLContext | None = None
    hang_up: Callable[[], None] = lambda: None
    ghosts: set[asyncio.Task[Said]] = field(default_factory=set)
    ghostly: float = 3.0
    """Seconds after which a GHOST is carried out: more than its sender waits for an answer."""
    haunting: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, incoming: web.Request) -> web.StreamResponse:
        body = await incoming.read()
        query = {key: incoming.query[key] for key in incoming.query}
        headers = {key: value for key, value in incoming.headers.items() if key.lower() not in MINE}
        asked = Asked(incoming.method, incoming.raw_path.partition("?")[0], query, headers, body, 0)
        key = (asked.method, asked.path, asked.watching)
        asked = replace(asked, times=self.times[key])
        self.times[key] += 1
        self.asked.append(asked)
        asked = self.change(asked)
        fate = self.meet(asked)
        self.struck[fate] += 1
        try:
            if fate in LIES:
                return await lied(incoming, fate)
            if (said := self.instead(asked)) is not None:
                return web.Response(status=said.status, headers=said.headers, body=said.body)
            if asked.watching and fate not in (Fate.DROPPED, *CODES):
                return await self.watch(incoming, asked, fate)
            said = await self.fated(asked, fate)
            if said is None:
                return reset(incoming)
            if fate is Fate.TORN:
                return await torn(incoming, said)
            said = self.lie(asked, said)
            return web.Response(status=said.status, headers=said.headers, body=said.body)
        except (aiohttp.ClientError, ConnectionError):
            return reset(incoming)

    async def fated(self, asked: Asked, fate: Fate) -> Said | None:
        """The answer; None for a connection that breaks."""
        if fate in CODES:
            return refusal(fate)
        if fate is Fate.DROPPED:
            return None
        if fate is Fate.GHOST:
            ghost = asyncio.get_running_loop().create_task(self.late(asked))
            self.ghosts.add(ghost)
            ghost.add_done_callback(self.ghosts.discard)
            return None
        if fate is Fate.DELAYED:
            await asyncio.sleep(PASSING * random.Random(asked.what).random())
        earlier = self.lists.get(listed(asked), [])
        if fate is Fate.STALE and earlier:
            return earlier[0]
        said = await self.forward(asked)
        if fate is Fate.TWICE:
            said = await self.forward(asked)
        return None if fate is Fate.UNHEARD else said

    async def late(self, asked: Asked) -> Said:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.ghostly):
                await self.haunting.wait()
        return await self.forward(asked)

    async def forward(self, asked: Asked) -> Said:
        """What has reached the server is carried out, whoever goes away meanwhile."""
        task = asyncio.get_running_loop().create_task(self.carry(asked))
        self.ghosts.add(task)
        task.add_done_callback(self.ghosts.discard)
        return await asyncio.shield(task)

    async def carry(self, asked: Asked) -> Said:
        url = URL(f"{self.upstream.server}{asked.path}", encoded=True).with_query(dict(asked.query) or None)
        async with self.session.request(
            asked.method, url, headers=asked.headers, data=asked.body or None, ssl=self.tls, allow_redirects=False
        ) as found:
            body = await found.read()
            headers = {key: value for key, value in found.headers.items() if key.lower() not in MINE}
            said = Said(found.status, headers, body)
        if asked.write:
            self.wrote.append(asked)
        elif said.status == 200 and b'List"' in body[:200]:
            self.lists.setdefault(listed(asked), []).append(said)
        return said

    async def watch(self, incoming: web.Request, asked: Asked, fate: Fate) -> web.StreamResponse:
        url = URL(f"{self.upstream.server}{asked.path}", encoded=True).with_query(dict(asked.query))
        async with self.session.get(url, headers=asked.headers, ssl=self.tls) as found:
            headers = {key: value for key, value in found.headers.items() if key.lower() not in MINE}
            outgoing = web.StreamResponse(status=found.status, headers=headers)
            outgoing.enable_chunked_encoding()
            await outgoing.prepare(incoming)
            rest = b""
            async for chunk in found.content.iter_any():
                await outgoing.write(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                if found.status == 200:
                    self.heard.update((asked.path, said_by(json.loads(line))) for line in lines)
                if fate is Fate.CUT:
                    return reset(incoming)
                if fate is Fate.SILENT:
                    await asyncio.get_running_loop().create_future()  # whoever listens goes away, and so does this
            await outgoing.write_eof()
            return outgoing

    def cut(self) -> None:
        """Reset every connection: watches, and those that are kept for later."""
        self.hang_up()

    def show(self, chain: Path) -> None:
        """Another certificate and key (PEM), to whoever connects from now on: everybody, for nobody stays connected."""
        assert self.context is not None
        self.context.load_cert_chain(chain)
        self.cut()

    async def settled(self) -> None:
        """Until every ghost has come: now."""
        self.haunting.set()
        while self.ghosts:
            await asyncio.gather(*self.ghosts, return_exceptions=True)
        self.haunting.clear()


def listed(asked: Asked) -> str:
    return f"{asked.path} {sorted(asked.query.items())} {asked.headers.get('Accept', '')}"


def refusal(fate: Fate) -> Said:
    code, reason = int(fate.value), CODES[fate]
    details = {"retryAfterSeconds": SECOND} if fate is Fate.THROTTLED else {}
    text = f"the proxy was told to say {code}"
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": text}
    body = json.dumps({**status, "reason": reason, "code": code, "details": details}).encode()
    retry = {"Retry-After": str(SECOND)} if fate is Fate.THROTTLED else {}
    return Said(code, {"Content-Type": "application/json", **retry}, body)


def reset(incoming: web.Request) -> web.StreamResponse:
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response(status=502)


async def torn(incoming: web.Request, said: Said) -> web.StreamResponse:
    """Half of the body, and the end of the connection."""
    outgoing = web.StreamResponse(status=said.status, headers=said.headers)
    outgoing.content_length = len(said.body)
    await outgoing.prepare(incoming)
    await outgoing.write(said.body[: len(said.body) // 2])
    return reset(incoming)


async def lied(incoming: web.Request, fate: Fate) -> web.StreamResponse:
    """Of a server that is none: until whoever asked goes away."""
    never = asyncio.get_running_loop().create_future()
    if fate is Fate.MUTE:
        await never
    headers = {"Content-Type": "application/json"}
    if fate is Fate.BLOATED:
        return web.Response(headers={**headers, "X-Large": "x" * (1 << 20)}, body=b"{}")
    outgoing = web.StreamResponse(headers=headers)
    outgoing.enable_chunked_encoding()
    await outgoing.prepare(incoming)
    if fate is not Fate.HALF:
        await outgoing.write(b'{"kind": "List", "metadata": {"name": "')
    while fate is Fate.ENDLESS:
        await outgoing.write(b"x" * (1 << 20))
        await asyncio.sleep(0)  # a write that need not wait lets nobody hear that the asker is gone
    await never
    return outgoing


def hang_up(runner: web.AppRunner) -> None:
    assert runner.server is not None
    for handler in runner.server.connections:
        if handler.transport is not None:
            handler.transport.abort()


@asynccontextmanager
async def proxied(access: Access, folder: Path) -> AsyncIterator[tuple[Proxy, Access]]:
    """A proxy to the cluster of `access`, and the access through it."""
    folder.mkdir(parents=True, exist_ok=True)
    context, authority = server_context(folder, time.time())
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False) as session:
        proxy = Proxy(access, session, ssl.create_default_context(cadata=access.ca))
        app = web.Application(client_max_size=LIMIT)
        app.router.add_route("*", "/{rest:.*}", proxy.answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        proxy.context, proxy.hang_up = context, lambda: hang_up(runner)
        try:
            yield proxy, replace(access, server=f"https://127.0.0.1:{port}", ca=authority.decode())
        finally:
            await runner.cleanup()
            for ghost in list(proxy.ghosts):
                ghost.cancel()
            with suppress(Exception):
                await proxy.settled()
