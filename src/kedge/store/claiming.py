"""Claims: the objects of a unit's inventory, each claimed by one unit alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from kedge.model.dossier import Dossier
from kedge.model.errors import Invalid, Problem
from kedge.model.operation import Owned
from kedge.model.ref import Ref
from kedge.store import codec
from kedge.store.rows import in_force
from kedge.store.session import Adding, Row, Session, Statement
from kedge.store.tables import objects

_NAMED = 10
_LOT = 8
"""Objects whose holders one statement asks for: as many as most units have."""
_VALUES = ("digest", "fingerprint", "uid", "hook", "wave")

_OF_UNIT = Statement(
    select(
        objects.c.cluster,
        objects.c.ref,
        objects.c.digest,
        objects.c.fingerprint,
        objects.c.uid,
        objects.c.hook,
        objects.c.wave,
    ).where(objects.c.unit == bindparam("at"))
)
_HOLDERS = Statement(
    select(objects.c.ref, objects.c.unit).where(
        objects.c.cluster == bindparam("at"), objects.c.ref.in_([bindparam(f"ref{n}") for n in range(_LOT)])
    )
)
_INSERT = Adding(objects)
_UPDATE = Statement(
    update(objects).where(objects.c.cluster == bindparam("at"), objects.c.ref == bindparam("what")),
    _VALUES,
)
_DELETE = Statement(delete(objects).where(objects.c.cluster == bindparam("at"), objects.c.ref == bindparam("what")))


def claim(session: Session, dossier: Dossier, before: str) -> str:
    """Make the stored claims those of the dossier's inventory, writing only rows that differ.

    `before` is the digest that the stored rows had; answers the new one. Raises Invalid, naming both units, when an
    object is already claimed by another."""
    cluster = dossier.cluster or in_force(dossier).target.cluster
    now = digest_of(cluster, dossier.inventory)
    if now == before:
        return now
    unit = str(dossier.name)
    stored = {(row[0], row[1]): row[2:] for row in session.all(_OF_UNIT, at=unit)} if before else {}
    wanted = {(cluster, owned.ref.key): _values(owned) for owned in dossier.inventory}
    if len(wanted) != len(dossier.inventory):
        raise Invalid(f"the inventory of {unit} names an object twice")
    new = [key for key in wanted if key not in stored]
    session.many(_DELETE, [{"at": at, "what": ref} for at, ref in stored if (at, ref) not in wanted])
    session.many(_UPDATE, [_update(key, row) for key, row in wanted.items() if key in stored and stored[key] != row])
    if session.many(_INSERT, [_insert(unit, key, wanted[key]) for key in new]) != len(new):
        _refuse_taken(session, unit, cluster, new)
    return now


def digest_of(cluster: str, inventory: tuple[Owned, ...]) -> str:
    """ "" for nothing: a new unit then costs no statement."""
    return codec.digest(f"{cluster}\n{codec.encode(inventory, 'an inventory')}") if inventory else ""


def inventory_of(session: Session, unit: str) -> tuple[Owned, ...]:
    """In order of ref."""
    rows = session.all(_OF_UNIT, at=unit)
    return tuple(sorted(map(_owned, rows), key=lambda owned: owned.ref))


def holders(session: Session, cluster: str, refs: tuple[Ref, ...]) -> dict[Ref, str]:
    asked = {ref.key: ref for ref in refs}
    return {asked[key]: unit for key, unit in _holders(session, cluster, list(asked))}


def _holders(session: Session, cluster: str, keys: list[str]) -> Iterator[Row]:
    """(key, unit), in lots of one size, the last filled up with the first of its keys: one statement serves all."""
    for start in range(0, len(keys), _LOT):
        lot = keys[start : start + _LOT]
        lot += lot[:1] * (_LOT - len(lot))
        yield from session.all(_HOLDERS, at=cluster, **{f"ref{n}": key for n, key in enumerate(lot)})


def _refuse_taken(session: Session, unit: str, cluster: str, new: list[tuple[str, str]]) -> None:
    problems = []
    for key, holder in sorted(_holders(session, cluster, [key for _, key in new])):
        if holder != unit:
            text = f"{ref_of(key)} in cluster {cluster} is claimed by {holder} and by {unit}"
            problems.append(Problem(text, hint="remove it from one of them, or give it another name"))
    raise Invalid(problems[0].text, problems=tuple(problems[:_NAMED]))


def ref_of(key: str) -> Ref:
    """Read `Ref.key` back."""
    return Ref(*key.split("/", 3))


def _values(owned: Owned) -> Row:
    if ref_of(owned.ref.key) != owned.ref:
        raise Invalid(f"{owned.ref} cannot be claimed: only a name may contain a slash")
    return owned.digest, owned.fingerprint, owned.uid, owned.hook, owned.wave


def _owned(row: Row) -> Owned:
    return Owned(ref_of(row[1]), *row[2:])


def _update(key: tuple[str, str], row: Row) -> dict[str, Any]:
    return {"at": key[0], "what": key[1], **dict(zip(_VALUES, row, strict=True))}


def _insert(unit: str, key: tuple[str, str], row: Row) -> dict[str, Any]:
    return {"cluster": key[0], "ref": key[1], "unit": unit, **dict(zip(_VALUES, row, strict=True))}
