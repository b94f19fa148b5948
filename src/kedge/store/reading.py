"""Reads: a session and a key in, values of the model out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, select

from kedge.model.declaration import Cluster, Credential
from kedge.model.dossier import Dossier
from kedge.model.enlistment import Head, RootState
from kedge.model.event import Event
from kedge.model.manifest import Manifest
from kedge.model.operation import Operation
from kedge.model.plan import Plan
from kedge.model.rule import HealthRule
from kedge.model.source import Revision
from kedge.model.unit import Unit
from kedge.store import codec
from kedge.store.session import Row, Session, Statement
from kedge.store.tables import blobs, declarations, declared, events, heads, operations, plans, roots, units
from kedge.store.vault import Sealed, Vault

MOST = 1000
"""Rows that one call answers at most."""

RECALLED = 128
"""Dossiers that are kept as they were read: twice as many as have turns at once."""

STAMP = ("version", "changed", "digest")
"""What tells one state of a unit from every other: its version, and for one that was forgotten and comes back, since
when it stands as it does, and what was declared."""

_STAMP = [units.c[name] for name in STAMP]
_HEADED = units.outerjoin(heads, (heads.c.repository == units.c.repository) & (heads.c.ref == units.c.ref))
_STATE = Statement(select(*_STAMP, heads.c.body).select_from(_HEADED).where(units.c.name == bindparam("at")))
_UNIT = Statement(
    select(units.c.body, units.c.reads, plans.c.body, *_STAMP, heads.c.body)
    .select_from(_HEADED.outerjoin(plans, plans.c.id == units.c.plan))
    .where(units.c.name == bindparam("at"))
)
_PARTS = 3
"""Columns of `_UNIT` before those of `_STATE`."""
_WAKEUPS = Statement(select(units.c.name, units.c.due).order_by(units.c.name))
_SOURCES = Statement(select(units.c.repository, units.c.ref).distinct().order_by(units.c.repository, units.c.ref))
# A unit that has left its root is declared nowhere: another root may take its name over.
_ELSEWHERE = Statement(
    select(units.c.name)
    .where(units.c.root != bindparam("at"), units.c.root != "", units.c.removed.is_(None))
    .order_by(units.c.name)
)
_READERS = Statement(
    select(units.c.name, units.c.reads)
    .where(units.c.repository == bindparam("of"), units.c.ref == bindparam("at"))
    .order_by(units.c.name)
)
_HEADS = Statement(select(heads.c.body).order_by(heads.c.repository, heads.c.ref))
_ROOTS = Statement(select(roots.c.body).order_by(roots.c.name))
_DECLARATIONS = Statement(
    select(declarations.c.body)
    .where(declarations.c.kind == bindparam("of"))
    .order_by(declarations.c.name, declarations.c.root)
)
_RUN = Statement(
    select(operations.c.body).where(operations.c.unit == bindparam("of"), operations.c.number == bindparam("at"))
)
_RUNS = Statement(
    select(operations.c.body)
    .where(operations.c.unit == bindparam("of"), operations.c.number < bindparam("before"))
    .order_by(operations.c.number.desc())
    .limit(bindparam("most"))
)
_PLAN = Statement(select(plans.c.body).where(plans.c.id == bindparam("at")))
_FROZEN = Statement(
    select(declared.c.body)
    .select_from(operations.join(declared, declared.c.digest == operations.c.declared))
    .where(operations.c.unit == bindparam("of"), operations.c.number == bindparam("at"))
)
_BLOB = Statement(select(blobs.c.key_id, blobs.c.nonce, blobs.c.data).where(blobs.c.digest == bindparam("at")))
_NEWEST = 2**62


def _events(*, newest: bool, one_unit: bool) -> Statement:
    number = events.c.id
    chosen: Select[Any] = select(number, events.c.payload, events.c.chain)
    chosen = chosen.where(number < bindparam("at") if newest else number > bindparam("at"))
    if one_unit:
        chosen = chosen.where(events.c.unit == bindparam("of"))
    return Statement(chosen.order_by(number.desc() if newest else number).limit(bindparam("most")))


_EVENTS = {(n, u): _events(newest=n, one_unit=u) for n in (False, True) for u in (False, True)}


class Recalled:
    """The dossiers that were read or written last, each with its stamp: a turn reads its unit several times, and what
    has not moved since is neither fetched nor decoded again. Its head moves by itself."""

    def __init__(self, limit: int = RECALLED) -> None:
        self._limit = limit
        self._known: OrderedDict[str, tuple[Row, Dossier]] = OrderedDict()

    def get(self, name: str, stamp: Row) -> Dossier | None:
        held = self._known.get(name)
        return held[1] if held is not None and held[0] == stamp else None

    def put(self, name: str, stamp: Row, dossier: Dossier) -> None:
        self._known[name] = stamp, dossier
        self._known.move_to_end(name)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)

    def drop(self, name: str) -> None:
        self._known.pop(name, None)


def recall(session: Session, name: str, recalled: Recalled) -> Dossier | None:
    """The unit where it is stored as it is recalled; None where `load` has to be asked."""
    state = session.one(_STATE, at=name)
    known = recalled.get(name, state[:-1]) if state is not None else None
    return None if state is None or known is None else _headed(name, state, known, recalled)


def load(session: Session, name: str, recalled: Recalled) -> Dossier | None:
    row = session.one(_UNIT, at=name)
    return None if row is None else _headed(name, row[_PARTS:], _dossier(row), recalled)


def _headed(name: str, state: Row, known: Dossier, recalled: Recalled) -> Dossier:
    """The head moves without a write to any unit: one row serves all that use the (repository, ref)."""
    *_, head = state
    newest = _newest(head) if head else None
    if newest is not None and newest != known.head:
        known = replace(known, head=newest)
    recalled.put(name, state[:-1], known)
    return known


@lru_cache(maxsize=64)
def _newest(head: str) -> Revision | None:
    return codec.decode(head, Head, "head").revision


def _dossier(row: Row) -> Dossier:
    body, reads, plan, version, *_ = row
    stored = codec.decode(plan, Plan, "plan") if plan else None
    return replace(codec.decode_dossier(body, reads), version=version, plan=stored)


def wakeups(session: Session) -> list[tuple[str, float | None]]:
    return [(row[0], row[1]) for row in session.all(_WAKEUPS)]


def readers(session: Session, repository: str, ref: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(name, codec.paths_of(reads)) for name, reads in session.all(_READERS, of=repository, at=ref)]


def sources(session: Session) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in session.all(_SOURCES)]


def declared_elsewhere(session: Session, root: str) -> list[str]:
    return [row[0] for row in session.all(_ELSEWHERE, at=root)]


def known_heads(session: Session) -> list[Head]:
    return [codec.decode(row[0], Head, "head") for row in session.all(_HEADS)]


def known_roots(session: Session) -> list[RootState]:
    return [codec.decode(row[0], RootState, "root") for row in session.all(_ROOTS)]


def clusters(session: Session) -> list[Cluster]:
    return [codec.decode(row[0], Cluster, "cluster") for row in session.all(_DECLARATIONS, of="Cluster")]


def credentials(session: Session) -> list[Credential]:
    return [codec.decode(row[0], Credential, "credential") for row in session.all(_DECLARATIONS, of="Credential")]


def rules(session: Session) -> list[HealthRule]:
    return [codec.decode(row[0], HealthRule, "health rule") for row in session.all(_DECLARATIONS, of="HealthRule")]


def operation(session: Session, unit: str, number: int) -> Operation | None:
    row = session.one(_RUN, of=unit, at=number)
    return None if row is None else codec.decode(row[0], Operation, "run")


def runs(session: Session, unit: str, before: int, limit: int) -> list[Operation]:
    rows = session.all(_RUNS, of=unit, before=before or _NEWEST, most=_bounded(limit))
    return [codec.decode(row[0], Operation, "run") for row in rows]


def plan(session: Session, identity: str) -> Plan | None:
    row = session.one(_PLAN, at=identity)
    return None if row is None else codec.decode(row[0], Plan, "plan")


def frozen(session: Session, unit: str, number: int) -> Unit | None:
    row = session.one(_FROZEN, of=unit, at=number)
    return None if row is None else codec.decode(row[0], Unit, "declaration")


def rendered(session: Session, vault: Vault, digest: str) -> tuple[Manifest, ...] | None:
    row = session.one(_BLOB, at=digest)
    return None if row is None else codec.unpack(vault.open_packed(digest, Sealed(*row)))


def events_after(session: Session, after: int, unit: str, limit: int) -> Sequence[Event]:
    return _read_events(session, False, (after, unit, limit))


def events_before(session: Session, before: int, unit: str, limit: int) -> Sequence[Event]:
    return _read_events(session, True, (before or _NEWEST, unit, limit))


def _read_events(session: Session, newest: bool, window: tuple[int, str, int]) -> list[Event]:
    at, unit, limit = window
    values: dict[str, Any] = {"at": at, "most": _bounded(limit)}
    if unit:
        values["of"] = unit
    rows = session.all(_EVENTS[newest, bool(unit)], **values)
    return [codec.decode_event(*row) for row in rows]


def _bounded(limit: int) -> int:
    return max(0, min(limit, MOST))
