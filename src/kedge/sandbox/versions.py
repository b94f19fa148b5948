"""One object in the version it was asked for in: conversions change no more than the apiVersion, but of autoscalers."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.kinds import Kind
from kedge.sandbox.store import Stored
from kedge.sandbox.wire import Object

AUTOSCALERS = "horizontalpodautoscalers.autoscaling"
SHARE = "targetCPUUtilizationPercentage"
OLD = "autoscaling/v1"
COUNTS = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")


def as_served(kind: Kind, obj: Object) -> Object:
    """The stored object as this version shows it; shares what it can with what is stored."""
    if obj.get("apiVersion") == kind.api_version:
        return obj
    return _old_autoscaler(obj) if kind.api_version == OLD else {**obj, "apiVersion": kind.api_version}


def served_raw(kind: Kind, stored: Stored) -> bytes:
    """Its JSON."""
    if stored.obj.get("apiVersion") == kind.api_version:
        return stored.raw
    return orjson.dumps(as_served(kind, stored.obj))


def listed(kind: Kind, stored: Stored) -> bytes:
    """Its JSON as one of a list, which says for all of them what a built-in kind is called."""
    if kind.custom:
        return served_raw(kind, stored)
    shown = as_served(kind, stored.obj)
    return orjson.dumps({key: value for key, value in shown.items() if key not in ("apiVersion", "kind")})


def as_stored(cluster: Cluster, kind: Kind, obj: Object, live: Object | None) -> Object:
    """A written object in the version that is stored; from ``live`` comes what the written version has no words for."""
    keeper = cluster.stored_as.get(kind.key, kind)
    if obj.get("apiVersion") == keeper.api_version:
        return obj
    return {**(_new_autoscaler(obj, live) if kind.api_version == OLD else obj), "apiVersion": keeper.api_version}


Known = TypeVar("Known", Object, Object | None)


def owned_as(kind: Kind, live: Known) -> Known:
    """The object with the fields of every owner named as in this version."""
    if live is None or kind.key != AUTOSCALERS or "managedFields" not in live["metadata"]:
        return live
    here, there = (SHARE, "metrics") if kind.api_version == OLD else ("metrics", SHARE)
    entries = []
    for entry in live["metadata"]["managedFields"]:
        spec = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        named = {
            f"f:{here}" if key == f"f:{there}" else key: {} if key == f"f:{there}" else value
            for key, value in spec.items()
        }
        fields = {**entry["fieldsV1"], "f:spec": named} if spec else entry.get("fieldsV1")
        entries.append({**entry, "apiVersion": kind.api_version, "fieldsV1": fields})
    return {**live, "metadata": {**live["metadata"], "managedFields": entries}}


def _share_of(metric: Any) -> Any:
    """The share of its CPU that a metric aims at; None for any other metric."""
    resource = metric.get("resource") or {}
    return (resource.get("target") or {}).get("averageUtilization") if resource.get("name") == "cpu" else None


def _old_autoscaler(obj: Object) -> Object:
    spec, status = obj["spec"], obj.get("status") or {}
    shares = [share for share in map(_share_of, spec.get("metrics") or ()) if share is not None]
    shown = {key: value for key, value in spec.items() if key not in ("metrics", "behavior")}
    if shares:
        shown[SHARE] = shares[0]
    counts = {"currentReplicas": 0, **{key: status[key] for key in COUNTS if key in status}}
    return {**obj, "apiVersion": OLD, "spec": shown, "status": counts}


def _new_autoscaler(obj: Object, live: Object | None) -> Object:
    before: Object = (live or {}).get("spec") or {}
    spec = {key: value for key, value in obj["spec"].items() if key != SHARE}
    metrics = [metric for metric in before.get("metrics") or () if _share_of(metric) is None]
    if SHARE in obj["spec"]:
        target = {"type": "Utilization", "averageUtilization": obj["spec"][SHARE]}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if "behavior" in before:
        spec["behavior"] = before["behavior"]
    status: Object = {"desiredReplicas": 0, "currentMetrics": None, **((live or {}).get("status") or {})}
    status |= {key: value for key, value in (obj.get("status") or {}).items() if value}
    return {**obj, "spec": {**spec, "metrics": metrics}, "status": status}
