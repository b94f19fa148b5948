"""Between a body and the store: decoding, defaulting, what the server itself decides, validation."""

from __future__ import annotations

import base64
import zlib
from ipaddress import IPv4Address

from kedge.sandbox import decode, defaults, schemas, validate, validate_shape
from kedge.sandbox.call import Call
from kedge.sandbox.cluster import Cluster
from kedge.sandbox.kinds import NAMED, Kind
from kedge.sandbox.problems import Cause, Problem, forbidden, invalid, not_found
from kedge.sandbox.wire import Object, copied

SERVICE_NET = int(IPv4Address("10.96.0.0"))
SERVICE_NET_SIZE = 65_000
NODE_PORTS = 2768
ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN: Object = {
    "defaultMode": 420,
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ],
}  # fmt: skip


def shaped(call: Call, obj: Object, patch: bool = False) -> list[str]:
    """Decodes in place, drops what is unknown and fills in defaults; answers the unknown paths.

    Raises Problem: 400 for a wrong type, or, with strict validation, for unknown fields (422 where they came by a
    patch); 422 for what lacks a field without which nothing can be made of it.
    """
    kind = call.target.kind
    unknown = prepared(kind, obj)
    lacking = [] if kind.custom else validate_shape.shape(kind.type, obj)
    if lacking:
        raise invalid(kind, obj["metadata"].get("name", ""), lacking)
    if unknown and call.strictness == "Strict":
        told = "strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown)
        if patch:
            shown = call.request.body.decode("utf-8", "replace")
            cause = Cause("FieldValueInvalid", f'Invalid value: "{shown}": {told}', "patch")
            raise invalid(kind, call.target.name, [cause])
        raise decode.Unreadable(kind, told)
    return unknown if call.strictness == "Warn" else []


def prepared(kind: Kind, obj: Object) -> list[str]:
    """``shaped`` without a request: decode or prune, then default."""
    if not kind.custom:
        unknown = decode.decode(kind, obj)
        if kind.key == "secrets.":
            _string_data(obj)
        defaults.fill(kind.key, obj)
        return unknown
    _clean_metadata(obj["metadata"])
    unknown = schemas.prune(kind.schema, obj)
    try:
        schemas.default(kind.schema, obj)
    except schemas.Overgrown as error:
        raise Problem(413, "RequestEntityTooLarge", str(error)) from error
    return unknown


def _clean_metadata(meta: Object) -> None:
    probe: Object = {"metadata": meta}
    decode.decode(METADATA, probe)


METADATA = Kind("", "v1", "", "PartialObjectMetadata", True, type="coordination.v1.Lease")


def _string_data(obj: Object) -> None:
    plain = obj.pop("stringData", None)
    if plain:
        data = obj.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(value.encode()).decode()


def check_namespace(call: Call, name: str) -> None:
    """Refuses content for a namespace that is not there (404) or going away (403)."""
    target = call.target
    if not target.kind.namespaced:
        return
    space = call.cluster.store.get("namespaces.", "", target.namespace or "")
    if space is None:
        raise not_found(call.cluster.stored_as["namespaces."], target.namespace or "")
    if space.meta.get("deletionTimestamp"):
        why = f"unable to create new content in namespace {target.namespace} because it is being terminated"
        cause = Cause("NamespaceTerminating", f"namespace {target.namespace} is being terminated", "metadata.namespace")
        raise forbidden(target.kind, name, why, [cause])


def stamp_new(call: Call, obj: Object) -> None:
    """What the server writes into a new object's metadata; and a status is not the writer's to give."""
    kind, meta = call.target.kind, obj["metadata"]
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"][:58] + call.cluster.suffix()
        if kind.key == "namespaces.":
            meta["labels"] = {**(meta.get("labels") or {}), NAMED: meta["name"]}
    meta["uid"] = call.cluster.uid()
    meta["creationTimestamp"] = call.cluster.stamp()
    for field in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        meta.pop(field, None)
    if kind.generation:
        meta["generation"] = 1
    if kind.has_status:
        reset_status(kind, obj)


