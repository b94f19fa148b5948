"""Who holds an object that a plan is about, in words that are true today: a unit that left Git, or was renamed, is not
one to remove anything from."""

from __future__ import annotations

from kedge.model.declaration import OnRemove
from kedge.model.dossier import Dossier
from kedge.model.ref import Ref

UNIT = "unit "
"""How the owner of an object begins where it is a unit of this installation (see `kedge.model.pair.Owner`)."""


def claimed(ref: Ref, name: str, holder: Dossier | None) -> str:
    """Why a plan is blocked by the unit `name`, which owns the object, and what to do."""
    if holder is None or holder.removed is None:
        return f"{ref} belongs to {name}: remove it from one of the two"
    if holder.unit.on_remove is not OnRemove.ASK:
        return f"{ref} belongs to {name}, which left Git and is about to let go of it"
    return (
        f"{ref} belongs to {name}, which left Git and waits for an approval to delete it: kedge approve {name} has it "
        f"deleted and then made anew here; to hand it over as it is, declare {name} again with onRemove: keep, and "
        "remove it after that"
    )


def adopted(ref: Ref, owner: str, holder: Dossier | None) -> str:
    """Why a plan that takes over from `owner` has to be agreed to. `holder` is the unit of that name, where one is."""
    if not owner.startswith(UNIT):
        return f"{ref} is managed by {owner}: applying takes it over"
    name = owner.removeprefix(UNIT)
    if holder is None:
        return f"{ref} was left by {name}, which is not declared any more: applying takes it over"
    return f"{ref} carries the mark of {name}, which does not count it among its objects: applying takes it over"
