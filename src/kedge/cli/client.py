"""The server as the command line speaks to it: `http.client`, JSON, errors of the model.

The address and token come from the caller, or from the `server.json` that `kedge up` writes into its data directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from kedge.model.errors import Conflict, Denied, Invalid, KedgeError, Planning, Problem, Unavailable, Where

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

FILE = "server.json"
LIMIT = 64 * 1024 * 1024
LINE_LIMIT = 1024 * 1024
SECONDS = 60.0
_LOCAL = ("localhost", "127.0.0.1", "::1")
_CLASSES: dict[str, type[KedgeError]] = {"Invalid": Invalid, "Denied": Denied, "Conflict": Conflict}


@dataclass(frozen=True, slots=True)
class Address:
    """`url` like `http://127.0.0.1:7420`."""

    url: str
    token: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Message:
    """One frame of the event stream; a comment has kind ""."""

    kind: str
    id: str
    data: Any


def find(data: Path, url: str = "", token: str = "") -> Address:
    """Where the server is: what was given, else what `kedge up` wrote. Raises Unavailable, Invalid, Denied."""
    if not url:
        known = _remembered(data / FILE)
        url, token = known.url, token or known.token
    elif not token and (data / FILE).is_file():
        known = _remembered(data / FILE)
        token = known.token if known.url.rstrip("/") == url.rstrip("/") else ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise Invalid(f"“{url}” is not a server's address", hint="write http://127.0.0.1:7420")
    if parts.scheme == "http" and token and parts.hostname not in _LOCAL:
        raise Denied(f"{url} is not encrypted: the token is not sent there", hint="use https, or a tunnel to loopback")
    return Address(url.rstrip("/"), token)


def _remembered(path: Path) -> Address:
    try:
        found = json.loads(path.read_bytes())
        return Address(str(found["url"]), str(found["token"]))
    except FileNotFoundError:
        raise Unavailable(
            "no Kedge server is known here",
            where=Where(str(path)),
            hint="kedge up starts one; --data names the data directory of another here, --server one elsewhere",
        ) from None
    except OSError as error:
        raise Unavailable(f"it cannot be read: {error.strerror}", where=Where(str(path))) from None
    except (ValueError, KeyError, TypeError):
        raise Invalid("it does not name a server", where=Where(str(path)), hint="kedge up writes it anew") from None


class Server:
    """One server. Raises the errors of `kedge.model.errors` as the server named them, and Unavailable."""

    def __init__(self, address: Address, seconds: float = SECONDS) -> None:
        self._address = address
        self._seconds = seconds

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        given = [(key, value) for key, value in params.items() if value not in (None, "", False)]
        query = urlencode([(k, "true" if v is True else v) for k, v in given], doseq=True)
        return self._call("GET", f"{path}?{query}" if query else path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, json.dumps(body).encode())

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("PUT", path, json.dumps(body).encode())

    def delete(self, path: str) -> dict[str, Any]:
        return self._call("DELETE", path, None)

    def _call(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        connection = self._connection(self._seconds)
        try:
            response = self._send(connection, method, path, body)
            raw = self._read(response)
        finally:
            connection.close()
        try:
            found = json.loads(raw)
        except ValueError:
            found = None
        if response.status >= 400:
            raise _error(response.status, found)
        if not isinstance(found, dict):
            raise Unavailable(f"{self._address.url} does not answer as a Kedge server", hint="check --server")
        return found

    def stream(self, path: str, last: str = "", *, silence: float = SECONDS, **params: Any) -> Iterator[Message]:
        """Frames of the event stream; ends when the server ends it. Raises TimeoutError after `silence` seconds."""
        query = urlencode([(key, value) for key, value in params.items() if value not in (None, "")])
        connection = self._connection(silence)
        try:
            extra = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
            response = self._send(connection, "GET", f"{path}?{query}" if query else path, None, extra)
            if response.status != 200:
                raise _error(response.status, _json(self._read(response)))
            yield from _frames(response)
        finally:
            connection.close()

    def lines(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Lines of JSON as they come; ends when the server ends them. Raises Unavailable when it falls silent."""
        query = urlencode([(key, value) for key, value in params.items() if value not in (None, "")])
        connection = self._connection(self._seconds)
        try:
            response = self._send(connection, "GET", f"{path}?{query}" if query else path, None)
            if response.status != 200:
                raise _error(response.status, _json(self._read(response)))
            while raw := response.readline(LINE_LIMIT):
                found = _json(raw) if raw.strip() else None
                if isinstance(found, dict):
                    yield found
        except TimeoutError:
            raise Unavailable(f"{self._address.url} has fallen silent") from None
        except ConnectionError as error:
            raise Unavailable(f"{self._address.url} stopped in the middle of its answer: {error}") from None
        finally:
            connection.close()

    def _connection(self, seconds: float) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        parts = urlsplit(self._address.url)
        if parts.scheme == "https":
            return HTTPSConnection(parts.hostname or "", parts.port, timeout=seconds)
        return HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)

    def _send(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        extra: Mapping[str, str] | None = None,
    ) -> HTTPResponse:
        from http.client import HTTPException

        headers = {"Accept": "application/json", **(extra or {})}
        if self._address.token:
            headers["Authorization"] = f"Bearer {self._address.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, urlsplit(self._address.url).path + path, body, headers)
            return connection.getresponse()
        except TimeoutError:
            raise Unavailable(f"{self._address.url} does not answer in time") from None
        except (OSError, HTTPException) as error:
            raise Unavailable(
                f"{self._address.url} cannot be reached: {error}", hint="kedge up starts a server"
            ) from None
        except ValueError:
            raise Invalid("the token or address holds characters that HTTP does not carry") from None

    def _read(self, response: HTTPResponse) -> bytes:
        from http.client import HTTPException

        try:
            raw = response.read(LIMIT + 1)
        except (OSError, HTTPException) as error:
            raise Unavailable(f"{self._address.url} stopped in the middle of its answer: {error}") from None
        if len(raw) > LIMIT:
            raise Unavailable(f"{self._address.url} answers more than {LIMIT} bytes")
        return raw


def unit_path(name: str) -> str:
    """`/api/v1/units/…` of a unit's full name."""
    project, _, rest = name.partition("/")
    return f"/api/v1/units/{quote(project, safe='')}/{quote(rest, safe='@')}"


def _frames(response: HTTPResponse) -> Iterator[Message]:
    kind, number, data = "", "", ""
    while True:
        raw = response.readline(LINE_LIMIT)
        if not raw:
            return
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text:
            if data or kind:
                yield Message(kind or "message", number, _json(data.encode()))
            kind, data = "", ""
        elif not name:
            yield Message("", "", None)
        elif name == "event":
            kind = value
        elif name == "id":
            number = value
        elif name == "data":
            data += value


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _error(status: int, found: Any) -> KedgeError:
    error = found.get("error") if isinstance(found, dict) else None
    given: dict[str, Any] = error if isinstance(error, dict) else {}
    what = str(given.get("what") or f"the server answers {status}")
    why, hint = str(given.get("why") or ""), str(given.get("hint") or "")
    place = Where(path=str(given.get("where") or ""))
    kind = _CLASSES.get(str(given.get("class")), Denied if status in (401, 403) else Unavailable)
    if given.get("class") == "Planning":
        return Planning(what, where=place, hint=hint)
    if kind is Unavailable or status >= 500:
        return Unavailable(f"{what} ({why})" if why else what, where=place, hint=hint)
    return kind(what, problems=(Problem(f"{what} ({why})" if why else what, place, hint),))
