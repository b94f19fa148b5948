"""Recollect: what a unit owns, from its cluster, when the store has never seen it at work.

After a database was lost every unit is such a unit. What left Git meanwhile is then in its inventory, and goes the way
of everything that leaves Git: through a plan, and through the guard. A unit that was pinned is held, because what it
was pinned to is lost, and the newest commit is what somebody rejected.
"""

from __future__ import annotations

from dataclasses import replace

from kedge.control.road.doors import Doors
from kedge.model.dossier import Dossier
from kedge.model.event import Event
from kedge.model.operation import Owned
from kedge.model.person import AUTOMATION
from kedge.model.record import Record
from kedge.model.recovery import Recovered

_NOTE = 200


async def recollected(doors: Doors, dossier: Dossier) -> Dossier:
    """The dossier, of a unit that was never at work with the inventory that its cluster tells of.

    Raises Unavailable and Denied while the cluster can not be asked: an inventory that is too short would orphan."""
    if not _new(dossier):
        return dossier
    name, cluster = str(dossier.name), dossier.unit.target.cluster
    found = await doors.recollections.of(doors.target, doors.store, dossier.unit.target, doors.installation.id)
    refs = found.units.get(name, ())
    if not refs:
        return dossier
    claims = await doors.store.claims(cluster, refs)
    left = tuple(Owned(ref) for ref in refs if claims.get(ref, name) == name)
    if not left:
        return dossier
    note = found.pins.get(name, "")
    held = f"it was pinned {_plain(note)}, and the database was lost: roll back again, or resume" if note else ""
    after = replace(dossier, inventory=left, cluster=cluster, suspended=dossier.suspended or held)
    return await doors.store.record(Record(after, (_event(doors, dossier, len(left), held, found),)))


def _new(dossier: Dossier) -> bool:
    # Its runs say nothing: those of an earlier life of its name are still told.
    worked = dossier.inventory or dossier.verified is not None or dossier.operation is not None
    return not worked and dossier.rendering is None and dossier.removed is None


def _event(doors: Doors, dossier: Dossier, count: int, held: str, found: Recovered) -> Event:
    objects = "1 object that carries" if count == 1 else f"{count} objects that carry"
    sentences = [f"cluster {dossier.unit.target.cluster} holds {objects} its mark and that this database did not know"]
    if held:
        sentences.append(f"suspended: {held}")
    if found.unread:
        sentences.append(f"there may be more, these can not be listed: {', '.join(found.unread[:5])}")
    commit = dossier.head.known if dossier.head is not None else ""
    return Event(
        kind="unit.recovered",
        time=doors.clock.now(),
        actor=AUTOMATION.name,
        unit=str(dossier.name),
        commit=commit,
        message="; ".join(sentences),
    )


def _plain(note: str) -> str:
    """What stands on an object, as text for people: short and printable."""
    return "".join(letter for letter in note if letter.isprintable())[:_NOTE]


async def tell_unclaimed(doors: Doors) -> None:
    """Tell, once per look at a cluster, what carries the mark of a unit that no root declares. It stays: nobody knows
    any more what was to become of it. Waits until every root has been read whole. Raises Unavailable."""
    fresh = doors.recollections.fresh
    states = await doors.store.roots()
    if not fresh or not states or not all(state.complete for state in states):
        return
    declared = {name for name, _ in await doors.store.wakeups()}
    for cluster in list(fresh):
        units = fresh[cluster].units
        events = tuple(_unclaimed(doors, cluster, name, len(units[name])) for name in units if name not in declared)
        if events:
            await doors.store.note(events)
        del fresh[cluster]


def _unclaimed(doors: Doors, cluster: str, name: str, count: int) -> Event:
    objects = "1 object carries" if count == 1 else f"{count} objects carry"
    message = f"{objects} its mark in cluster {cluster}, and no root declares it: declare it again to have it removed"
    return Event("unit.unclaimed", doors.clock.now(), AUTOMATION.name, name, message=message)
