"""One object in the version it was asked for in: conversions change no more than the apiVersion."""

from __future__ import annotations

import orjson

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.kinds import Kind
from kedge.sandbox.store import Stored
from kedge.sandbox.wire import Object


def as_served(kind: Kind, obj: Object) -> Object:
    """The stored object as this version shows it; shares everything below the top with what is stored."""
    return obj if obj.get("apiVersion") == kind.api_version else {**obj, "apiVersion": kind.api_version}


def served_raw(kind: Kind, stored: Stored) -> bytes:
    """Its JSON."""
    if stored.obj.get("apiVersion") == kind.api_version:
        return stored.raw
    return orjson.dumps(as_served(kind, stored.obj))


def listed(kind: Kind, stored: Stored) -> bytes:
    """Its JSON as one of a list, which says for all of them what a built-in kind is called."""
    if kind.custom:
        return served_raw(kind, stored)
    return orjson.dumps({key: value for key, value in stored.obj.items() if key not in ("apiVersion", "kind")})


def as_stored(cluster: Cluster, kind: Kind, obj: Object) -> Object:
    """A written object in the version that is stored."""
    keeper = cluster.stored_as.get(kind.key, kind)
    if obj.get("apiVersion") != keeper.api_version:
        obj["apiVersion"] = keeper.api_version
    return obj
