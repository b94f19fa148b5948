"""The seam under the client: a request, or a stream of lines. HTTP in production, a plain function in simulation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from kedge.model.errors import Unavailable

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. Header names are lower case; those that nobody asks for may be left out. `body` is complete and
    bounded."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Refused(Unavailable):
    """A stream that was not opened; `response` says why."""

    def __init__(self, text: str, response: Response) -> None:
        super().__init__(text)
        self.response = response


class Transport(Protocol):
    """One Kubernetes API server, authenticated.

    `path` starts with a slash and is percent-encoded; `query` is not. Any status is an answer, not an error.
    All calls raise Unavailable when no answer came (refused, reset, late, too large).
    """

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Response: ...

    def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Lines of JSON as they come, without their newline, until the server ends the stream. An answer other than 200
        arrives as a single line, see `refusal_line`."""

    def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Bytes as they come, such as a container's log. Raises Refused for an answer other than 200."""

    async def close(self) -> None: ...


UNREACHED = "look whether the API server runs and can be reached from here"


class Lost(Unavailable):
    """Nothing came back, for `reason`, against which `hint` helps. Whether the request was carried out is unknown."""

    def __init__(self, what: str, reason: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"{what}: {reason}", hint=hint or UNREACHED, retry_after=retry_after)
        self.reason, self.hint = reason, hint


def refusal_line(response: Response) -> bytes:
    """A watch that was refused, as the ERROR event that it would have sent: one way to fail instead of two."""
    try:
        status = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = response.body[:300].decode("utf-8", "replace")
        status = {"kind": "Status", "status": "Failure", "message": text}
    made: dict[str, Any] = {**status, "code": response.status}
    wait = response.headers.get("retry-after", "")
    if wait.isdigit():
        made["details"] = {**(made.get("details") or {}), "retryAfterSeconds": int(wait)}
    return orjson.dumps({"type": "ERROR", "object": made})
