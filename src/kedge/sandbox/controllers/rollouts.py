"""Deployments and ReplicaSets: the rollout as its controllers do it, a step at a time."""

from __future__ import annotations

import math
from typing import Any

from kedge.sandbox.cluster import Cluster, epoch_of
from kedge.sandbox.controllers.making import (
    FAIL,
    asked,
    claimed,
    condition,
    digest,
    end,
    event,
    is_active,
    is_ready,
    make,
    make_pod,
    owned,
    room,
)
from kedge.sandbox.store import Place, Stored
from kedge.sandbox.wire import Object

DEPLOYMENTS, SETS, PODS = "deployments.apps", "replicasets.apps", "pods."
REVISION = "deployment.kubernetes.io/revision"
DESIRED, MOST = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
HASH = "pod-template-hash"
NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", REVISION})


def replica_set(cluster: Cluster, place: Place, stored: Stored) -> None:
    """As many pods as wanted; counts what there is."""
    spec = stored.obj["spec"]
    pods = [pod for pod in cluster.store.owned_by(stored.uid, PODS) if is_active(pod)]
    wanted = 0 if stored.meta.get("deletionTimestamp") else spec.get("replicas", 1)
    if not stored.meta.get("deletionTimestamp"):
        if wanted > len(pods):
            pods += [pod for pod in claimed(cluster, stored, SETS, PODS) if is_active(pod)]
        pods += [make_pod(cluster, SETS, stored) for _ in range(room(cluster, place, stored, wanted - len(pods)))]
    surplus = sorted(pods, key=lambda pod: (is_ready(pod), -pod.rv))[: max(0, len(pods) - wanted)]
    for pod in surplus:
        end(cluster, PODS, pod)
    left = [pod for pod in pods if pod not in surplus]
    ready = sum(map(is_ready, left))
    status: Object = {"replicas": len(left)}
    if left:
        status["fullyLabeledReplicas"] = len(left)
    if ready:
        status |= {"readyReplicas": ready, "availableReplicas": ready}
    status["observedGeneration"] = stored.meta.get("generation", 1)
    owned = cluster.store.owned_by(stored.uid, PODS)
    status["terminatingReplicas"] = sum(1 for pod in owned if pod.meta.get("deletionTimestamp"))
    cluster.write(stored, SETS, status=status)


def deployment(cluster: Cluster, place: Place, stored: Stored) -> None:
    """One step of a rollout: the set of the wanted template up, the others down, the status told."""
    if stored.meta.get("deletionTimestamp"):
        return
    spec = stored.obj["spec"]
    sets = cluster.store.owned_by(stored.uid, SETS)
    mark = digest(spec["template"])
    new = next((item for item in sets if (item.meta.get("labels") or {}).get(HASH) == mark), None)
    if new is None:
        sets += claimed(cluster, stored, DEPLOYMENTS, SETS)
        new = next((item for item in sets if (item.meta.get("labels") or {}).get(HASH) == mark), None)
    old = [item for item in sets if item is not new and not item.meta.get("deletionTimestamp")]
    if not spec.get("paused"):
        new, stored = _current_set(cluster, place, stored, new, old, mark)
        if spec["strategy"]["type"] == "Recreate":
            _recreate(cluster, stored, new, old)
        else:
            _roll(cluster, stored, new, old)
        _forget(cluster, spec, old)
    elif new is not None and not any(_wanted(item) for item in old):
        _scale(cluster, stored, new, spec["replicas"])
    _tell(cluster, place, stored, mark)


