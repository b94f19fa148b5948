"""What may not change once an object is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from kedge.sandbox.problems import Cause, wrong
from kedge.sandbox.quantities import number_of
from kedge.sandbox.wire import Object

Change = Callable[[Object, Object], list[Cause]]
IMMUTABLE = "field is immutable"
STATEFUL = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
STATEFUL_TOLD = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
    "are forbidden"
)
POD_TOLD = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
CLAIM_TOLD = (
    "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName "
    "for bound claims"
)


def metadata(new: Object, live: Object) -> list[Cause]:
    """Finalizers can not be added to what is going away; identity never changes."""
    causes: list[Cause] = []
    if live.get("deletionTimestamp"):
        added = [item for item in new.get("finalizers") or () if item not in (live.get("finalizers") or ())]
        if added:
            found = orjson.dumps(added).decode()
            told = f"no new finalizers can be added if the object is being deleted, found new finalizers {found}"
            causes.append(Cause("FieldValueForbidden", f"Forbidden: {told}", "metadata.finalizers"))
    return causes


def _same(new: Object, live: Object, fields: Iterable[str], prefix: str = "spec.") -> list[Cause]:
    return [
        wrong(prefix + field, new.get(field), IMMUTABLE) for field in fields if new.get(field) != live.get(field)
    ]  # fmt: skip


def selector(new: Object, live: Object) -> list[Cause]:
    return _same(new["spec"], live["spec"], ("selector",))


def stateful_set(new: Object, live: Object) -> list[Cause]:
    changed = [
        key
        for key in {**new["spec"], **live["spec"]}
        if key not in STATEFUL and _plain(new["spec"].get(key)) != _plain(live["spec"].get(key))
    ]
    return [Cause("FieldValueForbidden", STATEFUL_TOLD, "spec")] if changed else []


def _plain(value: Any) -> Any:
    """Claim templates without the status that only the server writes."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: item for key, item in value.items() if key != "status"} if isinstance(value, dict) else value


def job(new: Object, live: Object) -> list[Cause]:
    fields = ["completions", "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"]
    suspended = live["spec"].get("suspend") and not (live.get("status") or {}).get("startTime")
    return _same(new["spec"], live["spec"], fields if suspended else [*fields, "template"])


def service(new: Object, live: Object) -> list[Cause]:
    before, after = live["spec"].get("clusterIP"), new["spec"].get("clusterIP")
    kinds = {live["spec"]["type"], new["spec"]["type"]}
    if before and after != before and "ExternalName" not in kinds:
        return [wrong("spec.clusterIPs[0]", [after or ""], "may not change once set")]
    return []


def claim(new: Object, live: Object) -> list[Cause]:
    causes: list[Cause] = []
    before, after = dict(live["spec"]), dict(new["spec"])
    bound = (live.get("status") or {}).get("phase") == "Bound"
    held, wanted = ((spec.get("resources") or {}).get("requests", {}).get("storage", "0") for spec in (before, after))
    if bound and number_of(wanted) < number_of(held):
        told = "Forbidden: field can not be less than status.capacity"
        causes.append(Cause("FieldValueForbidden", told, "spec.resources.requests.storage"))
    for spec in (before, after):
        if bound:
            spec.pop("resources", None)
            spec.pop("volumeAttributesClassName", None)
    for chosen in ("volumeName", "storageClassName"):  # may be said later, once
        if chosen not in before:
            after.pop(chosen, None)
    if before != after:
        causes.append(Cause("FieldValueForbidden", CLAIM_TOLD, "spec"))
    return causes


def configuration(new: Object, live: Object) -> list[Cause]:
    if not live.get("immutable"):
        return []
    causes = []
    told = "Forbidden: field is immutable when `immutable` is set"
    for field in ("immutable", "data", "binaryData"):
        if new.get(field) != live.get(field):
            causes.append(Cause("FieldValueForbidden", told, field))
    return causes


def secret(new: Object, live: Object) -> list[Cause]:
    return _same(new, live, ("type",), "") + configuration(new, live)


def binding(new: Object, live: Object) -> list[Cause]:
    if new.get("roleRef") == live.get("roleRef"):
        return []
    return [wrong("roleRef", new.get("roleRef"), "cannot change roleRef")]


