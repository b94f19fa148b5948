"""Server-side printing: the columns of the usual kinds, and of custom ones as their definitions name them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kedge.sandbox.cluster import epoch_of
from kedge.sandbox.kinds import Kind
from kedge.sandbox.wire import Object

Cells = Callable[[Object, float], list[Any]]
STEP = re.compile(r"\.([^.\[\]]+)|\[['\"]([^'\"]+)['\"]\]|\[(\d{1,9}|\*)\]|\[\?\(@\.(\w+)==['\"]([^'\"]*)['\"]\)\]")
NONE = "<none>"


def age(stamp: Any, now: float) -> str:
    """A duration as kubectl shows it: 45s, 3m20s, 5h, 2d."""
    if not stamp:
        return "<unknown>"
    try:
        seconds = max(0, int(now - epoch_of(str(stamp))))
    except (ValueError, OverflowError):  # a printed column of a custom kind may hold anything
        return "<invalid>"
    for limit, size, small, unit, rest in (
        (120, 1, 1, "s", ""),
        (600, 60, 1, "m", "s"),
        (10800, 60, 60, "m", ""),
        (28800, 3600, 60, "h", "m"),
        (172800, 3600, 3600, "h", ""),
        (691200, 86400, 3600, "d", "h"),
    ):
        if seconds < limit:
            whole, left = divmod(seconds, size)
            return f"{whole}{unit}" + (f"{left // small}{rest}" if rest and left // small else "")
    return f"{seconds // 86400}d"


def at(obj: Any, path: str, default: Any = None) -> Any:
    """A value by dots."""
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
        if obj is None:
            return default
    return obj


def json_path(obj: Any, path: str) -> Any:
    """The small part of JSONPath that printer columns use; None when nothing is there."""
    found = [obj]
    for key, quoted, index, name, value in STEP.findall(path):
        if key or quoted:
            found = [item[key or quoted] for item in found if isinstance(item, dict) and (key or quoted) in item]
        elif index == "*":
            found = [inner for item in found if isinstance(item, list) for inner in item]
        elif index:
            found = [item[int(index)] for item in found if isinstance(item, list) and len(item) > int(index)]
        else:
            found = [
                inner for item in found if isinstance(item, list) for inner in item
                if isinstance(inner, dict) and str(inner.get(name)) == value
            ]  # fmt: skip
    return found[0] if len(found) == 1 else ",".join(map(str, found)) if found else None


def printer(kind: Kind) -> tuple[list[Object], Cells]:
    """Column definitions and the function that fills a row."""
    if kind.custom:
        return _custom(kind)
    spec = COLUMNS.get(kind.key)
    names = spec[0].split("|") if spec else ["Name", "Age"] if kind.key != "events." else []
    columns = [_column(name) for name in names]
    fill: Cells = spec[1] if spec else lambda obj, now: [obj["metadata"]["name"], _age(obj, now)]
    return columns, fill


def _column(name: str) -> Object:
    wide = name.startswith("*")
    clean = name.removeprefix("*")
    return {
        "name": clean,
        "type": "string",
        "format": "name" if clean == "Name" else "",
        "description": "",
        "priority": 1 if wide else 0,
    }


def _custom(kind: Kind) -> tuple[list[Object], Cells]:
    extra = list(kind.columns) or [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
    columns = [_column("Name")]
    for item in extra:
        column = _column(item["name"])
        shown = "string" if item.get("type") == "date" else item.get("type", "string")
        columns.append({**column, "type": shown, "priority": item.get("priority", 0)})

    def fill(obj: Object, now: float) -> list[Any]:
        row: list[Any] = [obj["metadata"]["name"]]
        for item in extra:
            value = json_path(obj, item["jsonPath"])
            row.append(age(value, now) if item.get("type") == "date" else value)
        return row

    return columns, fill


def _age(obj: Object, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _selector(labels: Any) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def _containers(spec: Object) -> tuple[str, str]:
    found = spec.get("containers") or []
    return ",".join(item["name"] for item in found), ",".join(item.get("image", "") for item in found)


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def pod_status(obj: Object) -> str:
    """The word in the STATUS column: a waiting or terminated reason before the phase."""
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = obj.get("status") or {}
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        for part in ("waiting", "terminated"):
            if at(state, f"{part}.reason"):
                return str(state[part]["reason"])
    return str(status.get("reason") or status.get("phase") or "Pending")


def _pod(obj: Object, now: float) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    states = status.get("containerStatuses") or []
    ready = f"{sum(1 for item in states if item.get('ready'))}/{len(spec['containers'])}"
    restarts = str(sum(item.get("restartCount", 0) for item in states))
    node = spec.get("nodeName") or NONE
    row = [_name(obj), ready, pod_status(obj), restarts, _age(obj, now)]
    return [*row, status.get("podIP") or NONE, node, NONE, NONE]


def _deployment(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = _containers(spec["template"]["spec"])
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    row = [_name(obj), ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0), _age(obj, now)]
    return [*row, names, images, _selector(at(spec, "selector.matchLabels"))]


def _replica_set(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = _containers(spec["template"]["spec"])
    counts = [spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0)]
    row = [_name(obj), *counts, _age(obj, now)]
    return [*row, names, images, _selector(at(spec, "selector.matchLabels"))]


def _stateful_set(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = _containers(spec["template"]["spec"])
    return [_name(obj), f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}", _age(obj, now), names, images]


def _daemon_set(obj: Object, now: float) -> list[Any]:
    status = obj.get("status") or {}
    counts = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    node = _selector(at(obj, "spec.template.spec.nodeSelector"))
    return [_name(obj), *(status.get(name, 0) for name in counts), node, _age(obj, now)]


def _job(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    ended = {item["type"] for item in status.get("conditions") or () if item.get("status") == "True"}
    word = next((word for word in ("Complete", "Failed", "Suspended") if word in ended), "Running")
    start, end = status.get("startTime"), status.get("completionTime")
    lasted = age(start, epoch_of(end) if end else now) if start else ""
    return [_name(obj), word, f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}", lasted, _age(obj, now)]


def _cron_job(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    last = age(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else NONE
    zone = spec.get("timeZone") or NONE
    return [
        _name(obj),
        spec.get("schedule"),
        zone,
        str(spec.get("suspend", False)),
        len(status.get("active") or ()),
        last,
        _age(obj, now),
    ]


def _service(obj: Object, now: float) -> list[Any]:
    spec = obj["spec"]
    kind = spec.get("type", "ClusterIP")
    points = at(obj, "status.loadBalancer.ingress") or []
    outside = ",".join(item.get("ip") or item.get("hostname", "") for item in points)
    external = outside or ("<pending>" if kind == "LoadBalancer" else spec.get("externalName") or NONE)
    ports = ",".join(
        f"{port['port']}" + (f":{port['nodePort']}" if port.get("nodePort") else "") + f"/{port.get('protocol', 'TCP')}"
        for port in spec.get("ports") or ()
    )
    return [
        _name(obj),
        kind,
        spec.get("clusterIP") or NONE,
        external,
        ports or NONE,
        _age(obj, now),
        _selector(spec.get("selector")),
    ]


def _ingress(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = ",".join(rule.get("host") or "*" for rule in spec.get("rules") or ()) or "*"
    points = at(obj, "status.loadBalancer.ingress") or []
    address = ",".join(item.get("ip") or item.get("hostname", "") for item in points)
    return [
        _name(obj),
        spec.get("ingressClassName") or NONE,
        hosts,
        address,
        "80, 443" if spec.get("tls") else "80",
        _age(obj, now),
    ]


def _node(obj: Object, now: float) -> list[Any]:
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in at(obj, "status.conditions") or ())
    return [
        _name(obj),
        "Ready" if ready else "NotReady",
        NONE,
        _age(obj, now),
        at(obj, "status.nodeInfo.kubeletVersion"),
    ]


def _claim(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    modes = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    shown = ",".join(modes.get(mode, mode) for mode in status.get("accessModes") or ())
    size = at(status, "capacity.storage") or ""
    row = [_name(obj), status.get("phase"), spec.get("volumeName", ""), size, shown]
    return [*row, spec.get("storageClassName", ""), "<unset>", _age(obj, now), spec.get("volumeMode")]


def _event(obj: Object, now: float) -> list[Any]:
    about = obj.get("involvedObject") or {}
    seen = age(obj.get("lastTimestamp") or obj.get("eventTime"), now)
    where = f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"
    return [seen, obj.get("type"), obj.get("reason"), where, obj.get("message", "").strip()]


def _created(obj: Object, now: float) -> list[Any]:
    return [_name(obj), obj["metadata"].get("creationTimestamp")]


def _binding(obj: Object, now: float) -> list[Any]:
    return [_name(obj), f"{at(obj, 'roleRef.kind')}/{at(obj, 'roleRef.name')}", _age(obj, now)]


def _autoscaler(obj: Object, now: float) -> list[Any]:
    spec, target = obj["spec"], f"{at(obj, 'spec.scaleTargetRef.kind')}/{at(obj, 'spec.scaleTargetRef.name')}"
    count = at(obj, "status.currentReplicas", 0)
    return [_name(obj), target, "<unknown>", spec.get("minReplicas"), spec.get("maxReplicas"), count, _age(obj, now)]


COLUMNS: dict[str, tuple[str, Cells]] = {
    "pods.": ("Name|Ready|Status|Restarts|Age|*IP|*Node|*Nominated Node|*Readiness Gates", _pod),
    "deployments.apps": ("Name|Ready|Up-to-date|Available|Age|*Containers|*Images|*Selector", _deployment),
    "replicasets.apps": ("Name|Desired|Current|Ready|Age|*Containers|*Images|*Selector", _replica_set),
    "statefulsets.apps": ("Name|Ready|Age|*Containers|*Images", _stateful_set),
    "daemonsets.apps": ("Name|Desired|Current|Ready|Up-to-date|Available|Node Selector|Age", _daemon_set),
    "jobs.batch": ("Name|Status|Completions|Duration|Age", _job),
    "cronjobs.batch": ("Name|Schedule|Timezone|Suspend|Active|Last Schedule|Age", _cron_job),
    "services.": ("Name|Type|Cluster-IP|External-IP|Port(s)|Age|*Selector", _service),
    "ingresses.networking.k8s.io": ("Name|Class|Hosts|Address|Ports|Age", _ingress),
    "nodes.": ("Name|Status|Roles|Age|Version", _node),
    "persistentvolumeclaims.": (
        "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|*VolumeMode", _claim,
    ),
    "events.": ("Last Seen|Type|Reason|Object|Message", _event),
    "namespaces.": (
        "Name|Status|Age",
        lambda obj, now: [_name(obj), at(obj, "status.phase", "Active"), _age(obj, now)],
    ),
    "configmaps.": (
        "Name|Data|Age",
        lambda obj, now: [_name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), _age(obj, now)],
    ),
    "secrets.": (
        "Name|Type|Data|Age",
        lambda obj, now: [_name(obj), obj.get("type"), len(obj.get("data") or ()), _age(obj, now)],
    ),
    "serviceaccounts.": ("Name|Age", lambda obj, now: [_name(obj), _age(obj, now)]),
    "roles.rbac.authorization.k8s.io": ("Name|Created At", _created),
    "clusterroles.rbac.authorization.k8s.io": ("Name|Created At", _created),
    "customresourcedefinitions.apiextensions.k8s.io": ("Name|Created At", _created),
    "rolebindings.rbac.authorization.k8s.io": ("Name|Role|Age", _binding),
    "clusterrolebindings.rbac.authorization.k8s.io": ("Name|Role|Age", _binding),
    "horizontalpodautoscalers.autoscaling": (
        "Name|Reference|Targets|MinPods|MaxPods|Replicas|Age", _autoscaler,
    ),
}  # fmt: skip
