"""What goes in and what comes out: a request and a response, free of any HTTP library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

JSON = "application/json"
TRUE = ("true", "1", "True")
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One API request. ``path`` is percent-decoded; header names are lower case; of repeated query keys the first
    counts."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def watching(self) -> bool:
        """Whether a watch is asked for."""
        return self.query.get("watch") in TRUE

    @staticmethod
    def of(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Request:
        """A request from a URL (only its path and query count) and a body: bytes as they are, anything else as JSON."""
        parts = urlsplit(url)
        raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        lowered = {key.lower(): value for key, value in (headers or {}).items()}
        return Request(
            method, unquote(parts.path), dict(reversed(parse_qsl(parts.query, keep_blank_values=True))), lowered, raw
        )


class Stream(Protocol):
    """A watch as whoever asked for it meets it: lines of JSON, as they come."""

    @property
    def closed(self) -> bool: ...

    def take(self) -> list[bytes]: ...

    def events(self) -> list[Object]: ...

    def subscribe(self, wake: Callable[[], None]) -> None: ...

    def cut(self, after: int) -> None: ...

    def fail(self, status: Object) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Response:
    """The answer: ``body`` is bytes, or a watch whose lines are to be streamed."""

    status: int
    headers: Mapping[str, str]
    body: bytes | Stream

    def json(self) -> Any:
        """The parsed body; raises TypeError when the answer is a watch."""
        if not isinstance(self.body, bytes):
            raise TypeError("the answer is a watch: take its events instead of parsing it")
        return orjson.loads(self.body)

    def watch(self) -> Stream:
        """The watch; raises TypeError when the answer is an ordinary body (most often an error Status)."""
        if isinstance(self.body, bytes):
            raise TypeError(f"the answer is no watch but {self.status}: {self.body[:300]!r}")
        return self.body


def answer(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response; ``payload`` may already be bytes."""
    raw = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return Response(status, {"content-type": JSON, **(headers or {})}, raw)


def copied(value: Object) -> Object:
    """A deep copy of one JSON object; a round through orjson is the quickest there is."""
    made: Object = orjson.loads(orjson.dumps(value))
    return made
