"""The fleet page: units worst first, filtered and paged by key."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from kedge.model.dossier import Sync
from kedge.model.errors import Invalid
from kedge.model.fleet import Page, UnitQuery, UnitRow
from kedge.model.health import Status
from kedge.store.rows import folded, standing
from kedge.store.session import Row, Session, Statement
from kedge.store.tables import labels, units

MOST = 1000
"""Rows of one page."""

_COLUMNS = (
    "name", "project", "sync", "health", "why", "cluster", "namespace", "repository", "path", "commit", "author",
    "subject", "verified", "changed", "waiting", "pinned", "suspended", "version",
)  # fmt: skip


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended."""

    standing: int
    name: str


def page(session: Session, query: UnitQuery) -> Page[UnitRow]:
    """Raises Invalid for an unknown status, a limit below 1 or a cursor that is not ours."""
    if query.limit < 1:
        raise Invalid(f"a page has at least one row, not {query.limit}")
    limit = min(query.limit, MOST)
    filters = _filters(query)
    total = session.all(Statement(select(func.count()).select_from(units).where(*filters)))[0][0]
    rows = session.all(Statement(_select(query, filters, limit + 1)))
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    following = _encode(_Cursor(last[-1], last[0])) if last else ""
    return Page(tuple(_row(row) for row in rows[:limit]), following, total)


def _select(query: UnitQuery, filters: list[ColumnElement[bool]], limit: int) -> Select[Any]:
    statement = select(*(units.c[name] for name in _COLUMNS), units.c.standing).where(*filters)
    if query.after:
        after = _decode(query.after)
        statement = statement.where(tuple_(units.c.standing, units.c.name) > tuple_(after.standing, after.name))
    return statement.order_by(units.c.standing, units.c.name).limit(limit)


def _filters(query: UnitQuery) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.project:
        wanted.append(units.c.project == query.project)
    if query.kind:
        wanted.append(
            (units.c.cluster == "")
            if _known("kind", query.kind, ["app", "stack"]) == "stack"
            else (units.c.cluster != "")
        )
    if query.cluster:
        wanted.append(units.c.cluster == query.cluster)
    if query.health:
        health = Status(_known("health", query.health, [each.value for each in Status]))
        wanted.append(units.c.standing.in_([standing(health, sync) for sync in Sync]))
    if query.sync:
        sync = Sync(_known("sync", query.sync, [each.value for each in Sync]))
        wanted.append(units.c.standing.in_([standing(health, sync) for health in Status]))
    if query.text:
        wanted.append(units.c.search.contains(folded(query.text), autoescape=True))
    for key, value in query.labels:
        fits = select(labels.c.unit).where(labels.c.unit == units.c.name, labels.c.key == key, labels.c.value == value)
        wanted.append(fits.exists())
    return wanted


def _known(what: str, value: str, known: list[str]) -> str:
    """Case does not matter: people type these."""
    for each in known:
        if each.casefold() == value.casefold():
            return each
    raise Invalid(f"“{value}” is no {what}", hint=f"one of {', '.join(known)}")


def _row(row: Row) -> UnitRow:
    values = dict(zip(_COLUMNS, row, strict=False))
    return UnitRow(
        **{
            **values,
            "sync": Sync(values["sync"]),
            "health": Status(values["health"]),
            "pinned": bool(values["pinned"]),
            "suspended": bool(values["suspended"]),
        }
    )


def _encode(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _decode(text: str) -> _Cursor:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=_Cursor)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Invalid("that page's cursor is not one of ours", hint="start again from the first page") from error
