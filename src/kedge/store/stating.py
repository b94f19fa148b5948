"""States of stacks: one change is one savepoint, in which the facts are read, the decision is taken and kept.

What is heavy (unpacking, packing and encrypting a large state) is done beforehand, outside of the writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, select

from kedge.model.errors import Conflict
from kedge.model.output import Output
from kedge.model.state import Origin, StateChange, StateFacts, StateGrant, StateLine, StateLock, StateText, StateVersion
from kedge.store import chain
from kedge.store.session import Session, Statement, Upsert, inserting
from kedge.store.tables import state_grants, state_locks, states
from kedge.store.vault import Sealed, Vault

Decide = Callable[[StateFacts], StateChange]

FLOOR = 20
"""Versions of a unit that are kept however old they are."""
INTERIM = 24 * 3600.0
"""Seconds for which every version of a run is kept; later its last one stands for all that it wrote."""
ENDED = 30 * 24 * 3600.0
"""Seconds for which it is remembered that an execution is over."""
LOT = 20
"""Units looked through in one collection."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How many versions of each unit's state are kept at most, and for how many seconds; None: every one, for ever."""

    versions: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """A text as it is stored."""

    text: StateText
    head: Sealed
    data: Sealed


_FACTS = list(StateVersion.__dataclass_fields__)
_VERSIONS = select(*(states.c[name] for name in _FACTS))
_inline = states.c.origin != Origin.LEFT.value
_NEWEST = Statement(
    _VERSIONS.where(states.c.unit == bindparam("of"), _inline).order_by(states.c.number.desc()).limit(1)
)
_HIGHEST = Statement(select(func.max(states.c.number)).where(states.c.unit == bindparam("of")))
_SOME = Statement(
    _VERSIONS.where(states.c.unit == bindparam("of"), states.c.number < bindparam("before"))
    .order_by(states.c.number.desc())
    .limit(bindparam("most"))
)
_last = (
    select(states.c.unit.label("unit"), func.max(states.c.number).label("number"))
    .where(_inline)
    .group_by(states.c.unit)
    .subquery()
)
_ALL = Statement(
    _VERSIONS.join(_last, (states.c.unit == _last.c.unit) & (states.c.number == _last.c.number)).order_by(states.c.unit)
)
_at = (states.c.unit == bindparam("of"), states.c.number == bindparam("which"))
_SIZE = Statement(select(states.c.size).where(*_at))
_DATA = Statement(select(states.c.digest, states.c.key_id, states.c.nonce, states.c.data).where(*_at))
_HEAD = Statement(select(states.c.digest, states.c.key_id, states.c.head_nonce, states.c.head).where(*_at))
_INSERT = inserting(states)
_LOCK = Statement(select(state_locks).where(state_locks.c.unit == bindparam("of")).with_for_update())
_HELD = Statement(select(state_locks).where(state_locks.c.unit == bindparam("of")))
_LOCKS = Statement(select(state_locks))
_TAKE = Upsert(state_locks)
_LET_GO = Statement(delete(state_locks).where(state_locks.c.unit == bindparam("of")))
_GRANT = Statement(select(state_grants).where(state_grants.c.execution == bindparam("of")))
_GIVE = Upsert(state_grants)
_FORGET_GRANTS = Statement(delete(state_grants).where(state_grants.c.ended < bindparam("before")))
_UNITS = Statement(
    select(states.c.unit).where(states.c.unit > bindparam("after")).distinct().order_by(states.c.unit).limit(LOT)
)
_AGES = Statement(
    select(states.c.number, states.c.at, states.c.execution)
    .where(states.c.unit == bindparam("of"), _inline)
    .order_by(states.c.number.desc())
)
_DROP_LEFT = Statement(delete(states).where(~_inline, states.c.at < bindparam("before")))
_DROP = Statement(delete(states).where(*_at))


class _Head(msgspec.Struct):
    outputs: tuple[Output, ...]
    resources: tuple[str, ...]


def pack(vault: Vault, unit: str, text: StateText) -> Packed:
    head = msgspec.msgpack.encode(_Head(text.outputs, text.resources))
    name = _bound(unit, text.digest)
    sealed = vault.seal_packed(name, text.content)
    return Packed(text, vault.seal_packed(f"head of {name}", head), sealed)


def facts(session: Session, unit: str, execution: str, *, changing: bool = False) -> StateFacts:
    """`changing`: whoever else wants to change this unit's lock waits until this transaction ends."""
    held = session.one(_LOCK if changing else _HELD, of=unit)
    newest = session.one(_NEWEST, of=unit)
    highest = session.one(_HIGHEST, of=unit)
    return StateFacts(
        unit,
        _version(newest) if newest is not None else None,
        StateLock(*held) if held is not None else None,
        granted(session, execution) if execution else None,
        int(highest[0] or 0) if highest is not None else 0,
    )


