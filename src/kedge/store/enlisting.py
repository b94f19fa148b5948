"""Taking over what a root declares: units in bulk, and clusters and credentials beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from kedge.engine.delivery import followers
from kedge.model.declaration import Cluster, Credential, OnRemove
from kedge.model.dossier import Dossier
from kedge.model.enlistment import Enlisted, Enlistment, Head
from kedge.model.errors import Conflict
from kedge.model.ref import UnitName
from kedge.model.rule import HealthRule
from kedge.model.unit import Unit
from kedge.policy.guard import many
from kedge.store import chain, codec
from kedge.store.recording import Desk, write_labels
from kedge.store.rows import declaration_digest, row_of
from kedge.store.session import Session, Statement, Upsert
from kedge.store.tables import declarations, heads, operations, roots, units

_STANDING = ("root", "digest", "removed", "version")
_OF_ROOT = Statement(
    select(units.c.name, *(units.c[name] for name in _STANDING)).where(units.c.root == bindparam("at"))
)
_NAMED = Statement(select(*(units.c[name] for name in _STANDING)).where(units.c.name == bindparam("at")))
_BODY = Statement(
    select(
        units.c.body, units.c.reads, units.c.labels, units.c.changed, units.c.plan, units.c.plan_digest,
        units.c.inventory, units.c.holds,
    ).where(units.c.name == bindparam("at"))
)  # fmt: skip
_INSERT = Statement(insert(units), [column.name for column in units.columns])
_UPDATE = Statement(
    update(units).where(units.c.name == bindparam("at"), units.c.version == bindparam("was")),
    [column.name for column in units.columns if column.name != "name"],
)
_RUNS = Statement(select(operations.c.unit, func.max(operations.c.number)).group_by(operations.c.unit))
_ROOT = Upsert(roots)
_HEAD = Upsert(heads)
_NO_HEAD = Statement(delete(heads).where(heads.c.repository == bindparam("of"), heads.c.ref == bindparam("at")))
_DECLARE = Upsert(declarations)
_OTHERS = Statement(select(declarations.c.kind, declarations.c.name).where(declarations.c.root == bindparam("at")))
_UNDECLARE = Statement(
    delete(declarations).where(
        declarations.c.root == bindparam("at"),
        declarations.c.kind == bindparam("of"),
        declarations.c.name == bindparam("what"),
    )
)


@dataclass(frozen=True, slots=True)
class _Stored:
    root: str
    digest: str
    removed: float | None
    version: int


@dataclass(slots=True)
class _Sorted:
    """What is to be done with each unit of a reading."""

    new: list[Unit] = field(default_factory=list)
    moved: list[Unit] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def enlist(session: Session, desk: Desk, given: Enlistment) -> Enlisted:
    """Units whose declaration did not move cost nothing; those that did keep everything but their declaration."""
    stored = _stored(session, given)
    todo = _sort(given, stored)
    _add(session, desk, todo.new)
    for unit in todo.moved:
        _redeclare(session, desk, str(unit.name), unit, None)
    asking = _too_many(given, stored, todo.gone)
    after = followers(_unit(session, name) for name in todo.gone) if len(todo.gone) > 1 else {}
    for name in todo.gone:
        first = after.get(UnitName.parse(name), ())
        _redeclare(session, desk, name, None, given.state.at, asking=asking, first=first)
    _write_others(session, given)
    session.run(_ROOT, name=given.state.name, body=codec.encode(given.state, f"root {given.state.name}"))
    if given.head is not None:
        write_head(session, given.head)
    chain.insert(session, given.events)
    return Enlisted(
        added=tuple(str(unit.name) for unit in todo.new),
        changed=tuple(str(unit.name) for unit in todo.moved),
        removed=tuple(todo.gone),
        refused=tuple(todo.refused),
    )


def write_head(session: Session, head: Head) -> None:
    body = codec.encode(head, f"the head of {head.ref}")
    session.run(_HEAD, repository=head.repository, ref=head.ref, checked=head.checked, body=body)


def drop_head(session: Session, repository: str, ref: str) -> None:
    session.run(_NO_HEAD, of=repository, at=ref)


def _stored(session: Session, given: Enlistment) -> dict[str, _Stored]:
    """The root's own units, and whoever holds a name that it declares."""
    found = {row[0]: _Stored(*row[1:]) for row in session.all(_OF_ROOT, at=given.state.name)}
    for unit in given.units:
        name = str(unit.name)
        if name not in found and (row := session.one(_NAMED, at=name)) is not None:
            found[name] = _Stored(*row)
    return found


