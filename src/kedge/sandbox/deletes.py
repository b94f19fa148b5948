"""Delete and deletecollection: preconditions, finalizers, propagation, grace."""

from __future__ import annotations

from dataclasses import dataclass, replace

import orjson

from kedge.sandbox import decode, definitions
from kedge.sandbox.call import Call, parsed
from kedge.sandbox.cluster import Cluster, rfc3339
from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import Cause, bad_request, conflict, forbidden, invalid, not_found, unsupported, wrong
from kedge.sandbox.reads import number_of, selection_of
from kedge.sandbox.store import Place, Stored
from kedge.sandbox.versions import as_served, listed, served_raw
from kedge.sandbox.wire import Object, Response, answer
from kedge.sandbox.writes import finished

KEPT_NAMESPACES = frozenset({"default", "kube-public", "kube-system"})
RETURNED = frozenset(
    {"pods.", "podtemplates.", "services.", "serviceaccounts.", "persistentvolumes.", "persistentvolumeclaims.",
     "resourcequotas.", "csidrivers.storage.k8s.io", "csinodes.storage.k8s.io", "storageclasses.storage.k8s.io",
     "volumeattachments.storage.k8s.io"}
)  # fmt: skip
"""Kinds whose deletion is answered with what they were."""
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
USUAL = {"jobs.batch": "Orphan", "replicationcontrollers.": "Orphan"}
"""What becomes of what it owned where nobody says: two old kinds leave it behind."""
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""What a definition waits for on its way out: that no object of its kind is left."""


@dataclass(frozen=True, slots=True)
class Wish:
    """``DeleteOptions`` as far as they matter."""

    policy: str = ""
    uid: str = ""
    resource_version: str = ""
    grace: int | None = None


def wish_of(call: Call) -> Wish:
    """From the body, or, where it is empty, from the query."""
    body = parsed(call.request.body) if call.request.body.strip() else {}
    if not isinstance(body, dict):
        raise bad_request("the body of a delete request is DeleteOptions")
    decode.decode(OPTIONS, body)
    if body.get("dryRun") not in (None, ["All"]):
        raise invalid(OPTIONS, "", [unsupported("dryRun", body["dryRun"], ("All",))])
    query = call.request.query
    before = body.get("preconditions") or {}
    policy = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
    if policy not in ("", "Orphan", "Background", "Foreground"):
        told = f'Unsupported value: "{policy}": supported values: "Background", "Foreground", "Orphan"'
        raise invalid(OPTIONS, "", [Cause("FieldValueNotSupported", told, "propagationPolicy")])
    if policy and "orphanDependents" in body:
        told = "orphanDependents and deletionPropagation cannot be both set"
        raise invalid(OPTIONS, "", [wrong("propagationPolicy", policy, told)])
    if body.get("orphanDependents"):
        policy = "Orphan"
    grace = body["gracePeriodSeconds"] if "gracePeriodSeconds" in body else number_of(query, "gracePeriodSeconds", -1)
    return Wish(policy, before.get("uid") or "", before.get("resourceVersion") or "", None if grace < 0 else grace)


OPTIONS = Kind("meta.k8s.io", "v1", "deleteoptions", "DeleteOptions", False, type="meta.v1.DeleteOptions")


def dry(call: Call) -> bool:
    """A delete may ask for a dry run in its body, too."""
    if call.dry or not call.request.body.strip():
        return call.dry
    body = parsed(call.request.body)
    return isinstance(body, dict) and body.get("dryRun") == ["All"]


def delete(call: Call) -> Response:
    """DELETE of one object."""
    kind, name = call.target.kind, call.target.name
    wish = wish_of(call)
    live = call.cluster.store.at(call.target.place)
    if live is None:
        raise not_found(kind, name)
    if kind.key == "namespaces." and name in KEPT_NAMESPACES:
        raise forbidden(kind, name, "this namespace may not be deleted")
    _preconditions(kind, name, wish, live)
    going = leaving(call.cluster, kind, live, wish)
    if going is None:
        if not dry(call):
            call.cluster.store.remove(call.target.place)
        if kind.key not in RETURNED:
            return answer(_gone(kind, live))
        version = live.meta["resourceVersion"] if dry(call) else str(call.cluster.store.rv)
        return answer({**as_served(kind, live.obj), "metadata": {**live.meta, "resourceVersion": version}})
    if dry(call) or going is live.obj:
        return answer(as_served(kind, going))
    return answer(served_raw(kind, call.cluster.store.put(kind.key, going)))


def _preconditions(kind: Kind, name: str, wish: Wish, live: Stored) -> None:
    """Raises Problem (409), which names the kind where other conflicts name the resource."""
    told = ""
    if wish.uid and wish.uid != live.uid:
        told = f"the UID in the precondition ({wish.uid}) does not match the UID in record ({live.uid})"
    elif wish.resource_version and wish.resource_version != live.meta["resourceVersion"]:
        seen = f"does not match the ResourceVersion in record ({live.meta['resourceVersion']})"
        told = f"the ResourceVersion in the precondition ({wish.resource_version}) {seen}"
    if told:
        raise conflict(replace(kind, plural=kind.kind), name, told)


def _gone(kind: Kind, live: Stored) -> Object:
    details = {"name": live.meta["name"], "group": kind.group, "kind": kind.plural, "uid": live.uid}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def leaving(cluster: Cluster, kind: Kind, live: Stored, wish: Wish) -> Object | None:
    """The object as it is on its way out, or None where nothing holds it any longer."""
    meta = live.meta
    finalizers = [item for item in meta.get("finalizers") or () if item not in (ORPHAN, FOREGROUND)]
    policy = wish.policy
    if not policy:
        kept = set(meta.get("finalizers") or ())
        policy = "Orphan" if ORPHAN in kept else "Foreground" if FOREGROUND in kept else USUAL.get(kind.key, "")
    if kind.key == definitions.KEY and CLEANUP not in finalizers and "deletionTimestamp" not in meta:
        finalizers.append(CLEANUP)
    if policy == "Orphan":
        finalizers.append(ORPHAN)
    elif policy == "Foreground":
        finalizers.append(FOREGROUND)
    grace = _grace(cluster, kind, live, wish)
    made: Object = dict(meta)
    made.pop("finalizers", None)
    if finalizers:
        made["finalizers"] = finalizers
    if "deletionTimestamp" not in meta or grace < meta.get("deletionGracePeriodSeconds", 0):
        made["deletionTimestamp"] = rfc3339(cluster.now() + grace)
        if kind.key != "namespaces.":
            made["deletionGracePeriodSeconds"] = grace
    if made == meta:
        return live.obj
    if kind.generation and "deletionTimestamp" not in meta:
        made["generation"] = meta.get("generation", 0) + 1
    going = {**live.obj, "metadata": made}
    if kind.key == "namespaces.":
        going["status"] = {**(live.obj.get("status") or {}), "phase": "Terminating"}
    return None if finished(Stored(going, 0)) else going


def _grace(cluster: Cluster, kind: Kind, live: Stored, wish: Wish) -> int:
    """Only pods that run somewhere get time to end."""
    if kind.key != "pods.":
        return 0
    if wish.grace is not None:
        return max(0, wish.grace)
    spec = live.obj["spec"]
    phase = (live.obj.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    return int(spec.get("terminationGracePeriodSeconds", 30))


def delete_collection(call: Call) -> Response:
    """DELETE on a collection: everything a selector takes; answers the list of what was there."""
    kind, wish = call.target.kind, wish_of(call)
    chosen = selection_of(kind, call.request.query)
    found = [stored for stored in call.cluster.store.scan(kind.key, call.target.namespace) if chosen.takes(stored.obj)]
    if not dry(call):
        for stored in found:
            remove(call.cluster, kind, stored, wish)
    return answer(
        {
            "kind": kind.list_kind,
            "apiVersion": kind.api_version,
            "metadata": {"resourceVersion": str(call.cluster.store.rv)},
            "items": [orjson.Fragment(listed(kind, stored)) for stored in found],
        }
    )


def remove(cluster: Cluster, kind: Kind, stored: Stored, wish: Wish) -> None:
    """What a controller does to delete: the same road as a request's, without preconditions."""
    going = leaving(cluster, kind, stored, wish)
    if going is None:
        cluster.store.remove(Place(kind.key, stored.meta.get("namespace", ""), stored.meta["name"]))
    elif going is not stored.obj:
        cluster.store.put(kind.key, going)
