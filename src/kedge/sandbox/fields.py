"""Field management, asked of the outside: who owns which field, and who is in whose way.

The sandbox never computes managedFields itself: every write that a request makes asks the ``Fields`` it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from kedge.sandbox.kinds import Kind
from kedge.sandbox.wire import Object


@dataclass(frozen=True, slots=True)
class FieldCall:
    """One question. ``verb`` is ``apply`` (``new`` is the applied configuration) or ``update`` (``new`` is the whole
    object as it would be stored). ``live`` is None for a creation. ``time`` is RFC 3339. ``kind.schema`` is a custom
    kind's schema.
    """

    verb: str
    kind: Kind
    live: Object | None
    new: Object
    manager: str
    time: str
    force: bool = False
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """The object as it would be, with its managedFields. The object is the asker's from now on."""

    object: Object


@dataclass(frozen=True, slots=True)
class Refused:
    """A Kubernetes Status that says why not: 409 with one cause per field for conflicts, 500 for what can not be
    merged."""

    status: Mapping[str, Any]


Answer = Applied | Refused


class Fields(Protocol):
    """A field manager. It must not keep or change what it was given."""

    def ask(self, call: FieldCall) -> Answer: ...


class Manager(Protocol):
    """A field manager over bytes, such as the one of the native worker. What it answers has ``body`` and ``status``."""

    def apply(self, live: bytes | None, applied: bytes, ask: Any) -> Any: ...

    def update(self, live: bytes | None, new: bytes, ask: Any) -> Any: ...


POD: Object = {"metadata": {}, "spec": {"containers": None}}
SPECIFIED = (
    "limitranges.", "namespaces.", "nodes.", "persistentvolumes.", "replicationcontrollers.", "resourcequotas.",
    "services.", "ingressclasses.networking.k8s.io", "ingresses.networking.k8s.io", "poddisruptionbudgets.policy",
    "csidrivers.storage.k8s.io", "leases.coordination.k8s.io", "apiservices.apiregistration.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
)  # fmt: skip
EMPTY: dict[str, Object] = {
    **{key: {"spec": {}} for key in SPECIFIED},
    "events.": {"involvedObject": {}, "source": {}},
    "persistentvolumeclaims.": {"spec": {"resources": {}}},
    "pods.": {"spec": {"containers": None}},
    "podtemplates.": {"template": POD},
    "daemonsets.apps": {"spec": {"template": POD, "updateStrategy": {}}},
    "deployments.apps": {"spec": {"strategy": {}, "template": POD}},
    "replicasets.apps": {"spec": {"template": POD}},
    "statefulsets.apps": {"spec": {"template": POD, "updateStrategy": {}}},
    "cronjobs.batch": {"spec": {"jobTemplate": {"metadata": {}, "spec": {"template": POD}}}},
    "jobs.batch": {"spec": {"template": POD}},
    "horizontalpodautoscalers.autoscaling": {"spec": {"scaleTargetRef": {}}},
    "networkpolicies.networking.k8s.io": {"spec": {"podSelector": {}}},
    "volumeattachments.storage.k8s.io": {"spec": {"source": {}}},
    "customresourcedefinitions.apiextensions.k8s.io": {"spec": {"names": {}}},
}


def empty(kind: Kind) -> Object | None:
    """What a new object is compared to: the structures that one of this kind never lacks, which nobody owns."""
    always = EMPTY.get(kind.key)
    return {"apiVersion": kind.api_version, "kind": kind.kind, **always} if always and not kind.custom else None


class ManagedBy:
    """Makes ``Fields`` of a ``Manager``; ``ask`` builds its options (manager, force, subresource, now, reset,
    schema)."""

    def __init__(self, manager: Manager, ask: Callable[..., Any]) -> None:
        self._manager = manager
        self._ask = ask
        self._schemas: dict[tuple[str, str], tuple[Object, bytes]] = {}

    def ask(self, call: FieldCall) -> Answer:
        options = self._ask(
            manager=call.manager,
            force=call.force,
            subresource=call.subresource,
            now=call.time,
            schema=self._schema(call.kind),
        )
        before = empty(call.kind) if call.live is None and call.verb == "update" else call.live
        live = None if before is None else orjson.dumps(before)
        serve = self._manager.apply if call.verb == "apply" else self._manager.update
        managed = serve(live, orjson.dumps(call.new), options)
        return Refused(managed.status) if managed.status else Applied(orjson.loads(managed.body))

    def _schema(self, kind: Kind) -> bytes:
        if not kind.custom or kind.schema is None:
            return b""
        known = self._schemas.get((kind.key, kind.version))
        if known is None or known[0] is not kind.schema:
            known = self._schemas[kind.key, kind.version] = (kind.schema, orjson.dumps(kind.schema))
        return known[1]
