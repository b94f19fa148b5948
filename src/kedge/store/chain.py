"""The event log: the last step of a transaction gives its events their places, and each digest covers all before it.

`chain(n) = sha256(chain(n-1) || payload(n))` over raw bytes; chain(0) comes from the installation's id, so that a log
cannot be passed off as another installation's. Places follow the order of commits: a reader that resumes skips nothing.
"""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import select, update

from kedge.model.event import ChainReport, Event, Witness
from kedge.store import codec
from kedge.store.session import Session, Statement, inserting
from kedge.store.tables import events, installation, sealer

ROW = "events"
_LOT = 1000

_INSERT = inserting(events)
_HEAD = Statement(select(sealer.c.id, sealer.c.chain).where(sealer.c.name == ROW))
_MOVE = Statement(update(sealer).where(sealer.c.name == ROW), ("id", "chain"))
_INSTALLATION = Statement(select(installation.c.id))
_ALL = Statement(
    select(events.c.id, events.c.unit, events.c.payload, events.c.chain)
    .where(events.c.id.is_not(None))
    .order_by(events.c.id)
)


def genesis(installation_id: str) -> str:
    return sha256(b"kedge events\0" + installation_id.encode()).hexdigest()


def link(before: str, payload: str) -> str:
    return sha256(bytes.fromhex(before) + payload.encode()).hexdigest()


def insert(session: Session, new: tuple[Event, ...]) -> None:
    """With the session's transaction, once `seal` has given them their place."""
    session.unsealed += [(event.unit, codec.encode_event(event)) for event in new]


def seal(session: Session) -> int | None:
    """Write every waiting event with its number and digest; answers the new head, None when nothing waited.

    The sealer's row is the lease: whoever updates it holds it until its transaction ends.
    """
    if not session.unsealed:
        return None
    number, chain = head(session)
    placed = []
    for unit, payload in session.unsealed:
        number, chain = number + 1, link(chain, payload)
        placed.append({"id": number, "unit": unit, "payload": payload, "chain": chain})
    session.unsealed = []
    session.run(_MOVE, id=number, chain=chain)
    session.many(_INSERT, placed)
    return number


def head(session: Session) -> tuple[int, str]:
    row = session.one(_HEAD)
    return (0, "") if row is None else (row[0], row[1])


def witness(session: Session) -> Witness:
    number, chain = head(session)
    return Witness(_id(session), number, chain)


def verify(session: Session, seen: Witness | None) -> ChainReport:
    """Walk the whole chain. Names the first event that is missing, moved or changed, and why."""
    identity = _id(session)
    if seen is not None and seen.installation != identity:
        return ChainReport(0, 1, f"the witness is of installation {seen.installation}, this is {identity}")
    number, chain = 0, genesis(identity)
    for rows in session.stream(_ALL, _LOT):
        for found, unit, payload, stored in rows:
            why = _wrong(number + 1, chain, (found, unit, payload, stored))
            if not why and seen is not None and found == seen.id and stored != seen.chain:
                why = "its digest is not the one the witness saw: the log was rewritten"
            if why:
                return ChainReport(number, number + 1, why)
            number, chain = found, stored
    last = max(head(session)[0], seen.id if seen is not None else 0)
    if number < last:
        return ChainReport(number, number + 1, f"it and all up to {last} are missing from the end")
    return ChainReport(number)


def _wrong(expected: int, before: str, row: tuple[int, str, str, str]) -> str:
    found, unit, payload, stored = row
    if found != expected:
        return f"it is missing: event {found} follows"
    if link(before, payload) != stored:
        return "its content or its digest was changed"
    if codec.decode_event(found, payload, stored).unit != unit:
        return "it is filed under another unit than its content names"
    return ""


def _id(session: Session) -> str:
    row = session.one(_INSTALLATION)
    return "" if row is None else str(row[0])
