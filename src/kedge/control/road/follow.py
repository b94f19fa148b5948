"""Follow: what a unit comes after, and whether that is there yet. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from kedge.control.road.doors import Doors
from kedge.control.road.propose import Proposal
from kedge.control.road.render import abreast, still_so
from kedge.engine.delivery import settled, under_way
from kedge.model.dossier import Dossier
from kedge.model.errors import Conflict
from kedge.model.ref import UnitName

_NEWS = "what Git states of it by now is looked at first"


@dataclass(frozen=True, slots=True)
class Behind:
    """What a unit has to come after and that is not there yet, as a sentence; "" when nothing holds it. `mover` is the
    unit whose change its values are waiting for, however many others are between them."""

    why: str = ""
    mover: str = ""


async def upstream(doors: Doors, dossier: Dossier, proposal: Proposal) -> Behind:
    """What the unit has to come after.

    Units of one commit are looked at at once: one that has not been looked at since is not taken for what it was.
    Raises Conflict where a value is another one by now than the plan was made with."""
    if proposal.plan.removal:
        return Behind(await _followed(doors, dossier))
    if not await still_so(doors, proposal.wanted.unit, proposal.furnished):
        raise Conflict(f"a value that {dossier.name} reads has moved: it is looked at again")
    if proposal.plan.drift_only:
        return Behind()
    for name in proposal.wanted.unit.after:
        before = await doors.store.load(name)
        if before is None:
            return Behind(f"waits for {name}, which is not declared")
        if not settled(before):
            return Behind(_waits(before))
        if not await abreast(doors, before):
            return Behind(f"waits for {name}: {_NEWS}")
    asked = dossier.wish is not None or dossier.pin is not None
    return Behind() if asked else await _moving(doors, [given.unit for given in proposal.wanted.unit.inputs])


def _waits(before: Dossier) -> str:
    return f"waits for {before.name}: {before.shown.why or before.shown.health.status}"


async def _moving(doors: Doors, names: list[UnitName]) -> Behind:
    """Which of the units that values come from, or of those that theirs come from, is about to be changed: its values
    may be others then. Who reads them is not applied with the old ones in between, unless a person asks for it."""
    seen: set[UnitName] = set()
    while names:
        name = names.pop(0)
        before = None if name in seen else await doors.store.load(name)
        seen.add(name)
        if before is None:
            continue
        if under_way(before):
            return Behind(_waits(before), str(name))
        if not await abreast(doors, before):
            return Behind(f"waits for {name}: {_NEWS}", str(name))
        names += [given.unit for given in before.unit.inputs]
    return Behind()


async def _followed(doors: Doors, dossier: Dossier) -> str:
    """What left Git together with the unit, comes after it and is still there, as a sentence."""
    for name in dossier.followers:
        other = await doors.store.load(name)
        if other is not None and other.removed is not None:
            return f"waits until {name} is removed, which comes after it"
    return ""
