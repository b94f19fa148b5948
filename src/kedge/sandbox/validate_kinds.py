"""Rules of the kinds that run nothing themselves."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from kedge.sandbox import validate_update
from kedge.sandbox.naming import LABEL as NAME
from kedge.sandbox.naming import TOLD
from kedge.sandbox.problems import Cause, required, unsupported, wrong
from kedge.sandbox.validate_ingress import ingress, ingress_class
from kedge.sandbox.validate_schema import schema_causes
from kedge.sandbox.validate_workloads import PORT_LIMIT, Rule, not_negative, portions
from kedge.sandbox.wire import Object

CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
CONFIG_TOLD = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_TOLD = "must be a DNS-1035 label: lower case alphanumeric characters or '-', starting with a letter"
PORT_TOLD = "must be between 1 and 65535, inclusive"
DATA_LIMIT = 1024 * 1024
MOST_PRIORITY = 1_000_000_000
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
SUBJECTS = ("ServiceAccount", "User", "Group")
SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def config_key(path: str, key: str) -> list[Cause]:
    causes = [wrong(path, key, "must be no more than 253 characters")] if len(key) > 253 else []
    if not CONFIG_KEY.fullmatch(key):
        causes.append(wrong(path, key, CONFIG_TOLD))
    return causes


def config_map(obj: Object) -> list[Cause]:
    causes: list[Cause] = []
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            size += len(value)
            causes += config_key(f"{field}[{key}]", key)
    for key in sorted(set(obj.get("data") or ()) & set(obj.get("binaryData") or ())):
        causes.append(wrong(f"data[{key}]", key, "duplicate of key present in binaryData"))
    if size > DATA_LIMIT:
        causes.append(Cause("FieldValueTooLong", "Too long: may not be more than 1048576 bytes"))
    return causes


def secret(obj: Object) -> list[Cause]:
    data = obj.get("data") or {}
    causes = [cause for key in data for cause in config_key(f"data[{key}]", key)]
    needs = {
        "kubernetes.io/tls": ("tls.crt", "tls.key"),
        "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
        "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    }
    for key in needs.get(obj.get("type", ""), ()):
        if key not in data:
            causes.append(required(f"data[{key}]"))
    if sum(map(len, data.values())) * 3 // 4 > DATA_LIMIT:
        causes.append(Cause("FieldValueTooLong", "Too long: may not be more than 1048576 bytes", "data"))
    return causes


def service(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    if spec["type"] not in SERVICE_TYPES:
        causes.append(unsupported("spec.type", spec["type"], SERVICE_TYPES))
    address = spec.get("clusterIP") or "None"
    if address != "None" and _network(address + "/0") is None:
        causes.append(wrong("spec.clusterIPs[0]", address, "must be a valid IP address"))
    ports = spec.get("ports") or []
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(required("spec.ports"))
    if spec["type"] == "ExternalName" and not spec.get("externalName"):
        causes.append(required("spec.externalName"))
    if spec["type"] != "LoadBalancer" and ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
        told = "Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
        causes.append(Cause("FieldValueForbidden", told, "status.loadBalancer.ingress"))
    seen: set[tuple[int, str]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        number = port.get("port", 0)
        if not 0 < number <= PORT_LIMIT:
            causes.append(wrong(f"{path}.port", number, PORT_TOLD))
        if isinstance(port.get("targetPort"), int) and not 0 < port["targetPort"] <= PORT_LIMIT:
            causes.append(wrong(f"{path}.targetPort", port["targetPort"], PORT_TOLD))
        if len(ports) > 1 and not port.get("name"):
            causes.append(required(f"{path}.name"))
        if (number, port["protocol"]) in seen:
            told = f'Duplicate value: {{"port":{number},"protocol":"{port["protocol"]}"}}'
            causes.append(Cause("FieldValueDuplicate", told, path))
        seen.add((number, port["protocol"]))
    return causes


def claim(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    if not spec.get("accessModes"):
        causes.append(required("spec.accessModes", "at least 1 access mode is required"))
    for mode in spec.get("accessModes") or ():
        if mode not in ACCESS_MODES:
            causes.append(unsupported("spec.accessModes", mode, ACCESS_MODES))
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        causes.append(required("spec.resources[storage]"))
    return causes


def role(obj: Object) -> list[Cause]:
    return [
        required(f"rules[{index}].verbs", "verbs must contain at least one value")
        for index, rule in enumerate(obj.get("rules") or ())
        if not rule.get("verbs")
    ]


def binding(obj: Object) -> list[Cause]:
    reference = obj.get("roleRef") or {}
    causes: list[Cause] = []
    wide = obj["kind"] == "ClusterRoleBinding"
    allowed = ("ClusterRole",) if wide else ("ClusterRole", "Role")
    if reference.get("kind") not in allowed:
        causes.append(unsupported("roleRef.kind", reference.get("kind", ""), allowed))
    if not reference.get("name"):
        causes.append(required("roleRef.name"))
    for index, subject in enumerate(obj.get("subjects") or ()):
        if subject.get("kind") not in SUBJECTS:
            causes.append(unsupported(f"subjects[{index}].kind", subject.get("kind", ""), SUBJECTS))
        if not subject.get("name"):
            causes.append(required(f"subjects[{index}].name"))
        if wide and subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            causes.append(required(f"subjects[{index}].namespace"))
    return causes


def autoscaler(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    if not (spec.get("scaleTargetRef") or {}).get("kind"):
        causes.append(required("spec.scaleTargetRef.kind"))
    if not (spec.get("scaleTargetRef") or {}).get("name"):
        causes.append(required("spec.scaleTargetRef.name"))
    most = spec.get("maxReplicas", 0)
    if most < 1:
        causes.append(wrong("spec.maxReplicas", most, "must be greater than 0"))
    elif most < spec.get("minReplicas", 1):
        causes.append(wrong("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    return causes


def budget(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        return [wrong("spec", spec, "minAvailable and maxUnavailable cannot be both set")]
    return portions(spec, "spec", "minAvailable", "maxUnavailable")


def storage_class(obj: Object) -> list[Cause]:
    return [] if obj.get("provisioner") else [required("provisioner")]


def priority_class(obj: Object) -> list[Cause]:
    if obj.get("value", 0) <= MOST_PRIORITY or obj["metadata"].get("name", "").startswith("system-"):
        return []
    told = f"Forbidden: maximum allowed value of a user defined priority is {MOST_PRIORITY}"
    return [Cause("FieldValueForbidden", told, "value")]


def runtime_class(obj: Object) -> list[Cause]:
    handler = obj.get("handler") or ""
    return [] if NAME.fullmatch(handler) else [wrong("handler", handler, TOLD[NAME])]


def definition(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    names = spec.get("names") or {}
    causes: list[Cause] = []
    for path, word in (("names.plural", names["plural"]), ("names.kind", names["kind"].lower())):
        if not LABEL.fullmatch(word):
            causes.append(wrong(f"spec.{path}", word, LABEL_TOLD))
    if not spec.get("group"):
        causes.append(required("spec.group"))
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        causes.append(unsupported("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced")))
    wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if obj["metadata"].get("name") != wanted:
        causes.append(
            wrong("metadata.name", obj["metadata"].get("name", ""), 'must be spec.names.plural+"."+spec.group')
        )
    versions = spec.get("versions") or []
    if not versions:
        causes.append(required("spec.versions"))
    elif sum(1 for version in versions if version.get("storage")) != 1:
        told = "must have exactly one version marked as storage version"
        causes.append(wrong("spec.versions", [version.get("name") for version in versions], told))
    if len({version["name"] for version in versions}) < len(versions):
        causes.append(wrong("spec.versions", [version["name"] for version in versions], "must contain unique names"))
    for index, version in enumerate(versions):
        if not LABEL.fullmatch(version["name"]):
            causes.append(wrong(f"spec.versions[{index}].name", version["name"], LABEL_TOLD))
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if not schema:
            causes.append(required(path, "schemas are required"))
        else:
            causes += schema_causes(schema, path) or _root(schema, path)
    return causes


def _root(schema: Object, path: str) -> list[Cause]:
    return [] if schema.get("type") == "object" else [wrong(f"{path}.type", schema.get("type", ""), "must be object")]


SETTINGS = frozenset({*validate_update.SETTLED, *validate_update.SETTLED_TOO})


def volume(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    if not spec.get("capacity"):
        causes.append(required("spec.capacity"))
        causes.append(unsupported("spec.capacity", None, ("storage",)))
    if not spec.get("accessModes"):
        causes.append(required("spec.accessModes"))
    if not set(spec) - SETTINGS:
        causes.append(required("spec", "must specify a volume type"))
    return causes


def network_policy(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    for side, end in (("ingress", "from"), ("egress", "to")):
        for at, rule in enumerate(spec.get(side) or ()):
            for index, peer in enumerate(rule.get(end) or ()):
                if "ipBlock" in peer:
                    causes += _block(peer["ipBlock"], f"spec.{side}[{at}].{end}[{index}].ipBlock")
    for index, name in enumerate(spec.get("policyTypes") or ()):
        if name not in ("Ingress", "Egress"):
            causes.append(unsupported(f"spec.policyTypes[{index}]", name, ("Egress", "Ingress")))
    return causes


def _block(block: Object, path: str) -> list[Cause]:
    if not block.get("cidr"):
        return [required(f"{path}.cidr")]
    whole = _network(block["cidr"])
    if whole is None:
        return [wrong(f"{path}.cidr", block["cidr"], "must be a valid CIDR value")]
    causes = []
    for index, text in enumerate(block.get("except") or ()):
        part = _network(text)
        if part is None:
            causes.append(wrong(f"{path}.except[{index}]", text, "must be a valid CIDR value"))
        elif part.version != whole.version or int(part[0]) < int(whole[0]) or int(part[-1]) > int(whole[-1]):
            causes.append(wrong(f"{path}.except[{index}]", text, f"must be a strict subset of `{block['cidr']}`"))
    return causes


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def namespace(obj: Object) -> list[Cause]:
    ends = bool(obj["metadata"].get("deletionTimestamp"))
    phase = (obj.get("status") or {}).get("phase")
    if phase == ("Terminating" if ends else "Active"):
        return []
    told = "may only be 'Terminating' if `deletionTimestamp` is not empty"
    return [wrong("status.Phase", phase, told if ends else "may only be 'Active' if `deletionTimestamp` is empty")]


REVIEWS = ("v1", "v1beta1")
HOOK_WORDS = {"sideEffects": ("None", "NoneOnDryRun"), "failurePolicy": ("Fail", "Ignore")}
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")


def webhooks(obj: Object) -> list[Cause]:
    found = enumerate(obj.get("webhooks") or ())
    return [cause for index, hook in found for cause in _webhook(hook, f"webhooks[{index}]")]


def _webhook(hook: Object, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if str(hook.get("name", "")).count(".") < 2:
        told = "should be a domain with at least three segments separated by dots"
        causes.append(wrong(f"{path}.name", hook.get("name", ""), told))
    if not hook.get("sideEffects"):
        causes.append(required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun"))
    for field, words in HOOK_WORDS.items():
        if hook.get(field) and hook[field] not in words:
            causes.append(unsupported(f"{path}.{field}", hook[field], words))
    reviews = hook.get("admissionReviewVersions")
    if not reviews:
        causes.append(required(f"{path}.admissionReviewVersions", "must specify one of v1, v1beta1"))
    elif not set(reviews) & set(REVIEWS):
        causes.append(wrong(f"{path}.admissionReviewVersions", reviews, "must include at least one of v1, v1beta1"))
    if not 1 <= hook.get("timeoutSeconds", 1) <= 30:
        told = "the timeout value must be between 1 and 30 seconds"
        causes.append(wrong(f"{path}.timeoutSeconds", hook["timeoutSeconds"], told))
    for index, rule in enumerate(hook.get("rules") or ()):
        causes += _hook_rule(rule, f"{path}.rules[{index}]")
    return causes + _hook_client(hook.get("clientConfig") or {}, f"{path}.clientConfig")


def _hook_rule(rule: Object, path: str) -> list[Cause]:
    lacking = [field for field in ("operations", "apiGroups", "apiVersions", "resources") if not rule.get(field)]
    causes = [required(f"{path}.{field}") for field in lacking]
    for index, word in enumerate(rule.get("operations") or ()):
        if word not in OPERATIONS:
            causes.append(unsupported(f"{path}.operations[{index}]", word, OPERATIONS))
    return causes


def _hook_client(client: Object, path: str) -> list[Cause]:
    service, url = client.get("service"), client.get("url")
    if (service is None) == (url is None):
        return [required(path, "exactly one of url or service is required")]
    if url is not None:
        told = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        return [] if url.startswith("https://") else [wrong(f"{path}.url", url, told)]
    return [required(f"{path}.service.{field}") for field in ("name", "namespace") if not (service or {}).get(field)]


TABLE: dict[str, Rule] = {
    "namespaces.": namespace,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": webhooks,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": webhooks,
    "persistentvolumes.": volume,
    "networkpolicies.networking.k8s.io": network_policy,
    "configmaps.": config_map,
    "secrets.": secret,
    "services.": service,
    "persistentvolumeclaims.": claim,
    "ingresses.networking.k8s.io": ingress,
    "ingressclasses.networking.k8s.io": ingress_class,
    "roles.rbac.authorization.k8s.io": role,
    "clusterroles.rbac.authorization.k8s.io": role,
    "rolebindings.rbac.authorization.k8s.io": binding,
    "clusterrolebindings.rbac.authorization.k8s.io": binding,
    "horizontalpodautoscalers.autoscaling": autoscaler,
    "poddisruptionbudgets.policy": budget,
    "storageclasses.storage.k8s.io": storage_class,
    "runtimeclasses.node.k8s.io": runtime_class,
    "priorityclasses.scheduling.k8s.io": priority_class,
    "replicationcontrollers.": lambda obj: not_negative(obj["spec"], "spec", "replicas", "minReadySeconds"),
    "customresourcedefinitions.apiextensions.k8s.io": definition,
}
