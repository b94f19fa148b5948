"""Label and field selectors: parsed once into a list of requirements, then asked of many objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import bad_request

COMMON = ("metadata.name", "metadata.namespace")
FIELDS: dict[str, tuple[str, ...]] = {
    "pods.": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
    "events.": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    ),
    "secrets.": ("type",),
    "namespaces.": ("status.phase",),
    "nodes.": ("spec.unschedulable",),
    "services.": ("spec.clusterIP", "spec.type"),
    "jobs.batch": ("status.successful",),
    "replicasets.apps": ("status.replicas",),
    "replicationcontrollers.": ("status.replicas",),
}  # fmt: skip
SETS = re.compile(r"^\s*([^\s!=<>,()]+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")
KEY = re.compile(r"^([a-z0-9A-Z]([-a-z0-9A-Z.]*[a-z0-9A-Z])?/)?[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term: ``op`` of in, notin, exists, absent."""

    key: str
    op: str
    values: frozenset[str] = frozenset()

    def holds(self, value: str | None) -> bool:
        if self.op == "in":
            return value is not None and value in self.values
        if self.op == "notin":
            return value is None or value not in self.values
        return (value is not None) == (self.op == "exists")


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list or watch asked for; empty tuples select everything."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()

    def takes(self, obj: Mapping[str, Any]) -> bool:
        for term in self.fields:
            if not term.holds(_field(obj, term.key)):
                return False
        return not self.labels or all_hold(self.labels, obj["metadata"].get("labels") or {})

    @property
    def anchor(self) -> tuple[str, str] | None:
        """One label and value every taken object has, for the watch index."""
        for term in self.labels:
            if term.op == "in" and len(term.values) == 1:
                return term.key, next(iter(term.values))
        return None


def all_hold(terms: tuple[Requirement, ...], labels: Mapping[str, str]) -> bool:
    return all(term.holds(labels.get(term.key)) for term in terms)


def _field(obj: Mapping[str, Any], path: str) -> str:
    value: Any = obj
    if path == "source":
        return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")
    if path == "status.successful":
        path = "status.succeeded"
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return (
            "false" if path in ("spec.unschedulable", "spec.hostNetwork") else "0" if path == "status.succeeded" else ""
        )
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """``a=b,c!=d,e,!f,g in (h,i)``; raises Problem (400) for anything else."""
    return tuple(_label_term(part) for part in _split(text))


def _split(text: str) -> list[str]:
    parts = re.split(r",(?![^(]*\))", text)
    return [part.strip() for part in parts if part.strip()]


def _label_term(part: str) -> Requirement:
    if match := SETS.match(part):
        term = Requirement(match[1], match[2], frozenset(value.strip() for value in match[3].split(",")))
    elif "!=" in part:
        key, _, value = part.partition("!=")
        term = Requirement(key.strip(), "notin", frozenset({value.strip()}))
    elif "=" in part:
        key, _, value = part.partition("=")
        term = Requirement(key.strip(), "in", frozenset({value.removeprefix("=").strip()}))
    elif part.startswith("!"):
        term = Requirement(part[1:].strip(), "absent")
    else:
        term = Requirement(part, "exists")
    if not KEY.match(term.key) or not all(map(VALUE.fullmatch, term.values)):
        raise bad_request(f"unable to parse requirement: found '{part}', expected: a label key, operator and value")
    return term


def parse_fields(text: str, kind: Kind) -> tuple[Requirement, ...]:
    """``a.b=c,d!=e`` over the fields this kind can be selected by; raises Problem (400) for others."""
    allowed = COMMON + FIELDS.get(kind.key, ()) + kind.selectable
    terms = []
    for part in filter(None, text.split(",")):
        op = "notin" if "!=" in part else "in"
        key, _, value = part.partition("!=" if op == "notin" else "=")
        if "=" not in part:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if key not in allowed:
            raise bad_request(f"field label not supported: {key}")
        terms.append(Requirement(key, op, frozenset({value.removeprefix("=")})))
    return tuple(terms)


def of_label_selector(selector: Mapping[str, Any] | None) -> tuple[Requirement, ...]:
    """A ``LabelSelector`` (matchLabels, matchExpressions) as requirements."""
    if not selector:
        return ()
    terms = [Requirement(key, "in", frozenset({value})) for key, value in (selector.get("matchLabels") or {}).items()]
    ops = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
    for item in selector.get("matchExpressions") or []:
        terms.append(Requirement(item["key"], ops.get(item["operator"], "in"), frozenset(item.get("values") or ())))
    return tuple(terms)