def _sort(given: Enlistment, stored: Mapping[str, _Stored]) -> _Sorted:
    """Pure. The first root to declare a name keeps it for as long as it declares it."""
    todo, seen = _Sorted(), set()
    for unit in given.units:
        name, known = str(unit.name), stored.get(str(unit.name))
        if name in seen or (known and known.root not in ("", given.state.name) and known.removed is None):
            todo.refused.append(name)
        elif known is None:
            todo.new.append(unit)
        elif (known.root, known.digest, known.removed) != (given.state.name, declaration_digest(unit), None):
            todo.moved.append(unit)
        seen.add(name)
    if given.state.complete:
        todo.gone = [
            name
            for name, known in stored.items()
            if known.root == given.state.name and known.removed is None and name not in seen
        ]
    return todo


def _too_many(given: Enlistment, stored: Mapping[str, _Stored], gone: Sequence[str]) -> bool:
    """Whether so many units leave Git at once that somebody is asked about each, whatever it says of its removal."""
    standing = sum(known.root == given.state.name and known.removed is None for known in stored.values())
    return many(len(gone), standing) or len(gone) == standing > 1


def _add(session: Session, desk: Desk, new: Sequence[Unit]) -> None:
    if not new:
        return
    runs: dict[str, int] = {row[0]: row[1] for row in session.all(_RUNS)}
    rows = []
    for unit in new:
        dossier = Dossier(unit.name, unit, version=1, runs=runs.get(str(unit.name), 0))
        rows.append({**row_of(dossier), "changed": desk.now, "plan_digest": "", "inventory": ""})
    session.many(_INSERT, rows)
    for unit, row in zip(new, rows, strict=True):
        write_labels(session, row["name"], unit, "", row["labels"])


def _unit(session: Session, name: str) -> Unit:
    body, reads, *_ = session.all(_BODY, at=name)[0]
    return codec.decode_dossier(body, reads).unit


def _redeclare(
    session: Session,
    desk: Desk,
    name: str,
    unit: Unit | None,
    removed: float | None,
    *,
    asking: bool = False,
    first: tuple[UnitName, ...] = (),
) -> None:
    """Put a new declaration into a dossier, or the time at which it left Git, with those that go before it; everything
    else stays as it is. `asking`: it does not go without somebody's yes, though it was declared so."""
    body, reads, labels, changed, plan, plan_digest, inventory, holds = session.all(_BODY, at=name)[0]
    old = codec.decode_dossier(body, reads)
    declared = unit or old.unit
    if asking and declared.on_remove is OnRemove.DELETE:
        declared = replace(declared, on_remove=OnRemove.ASK)
    dossier = replace(old, unit=declared, removed=removed, followers=first, version=old.version + 1)
    kept: dict[str, Any] = {
        "changed": desk.now if removed != old.removed else changed,
        "plan": plan,
        "plan_digest": plan_digest,
        "inventory": inventory,
        "holds": holds,
    }
    row = {**row_of(dossier), **kept}
    if session.run(_UPDATE, **row, at=name, was=old.version) != 1:
        raise Conflict(f"{name} moved while its root was read", hint="read the root again")
    write_labels(session, name, dossier.unit, labels, row["labels"])


def _write_others(session: Session, given: Enlistment) -> None:
    root = given.state.name
    wanted = {(kind, each.name): codec.encode(each, f"{kind} {each.name}") for kind, each in _others(given)}
    session.many(
        _DECLARE, [{"root": root, "kind": kind, "name": name, "body": body} for (kind, name), body in wanted.items()]
    )
    if given.state.complete:
        gone = [key for row in session.all(_OTHERS, at=root) if (key := (row[0], row[1])) not in wanted]
        session.many(_UNDECLARE, [{"at": root, "of": kind, "what": name} for kind, name in gone])


def _others(given: Enlistment) -> Iterator[tuple[str, Cluster | Credential | HealthRule]]:
    yield from (("Cluster", each) for each in given.clusters)
    yield from (("Credential", each) for each in given.credentials)
    yield from (("HealthRule", each) for each in given.rules)
