"""What the steps share: making objects, conditions, failures that were asked for, events."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import orjson

from kedge.sandbox import admit
from kedge.sandbox.cluster import LETTERS, Cluster
from kedge.sandbox.deletes import Wish, remove
from kedge.sandbox.kinds import Kind
from kedge.sandbox.selectors import all_hold, of_label_selector
from kedge.sandbox.store import Place, Stored
from kedge.sandbox.wire import Object, copied

FAIL = "sandbox.kedge.dev/fail"
DELAY = "sandbox.kedge.dev/delay"
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
SOURCES = {
    "Deployment": "deployment-controller",
    "ReplicaSet": "replicaset-controller",
    "Pod": "kubelet",
    "Job": "job-controller",
}
BURST, LATER = 500, 30.0
EVENTS = 5000


def make(cluster: Cluster, key: str, obj: Object) -> Stored:
    """Stores a new object of a controller, defaulted, stamped and checked like any other. Raises Problem (422) for what
    a template leads to and nobody could have written."""
    kind = cluster.stored_as[key]
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, **copied(obj)}
    admit.prepared(kind, obj)
    meta = obj["metadata"]
    meta["uid"] = cluster.uid()
    meta["creationTimestamp"] = cluster.stamp()
    if kind.generation:
        meta["generation"] = 1
    if kind.has_status and "status" not in obj:
        admit.reset_status(kind, obj)
    admit.decided(cluster, kind, obj, None)
    admit.checked(kind, obj, None)
    return cluster.store.put(key, obj)


def room(cluster: Cluster, place: Place, stored: Stored, wanted: int) -> int:
    """How many of the wanted pods may be made in this step: a burst at most (as the ReplicaSet controller does), and no
    more than the node takes. Where that is none, an event tells why, and the object has its turn again later."""
    made = sum(map(len, cluster.store.tables.get("pods.", {}).values()))
    free = cluster.options.pods - made
    if wanted > free:
        told = f"Error creating: the sandbox's node takes {cluster.options.pods} pods, and has them"
        event(cluster, stored, "FailedCreate", told, warning=True)
        cluster.wake(place, LATER)
    elif wanted > BURST:
        cluster.wake(place)
    return max(0, min(wanted, free, BURST))


def end(cluster: Cluster, key: str, stored: Stored, policy: str = "Background") -> None:
    """Deletes as a controller does."""
    remove(cluster, cluster.stored_as[key], stored, Wish(policy))


def owned(kind: Kind, stored: Stored) -> list[Object]:
    """The owner reference of a controller's object."""
    return [
        {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "name": stored.meta["name"],
            "uid": stored.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def controller_of(cluster: Cluster, stored: Stored) -> Stored | None:
    for owner in stored.meta.get("ownerReferences") or ():
        if owner.get("controller"):
            return cluster.store.by_uid(owner["uid"])
    return None


def pod_of(template: Object, name: str, namespace: str, owners: list[Object], labels: Object) -> Object:
    """A pod made from a template."""
    meta = template.get("metadata") or {}
    made: Object = {"name": name, "namespace": namespace, "labels": {**(meta.get("labels") or {}), **labels}}
    if meta.get("annotations"):
        made["annotations"] = dict(meta["annotations"])
    if meta.get("finalizers"):
        made["finalizers"] = list(meta["finalizers"])
    return {"metadata": {**made, "ownerReferences": owners}, "spec": template["spec"]}


def make_pod(cluster: Cluster, key: str, owner: Stored) -> Stored:
    """A pod of its controller's template, under a name that is drawn."""
    prefix, space = f"{owner.meta['name']}-", owner.meta["namespace"]
    made = pod_of(
        owner.obj["spec"]["template"], prefix + cluster.suffix(), space, owned(cluster.stored_as[key], owner), {}
    )
    made["metadata"]["generateName"] = prefix
    pod = make(cluster, "pods.", made)
    event(cluster, owner, "SuccessfulCreate", f"Created pod: {pod.meta['name']}")
    return pod


def claimed(cluster: Cluster, owner: Stored, kind: str, key: str) -> list[Stored]:
    """What an owner's selector takes and nobody controls becomes its own, as the sets a Deployment left behind."""
    terms = of_label_selector(owner.obj["spec"]["selector"])
    found = []
    for stored in list(cluster.store.tables.get(key, {}).get(owner.meta["namespace"], {}).values()):
        meta = stored.meta
        if meta.get("deletionTimestamp") or any(one.get("controller") for one in meta.get("ownerReferences") or ()):
            continue
        if all_hold(terms, meta.get("labels") or {}):
            owners = [*(meta.get("ownerReferences") or ()), *owned(cluster.stored_as[kind], owner)]
            found.append(cluster.write(stored, key, metadata={**meta, "ownerReferences": owners}))
    return found


def digest(value: Any, size: int = 10) -> str:
    """A short safe hash of a template, as names and labels carry it."""
    raw = sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in raw[:size])


def asked(cluster: Cluster, stored: Stored, name: str) -> str:
    """An annotation of the object or of whatever controls it."""
    seen: Stored | None = stored
    for _ in range(3):
        if seen is None:
            return ""
        value = (seen.meta.get("annotations") or {}).get(name)
        if value:
            return str(value)
        seen = controller_of(cluster, seen)
    return ""


def delay_of(cluster: Cluster, stored: Stored, usual: float) -> float:
    """Seconds that a step takes: as the object asks, else as usual."""
    match = DURATION.fullmatch(asked(cluster, stored, DELAY))
    return float(match[1]) * SECONDS[match[2]] if match else usual


def condition(
    cluster: Cluster, before: Any, type_: str, status: str, reason: str = "", message: str = "", **more: str
) -> Object:
    """A condition whose transition time moves only when its status does. ``before`` is the list it was in."""
    old = next((item for item in before or () if item["type"] == type_), None)
    since = old.get("lastTransitionTime") if old and old["status"] == status else cluster.stamp()
    made: Object = {"type": type_, "status": status, "lastTransitionTime": since, **more}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made


def is_ready(pod: Stored) -> bool:
    conditions = (pod.obj.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def is_active(pod: Stored) -> bool:
    return phase_of(pod) not in ("Succeeded", "Failed") and not pod.meta.get("deletionTimestamp")


def phase_of(pod: Stored) -> str:
    return str((pod.obj.get("status") or {}).get("phase", ""))


def event(cluster: Cluster, about: Stored, reason: str, message: str, warning: bool = False, source: str = "") -> None:
    """Records a core event, counting up one that says the same of the same object. A namespace keeps the newest."""
    obj, meta = about.obj, about.meta
    source = source or SOURCES.get(obj["kind"], "controller")
    name = f"{meta['name'][:200].rstrip('.-')}.{digest([about.uid, reason, message], 16)}"
    space = meta.get("namespace", "default")
    before = cluster.store.get("events.", space, name)
    stamp = cluster.stamp()
    if before is not None:
        cluster.write(before, "events.", count=before.obj.get("count", 1) + 1, lastTimestamp=stamp)
        return
    there = cluster.store.tables.get("events.", {}).get(space, {})
    if len(there) >= EVENTS:
        cluster.store.remove(Place("events.", space, next(iter(there))))
    reference = {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in meta}
    make(
        cluster,
        "events.",
        {
            "metadata": {"name": name, "namespace": space},
            "involvedObject": {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **reference},
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "source": {"component": source},
            "reportingComponent": source,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        },
    )
