"""A transport that answers from a script: what the server says, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import wraps
from typing import Any

import orjson
from tests.simulation.loop import SeededEntropy, VirtualClock, VirtualLoop, simulate

from kedge.kube.client import Client
from kedge.kube.discovery import Kind
from kedge.kube.transport import Refused, Response

CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", True, frozenset({"list", "patch"}))
DISCOVERED = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": ""},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {"resource": "configmaps", "responseKind": {"kind": "ConfigMap"}, "scope": "Namespaced"},
                    ],
                }
            ],
        }
    ],
}
EMPTY = {"kind": "APIGroupDiscoveryList", "items": []}


def ok(value: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, headers, value if isinstance(value, bytes) else orjson.dumps(value))


def status(code: int, message: str = "no", reason: str = "", causes: Any = None, **headers: str) -> Response:
    details = {"causes": causes} if causes else {}
    body = {"kind": "Status", "code": code, "message": message, "reason": reason, "details": details}
    return Response(code, headers, orjson.dumps(body))


def item(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "web", "resourceVersion": str(version)},
        **more,
    }


def event(what: str, obj: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": what, "object": obj})


def bookmark(version: int, *, end: bool = False) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return event("BOOKMARK", {"kind": "ConfigMap", "metadata": metadata})


Answer = Response | Exception | Callable[[], Response]


class Scripted:
    """`answers` are given in order, whatever is asked; discovery is answered by itself.

    `streams` are the watches' lines: bytes are sent, numbers are seconds of silence, errors are raised, and after the
    last the stream ends (a stream None: silence for ever)."""

    def __init__(self, *answers: Answer, streams: tuple[Any, ...] = ()) -> None:
        self.answers = list(answers)
        self.streams = list(streams)
        self.asked: list[tuple[str, str, dict[str, str], dict[str, str], bytes]] = []
        self.watched: list[dict[str, str]] = []
        self.discovery: dict[str, Any] = {"/api": DISCOVERED, "/apis": EMPTY}

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Response:
        if path in self.discovery:
            found = self.discovery[path]
            return found if isinstance(found, Response) else ok(found)
        self.asked.append((method, path, dict(query), dict(headers), body))
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else answer()

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        self.watched.append(dict(query))
        stream = self.streams.pop(0) if self.streams else None
        if stream is None:
            await asyncio.sleep(1e9)
        for part in stream:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, bytes):
                yield part
            else:
                await asyncio.sleep(part)

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """As a watch; a Response among the parts is a refusal."""
        self.watched.append({"path": path, **query})
        for part in self.streams.pop(0):
            if isinstance(part, Response):
                raise Refused(f"GET {path}", part)
            yield part

    async def close(self) -> None:
        return None


def virtual(scene: Callable[[VirtualClock], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test in virtual time."""

    @wraps(scene)
    def play() -> None:
        loop = VirtualLoop()
        simulate(scene(VirtualClock(loop)), loop)

    del play.__wrapped__
    return play


def client(transport: Scripted, clock: VirtualClock) -> Client:
    return Client(transport, clock, SeededEntropy(1))
