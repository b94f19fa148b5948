"""Whether an object may be stored, in the API server's words: names and labels of all kinds, then a rule set per
kind."""

from __future__ import annotations

import re
from typing import Any

import orjson

from kedge.sandbox import validate_kinds, validate_update, validate_workloads
from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import Cause
from kedge.sandbox.wire import Object

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
ENDS = "and must start and end with an alphanumeric character"
NAME_WORDS = "alphanumeric characters, '-', '_' or '.', " + ENDS
TOLD = {
    SUBDOMAIN: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    f"{ENDS} (e.g. 'example.com', regex used for validation is '{SUBDOMAIN.pattern}')",
    LABEL: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    f"{ENDS} (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL.pattern}')",
    SERVICE: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{SERVICE.pattern}')",
    VALUE: f"a valid label must be an empty string or consist of {NAME_WORDS} "
    f"(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{VALUE.pattern}')",
    QUALIFIED: f"name part must consist of {NAME_WORDS} "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED.pattern}')",
}
NAMES = {"namespaces.": LABEL, "services.": SERVICE}
ANNOTATION_BYTES = 256 * 1024
NAME_LENGTH = 253
LABEL_LENGTH = 63


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
    for finalizer in meta.get("finalizers") or ():
        causes += _key(finalizer, "metadata.finalizers")
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
