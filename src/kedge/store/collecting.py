"""Collection of plans and rendered sets that nothing needs any more, a bounded number each time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Table, bindparam, delete, exists, func, select
from sqlalchemy.sql.elements import ColumnElement

from kedge.store.session import Session, Statement
from kedge.store.tables import blobs, holds, operations, plans

KEPT = 50
"""Runs of each unit whose plans and rendered sets are kept."""

GRACE = 3600.0
"""Seconds for which something new is kept, whoever needs it."""

LOT = 200
"""Rows of each table looked at in one call."""

_later = operations.alias("later")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the last call stopped, so that each looks at the next lot; at the end it starts again."""

    plan: str = ""
    blob: str = ""


def _needed(kind: str, key: Column[str], run_column: Column[str]) -> ColumnElement[bool]:
    held = exists().where(holds.c.kind == kind, holds.c.digest == key)
    newest = select(func.max(_later.c.number)).where(_later.c.unit == operations.c.unit).scalar_subquery()
    recent = exists().where(run_column == key, operations.c.number > newest - KEPT)
    return held | recent


def _statements(table: Table, kind: str, key: Column[str], run_column: Column[str]) -> tuple[Statement, Statement]:
    look = select(key).where(key > bindparam("after")).order_by(key).limit(LOT)
    drop = delete(table).where(
        key > bindparam("after"),
        key <= bindparam("until"),
        table.c.created < bindparam("before"),
        ~_needed(kind, key, run_column),
    )
    return Statement(look), Statement(drop)


_PLANS = _statements(plans, "plan", plans.c.id, operations.c.plan)
_BLOBS = _statements(blobs, "blob", blobs.c.digest, operations.c.rendered)


def collect(session: Session, now: float, cursor: Cursor) -> tuple[int, Cursor]:
    """Answers how many went, and where to go on. Plans first: a plan's rendered set may go with it."""
    before = now - GRACE
    some, plan = _collect(session, _PLANS, before, cursor.plan)
    more, blob = _collect(session, _BLOBS, before, cursor.blob)
    return some + more, Cursor(plan, blob)


def _collect(session: Session, table: tuple[Statement, Statement], before: float, after: str) -> tuple[int, str]:
    look, drop = table
    lot = session.all(look, after=after)
    if not lot:
        return 0, ""
    until = str(lot[-1][0])
    gone = session.run(drop, after=after, until=until, before=before)
    return gone, until if len(lot) == LOT else ""
