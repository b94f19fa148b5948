"""Owners and what they own, finalizers of deletion, and the end of namespaces."""

from __future__ import annotations

from typing import Any

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.controllers.making import condition, make
from kedge.sandbox.deletes import FOREGROUND, ORPHAN, Wish, remove
from kedge.sandbox.store import Place, Stored
from kedge.sandbox.writes import finished

ROOT_CA = "kube-root-ca.crt"


def concerned(cluster: Cluster, stored: Stored) -> bool:
    """Whether an object of any kind needs the collector: it is going away, or an owner of it is not there."""
    meta = stored.meta
    if meta.get("deletionTimestamp"):
        return True
    return any(owner["uid"] not in cluster.store.uids for owner in meta.get("ownerReferences") or ())


def step(cluster: Cluster, place: Place, stored: Stored) -> bool:
    """One step of collection; true when the object has been dealt with for this turn."""
    finalizers = stored.meta.get("finalizers") or []
    if stored.meta.get("deletionTimestamp"):
        if ORPHAN in finalizers:
            _orphan(cluster, stored)
            return True
        if FOREGROUND in finalizers:
            return _foreground(cluster, stored)
        return False
    owners = stored.meta.get("ownerReferences") or []
    if not owners:
        return False
    alive = [owner for owner in owners if owner["uid"] in cluster.store.uids]
    if not alive:
        remove(cluster, cluster.stored_as[place.key], stored, Wish("Background"))
        return True
    if len(alive) < len(owners):
        _rewrite(cluster, place.key, stored, ownerReferences=alive)
        return True
    waiting = [owner for owner in alive if _ends_in_foreground(cluster.store.by_uid(owner["uid"]))]
    if len(waiting) == len(alive):
        children = cluster.store.children.get(stored.uid, {})
        if any(_ends_in_foreground(cluster.store.at(child)) for child in children):
            # a circle: nobody in it may wait for another (as the garbage collector unblocks such references)
            loose = [{**owner, "blockOwnerDeletion": False} for owner in owners]
            stored = _rewrite(cluster, place.key, stored, ownerReferences=loose)
        remove(cluster, cluster.stored_as[place.key], stored, Wish("Foreground" if children else "Background"))
        return True
    return False


def _ends_in_foreground(owner: Stored | None) -> bool:
    return owner is not None and FOREGROUND in (owner.meta.get("finalizers") or ())


def _rewrite(cluster: Cluster, key: str, stored: Stored, **fields: Any) -> Stored:
    meta = {**stored.meta, **fields}
    return cluster.store.put(key, {**stored.obj, "metadata": {name: value for name, value in meta.items() if value}})


def release(cluster: Cluster, place: Place, stored: Stored, finalizer: str) -> None:
    """Takes one finalizer off; the object goes when it was the last."""
    kept = [item for item in stored.meta.get("finalizers") or () if item != finalizer]
    written = _rewrite(cluster, place.key, stored, finalizers=kept)
    if finished(written):
        cluster.store.remove(place)


def _orphan(cluster: Cluster, stored: Stored) -> None:
    for place in list(cluster.store.children.get(stored.uid, {})):
        child = cluster.store.at(place)
        if child is not None:
            owners = [owner for owner in child.meta.get("ownerReferences") or () if owner["uid"] != stored.uid]
            _rewrite(cluster, place.key, child, ownerReferences=owners)
    release(cluster, cluster.store.uids[stored.uid], stored, ORPHAN)


def _foreground(cluster: Cluster, stored: Stored) -> bool:
    blocking = False
    for place in list(cluster.store.children.get(stored.uid, {})):
        child = cluster.store.at(place)
        if child is None or child.uid == stored.uid:
            continue
        if not child.meta.get("deletionTimestamp"):
            cluster.wake(place)
        owners = child.meta.get("ownerReferences") or ()
        blocking |= any(owner["uid"] == stored.uid and owner.get("blockOwnerDeletion") for owner in owners)
    if blocking:
        return False
    release(cluster, cluster.store.uids[stored.uid], stored, FOREGROUND)
    return True


def namespace(cluster: Cluster, place: Place, stored: Stored) -> None:
    """Gives a new namespace its account and certificate; empties one that goes away."""
    name = place.name
    if not stored.meta.get("deletionTimestamp"):
        if cluster.store.get("serviceaccounts.", name, "default") is None:
            make(cluster, "serviceaccounts.", {"metadata": {"name": "default", "namespace": name}})
        if cluster.store.get("configmaps.", name, ROOT_CA) is None:
            text = "a certificate would be here"
            make(cluster, "configmaps.", {"metadata": {"name": ROOT_CA, "namespace": name}, "data": {"ca.crt": text}})
        return
    left: dict[str, int] = {}
    for key in sorted(cluster.store.tables):
        kind = cluster.stored_as.get(key)
        for found in list(cluster.store.scan(key, name)) if kind is not None and kind.namespaced else ():
            if kind is not None and not found.meta.get("deletionTimestamp"):
                remove(cluster, kind, found, Wish("Background"))
            if cluster.store.get(key, name, found.meta["name"]) is not None:
                left[key.rstrip(".")] = left.get(key.rstrip("."), 0) + 1
    if left:
        _tell_what_is_left(cluster, stored, left)
    else:
        written = cluster.write(stored, place.key, spec={})
        if finished(written):
            cluster.store.remove(place)


def _tell_what_is_left(cluster: Cluster, stored: Stored, left: dict[str, int]) -> None:
    status = stored.obj.get("status") or {}
    told = ", ".join(f"{key} has {count} resource instances" for key, count in left.items())
    message = f"Some resources are remaining: {told}"
    before = status.get("conditions")
    found = condition(cluster, before, "NamespaceContentRemaining", "True", "SomeResourcesRemain", message)
    cluster.write(stored, "namespaces.", status={**status, "phase": "Terminating", "conditions": [found]})
