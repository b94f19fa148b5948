"""The deletion guard: what about a set of changes is destructive, in sentences. Pure; who agrees is not its matter."""

from __future__ import annotations

from collections.abc import Sequence

from kedge.model.change import Act, Change

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


def destructive(changes: Sequence[Change], inventory_size: int, *, removal: bool, empty: bool) -> tuple[str, ...]:
    """What a person should agree to first. `inventory_size` counts the unit's objects, hooks left out; `removal` says
    that the unit itself goes, `empty` that its rendered set holds nothing although it owns something.

    Objects named by a hash of their content do not count: each change of content leaves one behind.
    """
    sentences = []
    if empty:
        sentences.append("the rendered set is empty: everything would be deleted")
    deleted = [change for change in changes if change.act is Act.DELETE]
    counted = [change for change in deleted if not change.generated]
    if removal:
        sentences.append(f"the whole unit is removed: {_objects(len(deleted))} deleted")
    sentences += [_replaced(change) for change in changes if change.act is Act.REPLACE and not change.generated]
    sentences += [_lost(change) for change in counted if change.ref.group_kind in _PRECIOUS]
    if not removal and not empty and counted:
        sentences += _mass(len(counted), len(deleted), inventory_size)
    return tuple(sentences)


def _mass(counted: int, deleted: int, inventory_size: int) -> list[str]:
    if inventory_size and deleted >= inventory_size:
        return [f"everything the unit has is deleted: {_objects(deleted)}"]
    if counted > FEW and counted > SHARE * inventory_size:
        return [f"{counted} of {inventory_size} objects are deleted"]
    return []


def _replaced(change: Change) -> str:
    return f"{change.ref} is deleted and created anew"


def _lost(change: Change) -> str:
    return f"{change.ref} is deleted, {_PRECIOUS[change.ref.group_kind]}"


def _objects(count: int) -> str:
    return f"{count} object" if count == 1 else f"{count} objects"
