"""Claims: the objects of a unit's inventory, each claimed by one unit alone."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import bindparam, delete, select

from kedge.model.dossier import Dossier
from kedge.model.errors import Invalid, Problem
from kedge.model.ref import Ref
from kedge.store import codec
from kedge.store.rows import in_force
from kedge.store.session import Adding, Row, Session, Statement
from kedge.store.tables import objects

_NAMED = 10
_LOT = 8
"""Objects whose holders one statement asks for: as many as most units have."""

_OF_UNIT = Statement(select(objects.c.cluster, objects.c.ref).where(objects.c.unit == bindparam("at")))
_HOLDERS = Statement(
    select(objects.c.ref, objects.c.unit).where(
        objects.c.cluster == bindparam("at"), objects.c.ref.in_([bindparam(f"ref{n}") for n in range(_LOT)])
    )
)
_INSERT = Adding(objects)
_DELETE = Statement(delete(objects).where(objects.c.cluster == bindparam("at"), objects.c.ref == bindparam("what")))


def claim(session: Session, dossier: Dossier, before: str) -> str:
    """Make the stored claims those of the dossier's inventory, writing only what differs.

    `before` is the digest of the stored ones; answers the new one. Raises Invalid, naming both units, when an object is
    already claimed by another."""
    cluster = dossier.cluster or in_force(dossier).target.cluster
    keys = [_key(owned.ref) for owned in dossier.inventory]
    now = digest_of(cluster, keys)
    if now == before:
        return now
    unit = str(dossier.name)
    if len(set(keys)) != len(keys):
        raise Invalid(f"the inventory of {unit} names an object twice")
    stored = set(session.all(_OF_UNIT, at=unit)) if before else set()
    wanted = {(cluster, key): None for key in keys}
    new = [claimed for claimed in wanted if claimed not in stored]
    session.many(_DELETE, [{"at": at, "what": key} for at, key in sorted(stored - wanted.keys())])
    if session.many(_INSERT, [{"cluster": at, "ref": key, "unit": unit} for at, key in new]) != len(new):
        _refuse_taken(session, unit, cluster, [key for _, key in new])
    return now


def digest_of(cluster: str, keys: list[str]) -> str:
    """ "" for nothing: a new unit then costs no statement."""
    return codec.digest(codec.encode([cluster, *keys], "an inventory")) if keys else ""


def holders(session: Session, cluster: str, refs: tuple[Ref, ...]) -> dict[Ref, str]:
    asked = {ref.key: ref for ref in refs}
    return {asked[key]: unit for key, unit in _holders(session, cluster, list(asked))}


def _holders(session: Session, cluster: str, keys: list[str]) -> Iterator[Row]:
    """(key, unit), in lots of one size, the last filled up with the first of its keys: one statement serves all."""
    for start in range(0, len(keys), _LOT):
        lot = keys[start : start + _LOT]
        lot += lot[:1] * (_LOT - len(lot))
        yield from session.all(_HOLDERS, at=cluster, **{f"ref{n}": key for n, key in enumerate(lot)})


def _refuse_taken(session: Session, unit: str, cluster: str, new: list[str]) -> None:
    problems = []
    for key, holder in sorted(_holders(session, cluster, new)):
        if holder != unit:
            text = f"{ref_of(key)} in cluster {cluster} is claimed by {holder} and by {unit}"
            problems.append(Problem(text, hint="remove it from one of them, or give it another name"))
    raise Invalid(problems[0].text, problems=tuple(problems[:_NAMED]))


def ref_of(key: str) -> Ref:
    """Read `Ref.key` back."""
    return Ref(*key.split("/", 3))


def _key(ref: Ref) -> str:
    if "/" in ref.group + ref.kind + ref.namespace:
        raise Invalid(f"{ref} cannot be claimed: only a name may contain a slash")
    return ref.key
