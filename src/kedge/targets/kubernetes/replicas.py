"""Replicas that an autoscaler owns are left to it.

Simply not sending `spec.replicas` would be wrong, even where Git has ceased to state it: a field that only we own is
removed when we stop sending it, and the server would set it to 1. So the live number is sent until somebody else owns
the field, and nothing from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from kedge.engine.fieldset import entries
from kedge.kube.client import MANAGER, Client
from kedge.model.errors import Denied
from kedge.model.manifest import Manifest
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks

KIND = ("autoscaling", "HorizontalPodAutoscaler")
KEPT = 30.0
_FIELD = ("f:spec", "f:replicas")
_SCALABLE = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet")})


def target_of(scaler: Mapping[str, Any]) -> Ref | None:
    """What an autoscaler scales: the ref of its scaleTargetRef, in its own namespace."""
    spec = scaler.get("spec")
    aim = spec.get("scaleTargetRef") if isinstance(spec, dict) else None
    if not isinstance(aim, dict):
        return None
    group = str(aim.get("apiVersion") or "").rpartition("/")[0]
    namespace = str((scaler.get("metadata") or {}).get("namespace") or "")
    return Ref(group, str(aim.get("kind") or ""), namespace, str(aim.get("name") or ""))


def scaled_in(manifests: Iterable[Manifest]) -> frozenset[Ref]:
    """What the autoscalers of a placed set scale."""
    found = (target_of(orjson.loads(m.body)) for m in manifests if m.ref.group_kind == KIND)
    return frozenset(ref for ref in found if ref is not None)


class Autoscalers:
    """What the live autoscalers of a cluster scale: one list for all of them, kept for half a minute; one for each
    namespace that is asked about, where all of them may not be listed at once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._found: frozenset[Ref] = frozenset()
        self._until: float | None = None
        self._inside: dict[str, frozenset[Ref]] = {}
        self._narrow = False
        self._declared: dict[str, frozenset[Ref]] = {}

    def declare(self, unit: str, targets: frozenset[Ref]) -> None:
        """What the autoscalers in a unit's own set scale, which may not be live yet."""
        if targets:
            self._declared[unit] = targets
        else:
            self._declared.pop(unit, None)

    async def targets(self, unit: str, namespaces: Iterable[str]) -> frozenset[Ref]:
        """What is scaled by any live autoscaler (in `namespaces` at least), or by one that `unit` declares."""
        async with self._lock:
            if self._until is None or self._client.clock.monotonic() >= self._until:
                found = await self._read("")
                self._found, self._narrow, self._inside = found or frozenset(), found is None, {}
                self._until = self._client.clock.monotonic() + KEPT
            inside: frozenset[Ref] = frozenset()
            for namespace in sorted(set(namespaces) - {""}) if self._narrow else ():
                if namespace not in self._inside:
                    # Not permitted to look even there: those that units declare are still known.
                    self._inside[namespace] = await self._read(namespace) or frozenset()
                inside |= self._inside[namespace]
            return self._found | inside | self._declared.get(unit, frozenset())

    async def _read(self, namespace: str) -> frozenset[Ref] | None:
        """None where they may not be listed."""
        kind = await self._client.discovery.find(*KIND)
        if kind is None:
            return frozenset()
        try:
            listing = await self._client.list(kind, namespace)
        except Denied:
            return None
        return frozenset(ref for ref in map(target_of, listing.items) if ref is not None)


def scalable(manifest: Manifest) -> bool:
    """Cheap: whether an autoscaler may scale the object at all."""
    return manifest.ref.group_kind in _SCALABLE or b'"replicas"' in manifest.body


def with_replicas_left(body: bytes, live: Mapping[str, Any] | None) -> bytes:
    """The body to send for an object that an autoscaler scales; `live` with its managedFields, None before creation."""
    wished = orjson.loads(body)
    spec, now = wished.get("spec"), (live or {}).get("spec")
    if live is None or not isinstance(spec, dict) or not isinstance(now, dict) or "replicas" not in now:
        return body
    if _held_by_others(live):
        spec.pop("replicas", None)
    else:
        spec["replicas"] = now["replicas"]
    return orjson.dumps(wished, option=orjson.OPT_SORT_KEYS)


def overridden(wished: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether `wished` states a number of replicas, and another one lives."""
    stated, now = ((seen.get("spec") or {}) for seen in (wished, live))
    return isinstance(stated, dict) and "replicas" in stated and stated["replicas"] != now.get("replicas")


def _held_by_others(live: Mapping[str, Any]) -> bool:
    return any(
        _FIELD in entry.fields
        for entry in entries(marks.managed_fields_of(live))
        if entry.manager != MANAGER or entry.operation != "Apply"
    )
