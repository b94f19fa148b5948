"""What Kedge writes onto objects: to find them again by watch, and to prove whose they are.

Labels can be selected but are short and copied by controllers (a Service's go to its EndpointSlices); so the annotation
holds the exact owner, and a copy is told from the original by who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from kedge.kube.client import MANAGER

UNIT = "kedge.dev/unit"
SHARD = "kedge.dev/shard"
HOOK_OF = "kedge.dev/hook-of"
OWNER = "kedge.dev/owner"
OPERATION = "kedge.dev/operation"
PHASE = "kedge.dev/phase"
PINNED = "kedge.dev/pinned"
ALL = frozenset({UNIT, SHARD, HOOK_OF, OWNER, OPERATION, PHASE, PINNED})
"""Only Kedge writes these. Other names of `kedge.dev/` are what people say about their objects in Git."""
SHARDS = 64
_MAX_LABEL = 63
_ODD = re.compile(r"[^a-z0-9.-]+")


@lru_cache(maxsize=128)
def unit_label(unit: str) -> str:
    """A label value for any unit name: readable, and unique by its hash: `shop-web-prod-1f0c9a77`."""
    tail = sha256(unit.encode()).hexdigest()[:8]
    head = _ODD.sub("-", unit.lower())[: _MAX_LABEL - len(tail) - 1].strip("-.")
    return f"{head}-{tail}" if head else tail


@lru_cache(maxsize=128)
def shard_of(unit: str) -> str:
    """ "0" to "63", by hash of the unit's name."""
    return str(int.from_bytes(sha256(unit.encode()).digest()[-2:]) % SHARDS)


def owner_text(installation: str, unit: str) -> str:
    return f"{installation}:{unit}"


def split_owner(text: str) -> tuple[str, str]:
    """(installation, unit) of an owner annotation; ("", "") when it is none."""
    installation, colon, unit = text.partition(":")
    return (installation, unit) if colon and installation and unit else ("", "")


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return _map(_map(obj.get("metadata")).get("annotations"))


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return _map(_map(obj.get("metadata")).get("labels"))


def owner_of(obj: Mapping[str, Any]) -> str:
    return str(annotations_of(obj).get(OWNER) or "")


def uid_of(obj: Mapping[str, Any]) -> str:
    return str(_map(obj.get("metadata")).get("uid") or "")


def managed_fields_of(obj: Mapping[str, Any]) -> list[Any]:
    found = _map(obj.get("metadata")).get("managedFields")
    return found if isinstance(found, list) else []


def applied_here(obj: Mapping[str, Any]) -> bool:
    """Whether Kedge itself applied the object under this API group, by the server's own record of managers."""
    group = str(obj.get("apiVersion") or "").rpartition("/")[0]
    return any(
        isinstance(entry, dict)
        and entry.get("manager") == MANAGER
        and str(entry.get("apiVersion") or "").rpartition("/")[0] == group
        for entry in managed_fields_of(obj)
    )


def is_copy(obj: Mapping[str, Any]) -> bool:
    """Marks that a controller copied onto an object of its own (a Deployment's annotations go to its ReplicaSets)."""
    owners = _map(obj.get("metadata")).get("ownerReferences")
    controlled = isinstance(owners, list) and any(isinstance(o, dict) and o.get("controller") is True for o in owners)
    return controlled and not applied_here(obj)


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