def reset_status(kind: Kind, obj: Object) -> None:
    """The status of an object nobody has looked at yet."""
    if kind.custom:
        obj.pop("status", None)
        return
    fresh = FRESH.get(kind.key)
    obj["status"] = {} if fresh is None else dict(fresh)


FRESH: dict[str, Object] = {
    "pods.": {"phase": "Pending"},
    "namespaces.": {"phase": "Active"},
    "persistentvolumeclaims.": {"phase": "Pending"},
    "persistentvolumes.": {"phase": "Pending"},
    "services.": {"loadBalancer": {}},
    "ingresses.networking.k8s.io": {"loadBalancer": {}},
    "deployments.apps": {},
    "replicasets.apps": {"replicas": 0},
    "replicationcontrollers.": {"replicas": 0},
    "statefulsets.apps": {"replicas": 0, "availableReplicas": 0},
    "daemonsets.apps": {
        "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
    },
    "poddisruptionbudgets.policy": {
        "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0,
    },
    "horizontalpodautoscalers.autoscaling": {"desiredReplicas": 0, "currentMetrics": None},
}  # fmt: skip


def decided(cluster: Cluster, kind: Kind, obj: Object, live: Object | None) -> None:
    """What the server itself chooses: addresses and ports of Services, selectors of Jobs, a claim's class."""
    if kind.key == "services.":
        _service(cluster, obj, live)
    elif kind.key == "jobs.batch" and live is None:
        _job(obj)
    elif kind.key == "persistentvolumeclaims." and live is None:
        _claim(cluster, obj)
    elif kind.key == "namespaces." and live is None:
        obj["spec"]["finalizers"] = ["kubernetes"]
    elif kind.key == "namespaces." and live is not None:
        obj["spec"] = dict(live.get("spec") or {})
    elif kind.group == "rbac.authorization.k8s.io" and kind.key.endswith("roles.rbac.authorization.k8s.io"):
        obj.setdefault("rules", None)
    elif kind.key == "pods." and live is None:
        _pod(cluster, obj)
    elif kind.key == "customresourcedefinitions.apiextensions.k8s.io" and live is None:
        stored = [version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")]
        obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
    elif kind.key == "pods." and live is not None:
        obj["spec"].setdefault("nodeName", live["spec"].get("nodeName"))
        if obj["spec"]["nodeName"] is None:
            del obj["spec"]["nodeName"]
        _tolerant(obj["spec"])


def _pod(cluster: Cluster, obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    _tolerant(spec)
    obj["status"] = {**(obj.get("status") or {}), "qosClass": _quality(spec)}
    _mount_token(cluster, obj["metadata"].get("namespace", ""), spec)


def _tolerant(spec: Object) -> None:
    """Every pod outlives a node's short absence."""
    borne = {(item.get("key"), item.get("effect")) for item in spec.get("tolerations") or ()}
    for word in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{word}"
        if not borne & {(key, "NoExecute"), (key, None), (None, None), (None, "NoExecute")}:
            given = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            spec["tolerations"] = [*(spec.get("tolerations") or ()), given]


def _mount_token(cluster: Cluster, namespace: str, spec: Object) -> None:
    """Gives every container the token of the pod's account, unless pod or account want none."""
    account = cluster.store.get("serviceaccounts.", namespace, spec["serviceAccountName"])
    usual = account is None or account.obj.get("automountServiceAccountToken", True)
    if not spec.get("automountServiceAccountToken", usual):
        return
    name = f"kube-api-access-{cluster.suffix()}"
    mount = {"name": name, "readOnly": True, "mountPath": ACCOUNT_PATH}
    bare = [
        item for key in ("initContainers", "containers") for item in spec.get(key) or ()
        if all(one.get("mountPath") != ACCOUNT_PATH for one in item.get("volumeMounts") or ())
    ]  # fmt: skip
    for item in bare:
        item["volumeMounts"] = [*(item.get("volumeMounts") or ()), mount]
    if bare:
        spec["volumes"] = [*(spec.get("volumes") or ()), {"name": name, "projected": copied(TOKEN)}]


def _quality(spec: Object) -> str:
    """How well a pod is served when resources are short: by what its containers ask for, and are limited to."""
    asked = [
        item.get("resources") or {} for item in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    ]
    if not any(one.get("requests") or one.get("limits") for one in asked):
        return "BestEffort"
    exact = all(
        {"cpu", "memory"} <= set(one.get("limits") or ()) and (one.get("requests") or {}) == one["limits"]
        for one in asked
    )
    return "Guaranteed" if exact else "Burstable"


def _service(cluster: Cluster, obj: Object, live: Object | None) -> None:
    spec = obj["spec"]
    if spec.get("sessionAffinity") != "ClientIP":
        spec.pop("sessionAffinityConfig", None)
    before: Object = (live or {}).get("spec", {})
    if spec["type"] == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            spec.pop(field, None)
        return
    address = spec.get("clusterIP") or before.get("clusterIP") or _address(cluster, obj["metadata"])
    spec["clusterIP"] = address
    spec["clusterIPs"] = before.get("clusterIPs") if address == before.get("clusterIP") else [address]
    spec.setdefault("ipFamilies", before.get("ipFamilies", ["IPv4"]))
    spec.setdefault("ipFamilyPolicy", before.get("ipFamilyPolicy", "SingleStack"))
    if spec["type"] in ("NodePort", "LoadBalancer"):
        known = {(port["port"], port["protocol"]): port.get("nodePort") for port in before.get("ports") or ()}
        for index, port in enumerate(spec.get("ports") or ()):
            if not port.get("nodePort"):
                drawn = 30000 + (_draw(obj["metadata"]) + index) % NODE_PORTS
                port["nodePort"] = known.get((port.get("port"), port["protocol"])) or drawn
    elif before.get("type") in ("NodePort", "LoadBalancer"):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)


def _draw(meta: Object) -> int:
    return zlib.crc32(f"{meta.get('namespace')}/{meta.get('name')}".encode())


def _address(cluster: Cluster, meta: Object) -> str:
    start = _draw(meta)
    for step in range(SERVICE_NET_SIZE):
        address = str(IPv4Address(SERVICE_NET + 256 + (start + step) % SERVICE_NET_SIZE))
        if address not in cluster.addresses:
            return address
    raise Problem(500, "InternalError", "failed to allocate a serviceIP: range is full")


def _job(obj: Object) -> None:
    spec, meta = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return
    uid, name = meta["uid"], meta.get("name", "")
    labels = spec["template"]["metadata"].setdefault("labels", {})
    shared = (meta.get("labels") or {}) == labels
    for key, value in (("controller-uid", uid), ("job-name", name)):
        labels.setdefault(key, value)
        labels.setdefault(f"batch.kubernetes.io/{key}", value)
    if shared:  # a Job that has no labels of its own bears its template's
        meta["labels"] = dict(labels)
    spec.setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})


PROTECTION = "kubernetes.io/pvc-protection"


def _claim(cluster: Cluster, obj: Object) -> None:
    held = obj["metadata"].get("finalizers") or []
    if PROTECTION not in held:
        obj["metadata"]["finalizers"] = [*held, PROTECTION]
    if "storageClassName" in obj["spec"]:
        return
    for stored in cluster.store.scan("storageclasses.storage.k8s.io"):
        if (stored.meta.get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true":
            obj["spec"]["storageClassName"] = stored.meta["name"]


def checked(kind: Kind, obj: Object, live: Object | None) -> None:
    """Raises Problem (422) with every cause."""
    if kind.custom:
        causes = validate.metadata(kind, obj["metadata"]) + schemas.validate(kind.schema, obj)
    else:
        causes = validate.validate(kind, obj, live)
    if causes:
        raise invalid(kind, obj["metadata"].get("name", ""), causes)
