"""Scale, logs, eviction, binding, tokens, and the reviews that say yes."""

from __future__ import annotations

import orjson

from kedge.sandbox import decode
from kedge.sandbox.call import Call, parsed, parsed_object
from kedge.sandbox.cluster import Cluster, rfc3339
from kedge.sandbox.deletes import Wish, remove
from kedge.sandbox.logs import lines_of, waits_for
from kedge.sandbox.patches import json_patch, merge
from kedge.sandbox.problems import Cause, Problem, bad_request, conflict, invalid, method_not_allowed, not_found
from kedge.sandbox.routes import Target
from kedge.sandbox.store import Stored
from kedge.sandbox.tables import at
from kedge.sandbox.versions import as_served, served_raw
from kedge.sandbox.wire import Object, Request, Response, answer, copied
from kedge.sandbox.writes import JSON_PATCH, rewrite

TOKEN_SECONDS, MOST = 3600, 2**31 - 1


def scale_of(target: Target, stored: Stored) -> Object:
    """The ``Scale`` of anything that has replicas."""
    paths = target.kind.scale or {}
    obj, meta = stored.obj, stored.meta
    status: Object = {"replicas": at(obj, paths.get("statusReplicasPath", ".status.replicas").lstrip("."), 0)}
    where = "spec.selector" if target.kind.key == "replicationcontrollers." else "spec.selector.matchLabels"
    labels = at(obj, where) if not target.kind.custom else None
    if labels:
        status["selector"] = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    wanted = at(obj, paths.get("specReplicasPath", ".spec.replicas").lstrip("."), 0)
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": wanted} if wanted else {},
        "status": status,
    }


def scale(call: Call) -> Response:
    """PUT or PATCH of ``…/scale``."""
    stored = _there(call.cluster, call.target)
    shown = scale_of(call.target, stored)
    body = parsed(call.request.body)
    if call.request.method == "PATCH":
        by_json = call.request.headers.get("content-type", "").startswith(JSON_PATCH)
        body = json_patch(copied(shown), body) if by_json else merge(copied(shown), body)
    replicas = at(body, "spec.replicas", 0)
    if type(replicas) is not int or not 0 <= replicas <= MOST:
        told = f"Invalid value: {orjson.dumps(replicas).decode()}: must be greater than or equal to 0"
        raise invalid(call.target.kind, call.target.name, [Cause("FieldValueInvalid", told, "spec.replicas")])
    wanted = at(body, "metadata.resourceVersion")
    if wanted and wanted != stored.meta["resourceVersion"]:
        raise conflict(call.target.kind, call.target.name, "the object has been modified")
    path = (call.target.kind.scale or {}).get("specReplicasPath", ".spec.replicas").strip(".").split(".")

    def make(live: Stored) -> tuple[Object, list[str]]:
        made = copied(as_served(call.target.kind, live.obj))
        inner = made
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Problem(500, "InternalError", f"{'.'.join(path)} leads through {part}, which is no object")
        inner[path[-1]] = replicas
        return made, []

    rewrite(call, make)
    return answer(scale_of(call.target, _there(call.cluster, call.target)))


def log(cluster: Cluster, request: Request, target: Target) -> Response:
    """``GET pods/NAME/log``: a few lines that fit what became of the pod."""
    stored = _there(cluster, target)
    names = [item["name"] for item in stored.obj["spec"]["containers"]]
    names += [item["name"] for item in stored.obj["spec"].get("initContainers") or ()]
    wanted = request.query.get("container") or (names[0] if len(stored.obj["spec"]["containers"]) == 1 else "")
    if not wanted:
        raise bad_request(
            f"a container name must be specified for pod {target.name}, choose one of: [{' '.join(names)}]"
        )
    if wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {target.name}")
    if request.query.get("previous") == "true":
        raise bad_request(f'previous terminated container "{wanted}" in pod "{target.name}" not found')
    found = lines_of(stored.obj, wanted)
    if found is None:
        why = waits_for(stored.obj, wanted)
        raise bad_request(f'container "{wanted}" in pod "{target.name}" is waiting to start: {why}')
    tail = request.query.get("tailLines", "")
    lines = found[-int(tail) :] if tail.isdecimal() and len(tail) < 10 and int(tail) else [] if tail == "0" else found
    if request.query.get("timestamps") == "true":
        stamp = at(stored.obj, "status.startTime") or cluster.stamp()
        lines = [f"{stamp} {line}" for line in lines]
    return Response(200, {"content-type": "text/plain"}, "".join(line + "\n" for line in lines).encode())


