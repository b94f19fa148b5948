"""List and watch, for as long as somebody reads: snapshots, changes, bookmarks, and honest loss.

    ┌──────────┐ all told ┌────────┐ ends, resets, silent      ┌───────┐
    │ snapshot ├─────────►│ stream ├──────────────────────────►│ pause │
    └────▲─────┘  SYNCED  └───▲────┘                           └─┬───┬─┘
         │                    └──── version known ───────────────┘   │
         └─────────────────────────  410: version forgotten ─────────┘

A reader drops what a snapshot (BEGAN … SYNCED) did not mention. Every event says up to which time
everything that happened has been told: bookmarks move it while nothing happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from kedge.kube.answer import Refusal, error_of, mapping, refusal_of
from kedge.kube.client import MAX_OBJECTS, Client
from kedge.kube.discovery import Kind
from kedge.kube.transport import Lost
from kedge.model.errors import KedgeError, Unavailable

SILENCE = 100.0
"""Seconds without event or bookmark after which a stream is taken for dead: a server sends a bookmark a minute."""
LIFE = 290
"""Seconds after which the server is asked to end a stream, so that connections spread over its replicas."""
INITIAL_SILENCE = 10.0
PAUSE, MAX_PAUSE = 0.25, 30.0
BRIEF = 1.0
BEHIND = 2
"""Snapshots in a row that may be older than what was told before, until that is taken for the truth."""
_END = "k8s.io/initial-events-end"
_TOO_LARGE = "Too large resource version"
"""What a server says whose history is behind what it told before: it was put back to an earlier state."""


class What(StrEnum):
    BEGAN = "began"
    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    SYNCED = "synced"
    BOOKMARK = "bookmark"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`object` for ADDED, MODIFIED and DELETED (its last state); `error` for LOST, after which the watch tries again.
    BEGAN with `anew`: what was told before is no more, whatever its versions.

    `at` is monotonic seconds: everything that happened before has been told by now (0 for LOST and BEGAN)."""

    what: What
    object: dict[str, Any] = field(default_factory=dict)
    at: float = 0.0
    error: KedgeError | None = None
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Interest:
    """What to watch: a kind in its preferred version, in one namespace or ("") all, by label selector."""

    group: str
    kind: str
    namespace: str = ""
    labels: str = ""


class _Expired(Exception):
    """The server has forgotten the version that we would go on from (410)."""


class _NotServed(Exception):
    """The server can not stream a snapshot: list instead."""


