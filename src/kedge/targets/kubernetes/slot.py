"""One live object as the index keeps it: what decisions need, and its bytes without noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

import orjson

from kedge.engine.effects import canonical
from kedge.model.health import Health
from kedge.model.operation import Sight
from kedge.model.pair import Owner
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.judging import PLAIN, Judging
from kedge.targets.kubernetes.owners import hands, mark_of, owners_fingerprint


@dataclass(frozen=True, slots=True)
class Slot:
    """`owner` is the owner annotation, `mark` another program's claim, `hands` are people's managers with fields on it.

    `body` is JSON without managedFields; `gated` tells whether its kind has a notion of health to wait for.
    """

    ref: Ref
    uid: str
    version: str
    fingerprint: str
    health: Health
    gated: bool
    owner: str
    mark: Owner | None
    hands: tuple[str, ...]
    operation: str
    hook: bool
    terminating: bool
    finalizers: tuple[str, ...]
    body: bytes

    @property
    def unit(self) -> str:
        return marks.split_owner(self.owner)[1]

    @property
    def installation(self) -> str:
        return marks.split_owner(self.owner)[0]

    def object(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.body)
        return found


def ref_of(obj: Mapping[str, Any]) -> Ref:
    metadata = obj.get("metadata") or {}
    group = intern(str(obj.get("apiVersion") or "").rpartition("/")[0])
    kind, namespace = intern(str(obj.get("kind") or "")), intern(str(metadata.get("namespace") or ""))
    return Ref(group, kind, namespace, str(metadata.get("name") or ""))


def slot_of(ref: Ref, obj: Mapping[str, Any], now: float, judging: Judging = PLAIN, reports: bool = True) -> Slot:
    """Read a live object, with its managedFields where it has them."""
    metadata = obj.get("metadata") or {}
    health, gated = judging.judged(obj, now, reports)
    finalizers = metadata.get("finalizers")
    return Slot(
        ref=ref,
        uid=str(metadata.get("uid") or ""),
        version=str(metadata.get("resourceVersion") or ""),
        fingerprint=owners_fingerprint(obj),
        health=health,
        gated=gated,
        owner=intern(marks.owner_of(obj)),
        mark=mark_of(obj),
        hands=hands(obj),
        operation=str(marks.annotations_of(obj).get(marks.OPERATION) or ""),
        hook=marks.HOOK_OF in marks.labels_of(obj),
        terminating=bool(metadata.get("deletionTimestamp")),
        finalizers=tuple(map(str, finalizers)) if isinstance(finalizers, list) else (),
        body=_written(bare(obj)),
    )


def _written(obj: Mapping[str, Any]) -> bytes:
    """As JSON, also where an object is nested deeper than can be written quickly: one alone must not end the watch of
    its kind."""
    try:
        return orjson.dumps(obj)
    except TypeError:
        return canonical(obj).encode("utf-8", "surrogatepass")


def bare(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object without managedFields: an account of the past that is as large as the object itself."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def newer(one: str, other: str) -> bool:
    """Whether resource version `one` is not older than `other`. Numbers compare (a promise of Kubernetes 1.35, and so
    ever since); anything else counts as newer."""
    if one.isdigit() and other.isdigit():
        return int(one) >= int(other)
    return True


def sight_of(slot: Slot, message: str) -> Sight:
    return Sight(
        ref=slot.ref,
        exists=True,
        status=slot.health.status.value,
        message=message,
        fingerprint=slot.fingerprint,
        uid=slot.uid,
        operation=slot.operation,
        terminating=slot.terminating,
        finalizers=slot.finalizers,
        gated=slot.gated or slot.terminating,
    )