def evict(call: Call) -> Response:
    stored = _there(call.cluster, call.target)
    if not call.dry:
        remove(call.cluster, call.target.kind, stored, Wish())
    return answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)


def bind(call: Call) -> Response:
    """A scheduler's binding of a pod to a node."""
    stored = _there(call.cluster, call.target)
    node = at(parsed(call.request.body), "target.name")
    if not isinstance(node, str) or not node:
        raise bad_request("a binding names its node in target.name")
    if stored.obj["spec"].get("nodeName"):
        raise conflict(call.target.kind, call.target.name, f"pod {call.target.name} is already assigned to node")
    if not call.dry:
        call.cluster.write(stored, "pods.", spec={**stored.obj["spec"], "nodeName": node})
    return answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)


def finalize(call: Call) -> Response:
    """PUT of ``namespaces/NAME/finalize``: its spec.finalizers, and nothing else."""
    body = parsed_object(call)
    stored = _there(call.cluster, call.target)
    decode.decode(call.target.kind, body)
    kept = at(body, "spec.finalizers", [])
    if not call.dry:
        stored = call.cluster.write(stored, "namespaces.", spec={**stored.obj.get("spec", {}), "finalizers": kept})
        call.cluster.wake(call.target.place)
    return answer(served_raw(call.target.kind, stored))


def token(call: Call) -> Response:
    _there(call.cluster, call.target)
    body = _object(call)
    seconds = at(body, "spec.expirationSeconds", TOKEN_SECONDS)
    if type(seconds) is not int or not 600 <= seconds <= MOST:
        raise bad_request("spec.expirationSeconds: may not specify a duration less than 10 minutes, or above 68 years")
    until = rfc3339(call.cluster.now() + seconds)
    body["status"] = {"token": "sandbox." + call.cluster.entropy(16), "expirationTimestamp": until}
    return answer(body, 201)


def review(call: Call) -> Response:
    """Every review answers yes: whoever reaches the sandbox may do everything in it."""
    kind = call.target.kind
    body = _object(call)
    user = {"username": "sandbox-admin", "groups": ["system:masters", "system:authenticated"]}
    if kind.kind == "SelfSubjectReview":
        body["status"] = {"userInfo": user}
    elif kind.kind == "TokenReview":
        body["status"] = {"authenticated": True, "user": user}
    elif kind.kind == "SelfSubjectRulesReview":
        every = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        body["status"] = {"resourceRules": [every], "nonResourceRules": [], "incomplete": False}
    else:
        body["status"] = {"allowed": True, "reason": "the sandbox allows everything"}
    body.update(kind=kind.kind, apiVersion=kind.api_version)
    return answer({"metadata": {"creationTimestamp": None}, **body}, 201)


def _object(call: Call) -> Object:
    body = parsed(call.request.body)
    if not isinstance(body, dict):
        raise bad_request("the body of the request is not an object")
    return body


def _there(cluster: Cluster, target: Target) -> Stored:
    stored = cluster.store.at(target.place)
    if stored is None:
        raise not_found(target.kind, target.name)
    return stored


def post(call: Call) -> Response:
    """POST on a subresource."""
    doers = {"eviction": evict, "binding": bind, "token": token}
    doer = doers.get(call.target.subresource)
    if doer is None:
        raise method_not_allowed()
    return doer(call)