def pod(new: Object, live: Object) -> list[Cause]:
    def fixed(spec: Object) -> Object:
        kept = {key: value for key, value in spec.items() if key not in ("tolerations", "activeDeadlineSeconds")}
        for field in ("containers", "initContainers"):
            kept[field] = [{**container, "image": ""} for container in spec.get(field) or ()]
        return kept

    for field in ("containers", "initContainers"):
        if len(new["spec"].get(field) or ()) != len(live["spec"].get(field) or ()):
            told = "Forbidden: pod updates may not add or remove containers"
            return [Cause("FieldValueForbidden", told, f"spec.{field}")]
    return [] if fixed(new["spec"]) == fixed(live["spec"]) else [Cause("FieldValueForbidden", POD_TOLD, "spec")]


def csi_driver(new: Object, live: Object) -> list[Cause]:
    same = new["spec"].get("attachRequired") == live["spec"].get("attachRequired")
    told = "field is immutable"  # under a name that the field does not have
    return [] if same else [wrong("spec.attachedRequired", new["spec"].get("attachRequired"), told)]


def storage_class(new: Object, live: Object) -> list[Cause]:
    told = "Forbidden: updates to {} are forbidden."
    fields = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
    return [
        Cause("FieldValueForbidden", told.format(field), field) for field in fields if new.get(field) != live.get(field)
    ]


def definition(new: Object, live: Object) -> list[Cause]:
    causes = _same(new["spec"], live["spec"], ("group", "scope"))
    return causes + _same(new["spec"]["names"], live["spec"]["names"], ("plural", "kind"), "spec.names.")


def fixed(*fields: str) -> Change:
    """A rule for fields at the top that keep what they were made with."""
    return lambda new, live: _same(new, live, fields, "")


def priority_class(new: Object, live: Object) -> list[Cause]:
    told = "Forbidden: may not be changed in an update."
    fields = ("value", "preemptionPolicy")
    return [Cause("FieldValueForbidden", told, field) for field in fields if new.get(field) != live.get(field)]


def ingress_class(new: Object, live: Object) -> list[Cause]:
    return _same(new.get("spec") or {}, live.get("spec") or {}, ("controller",))


SETTLED = (
    "accessModes",
    "capacity",
    "claimRef",
    "csi",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
)
SETTLED_TOO = ("storageClassName", "volumeAttributesClassName", "volumeMode")


def volume(new: Object, live: Object) -> list[Cause]:
    """What a volume is made of stays; what it is called, and how much it holds, may change."""
    before, after = (
        {key: item for key, item in one["spec"].items() if key not in SETTLED + SETTLED_TOO} for one in (live, new)
    )
    told = "Forbidden: spec.persistentvolumesource is immutable after creation"
    causes = [] if before == after else [Cause("FieldValueForbidden", told, "spec.persistentvolumesource")]
    return causes + _same(new["spec"], live["spec"], ("volumeMode",))


TABLE: dict[str, Change] = {
    "priorityclasses.scheduling.k8s.io": priority_class,
    "ingressclasses.networking.k8s.io": ingress_class,
    "controllerrevisions.apps": fixed("data"),
    "resourcequotas.": lambda new, live: _same(new.get("spec") or {}, live.get("spec") or {}, ("scopes",)),
    "runtimeclasses.node.k8s.io": fixed("handler"),
    "endpointslices.discovery.k8s.io": fixed("addressType"),
    "persistentvolumes.": volume,
    "deployments.apps": selector,
    "replicasets.apps": selector,
    "daemonsets.apps": selector,
    "statefulsets.apps": stateful_set,
    "jobs.batch": job,
    "services.": service,
    "persistentvolumeclaims.": claim,
    "configmaps.": configuration,
    "secrets.": secret,
    "rolebindings.rbac.authorization.k8s.io": binding,
    "clusterrolebindings.rbac.authorization.k8s.io": binding,
    "pods.": pod,
    "storageclasses.storage.k8s.io": storage_class,
    "csidrivers.storage.k8s.io": csi_driver,
    "customresourcedefinitions.apiextensions.k8s.io": definition,
}
