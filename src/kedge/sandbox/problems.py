"""What goes wrong, as ``Status`` objects worded the way the API server words them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kedge.sandbox.kinds import Kind
from kedge.sandbox.wire import Object, Response, answer


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason in ``details.causes``: ``reason`` such as FieldValueInvalid, ``message`` without the field's path."""

    reason: str
    message: str
    field: str = ""

    def json(self) -> Object:
        made = {"reason": self.reason, "message": self.message}
        return {**made, "field": self.field} if self.field else made


def required(path: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", "Required value" + (f": {why}" if why else ""), path)


def wrong(path: str, value: Any, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {orjson.dumps(value).decode()}: {why}", path)


def unsupported(path: str, value: Any, allowed: tuple[str, ...]) -> Cause:
    told = ", ".join(f'"{item}"' for item in allowed)
    return Cause(
        "FieldValueNotSupported", f"Unsupported value: {orjson.dumps(value).decode()}: supported values: {told}", path
    )


class Problem(Exception):
    """A refusal: ends the handling of a request and becomes its answer."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Object | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers

    def status(self) -> Object:
        made: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }
        return {key: value for key, value in made.items() if value not in (None, "")}

    def response(self) -> Response:
        return answer(self.status(), self.code, self.headers)


def about(kind: Kind, name: str, **more: Any) -> Object:
    """``details`` of a Status; the API server writes the plural where it says kind."""
    made: Object = {"name": name, "group": kind.group, "kind": kind.plural, **more}
    return {key: value for key, value in made.items() if value}


def bad_request(message: str) -> Problem:
    return Problem(400, "BadRequest", message)


def not_found(kind: Kind, name: str) -> Problem:
    return Problem(404, "NotFound", f'{kind.resource} "{name}" not found', about(kind, name))


def no_such_path() -> Problem:
    return Problem(404, "NotFound", "the server could not find the requested resource", {})


class NoSuchPage(Problem):
    """A path that nobody serves anything below: answered in plain text, as by any web server."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", "404 page not found\n")

    def response(self) -> Response:
        return Response(self.code, {"content-type": "text/plain; charset=utf-8"}, self.message.encode())


def already_exists(kind: Kind, name: str) -> Problem:
    return Problem(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', about(kind, name))


def conflict(kind: Kind, name: str, why: str) -> Problem:
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return Problem(409, "Conflict", message, about(kind, name))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> Problem:
    """422 with every cause; ``kind`` is named Kind.group as the API server does."""
    parts = [f"{cause.field}: {cause.message}" for cause in causes]
    told = parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = {"name": name, "group": kind.group, "kind": kind.kind, "causes": [cause.json() for cause in causes]}
    return Problem(
        422,
        "Invalid",
        f'{qualified} "{name}" is invalid: {told}',
        {key: value for key, value in details.items() if value},
    )


def forbidden(kind: Kind, name: str, why: str, causes: Sequence[Cause] = ()) -> Problem:
    details = about(kind, name, causes=[cause.json() for cause in causes])
    return Problem(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {why}', details)


def expired(message: str) -> Problem:
    return Problem(410, "Expired", message)


def too_new(wanted: int, current: int) -> Problem:
    """504: a version that nobody has written yet."""
    cause = Cause("ResourceVersionTooLarge", "Too large resource version")
    told = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return Problem(504, "Timeout", told, {"causes": [cause.json()], "retryAfterSeconds": 1})


def method_not_allowed() -> Problem:
    return Problem(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def too_large(limit: int) -> Problem:
    return Problem(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def unknown_media(accepted: Sequence[str]) -> Problem:
    told = ", ".join(accepted)
    message = f"the body of the request was in an unknown format - accepted media types include: {told}"
    return Problem(415, "UnsupportedMediaType", message)