def _current_set(
    cluster: Cluster, place: Place, stored: Stored, new: Stored | None, old: list[Stored], mark: str
) -> tuple[Stored, Stored]:
    """The set of the wanted template, made when there is none, with the newest revision; and the deployment marked with
    it."""
    highest = max((_revision(item) for item in old), default=0)
    revision = str(max(highest + 1, _revision(new) if new else 0))
    copies = {key: value for key, value in (stored.meta.get("annotations") or {}).items() if key not in NOT_COPIED}
    if new is None:
        template = stored.obj["spec"]["template"]
        labels = {**(template["metadata"].get("labels") or {}), HASH: mark}
        selector = stored.obj["spec"]["selector"]
        meta = {
            "name": f"{place.name}-{mark}",
            "namespace": place.namespace,
            "labels": labels,
            "annotations": {**copies, REVISION: revision, **_sizes(stored)},
            "ownerReferences": owned(cluster.stored_as[DEPLOYMENTS], stored),
        }
        size = _first_size(cluster, stored, old)
        spec = {
            "replicas": size,
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH: mark}},
            "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
        }
        if cluster.store.get(SETS, place.namespace, f"{place.name}-{mark}") is not None:
            meta["name"] = f"{place.name}-{mark}-{cluster.suffix(3)}"
        new = make(cluster, SETS, {"metadata": meta, "spec": spec})
        if size:
            event(cluster, stored, "ScalingReplicaSet", f"Scaled up replica set {meta['name']} from 0 to {size}")
    else:
        kept = {key: value for key, value in (new.meta.get("annotations") or {}).items() if key != FAIL}
        new = cluster.write(new, SETS, metadata={**new.meta, "annotations": {**kept, **copies, REVISION: revision}})
    annotations = {**(stored.meta.get("annotations") or {}), REVISION: revision}
    return new, cluster.write(stored, DEPLOYMENTS, metadata={**stored.meta, "annotations": annotations})


def _revision(item: Stored) -> int:
    return int((item.meta.get("annotations") or {}).get(REVISION, "0"))


def _wanted(item: Stored) -> int:
    return int(item.obj["spec"].get("replicas", 0))


def _count(item: Stored, name: str) -> int:
    return int((item.obj.get("status") or {}).get(name, 0))


def _scale(cluster: Cluster, stored: Stored, item: Stored, wanted: int) -> None:
    annotations = {**(item.meta.get("annotations") or {}), **_sizes(stored)}
    if _wanted(item) == wanted:
        if wanted:
            cluster.write(item, SETS, metadata={**item.meta, "annotations": annotations})
        return
    word = "up" if wanted > _wanted(item) else "down"
    told = f"Scaled {word} replica set {item.meta['name']} from {_wanted(item)} to {wanted}"
    meta = {**item.meta, "annotations": annotations, "generation": item.meta.get("generation", 1) + 1}
    cluster.write(item, SETS, metadata=meta, spec={**item.obj["spec"], "replicas": wanted})
    event(cluster, stored, "ScalingReplicaSet", told)


def _first_size(cluster: Cluster, stored: Stored, old: list[Stored]) -> int:
    """How many pods a new set begins with: as many as fit beside those of the others."""
    wanted = int(stored.obj["spec"]["replicas"])
    if stored.obj["spec"]["strategy"]["type"] == "Recreate":
        return 0 if any(cluster.store.owned_by(item.uid, PODS) for item in old) else wanted
    return max(0, min(wanted, wanted + _surge(stored) - sum(map(_wanted, old)))) if old else wanted


def _surge(stored: Stored) -> int:
    spec = stored.obj["spec"]
    rolling = spec["strategy"].get("rollingUpdate") or {}
    recreated = spec["strategy"]["type"] == "Recreate"
    return 0 if recreated else portion(rolling.get("maxSurge", "25%"), spec["replicas"], up=True)


def _sizes(stored: Stored) -> Object:
    """What a set remembers of its Deployment's size."""
    wanted = stored.obj["spec"]["replicas"]
    return {DESIRED: str(wanted), MOST: str(wanted + _surge(stored))}


def _recreate(cluster: Cluster, stored: Stored, new: Stored, old: list[Stored]) -> None:
    for item in old:
        _scale(cluster, stored, item, 0)
    if not any(cluster.store.owned_by(item.uid, PODS) for item in old):
        _scale(cluster, stored, new, stored.obj["spec"]["replicas"])


def portion(value: Any, whole: int, up: bool) -> int:
    """``25%`` or a number, rounded up for surge and down for what may be missing."""
    if isinstance(value, str) and value.endswith("%"):
        share = whole * int(value[:-1]) / 100
        return math.ceil(share) if up else math.floor(share)
    return int(value)