class Watcher:
    """One watch. Read `events()` from a single task; close the iterator to end it."""

    def __init__(self, client: Client, interest: Interest, *, silence: float = SILENCE) -> None:
        self._client = client
        self._clock = client.clock
        self._interest = interest
        self._silence = silence
        self._version = self._newest = ""
        self._behind = 0
        self._told = False
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Try again now: whoever calls has seen that the server, or the kind, is there."""
        self._nudged.set()

    async def events(self) -> AsyncGenerator[WatchEvent]:
        """Never ends by itself, and raises nothing that a server can cause: after a LOST event it tries again."""
        failures = 0
        while True:
            started = self._clock.monotonic()
            self._told = False
            lost: KedgeError | None = None
            try:
                async with aclosing(self._turn()) as turn:
                    async for event in turn:
                        yield event
            except KedgeError as error:
                lost = error
                yield WatchEvent(What.LOST, error=lost)
            lasted = self._told and self._clock.monotonic() - started >= BRIEF
            failures = 0 if lasted else failures + 1
            if failures:
                await self._rest(self._pause(failures, lost))

    async def _rest(self, seconds: float) -> None:
        self._nudged.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
        except TimeoutError:
            return

    def _pause(self, failures: int, lost: KedgeError | None) -> float:
        named = getattr(lost, "retry_after", None) or 0.0
        pause = min(MAX_PAUSE, PAUSE * 2.0 ** min(failures - 1, 10))
        return max(named, pause * (0.5 + self._client.entropy.uniform()))

    async def _turn(self) -> AsyncGenerator[WatchEvent]:
        """One connection: a snapshot where no version is known, then changes until the stream ends."""
        kind = await self._client.discovery.find(self._interest.group, self._interest.kind)
        if kind is None:
            for event in self._nothing():
                yield event
            raise Unavailable(f"the cluster does not serve {self._interest.kind} any more", retry_after=MAX_PAUSE)
        try:
            if self._version:
                stream = self._stream(kind, {"resourceVersion": self._version})
            elif self._client.streams_snapshots:
                stream = self._streamed_snapshot(kind)
            else:
                stream = self._listed(kind)
            async with aclosing(stream) as events:
                async for event in events:
                    self._told = True
                    yield event
        except _Expired:
            self._version = ""
        except _NotServed:
            self._client.streams_snapshots = False

    def _nothing(self) -> tuple[WatchEvent, WatchEvent]:
        self._version = ""
        return WatchEvent(What.BEGAN), WatchEvent(What.SYNCED, at=self._clock.monotonic())

    async def _listed(self, kind: Kind) -> AsyncGenerator[WatchEvent]:
        asked = self._clock.monotonic()
        listing = await self._client.list(kind, self._interest.namespace, labels=self._interest.labels)
        if not listing.version:
            raise Unavailable(f"the list of {kind.kind} has no version to watch from")
        yield WatchEvent(What.BEGAN, anew=self._is_anew(listing.version))
        for item in listing.items:
            yield WatchEvent(What.ADDED, item, asked)
        yield WatchEvent(What.SYNCED, at=asked)
        self._keep(listing.version)
        async with aclosing(self._stream(kind, {"resourceVersion": listing.version})) as events:
            async for event in events:
                yield event

    async def _streamed_snapshot(self, kind: Kind) -> AsyncGenerator[WatchEvent]:
        """A snapshot as a watch sends it (sendInitialEvents): one connection, no list in the server's memory."""
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        asked = self._clock.monotonic()
        anew = self._behind >= BEHIND
        yield WatchEvent(What.BEGAN, anew=anew)
        synced, told = False, 0
        async with aclosing(self._lines(kind, query, lambda: self._silence if synced else INITIAL_SILENCE)) as lines:
            async for kind_of, obj in lines:
                told += not synced
                if told > MAX_OBJECTS:
                    raise Unavailable(f"watch {kind.kind}: a snapshot of more than {MAX_OBJECTS} objects has no end")
                if synced or kind_of != "BOOKMARK":
                    yield self._event(kind_of, obj, self._clock.monotonic() if synced else asked, keep=synced)
                elif _ends_snapshot(obj):
                    if not anew:
                        self._is_anew(_version_of(obj))
                    self._behind, synced = 0, True
                    self._event(kind_of, obj, asked, keep=True)
                    yield WatchEvent(What.SYNCED, at=asked)
        if not synced:
            raise _NotServed

    async def _stream(self, kind: Kind, query: dict[str, str]) -> AsyncGenerator[WatchEvent]:
        async with aclosing(self._lines(kind, query, lambda: self._silence)) as lines:
            async for what, obj in lines:
                yield self._event(what, obj, self._clock.monotonic(), keep=True)

    async def _lines(
        self, kind: Kind, extra: dict[str, str], patience: Callable[[], float]
    ) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
        """Parsed lines: (type, object). Raises _Expired, _NotServed, Denied, Unavailable (also for a silent stream)."""
        life = LIFE + int(30 * self._client.entropy.uniform())
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(life), **extra}
        if self._interest.labels:
            query["labelSelector"] = self._interest.labels
        path = kind.path(self._interest.namespace)
        pulse, deadlines, first = self._client.asker.pulse, self._client.asker.deadlines, True
        # closed by hand: a protocol's iterator need not be a generator
        lines = self._client.transport.watch(path, query)
        try:
            while True:
                try:
                    with deadlines.within(patience()):
                        line = await anext(lines, None)
                except TimeoutError:
                    if "sendInitialEvents" in extra and patience() == INITIAL_SILENCE:
                        raise _NotServed from None
                    raise Unavailable(f"watch {path}: silent for {patience():.0f} s") from None
                except Lost as error:
                    pulse.lost(error)
                    raise
                if line is None:
                    return
                what, obj = _parse(line, path)
                if what in ("ADDED", "MODIFIED", "DELETED") and obj.get("kind") != kind.kind:
                    raise Unavailable(f"watch {path}: it tells of a {str(obj.get('kind'))[:80]}, not of a {kind.kind}")
                if what == "ERROR":
                    refusal = refusal_of(obj)
                    if refusal.code == 401:
                        pulse.refused(f"the credential is not accepted: {refusal.text} (HTTP 401)")
                    raise _failure(refusal, path, extra)
                if first:
                    # Whatever comes later tells of a connection that was made long ago, with a token of long ago.
                    first = False
                    pulse.answered()
                yield what, obj
        finally:
            closing = getattr(lines, "aclose", None)
            if closing is not None:
                await closing()

    def _is_anew(self, version: str) -> bool:
        """Whether a snapshot of this version replaces whatever was told before. Raises Unavailable for one that is
        older: it may be of a replica that lags behind. Where they stay so, the server was put back to what it was."""
        if not _older(version, self._newest):
            self._behind = 0
            return False
        self._behind += 1
        if self._behind > BEHIND:
            self._behind = 0
            return True
        raise Unavailable(f"the {self._interest.kind} it shows are of version {version}, older than {self._newest}")

    def _keep(self, version: str) -> None:
        self._version = self._newest = version

    def _event(self, what: str, obj: dict[str, Any], at: float, *, keep: bool) -> WatchEvent:
        if keep:
            self._keep(_version_of(obj) or self._version)
        return WatchEvent(_WHAT[what], {} if what == "BOOKMARK" else obj, at)


_WHAT = {"ADDED": What.ADDED, "MODIFIED": What.MODIFIED, "DELETED": What.DELETED, "BOOKMARK": What.BOOKMARK}


def _version_of(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"].get("resourceVersion") or "")


def _older(version: str, other: str) -> bool:
    return version.isdigit() and other.isdigit() and int(version) < int(other)


def _ends_snapshot(obj: dict[str, Any]) -> bool:
    return mapping(obj["metadata"].get("annotations")).get(_END) == "true"


def _parse(line: bytes, path: str) -> tuple[str, dict[str, Any]]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Unavailable(f"watch {path}: a line is not JSON: {error}") from error
    what, obj = (value.get("type"), value.get("object")) if isinstance(value, dict) else (None, None)
    if (what not in _WHAT and what != "ERROR") or not isinstance(obj, dict):
        raise Unavailable(f"watch {path}: a line is no watch event")
    if what != "ERROR" and not isinstance(obj.get("metadata"), dict):
        raise Unavailable(f"watch {path}: an object has no metadata")
    return what, obj


def _failure(refusal: Refusal, path: str, query: dict[str, str]) -> Exception:
    if refusal.code == 410 or refusal.reason in ("Expired", "Gone") or _TOO_LARGE in refusal.text:
        return _Expired()
    if "sendInitialEvents" in query and refusal.code in (400, 422):
        return _NotServed()
    if refusal.missing:
        return Unavailable(f"watch {path}: {refusal.text}", retry_after=2.0)
    return error_of(refusal, f"watch {path}")
