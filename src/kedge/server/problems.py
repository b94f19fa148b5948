"""Errors as JSON: `{"error": {what, where, why, hint, class}}`, and never a traceback."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from kedge.model.errors import Conflict, Denied, Invalid, KedgeError, Planning, Unavailable
from kedge.server.access import Unauthenticated

MEDIA = "application/problem+json"


class Absent(Invalid):
    """What was asked for is not there: 404."""


_STATUS: tuple[tuple[type[KedgeError], int], ...] = (
    (Unauthenticated, 401),
    (Absent, 404),
    (Invalid, 422),
    (Denied, 403),
    (Conflict, 409),
    (Unavailable, 503),
)
_CLASSES = {400: "Invalid", 401: "Denied", 403: "Denied", 404: "Invalid", 409: "Conflict", 503: "Unavailable"}


def status_of(error: KedgeError) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(status: int, what: str, *, where: str = "", why: str = "", hint: str = "", kind: str = "") -> Response:
    """One problem. `class` is one of Invalid, Denied, Conflict, Unavailable, Planning (ask again), Bug."""
    named = kind or _CLASSES.get(status, "Invalid" if status < 500 else "Bug")
    body: dict[str, Any] = {"what": what, "where": where, "why": why, "hint": hint, "class": named}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return Response(orjson.dumps({"error": body}), status, headers, MEDIA)


async def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, KedgeError):
        raise error
    status = status_of(error)
    first, *rest = error.problems
    why, kind = "; ".join(p.text for p in rest), "Planning" if isinstance(error, Planning) else ""
    response = problem(status, first.text, where=str(first.where), why=why, hint=first.hint, kind=kind)
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = error.scheme
    if isinstance(error, Unavailable) and error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return response


async def _unreadable(request: Request, error: Exception) -> Response:
    """The values themselves are left out: a body may hold what nobody should read back."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = [(".".join(str(part) for part in item["loc"]), str(item["msg"])) for item in error.errors()[:10]]
    where = found[0][0] if found else ""
    why = "; ".join(f"{place}: {text}" for place, text in found)
    return problem(422, "the request cannot be read", where=where, why=why, hint="/openapi.json describes requests")


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    what = {404: "there is nothing at this path", 405: "this path does not take that method"}
    response = problem(error.status_code, what.get(error.status_code, str(error.detail)), where=request.url.path)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _bug(request: Request, error: Exception) -> Response:
    return problem(500, "Kedge failed at this request: a bug of ours", why=type(error).__name__, hint="see its log")


def install(app: FastAPI) -> None:
    """Every way in which a request can fail, as problem JSON."""
    app.add_exception_handler(KedgeError, _ours)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)
