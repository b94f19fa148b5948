"""Whether an object may be stored, in the API server's words: names and labels of all kinds, then a rule set per
kind."""

from __future__ import annotations

from typing import Any

import orjson

from kedge.sandbox import validate_kinds, validate_update, validate_workloads
from kedge.sandbox.kinds import Kind
from kedge.sandbox.naming import LABEL, QUALIFIED, SERVICE, SUBDOMAIN, TOLD, VALUE
from kedge.sandbox.problems import Cause
from kedge.sandbox.wire import Object

NAMES = {"namespaces.": LABEL, "services.": SERVICE}
ANNOTATION_BYTES = 256 * 1024
NAME_LENGTH = 253
LABEL_LENGTH = 63
FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
"""The only ones whose names need no domain."""
LENIENT = frozenset(
    {"poddisruptionbudgets.policy", "leases.coordination.k8s.io", "runtimeclasses.node.k8s.io",
     "mutatingwebhookconfigurations.admissionregistration.k8s.io", "customresourcedefinitions.apiextensions.k8s.io",
     "validatingwebhookconfigurations.admissionregistration.k8s.io",
     "validatingadmissionpolicies.admissionregistration.k8s.io",
     "validatingadmissionpolicybindings.admissionregistration.k8s.io"}
)  # fmt: skip
"""Kinds that take any finalizer."""


def metadata(kind: Kind, meta: Object) -> list[Cause]:
    """Names, labels, annotations, owner references and finalizers of any object."""
    causes = _name(kind, meta.get("name", ""))
    for key, value in (meta.get("labels") or {}).items():
        causes += _key(key, "metadata.labels")
        if len(value) > LABEL_LENGTH:
            causes.append(_bad("metadata.labels", value, "must be no more than 63 bytes"))
        if not VALUE.fullmatch(value):
            causes.append(_bad("metadata.labels", value, TOLD[VALUE]))
    size = 0
    for key, value in (meta.get("annotations") or {}).items():
        causes += _key(key.lower(), "metadata.annotations")
        size += len(key) + len(value)
    if size > ANNOTATION_BYTES:
        causes.append(Cause("FieldValueTooLong", "Too long: may not be more than 262144 bytes", "metadata.annotations"))
    for owner in meta.get("ownerReferences") or ():
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                path = f"metadata.ownerReferences.{name}"
                causes.append(_bad(path, "", "must not be empty"))
    for at, finalizer in enumerate(meta.get("finalizers") or ()):
        causes += _key(finalizer, "metadata.finalizers")
        if "/" not in finalizer and finalizer not in FINALIZERS and not (kind.custom or kind.key in LENIENT):
            told = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(_bad(f"metadata.finalizers[{at}]", finalizer, told))
    return causes


def _name(kind: Kind, name: str) -> list[Cause]:
    if not name:
        return [Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")]
    if kind.group == "rbac.authorization.k8s.io":
        if name in (".", "..") or "/" in name or "%" in name:
            return [_bad("metadata.name", name, "may not contain '/'" if "/" in name else "may not be '.'")]
        return []
    rule = NAMES.get(kind.key, SUBDOMAIN)
    longest = NAME_LENGTH if rule is SUBDOMAIN else LABEL_LENGTH
    if len(name) > longest:
        return [_bad("metadata.name", name, f"must be no more than {longest} characters")]
    return [] if rule.fullmatch(name) else [_bad("metadata.name", name, TOLD[rule])]


def _key(key: str, path: str) -> list[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and not SUBDOMAIN.fullmatch(prefix):
        return [_bad(path, key, f"prefix part {TOLD[SUBDOMAIN]}")]
    if not name or len(name) > LABEL_LENGTH or not QUALIFIED.fullmatch(name):
        return [_bad(path, key, TOLD[QUALIFIED])]
    return []


def _bad(path: str, value: Any, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {orjson.dumps(value).decode()}: {why}", path)


def validate(kind: Kind, obj: Object, live: Object | None) -> list[Cause]:
    """Every cause against a built-in object; ``live`` is what it would replace."""
    causes = metadata(kind, obj["metadata"])
    rule = validate_workloads.TABLE.get(kind.key) or validate_kinds.TABLE.get(kind.key)
    if rule is not None:
        causes += rule(obj)
    if live is not None:
        causes += validate_update.metadata(obj["metadata"], live["metadata"])
        change = validate_update.TABLE.get(kind.key)
        if change is not None:
            causes += change(obj, live)
    return causes
