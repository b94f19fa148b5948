"""One record: the dossier's next state and what goes with it, as statements of one savepoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update

from kedge.model.dossier import Dossier
from kedge.model.errors import Conflict, Invalid
from kedge.model.operation import Operation
from kedge.model.plan import Plan
from kedge.model.record import Record
from kedge.model.unit import Unit
from kedge.store import chain, codec
from kedge.store.claiming import claim
from kedge.store.reading import STAMP
from kedge.store.rows import VISIBLE, in_force, row_of
from kedge.store.session import Adding, Row, Session, Statement, Upsert, inserting
from kedge.store.tables import blobs, declared, labels, objects, operations, plans, units
from kedge.store.vault import Vault

_INDEXED = sorted({column.name for index in units.indexes for column in index.columns} - {"name"})
_PRIOR_COLUMNS = tuple(
    dict.fromkeys(("version", "changed", "labels", "plan", "plan_digest", "inventory", *VISIBLE, *_INDEXED))
)
_PRIOR = Statement(
    select(*(units.c[name] for name in _PRIOR_COLUMNS)).where(units.c.name == bindparam("at")).with_for_update()
)
_INSERT_UNIT = inserting(units)
_UNLABEL = Statement(delete(labels).where(labels.c.unit == bindparam("at")))
_LABEL = inserting(labels)
_FORGET = [
    Statement(delete(table).where(column == bindparam("at")))
    for table, column in (
        (units, units.c.name),
        (labels, labels.c.unit),
        (objects, objects.c.unit),
    )
]
_PLAN = Upsert(plans)
_BLOB_THERE = Statement(select(blobs.c.digest).where(blobs.c.digest == bindparam("at")))
_BLOB = inserting(blobs)
_RUN = Statement(
    select(operations.c.id).where(operations.c.unit == bindparam("at"), operations.c.number == bindparam("run"))
)
_LAST_RUN = Statement(select(func.max(operations.c.number)).where(operations.c.unit == bindparam("at")))
_BEGIN_RUN = Adding(operations)
_MOVE_RUN = Statement(
    update(operations).where(
        operations.c.unit == bindparam("at"),
        operations.c.number == bindparam("run"),
        operations.c.id == bindparam("what"),
    ),
    ("finished", "result", "body"),
)
_DECLARED = Adding(declared)


@dataclass(frozen=True, slots=True)
class Desk:
    """What writing needs beside the connection: the time of this write, and the vault for blobs."""

    now: float
    vault: Vault


def record(session: Session, desk: Desk, new: Record) -> tuple[Dossier, Row]:
    """The dossier as it is now, and its stamp in `reading` (() for one that is forgotten).

    Raises Conflict when the version has moved, Invalid for a double claim or a run number given twice."""
    name = str(new.dossier.name)
    prior = _prior(session, name)
    _check_version(new.dossier, prior)
    dossier = replace(
        new.dossier,
        version=new.dossier.version + 1,
        inventory=tuple(sorted(new.dossier.inventory, key=lambda owned: owned.ref)),
        runs=new.dossier.runs if prior else max(new.dossier.runs, last_run(session, name)),
    )
    if new.operation is not None:
        _write_run(session, new.operation, in_force(dossier))
    if new.rendered is not None:
        _write_blob(session, desk, *new.rendered)
    stamp: Row = ()
    if new.forget:
        _write_plan(session, desk, new.plan)
        forget(session, name)
    else:
        stamp = _write_unit(session, desk, dossier, (prior, new.plan))
    chain.insert(session, new.events)
    return dossier, stamp


def forget(session: Session, name: str) -> None:
    """The unit and its claims go; its runs and events stay."""
    for statement in _FORGET:
        session.run(statement, at=name)


def last_run(session: Session, name: str) -> int:
    """A unit that comes back goes on counting: its old runs are still there."""
    row = session.one(_LAST_RUN, at=name)
    return int(row[0] or 0) if row else 0


def _prior(session: Session, name: str) -> Mapping[str, Any] | None:
    row = session.one(_PRIOR, at=name)
    return None if row is None else dict(zip(_PRIOR_COLUMNS, row, strict=True))


def _check_version(dossier: Dossier, prior: Mapping[str, Any] | None) -> None:
    if prior is None and dossier.version:
        raise Conflict(f"{dossier.name} is not stored any more; it was at version {dossier.version}")
    if prior is not None and prior["version"] != dossier.version:
        raise Conflict(f"{dossier.name} is at version {prior['version']}, not {dossier.version}", hint="load it again")


def _write_unit(
    session: Session, desk: Desk, dossier: Dossier, before: tuple[Mapping[str, Any] | None, Plan | None]
) -> Row:
    prior, beside = before
    row = row_of(dossier)
    row["plan_digest"] = _write_plans(session, desk, dossier.plan, (prior, beside))
    row["inventory"] = claim(session, dossier, str(prior["inventory"]) if prior else "")
    put_unit(session, desk, row, prior)
    write_labels(session, row["name"], dossier.unit, str(prior["labels"]) if prior else "", row["labels"])
    return tuple(row[column] for column in STAMP)


def put_unit(session: Session, desk: Desk, row: dict[str, Any], prior: Mapping[str, Any] | None) -> None:
    same = prior is not None and all(prior[column] == row[column] for column in VISIBLE)
    row["changed"] = prior["changed"] if prior is not None and same else desk.now
    if prior is None:
        session.run(_INSERT_UNIT, **row)
        return
    still = frozenset(name for name in _INDEXED if prior[name] == row[name])
    if session.run(_updating(still), **row, at=row["name"], was=prior["version"]) != 1:
        raise Conflict(f"{row['name']} moved while it was written", hint="load it again")


@lru_cache(maxsize=32)
def _updating(still: frozenset[str]) -> Statement:
    """All columns but those that stand `still`: an index over a column that is set is written anew, to the same value,
    too, and half of what an update costs is indexes."""
    return Statement(
        update(units).where(units.c.name == bindparam("at"), units.c.version == bindparam("was")),
        [column.name for column in units.columns if column.name not in {"name", *still}],
    )


def write_labels(session: Session, name: str, unit: Unit, before: str, after: str) -> None:
    if before == after:
        return
    session.run(_UNLABEL, at=name)
    session.many(_LABEL, [{"unit": name, "key": key, "value": value} for key, value in dict(unit.labels).items()])


def _write_plans(
    session: Session, desk: Desk, plan: Plan | None, before: tuple[Mapping[str, Any] | None, Plan | None]
) -> str:
    """Keep the dossier's plan (when it moved) and the record's (when it is another); answers the digest of the former,
    "" for none."""
    prior, beside = before
    if beside is not None and (plan is None or beside.id != plan.id):
        _write_plan(session, desk, beside)
    if plan is None:
        return ""
    body = codec.encode(plan, f"the plan of {plan.unit}")
    digest = codec.digest(body)
    if prior is None or (prior["plan"], prior["plan_digest"]) != (plan.id, digest):
        session.run(_PLAN, id=plan.id, unit=str(plan.unit), created=desk.now, body=body)
    return digest


def _write_plan(session: Session, desk: Desk, plan: Plan | None) -> None:
    if plan is not None:
        body = codec.encode(plan, f"the plan of {plan.unit}")
        session.run(_PLAN, id=plan.id, unit=str(plan.unit), created=desk.now, body=body)


def _write_blob(session: Session, desk: Desk, digest: str, manifests: Any) -> None:
    """Content-addressed: the same digest is written once."""
    if session.one(_BLOB_THERE, at=digest) is not None:
        return
    sealed = desk.vault.seal_packed(digest, codec.pack(manifests))
    session.run(_BLOB, digest=digest, key_id=sealed.key_id, nonce=sealed.nonce, data=sealed.data, created=desk.now)


def _write_run(session: Session, operation: Operation, unit: Unit) -> None:
    name = str(operation.unit)
    moving = {
        "finished": operation.finished,
        "result": operation.result.value if operation.result else "",
        "body": codec.encode(operation, f"run {operation.number} of {name}"),
    }
    if session.run(_MOVE_RUN, at=name, run=operation.number, what=operation.id, **moving):
        return
    # The declaration as it stands when the run begins: a rollback to this run brings it back.
    body = codec.encode(unit, name)
    digest = codec.digest(body)
    session.run(_DECLARED, digest=digest, body=body)
    begun = {
        "number": operation.number,
        "id": operation.id,
        "plan": operation.plan,
        "rendered": operation.rendered,
        "started": operation.started,
        "declared": digest,
    }
    if not session.run(_BEGIN_RUN, unit=name, **begun, **moving):
        (other,) = session.all(_RUN, at=name, run=operation.number)[0]
        raise Invalid(f"run {operation.number} of {name} is {other}; {operation.id} cannot take its place")
