"""Create, update, patch and apply: from a body to a stored object, asking for field management on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kedge.sandbox import admit, decode, patches
from kedge.sandbox.call import APPLY, Call, addressed, parsed, parsed_object, shallow, warned
from kedge.sandbox.fields import Applied, FieldCall
from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import (
    STALE,
    Problem,
    already_exists,
    bad_request,
    conflict,
    invalid,
    method_not_allowed,
    not_found,
    unknown_media,
    wrong,
)
from kedge.sandbox.store import Place, Stored
from kedge.sandbox.versions import as_served, as_stored, owned_as, served_raw
from kedge.sandbox.wire import Object, Response, answer, copied

Make = Callable[[Stored], tuple[Object, list[str]]]
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
CONDITIONAL = frozenset(
    {"runtimeclasses.node.k8s.io", "leases.coordination.k8s.io", "poddisruptionbudgets.policy",
     "csidrivers.storage.k8s.io", "csinodes.storage.k8s.io", "volumeattachments.storage.k8s.io",
     "mutatingwebhookconfigurations.admissionregistration.k8s.io",
     "validatingwebhookconfigurations.admissionregistration.k8s.io",
     "validatingadmissionpolicies.admissionregistration.k8s.io",
     "validatingadmissionpolicybindings.admissionregistration.k8s.io"}
)  # fmt: skip
"""Kinds of which nobody puts a version without saying which one it follows."""
SERVER_FIELDS = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)


def create(call: Call) -> Response:
    """POST on a collection."""
    target = call.target
    if target.kind.namespaced and target.namespace is None:
        raise method_not_allowed()
    obj = parsed_object(call)
    meta = obj["metadata"]
    if meta.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    admit.check_namespace(call, meta.get("name") or meta.get("generateName") or "")
    unknown = admit.shaped(call, obj)
    if target.kind.has_status:
        obj.pop("status", None)
    obj = managed(call, "update", None, obj)
    admit.stamp_new(call, obj)
    admit.decided(call.cluster, target.kind, obj, None)
    return stored_new(call, obj, unknown)


def stored_new(call: Call, obj: Object, unknown: list[str]) -> Response:
    """The end of every creation: validated, not yet there, stored unless it was only a try."""
    kind, name = call.target.kind, obj["metadata"].get("name", "")
    admit.checked(kind, obj, None)
    if call.cluster.store.get(kind.key, obj["metadata"].get("namespace", ""), name) is not None:
        raise already_exists(kind, name)
    kept = as_stored(call.cluster, kind, obj, None)
    if call.dry:
        return answer(as_served(kind, kept), 201, warned(unknown))
    fitting(call, kept, None)
    stored = call.cluster.store.put(kind.key, kept)
    return answer(served_raw(kind, stored), 201, warned(unknown))


def update(call: Call) -> Response:
    """PUT of an object or its status."""
    body = parsed_object(call)
    try:
        unknown = admit.shaped(call, body)
    except Problem as problem:
        if problem.code == 422:  # what it would replace comes first
            _meant(call, body["metadata"], _live(call))
        raise

    def make(live: Stored) -> tuple[Object, list[str]]:
        _meant(call, body["metadata"], live)
        return copied(body), unknown

    return rewrite(call, make)


def _meant(call: Call, meta: Object, live: Stored) -> None:
    """What is put in an object's place says which one it means, and of some kinds in which version. Nobody else asks
    before a change is tried. Raises Problem (409, 422)."""
    kind, name = call.target.kind, call.target.name
    if meta.get("uid") and meta["uid"] != live.uid:
        why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {live.uid}"
        raise conflict(kind, name, why)
    if (kind.custom or kind.key in CONDITIONAL) and not meta.get("resourceVersion"):
        raise invalid(
            replace(kind, kind=kind.plural),
            name,
            [wrong("metadata.resourceVersion", 0, "must be specified for an update")],
        )


def patch(call: Call) -> Response:
    """PATCH by its content type."""
    content = call.request.headers.get("content-type", "").partition(";")[0].strip()
    if content == APPLY:
        return apply(call)
    kind = call.target.kind
    accepted = (JSON_PATCH, MERGE, APPLY) if kind.custom else (JSON_PATCH, MERGE, STRATEGIC, APPLY)
    if content not in accepted:
        raise unknown_media(accepted)
    body = parsed(call.request.body)

    def make(live: Stored) -> tuple[Object, list[str]]:
        base = copied(as_served(kind, live.obj))
        if content == JSON_PATCH:
            changed = patches.json_patch(base, body)
            shallow(changed, "the patched document")
        elif not isinstance(body, dict):
            raise bad_request(
                "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
            )
        else:
            changed = patches.merge(base, body) if content == MERGE else patches.strategic(kind.type, base, body)
        if not isinstance(changed, dict):
            raise bad_request("the patched document is no object")
        if not kind.namespaced and isinstance(changed.get("metadata"), dict):
            changed["metadata"].pop("namespace", None)  # no patch gives it one
        changed = addressed(call, changed)
        lets_go = changed["metadata"].get("managedFields") == []
        try:
            unknown = admit.shaped(call, changed, patch=True)
            if lets_go:
                changed["metadata"]["managedFields"] = []
            return changed, unknown
        except decode.Unreadable as error:
            raise decode.misfit_patch(error.why, patches.shown(changed)) from error

    return rewrite(call, make)


def rewrite(call: Call, make: Make) -> Response:
    """Makes a new version of a live object and stores it."""
    live = _live(call)
    obj, unknown = make(live)
    try:
        _keep_identity(call, obj, live)
        if "managedFields" not in obj["metadata"] and "managedFields" in live.meta:
            obj["metadata"]["managedFields"] = live.meta["managedFields"]
        before = as_served(call.target.kind, live.obj)
        _part_of(call, obj, before)
        obj = managed(call, "update", before, obj)
        admit.decided(call.cluster, call.target.kind, obj, live.obj)
        return replaced(call, obj, live, unknown)
    except Problem as problem:  # what was dropped is told beside the refusal
        problem.headers = {**(problem.headers or {}), **warned(unknown)}
        raise


def apply(call: Call) -> Response:
    """Server-side apply: 201 when it created the object, 200 when it changed it or found it so."""
    body = parsed(call.request.body)
    if not isinstance(body, dict):
        raise bad_request("the applied configuration is not an object")
    for field in ("apiVersion", "kind"):
        if not body.get(field):
            raise bad_request(f"error decoding YAML: Object '{field.title()}' is missing in the applied configuration")
    applied = addressed(call, body)
    if applied["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    for field in ("uid", "creationTimestamp", "selfLink", "generation"):
        if applied["metadata"].get(field) is None:
            applied["metadata"].pop(field, None)
    if call.target.kind.has_status and call.target.subresource != "status":
        applied.pop("status", None)
    live = call.cluster.store.at(call.target.place)
    if live is None:
        return _apply_new(call, applied)
    _preconditions(call, applied["metadata"], live)
    obj = managed(call, "apply", as_served(call.target.kind, live.obj), applied)
    unknown = admit.shaped(call, obj, patch=True)
    _keep_identity(call, obj, live)
    _part_of(call, obj, as_served(call.target.kind, live.obj))
    admit.decided(call.cluster, call.target.kind, obj, live.obj)
    return replaced(call, obj, live, unknown)


def _apply_new(call: Call, applied: Object) -> Response:
    if call.target.subresource:
        raise not_found(call.target.kind, call.target.name)
    meta = applied["metadata"]
    if meta.get("uid"):
        told = f"the provided object specified uid {meta['uid']}, and no existing object was found"
        raise conflict(call.target.kind, call.target.name, f"uid mismatch: {told}")
    admit.check_namespace(call, call.target.name)
    obj = managed(call, "apply", None, applied)
    unknown = admit.shaped(call, obj, patch=True)
    admit.stamp_new(call, obj)
    admit.decided(call.cluster, call.target.kind, obj, None)
    return stored_new(call, obj, unknown)


def managed(call: Call, verb: str, live: Object | None, new: Object) -> Object:
    """The object with its owners; raises Problem: 409 with a cause per conflict, or what the field manager refused."""
    stamp, target = call.cluster.stamp(), call.target
    live, new = owned_as(target.kind, live), owned_as(target.kind, new)
    question = FieldCall(verb, target.kind, live, new, call.manager, stamp, call.force, target.subresource)
    reply = call.cluster.fields.ask(question)
    if isinstance(reply, Applied):
        if verb == "update" and live is not None and new["metadata"].get("managedFields") == []:
            reply.object["metadata"].pop("managedFields", None)  # an empty list lets go of everything
        return reply.object
    status = reply.status
    if status.get("code") == 500 and verb == "update":  # what no owner can be found for is most often invalid
        admit.checked(target.kind, new, live)
    raise Problem(status.get("code", 500), status.get("reason", ""), status.get("message", ""), status.get("details"))


def _live(call: Call) -> Stored:
    live = call.cluster.store.at(call.target.place)
    if live is None:
        raise not_found(call.target.kind, call.target.name)
    return live


def _preconditions(call: Call, meta: Object, live: Stored) -> None:
    kind, name = call.target.kind, call.target.name
    if meta.get("resourceVersion") and meta["resourceVersion"] != live.meta["resourceVersion"]:
        raise conflict(kind, name, STALE)
    if meta.get("uid") and meta["uid"] != live.uid:
        raise invalid(kind, name, [wrong("metadata.uid", meta["uid"], "field is immutable")])


def _keep_identity(call: Call, obj: Object, live: Stored) -> None:
    meta = obj["metadata"]
    _preconditions(call, meta, live)
    for field in SERVER_FIELDS:
        if field in live.meta:
            meta[field] = live.meta[field]
        else:
            meta.pop(field, None)
    meta["resourceVersion"] = live.meta["resourceVersion"]


def _part_of(call: Call, obj: Object, live: Object) -> None:
    """A status write changes nothing but the status, any other write everything but it."""
    if not call.target.kind.has_status:
        return
    if call.target.subresource != "status":
        if "status" in live:
            obj["status"] = live["status"]
        else:
            obj.pop("status", None)
        return
    for field in list(obj):
        if field not in ("status", "metadata", "apiVersion", "kind"):
            del obj[field]
    obj.update({key: value for key, value in live.items() if key not in ("status", "metadata", "apiVersion", "kind")})
    managed = obj["metadata"].get("managedFields")
    obj["metadata"] = dict(live["metadata"])
    if managed is not None:
        obj["metadata"]["managedFields"] = managed


def replaced(call: Call, obj: Object, live: Stored, unknown: list[str]) -> Response:
    """The end of every change: generation, validation, nothing written when nothing differs, last finalizer gone."""
    kind, store = call.target.kind, call.cluster.store
    before = as_served(kind, live.obj)
    counts = kind.generation and kind.key != "priorityclasses.scheduling.k8s.io"
    if counts and (_noted(kind, obj) != _noted(kind, before) or _intent(kind, obj) != _intent(kind, before)):
        obj["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1
    admit.checked(kind, obj, before)
    if same(obj, before):
        return answer(served_raw(kind, live), 200, warned(unknown))
    if call.dry:
        return answer(obj, 200, warned(unknown))
    if finished(Stored(obj, 0)):  # nobody sees the version that lets go of the last finalizer
        store.remove(Place(kind.key, live.meta.get("namespace", ""), live.meta["name"]))
        return answer(obj, 200, warned(unknown))
    kept = as_stored(call.cluster, kind, obj, live.obj)
    fitting(call, kept, live)
    stored = store.put(kind.key, kept)
    return answer(served_raw(kind, stored), 200, warned(unknown))


def fitting(call: Call, kept: Object, live: Stored | None) -> None:
    """As etcd, which refuses large objects only when they are to be stored. Built-in kinds are bounded by their own
    validation; small ones are not measured."""
    if not call.target.kind.custom:
        return
    limit = call.cluster.options.object_limit
    rough = len(call.request.body) + (len(live.raw) if live is not None else 0)
    if rough > limit // 2 and len(Stored(kept, 0).raw) > limit:
        raise Problem(500, "", "etcdserver: request is too large")


def finished(stored: Stored) -> bool:
    """Whether an object on its way out has nothing left to wait for."""
    meta = stored.meta
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return not (stored.obj.get("kind") == "Namespace" and (stored.obj.get("spec") or {}).get("finalizers"))


def _noted(kind: Kind, obj: Object) -> Object | None:
    """Of a Deployment its annotations count as well."""
    return obj["metadata"].get("annotations") if kind.key == "deployments.apps" else None


def _intent(kind: Kind, obj: Object) -> Object:
    skip = ("metadata", "apiVersion", "kind", "status") if kind.has_status else ("metadata", "apiVersion", "kind")
    return {key: value for key, value in obj.items() if key not in skip}


def same(left: Object, right: Object) -> bool:
    """Equal but for the times in managedFields."""
    if any(left.get(key) != right.get(key) for key in {**left, **right} if key != "metadata"):
        return False
    one, other = left["metadata"], right["metadata"]
    if any(one.get(key) != other.get(key) for key in {**one, **other} if key != "managedFields"):
        return False
    return _timeless(one.get("managedFields")) == _timeless(other.get("managedFields"))


def _timeless(entries: list[Object] | None) -> list[Object]:
    return [{key: value for key, value in entry.items() if key != "time"} for entry in entries or ()]
