"""Custom resource definitions: established, served, and taken away with all their instances."""

from __future__ import annotations

from kedge.sandbox import definitions
from kedge.sandbox.cluster import Cluster
from kedge.sandbox.controllers.garbage import release
from kedge.sandbox.controllers.making import condition
from kedge.sandbox.deletes import CLEANUP, Wish, remove
from kedge.sandbox.store import Place, Stored

KEY = definitions.KEY


def step(cluster: Cluster, place: Place, stored: Stored) -> None:
    """One step towards Established, or towards gone."""
    if stored.meta.get("deletionTimestamp"):
        _take_away(cluster, place, stored)
        return
    spec, status = stored.obj["spec"], stored.obj.get("status") or {}
    before = status.get("conditions")
    if definitions.taken(cluster, stored.obj):
        told = f'"{spec["names"]["kind"]}" is already in use'
        found = [
            condition(cluster, before, "NamesAccepted", "False", "KindConflict", told),
            condition(cluster, before, "Established", "False", "NotAccepted", "not all names are accepted"),
        ]
        cluster.write(stored, KEY, status={**status, "conditions": found})
        return
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    kept = status.get("storedVersions") or []
    conditions = [
        condition(cluster, before, "NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        condition(
            cluster, before, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted"
        ),
    ]
    made = {
        "conditions": conditions,
        "acceptedNames": spec["names"],
        "storedVersions": [*kept, storage] if storage not in kept else kept,
    }
    written = cluster.write(stored, KEY, status=made)
    if written is not stored or not _served(cluster, written):
        definitions.serve(cluster, written.obj)


def _served(cluster: Cluster, stored: Stored) -> bool:
    found = definitions.kinds_of(stored.obj)
    return all(cluster.served.get((kind.group, kind.version, kind.plural)) == kind for kind in found)


def _take_away(cluster: Cluster, place: Place, stored: Stored) -> None:
    key = place.name
    kind = cluster.stored_as.get(key)
    for found in list(cluster.store.scan(key)):
        if kind is not None and not found.meta.get("deletionTimestamp"):
            remove(cluster, kind, found, Wish("Background"))
    if next(cluster.store.scan(key), None) is not None:
        return
    cluster.unserve(key)
    if CLEANUP in (stored.meta.get("finalizers") or ()):
        release(cluster, place, stored, CLEANUP)
