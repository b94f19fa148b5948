"""Reclaim: what a unit has pruned, and what is there again.

A request of ours whose answer was lost may be carried out long after it was given up, and make anew what a later run
has pruned. The watch shows it: it bears our marks, Kedge applied it, Git does not state it and no inventory has it.
Only what the record says was pruned is taken up again; it goes as whatever leaves Git goes, through a plan and the
guard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kedge.control.road.doors import Doors
from kedge.engine import inventory
from kedge.model.dossier import Dossier
from kedge.model.event import Event
from kedge.model.operation import Did, Operation, Owned
from kedge.model.person import AUTOMATION
from kedge.model.record import Record
from kedge.model.ref import Ref


async def reclaimed(doors: Doors, dossier: Dossier, strays: Mapping[Ref, str]) -> Dossier:
    """The dossier with those of the unit's `strays` (uids by ref) in its inventory that it has pruned before."""
    known = inventory.refs(dossier.inventory)
    left = [ref for ref in strays if ref not in known]
    if not left:
        return dossier
    runs = await doors.store.operations(str(dossier.name))
    pruned = {ref: run for ref in left if (run := _pruned(runs, ref, strays[ref])) is not None}
    if not pruned:
        return dossier
    back = [Owned(ref, uid=strays[ref]) for ref in pruned]
    after = replace(dossier, inventory=tuple(sorted((*dossier.inventory, *back), key=lambda entry: entry.ref)))
    events = tuple(_event(doors, dossier, ref, run) for ref, run in pruned.items())
    return await doors.store.record(Record(after, events))


def _pruned(runs: Sequence[Operation], ref: Ref, uid: str) -> Operation | None:
    """The newest run that deleted what had this ref, unless it was this very object or the run let it go."""
    for run in runs:
        outcome = run.outcome(f"Prune:{ref.key}")
        if outcome is not None:
            gone = outcome.did in (Did.DELETED, Did.SETTLED) and outcome.uid != uid
            return run if gone else None
    return None


def _event(doors: Doors, dossier: Dossier, ref: Ref, run: Operation) -> Event:
    commit = dossier.head.known if dossier.head is not None else ""
    message = f"{ref} was pruned by run {run.number} and is there again: a request that was lost came late"
    return Event(
        "unit.reclaimed", doors.clock.now(), AUTOMATION.name, str(dossier.name), commit=commit, message=message
    )