def granted(session: Session, execution: str) -> StateGrant | None:
    row = session.one(_GRANT, of=execution)
    if row is None:
        return None
    found, unit, token, writes, at, base, barred, ended = row
    return StateGrant(found, unit, token, bool(writes), at, base, barred, ended)


def turn(session: Session, of: tuple[str, str], decide: Decide, packed: Packed | None) -> StateChange:
    """`of` is the unit and the execution that asks. Raises what `decide` raises; then nothing is kept."""
    before = facts(session, *of, changing=True)
    change = decide(before)
    if change.version is not None:
        _write(session, change.version, packed)
    if change.lock is None and before.lock is not None:
        session.run(_LET_GO, of=before.unit)
    elif change.lock is not None and change.lock != before.lock:
        session.run(_TAKE, **asdict(change.lock))
    if change.grant is not None and change.grant != before.grant:
        session.run(_GIVE, **{**asdict(change.grant), "writes": int(change.grant.writes)})
    chain.insert(session, change.events)
    return change


def _write(session: Session, version: StateVersion, packed: Packed | None) -> None:
    if packed is None or packed.text.digest != version.digest:
        raise Conflict(f"the state of {version.unit} has moved on meanwhile")
    row: dict[str, Any] = {**asdict(version), "origin": version.origin.value}
    session.run(
        _INSERT,
        **row,
        key_id=packed.data.key_id,
        head_nonce=packed.head.nonce,
        head=packed.head.data,
        nonce=packed.data.nonce,
        data=packed.data.data,
    )


def size(session: Session, unit: str, number: int) -> int | None:
    row = session.one(_SIZE, of=unit, which=number)
    return None if row is None else int(row[0])


def content(session: Session, vault: Vault, unit: str, number: int) -> bytes | None:
    row = session.one(_DATA, of=unit, which=number)
    if row is None:
        return None
    digest, *sealed = row
    return vault.open_packed(_bound(unit, digest), Sealed(*sealed))


def head(session: Session, vault: Vault, version: StateVersion) -> StateText | None:
    """What a version says, without its content; None where it is not kept any more."""
    row = session.one(_HEAD, of=version.unit, which=version.number)
    if row is None:
        return None
    digest, *sealed = row
    raw = vault.open_packed(f"head of {_bound(version.unit, digest)}", Sealed(*sealed))
    found = msgspec.msgpack.decode(raw, type=_Head)
    return StateText(version.serial, version.lineage, digest, found.outputs, found.resources)


def versions(session: Session, unit: str, before: int, limit: int) -> list[StateVersion]:
    """Newest first."""
    return [_version(row) for row in session.all(_SOME, of=unit, before=before or 2**31 - 1, most=limit)]


def everything(session: Session) -> list[StateLine]:
    """Units that have a state or a lock, by name."""
    held = {row[0]: StateLock(*row) for row in session.all(_LOCKS)}
    return [StateLine(newest, held.get(newest.unit)) for newest in map(_version, session.all(_ALL))]


def collect(session: Session, now: float, keep: Keep, after: str) -> tuple[int, str]:
    """Let go of versions that are too many or too old, of the next few units. Answers how many, and where to go on."""
    units = [row[0] for row in session.all(_UNITS, after=after)]
    gone = [
        {"of": unit, "which": number} for unit in units for number in outdated(session.all(_AGES, of=unit), now, keep)
    ]
    session.many(_DROP, gone)
    if keep.seconds is not None:
        session.run(_DROP_LEFT, before=now - keep.seconds)
    session.run(_FORGET_GRANTS, before=now - ENDED)
    return len(gone), units[-1] if len(units) == LOT else ""


def outdated(rows: Sequence[tuple[Any, ...]], now: float, keep: Keep) -> Iterable[int]:
    """The numbers of versions to let go of; `rows` are (number, at, execution), newest first. The newest stays."""
    kept, later = 0, ""
    for number, at, execution in rows:
        interim = kept and execution and execution == later and at < now - INTERIM
        old = keep.seconds is not None and kept >= FLOOR and at < now - keep.seconds
        many = keep.versions is not None and kept >= max(1, keep.versions)
        later = execution
        if interim or old or many:
            yield number
        else:
            kept += 1


def _version(row: tuple[Any, ...]) -> StateVersion:
    return StateVersion(**{**dict(zip(_FACTS, row, strict=True)), "origin": Origin(row[_FACTS.index("origin")])})


def _bound(unit: str, digest: str) -> str:
    """No unit's state can be passed off as another's, nor one version as another."""
    return f"state of {unit} {digest}"
