"""The deletion guard: what about a set of changes is destructive, in sentences. Pure; who agrees is not its matter."""

from __future__ import annotations

from collections.abc import Sequence

from kedge.model.change import Act, Change
from kedge.model.pair import Along

FEW = 5
SHARE = 0.2
"""Pruning more than FEW objects and more than this share of a unit is destructive."""

_PRECIOUS = {
    ("", "Namespace"): "with everything in it",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "with every object of its kind",
    ("", "PersistentVolume"): "and perhaps its data",
    ("", "PersistentVolumeClaim"): "and perhaps its data",
    ("apps", "StatefulSet"): "whose pods hold state",
}


_FATE = {Act.REPLACE: "deleted and created anew", Act.DELETE: "deleted", Act.FORGET: "no longer managed"}
_HOLDS_NOTHING = frozenset(
    {"output", "null_resource", "time_offset", "time_rotating", "time_sleep", "time_static"}
    | {"random_id", "random_integer", "random_pet", "random_shuffle", "random_string", "random_uuid"}
)


def many(gone: int, whole: int) -> bool:
    """Whether so many of so many are more than anybody should lose unasked."""
    return gone > FEW and gone > SHARE * whole


def destructive(changes: Sequence[Change], inventory_size: int, *, removal: bool, empty: bool) -> tuple[str, ...]:
    """What a person should agree to first. `inventory_size` counts the unit's objects, hooks left out; `removal` says
    that the unit itself goes, `empty` that its rendered set holds nothing although it owns something.

    Objects named by a hash of their content do not count: each change of content leaves one behind. What a deletion
    takes with it counts as deleted.
    """
    sentences = []
    if empty:
        sentences.append("the rendered set is empty: everything would be deleted")
    deleted = [change for change in changes if change.act is Act.DELETE]
    counted = [change for change in deleted if not change.generated]
    if removal:
        sentences.append(f"the whole unit is removed: {_objects(len(deleted))} deleted")
    sentences += [_replaced(change) for change in changes if change.act is Act.REPLACE and not change.generated]
    sentences += [_lost(change) for change in counted if _holds_others(change)]
    sentences += [_taken(change) for change in counted if not _holds_others(change) and _takes_data(change)]
    if not removal and not empty and counted:
        sentences += _mass(counted, len(deleted), inventory_size)
    return tuple(sentences)


def destructive_to_stack(changes: Sequence[Change]) -> tuple[str, ...]:
    """The same of a stack's resources: every deletion and replacement but of what is known to hold nothing."""
    return tuple(
        f"{change.ref} is {_FATE[change.act]}"
        for change in changes
        if change.act in _FATE and change.ref.kind not in _HOLDS_NOTHING
    )


def taken_along(changes: Sequence[Change]) -> tuple[str, ...]:
    """Of these deletions those that take with them what is not the unit's: even who lets everything go without a
    question has not said that of others' objects."""
    taking = [change for change in changes if change.act is Act.DELETE and change.along is not None]
    return tuple(
        _lost(change) if _holds_others(change) else _taken(change)
        for change in taking
        if change.along is not None and (change.along.others if _holds_others(change) else _takes_data(change))
    )


def _mass(counted: Sequence[Change], deleted: int, inventory_size: int) -> list[str]:
    if inventory_size and deleted >= inventory_size:
        return [f"everything the unit has is deleted: {_objects(deleted)}"]
    along = sum(change.along.others for change in counted if change.along is not None and not _holds_others(change))
    if many(len(counted) + along, inventory_size + along):
        more = f", and {_objects(along)} with them" if along else ""
        return [f"{len(counted)} of {inventory_size} objects are deleted{more}"]
    return []


def _holds_others(change: Change) -> bool:
    return change.ref.group_kind in _PRECIOUS


def _takes_data(change: Change) -> bool:
    return change.along is not None and any(ref.group_kind in _PRECIOUS for ref in change.along.named)


def _replaced(change: Change) -> str:
    return f"{change.ref} is deleted and created anew"


def _lost(change: Change) -> str:
    text = f"{change.ref} is deleted, {_PRECIOUS[change.ref.group_kind]}"
    return f"{text}: {_company(change.along)}" if change.along is not None else text


def _taken(change: Change) -> str:
    return f"{change.ref} is deleted, and what it owns with it: {_company(change.along or Along())}"


def _company(along: Along) -> str:
    """Who goes along, as far as anybody knows."""
    if along.others:
        named = ", ".join(map(str, along.named))
        rest = f" and {along.others - len(along.named)} more" if along.others > len(along.named) else ""
        text = f"{_objects(along.others)} beside the unit's own ({named}{rest})"
    else:
        text = "nothing beside the unit's own" + (f", {_objects(along.own)}" if along.own else "")
    return f"{text}; {along.why}" if along.why else text


def _objects(count: int) -> str:
    return f"{count} object" if count == 1 else f"{count} objects"
