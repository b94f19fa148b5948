"""Collection of plans and rendered sets that nothing needs any more, a bounded number each time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Table, bindparam, delete, exists, func, select
from sqlalchemy.sql.elements import ColumnElement

from kedge.store.session import Session, Statement
from kedge.store.tables import blobs, operations, plans, units

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


def _of_late(key: Column[str], run_column: Column[str]) -> ColumnElement[bool]:
    """Whether one of the newest runs of a unit is of it."""
    newest = select(func.max(_later.c.number)).where(_later.c.unit == operations.c.unit).scalar_subquery()
    return exists().where(run_column == key, operations.c.number > newest - KEPT)


class _Shelf:
    """The rows of one table, which dossiers name as `kind:KEY` in what they hold."""

    def __init__(self, table: Table, kind: str, key: Column[str], run_column: Column[str]) -> None:
        lot = select(key).where(key > bindparam("after")).order_by(key).limit(LOT)
        past = select(key).where(
            key > bindparam("after"),
            key <= bindparam("until"),
            table.c.created < bindparam("before"),
            ~_of_late(key, run_column),
        )
        self.kind = kind
        self.lot, self.past = Statement(lot), Statement(past)
        self.drop = Statement(delete(table).where(key == bindparam("at")))


_PLANS = _Shelf(plans, "plan", plans.c.id, operations.c.plan)
_BLOBS = _Shelf(blobs, "blob", blobs.c.digest, operations.c.rendered)
_HELD = Statement(select(units.c.holds).where(units.c.holds != ""))


def collect(session: Session, now: float, cursor: Cursor) -> tuple[int, Cursor]:
    """Answers how many went, and where to go on. Plans first: a plan's rendered set may go with it."""
    before = now - GRACE
    some, plan = _collect(session, _PLANS, before, cursor.plan)
    more, blob = _collect(session, _BLOBS, before, cursor.blob)
    return some + more, Cursor(plan, blob)


def _collect(session: Session, shelf: _Shelf, before: float, after: str) -> tuple[int, str]:
    lot = session.all(shelf.lot, after=after)
    if not lot:
        return 0, ""
    until = str(lot[-1][0])
    past = [key for (key,) in session.all(shelf.past, after=after, until=until, before=before)]
    held = {each for (holds,) in session.all(_HELD) for each in holds.split()} if past else set()
    gone = session.many(shelf.drop, [{"at": key} for key in past if f"{shelf.kind}:{key}" not in held])
    return gone, until if len(lot) == LOT else ""