def _roll(cluster: Cluster, stored: Stored, new: Stored, old: list[Stored]) -> None:
    wanted = stored.obj["spec"]["replicas"]
    rolling = stored.obj["spec"]["strategy"].get("rollingUpdate") or {}
    surge = _surge(stored)
    missing = portion(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    if not surge and not missing:
        missing = 1
    total = sum(_wanted(item) for item in old)
    grown = min(wanted, max(_wanted(new), wanted + surge - total)) if old else wanted
    _scale(cluster, stored, new, grown)
    available = _count(new, "availableReplicas") if _wanted(new) <= grown else grown
    may_go = total + min(grown, available) - (wanted - missing)
    broken = sum(max(0, _wanted(item) - _count(item, "availableReplicas")) for item in old)
    for item in sorted(old, key=_revision):
        useless = max(0, _wanted(item) - _count(item, "availableReplicas"))
        gone = min(_wanted(item), max(0, may_go) if not broken else min(max(0, may_go), useless))
        if gone:
            _scale(cluster, stored, item, _wanted(item) - gone)
            may_go -= gone


def _forget(cluster: Cluster, spec: Object, old: list[Stored]) -> None:
    idle = sorted((item for item in old if not _wanted(item) and not _count(item, "replicas")), key=_revision)
    for item in idle[: max(0, len(idle) - spec.get("revisionHistoryLimit", 10))]:
        end(cluster, SETS, item)


def _tell(cluster: Cluster, place: Place, stored: Stored, mark: str) -> None:
    sets = [item for item in cluster.store.owned_by(stored.uid, SETS) if not item.meta.get("deletionTimestamp")]
    new = next((item for item in sets if (item.meta.get("labels") or {}).get(HASH) == mark), None)
    spec, before = stored.obj["spec"], stored.obj.get("status") or {}
    wanted, total = spec["replicas"], sum(_count(item, "replicas") for item in sets)
    available = sum(_count(item, "availableReplicas") for item in sets)
    counts = {
        "replicas": total,
        "updatedReplicas": _count(new, "replicas") if new else 0,
        "readyReplicas": sum(_count(item, "readyReplicas") for item in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(wanted, total) - available),
    }
    rolling = spec["strategy"].get("rollingUpdate") or {}
    missing = portion(rolling.get("maxUnavailable", "25%"), wanted, up=False) if rolling else 0
    enough = available >= wanted - missing
    conditions = [
        condition(
            cluster, before.get("conditions"), "Available", "True" if enough else "False",
            "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
            "Deployment has minimum availability." if enough else "Deployment does not have minimum availability.",
        ),
        _progress(cluster, place, stored, new, counts),
    ]  # fmt: skip
    for item in conditions:
        item.setdefault("lastUpdateTime", item["lastTransitionTime"])
    status = {
        "observedGeneration": stored.meta.get("generation", 1),
        **{key: value for key, value in counts.items() if value},
        "terminatingReplicas": sum(_count(item, "terminatingReplicas") for item in sets),
    }
    cluster.write(stored, DEPLOYMENTS, status={**status, "conditions": conditions})


def _progress(cluster: Cluster, place: Place, stored: Stored, new: Stored | None, counts: dict[str, int]) -> Object:
    before = stored.obj.get("status") or {}
    name = new.meta["name"] if new else ""
    wanted = stored.obj["spec"]["replicas"]
    whole = counts["updatedReplicas"] == counts["availableReplicas"] == counts["replicas"] == wanted
    conditions: list[Object] = before.get("conditions") or []
    old = next((item for item in conditions if item["type"] == "Progressing"), None)
    moved = old is None or before.get("observedGeneration") != stored.meta.get("generation", 1)
    moved |= any(before.get(key, 0) != counts[key] for key in ("updatedReplicas", "availableReplicas", "replicas"))
    updated = cluster.stamp() if moved or old is None else old.get("lastUpdateTime", cluster.stamp())

    def told(status: str, reason: str, message: str) -> Object:
        return condition(
            cluster, before.get("conditions"), "Progressing", status, reason, message, lastUpdateTime=updated
        )

    if stored.obj["spec"].get("paused"):
        return told("Unknown", "DeploymentPaused", "Deployment is paused")
    if whole:
        if old is not None and old.get("reason") == "NewReplicaSetAvailable" and not moved:
            return old
        return told("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
    limit = min(stored.obj["spec"].get("progressDeadlineSeconds", 600), cluster.options.deadline)
    if asked(cluster, stored, FAIL) == "ProgressDeadlineExceeded" or _template_asks(stored):
        limit = min(limit, cluster.options.start)
    left = epoch_of(updated) + limit - cluster.now()
    if left <= 0 or (old is not None and old.get("reason") == "ProgressDeadlineExceeded" and not moved):
        return told("False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
    cluster.wake(place, left)
    return told("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')


def _template_asks(stored: Stored) -> bool:
    marks = (stored.obj["spec"]["template"].get("metadata") or {}).get("annotations") or {}
    return bool(marks.get(FAIL) == "ProgressDeadlineExceeded")
