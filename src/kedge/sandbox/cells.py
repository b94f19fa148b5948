"""What the columns of built-in kinds show that is more than a value at a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kedge.sandbox.cluster import epoch_of
from kedge.sandbox.tables import NONE, age, at
from kedge.sandbox.wire import Object

Cell = Callable[[Object, float], Any]
UNSET = "<unset>"


def _age(obj: Object, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _name(obj: Object, now: float) -> str:
    return str(obj["metadata"]["name"])


def _labels(labels: Any) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


TERMS = {"In": "{0} in ({1})", "NotIn": "{0} notin ({1})", "Exists": "{0}", "DoesNotExist": "!{0}"}


def _selector(found: Any) -> str:
    """A label selector in the words of a query."""
    terms = [(key, f"{key}={value}") for key, value in (at(found, "matchLabels") or {}).items()]
    for one in at(found, "matchExpressions") or ():
        terms.append((one["key"], TERMS[one["operator"]].format(one["key"], ",".join(sorted(one.get("values") or ())))))
    return ",".join(text for _, text in sorted(terms)) or NONE


def _selects(obj: Object, now: float) -> str:
    spec = at(obj, "spec.jobTemplate.spec") or obj.get("spec") or {}
    found = spec.get("selector")
    return _selector(found) if "template" in spec and obj["kind"] != "ReplicationController" else _labels(found)


def _containers(obj: Object) -> list[Any]:
    spec = at(obj, "spec.jobTemplate.spec") or obj.get("spec") or obj
    return list(at(spec, "template.spec.containers") or ())


def _ready(obj: Object, now: float) -> str:
    return f"{at(obj, 'status.readyReplicas', 0)}/{at(obj, 'spec.replicas', 0)}"


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
    return str(status.get("reason") or status.get("phase") or "")


def _pod_ready(obj: Object, now: float) -> str:
    states = at(obj, "status.containerStatuses") or ()
    ready = sum(1 for item in states if item.get("ready") and at(item, "state.running") is not None)
    return f"{ready}/{len(obj['spec']['containers'])}"


def _restarts(obj: Object, now: float) -> str:
    states = at(obj, "status.containerStatuses") or ()
    count = sum(item.get("restartCount", 0) for item in states)
    ends = [at(item, "lastState.terminated.finishedAt") for item in states]
    last = max((end for end in ends if end), default="")
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)


def _gates(obj: Object, now: float) -> str:
    gates = {item["conditionType"] for item in obj["spec"].get("readinessGates") or ()}
    return f"{len(gates & set(_held(obj)))}/{len(gates)}" if gates else NONE


def _held(obj: Object) -> list[str]:
    """Types of the conditions that are True."""
    return [item["type"] for item in at(obj, "status.conditions") or () if item.get("status") == "True"]


def _job_status(obj: Object, now: float) -> str:
    held = _held(obj)
    going = ["Terminating"] if obj["metadata"].get("deletionTimestamp") else []
    words = ["Complete", "Failed", *going, "Suspended", "FailureTarget", "SuccessCriteriaMet"]
    return next((word for word in words if word in [*held, *going]), "Running")


def _completions(obj: Object, now: float) -> str:
    spec, done = obj["spec"], at(obj, "status.succeeded", 0)
    if "completions" in spec:
        return f"{done}/{spec['completions']}"
    return f"{done}/1 of {spec['parallelism']}" if spec.get("parallelism", 0) > 1 else f"{done}/1"


def _lasted(obj: Object, now: float) -> str:
    start, end = at(obj, "status.startTime"), at(obj, "status.completionTime")
    return age(start, epoch_of(end) if end else now) if start else ""


def _addresses(obj: Object) -> str:
    found = {item.get("ip") or item.get("hostname", "") for item in at(obj, "status.loadBalancer.ingress") or ()}
    return ",".join(sorted(found))


def _external(obj: Object, now: float) -> str:
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    own = [_addresses(obj)] if spec.get("type") == "LoadBalancer" and _addresses(obj) else []
    missing = "<pending>" if spec.get("type") == "LoadBalancer" else NONE
    return ",".join([*own, *(spec.get("externalIPs") or ())]) or missing


def _service_ports(obj: Object, now: float) -> str:
    return ",".join(
        f"{port['port']}" + (f":{port['nodePort']}" if port.get("nodePort") else "") + f"/{port.get('protocol', 'TCP')}"
        for port in obj["spec"].get("ports") or ()
    ) or NONE  # fmt: skip


def _few(found: list[str], most: int, count: int) -> str:
    """The first of many, and how many more there are."""
    told = ",".join(found[:most])
    return f"{told} + {count - most} more..." if len(found) > most else told


def _hosts(obj: Object, now: float) -> str:
    rules = at(obj, "spec.rules") or []
    found = [rule["host"] for rule in rules[:3] if rule.get("host")]
    told = ",".join(found) or "*"
    return f"{told} + {len(rules) - 3} more..." if len(found) == 3 < len(rules) else told


def _node_status(obj: Object, now: float) -> str:
    states = {item["type"]: item["status"] for item in at(obj, "status.conditions") or ()}
    word = {"True": "Ready", None: "Unknown"}.get(states.get("Ready"), "NotReady")
    return word + (",SchedulingDisabled" if at(obj, "spec.unschedulable") else "")


def _roles(obj: Object, now: float) -> str:
    marks = obj["metadata"].get("labels") or {}
    found = {key.partition("/")[2] for key in marks if key.startswith("node-role.kubernetes.io/")}
    return ",".join(sorted(found | {marks.get("kubernetes.io/role", "")} - {""})) or NONE


def _node_address(type_: str) -> Cell:
    def found(obj: Object, now: float) -> str:
        return next((one["address"] for one in at(obj, "status.addresses") or () if one["type"] == type_), NONE)

    return found


MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _modes(found: Any) -> str:
    return ",".join(short for mode, short in MODES.items() if mode in (found or ()))


def _phase(obj: Object, now: float) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else str(at(obj, "status.phase", ""))


def _claimed_by(obj: Object, now: float) -> str:
    found = at(obj, "spec.claimRef")
    return f"{found.get('namespace', '')}/{found.get('name', '')}" if found else ""


def _seen(obj: Object, now: float, first: bool = False) -> str:
    begun = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = at(obj, "series.lastObservedTime") or obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    return age(begun if first else last or begun, now)


def _about(obj: Object, now: float) -> str:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    return "/".join(word for word in (str(about.get("kind", "")).lower(), about.get("name")) if word)


def _source(obj: Object, now: float) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    return ", ".join(word for word in (component, host) if word)


def _times(obj: Object, now: float) -> int:
    return int(at(obj, "series.count") or obj.get("count") or obj.get("deprecatedCount") or 1)


def _metrics(obj: Object, now: float) -> str:
    told = []
    for metric in at(obj, "spec.metrics") or ():
        inner: Object = next((metric[key] for key in metric if key != "type"), {})
        target, name = inner.get("target") or {}, inner.get("name")
        share = target.get("averageUtilization")
        value = target.get("averageValue") or target.get("value") or ("<auto>" if share is None else f"{share}%")
        told.append(f"{name}: <unknown>/{value}" if name else f"<unknown>/{value}")
    return (", ".join(told[:2]) + (f" + {len(told) - 2} more..." if len(told) > 2 else "")) or NONE


def _quota(limits: bool) -> Cell:
    def found(obj: Object, now: float) -> str:
        hard, used = at(obj, "status.hard") or {}, at(obj, "status.used") or {}
        told = [name for name in sorted(hard) if name.startswith("limits.") == limits]
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in told)

    return found


def _subjects(kind: str) -> Cell:
    def found(obj: Object, now: float) -> str:
        named = [one for one in obj.get("subjects") or () if one.get("kind") == kind]
        inner = kind == "ServiceAccount"
        return ", ".join(f"{one.get('namespace', '')}/{one['name']}" if inner else one["name"] for one in named)

    return found


def _endpoints(obj: Object, now: float) -> str:
    found: list[str] = []
    for one in obj.get("subsets") or ():
        ports: Iterable[Any] = one.get("ports") or (None,)
        for port in ports:
            tail = f":{port['port']}" if port else ""
            found += [
                (f"[{item['ip']}]" if tail and ":" in item["ip"] else item["ip"]) + tail
                for item in one.get("addresses") or ()
            ]
    return _few(found, 3, len(found)) or NONE


def _slice_ports(obj: Object, now: float) -> str:
    found = [str(port.get("port") or "*") for port in obj.get("ports") or ()]
    return _few(found, 3, len(found)) or UNSET


def _slice_addresses(obj: Object, now: float) -> str:
    found = [address for one in obj.get("endpoints") or () for address in one["addresses"]]
    return _few(found, 3, len(found)) or UNSET


def _owner(obj: Object, now: float) -> str:
    found = next((one for one in obj["metadata"].get("ownerReferences") or () if one.get("controller")), None)
    if found is None:
        return NONE
    group = str(found["apiVersion"]).rpartition("/")[0]
    return f"{found['kind'].lower()}{'.' + group if group else ''}/{found['name']}"


def _parameters(obj: Object, now: float) -> str:
    found = at(obj, "spec.parameters")
    if not found:
        return NONE
    group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
    return f"{found['kind']}{group}/{found['name']}"


def _param_ref(obj: Object, now: float) -> str:
    found = at(obj, "spec.paramRef")
    return f"{found.get('namespace') or '*'}/{found['name']}" if found and found.get("name") else UNSET


def _param_kind(obj: Object, now: float) -> str:
    found = at(obj, "spec.paramKind")
    return f"{found.get('apiVersion', '')}/{found.get('kind', '')}" if found else UNSET


def _default_class(obj: Object, now: float) -> str:
    marks = obj["metadata"].get("annotations") or {}
    default = marks.get("storageclass.kubernetes.io/is-default-class") == "true"
    return _name(obj, now) + (" (default)" if default else "")


def _available(obj: Object, now: float) -> str:
    found = next((one for one in at(obj, "status.conditions") or () if one["type"] == "Available"), None)
    if found is None:
        return "Unknown"
    return "True" if found["status"] == "True" else f"{found['status']} ({found.get('reason', '')})"


def _local(obj: Object, now: float) -> str:
    found = at(obj, "spec.service")
    return f"{found.get('namespace')}/{found.get('name')}" if found else "Local"


def _count(path: str) -> Cell:
    return lambda obj, now: len(at(obj, path) or ())


def _word(obj: Object, path: str) -> str:
    return ",".join(at(obj, path) or ()) or NONE


USUAL: dict[str, Cell] = {
    "Name": _name,
    "Age": _age,
    "Containers": lambda obj, now: ",".join(item["name"] for item in _containers(obj)),
    "Images": lambda obj, now: ",".join(item.get("image", "") for item in _containers(obj)),
    "Selector": _selects,
    "Ready": _ready,
    "Status": _phase,
    "Last Seen": _seen,
    "First Seen": lambda obj, now: _seen(obj, now, first=True),
    "Object": _about,
    "Source": _source,
    "Message": lambda obj, now: str(obj.get("message") or obj.get("note") or "").strip(),
    "Count": _times,
    "Data": lambda obj, now: len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
    "Webhooks": _count("webhooks"),
    "Validations": _count("spec.validations"),
    "Drivers": _count("spec.drivers"),
    "Role": lambda obj, now: f"{at(obj, 'roleRef.kind')}/{at(obj, 'roleRef.name')}",
    "Users": _subjects("User"),
    "Groups": _subjects("Group"),
    "ServiceAccounts": _subjects("ServiceAccount"),
    "Request": _quota(limits=False),
    "Limit": _quota(limits=True),
    "External-IP": _external,
    "Port(s)": _service_ports,
    "Roles": _roles,
    "Internal-IP": _node_address("InternalIP"),
    "Restarts": _restarts,
    "Readiness Gates": _gates,
    "Completions": _completions,
    "Duration": _lasted,
    "Suspend": lambda obj, now: str(at(obj, "spec.suspend", False)),
    "Active": _count("status.active"),
    "Last Schedule": lambda obj, now: (
        age(at(obj, "status.lastScheduleTime"), now) if at(obj, "status.lastScheduleTime") else NONE
    ),
    "Node Selector": lambda obj, now: _labels(at(obj, "spec.template.spec.nodeSelector")),
    "Pod Labels": lambda obj, now: _labels(at(obj, "template.metadata.labels")),
    "Pod-Selector": lambda obj, now: _selector(at(obj, "spec.podSelector")),
    "Reference": lambda obj, now: f"{at(obj, 'spec.scaleTargetRef.kind')}/{at(obj, 'spec.scaleTargetRef.name')}",
    "Targets": _metrics,
    "MinPods": lambda obj, now: str(at(obj, "spec.minReplicas", UNSET)),
    "Hosts": _hosts,
    "Address": lambda obj, now: _addresses(obj),
    "Ports": lambda obj, now: "80, 443" if at(obj, "spec.tls") else "80",
    "Parameters": _parameters,
    "Claim": _claimed_by,
    "Endpoints": _endpoints,
    "Controller": _owner,
    "TokenRequests": lambda obj, now: (
        ",".join(one.get("audience", "") for one in at(obj, "spec.tokenRequests") or ())
        if at(obj, "spec.tokenRequests") is not None
        else UNSET
    ),
    "Modes": lambda obj, now: _word(obj, "spec.volumeLifecycleModes"),
    "ParamRef": _param_ref,
    "ParamKind": _param_kind,
    "Service": _local,
    "Available": _available,
    "Min Available": lambda obj, now: str(at(obj, "spec.minAvailable", "N/A")),
    "Max Unavailable": lambda obj, now: str(at(obj, "spec.maxUnavailable", "N/A")),
}
"""Cells by the name of their column."""
CELLS: dict[tuple[str, str], Cell] = {
    ("pods.", "Ready"): _pod_ready,
    ("pods.", "Status"): lambda obj, now: pod_status(obj),
    ("jobs.batch", "Status"): _job_status,
    ("nodes.", "Status"): _node_status,
    ("nodes.", "External-IP"): _node_address("ExternalIP"),
    ("persistentvolumes.", "Access Modes"): lambda obj, now: _modes(at(obj, "spec.accessModes")),
    ("persistentvolumeclaims.", "Access Modes"): lambda obj, now: (
        _modes(at(obj, "status.accessModes")) if at(obj, "spec.volumeName") else ""
    ),
    ("persistentvolumeclaims.", "Capacity"): lambda obj, now: (
        str(at(obj, "status.capacity.storage", "0")) if at(obj, "spec.volumeName") else ""
    ),
    ("endpointslices.discovery.k8s.io", "Ports"): _slice_ports,
    ("endpointslices.discovery.k8s.io", "Endpoints"): _slice_addresses,
    ("storageclasses.storage.k8s.io", "Name"): _default_class,
}
"""Where a column of that name shows something else."""
