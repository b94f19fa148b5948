"""What differs without meaning anything: the rules that hide a difference, each with its name and its sentence.

The rules look at one place (`trail`: the field names from the root, `[]` for a list item) and its two values; they
never change an object. They are narrow on purpose, for what is hidden is not applied:

- `{}` is not always nothing: an empty selector selects everything, and `emptyDir: {}` is a choice. Only maps that
  merely hold entries (`labels`, `resources` …) count as absent when empty.
- An int-or-string field never hides `80` beside `"80"`: Kubernetes reads the text as a port's name, and refuses it
  where it means a count or a percentage, so the two are not equal by its rules.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Final

Trail = tuple[str, ...]


class Absent(Enum):
    """The type of `MISSING`, so that absence is told from null."""

    MISSING = "missing"


MISSING: Final = Absent.MISSING
ITEM: Final = "[]"

RULES: Final[Mapping[str, str]] = {
    "managed-fields": "The API server keeps metadata.managedFields itself: who owns which field is not a wish.",
    "server-metadata": "uid, resourceVersion, generation, creationTimestamp and selfLink belong to the API server.",
    "status": "status is what controllers report, never what Git asks for.",
    "last-applied": "kubectl keeps a copy of an earlier manifest in an annotation; Kedge compares the object itself.",
    "rollout-bookkeeping": "Controllers count rollouts in annotations of their own.",
    "own-marks": "Kedge's own notes on an object; marks of ownership that change are told beside the fields.",
    "empty": "null, absent, and an empty list or plain map mean the same.",
    "quantity": "Two spellings of one quantity: 1000m is 1, 1024Mi is 1Gi.",
    "injected-ca": "cert-manager writes this CA bundle, and Git leaves it out.",
    "aggregated-rules": "The rules of an aggregated ClusterRole are collected from others by a controller.",
    "secret-string-data": "stringData is only a way to write data: both are compared as data.",
    "order": "The order of this list carries no meaning.",
    "autoscaled": "An autoscaler sets the number of replicas; what Git states of it is left alone.",
    "ignored": "The declaration asks to leave this field alone.",
}
"""Rule name → the sentence that documentation and `--hidden` show."""

OWN = "kedge.dev/"
OWNERSHIP = frozenset(OWN + name for name in ("unit", "installation", "owner", "shard", "project", "environment"))
"""Labels and annotations that say whose an object is: a difference here is a change of hands, never noise."""

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SERVER = frozenset({"resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"})
_ROLLOUT = frozenset({"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"})
_INJECT = (
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
)
_PLAIN = frozenset(
    {"labels", "annotations", "matchLabels", "nodeSelector", "data", "stringData", "binaryData", "resources", "limits"}
    | {"requests", "securityContext", "strategy", "updateStrategy", "parameters", "metadata", "hard", "loadBalancer"}
)
_UNORDERED = frozenset({"finalizers", "ownerReferences"})
_QUANTITY_MAPS = frozenset({"limits", "requests"})
_LIMIT_RANGE_MAPS = frozenset({"default", "defaultRequest", "max", "min", "maxLimitRequestRatio"})
_QUANTITIES = frozenset({"sizeLimit", "averageValue", "divisor"})
_ITEM_LABEL = r'\[(?:"(?:[^"\\]|\\.)*"|[^\]"])*\]'
_NUMBER = re.compile(r"([+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30}))([eE][+-]?\d{1,2}|[KMGTPE]i|[numkMGTPE])?\Z")
_SUFFIX = {
    **{name: Decimal(1024) ** power for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{name: Decimal(10) ** power for name, power in (("n", -9), ("u", -6), ("m", -3), ("k", 3), ("M", 6))},
    **{name: Decimal(10) ** power for name, power in (("G", 9), ("T", 12), ("P", 15), ("E", 18))},
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules need to know of the whole object. `ignore` are patterns as `compiled` makes them."""

    kind: str
    aggregated: bool = False
    injected: bool = False
    ignore: tuple[re.Pattern[str], ...] = ()


def subject_of(kind: str, live: Mapping[str, Any], wished: Mapping[str, Any], ignore: Sequence[str] = ()) -> Subject:
    """Look once at what a rule could depend on."""
    aggregated = kind == "ClusterRole" and bool(live.get("aggregationRule")) and bool(wished.get("aggregationRule"))
    annotations = entries(wished, "annotations")
    injected = any(name in annotations for name in _INJECT)
    return Subject(kind, aggregated, injected, tuple(compiled(pattern) for pattern in ignore))


def entries(obj: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """`metadata.labels` or `metadata.annotations`, empty where the object holds something else there."""
    metadata = obj.get("metadata")
    found = metadata.get(field) if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def compiled(pattern: str) -> re.Pattern[str]:
    """A readable path that covers what lies below it; `*` stands for one name, `[*]` for any item of a list."""
    first, *rest = (_literal(part) for part in re.split(r"(?<!\[)\*+|\*+(?!\])", pattern))
    # What stands between two stars is found where it first is, and that is never taken back: else a row of stars would
    # be tried in every way there is.
    between = "".join(rf"(?>[^.\[\]]*?{part})" for part in rest[:-1] if part)
    last = rf"[^.\[\]]*{rest[-1]}" if rest else ""
    return re.compile(rf"{first}{between}{last}(?=\Z|[.\[])")


def _literal(text: str) -> str:
    return re.escape(text).replace(r"\[\*\]", _ITEM_LABEL)


def rule_of(subject: Subject, trail: Trail, path: str, before: object, after: object) -> str:
    """The rule that hides this difference, "" when it is shown."""
    if trail[0] == "metadata" and (rule := _metadata_rule(trail)):
        return rule
    if trail == ("status",):
        return "status"
    if subject.aggregated and trail == ("rules",):
        return "aggregated-rules"
    if subject.injected and trail[-1] == "caBundle" and not after_value(after):
        return "injected-ca"
    if _nothing(subject, trail, before) and _nothing(subject, trail, after):
        return "empty"
    if is_quantity(subject, trail) and _equal_quantities(before, after):
        return "quantity"
    if subject.ignore and any(pattern.match(path) for pattern in subject.ignore):
        return "ignored"
    return ""


def after_value(value: object) -> bool:
    """Whether there is anything at all."""
    return value is not MISSING and value is not None and value != ""


def _metadata_rule(trail: Trail) -> str:
    if len(trail) == 2:
        if trail[1] == "managedFields":
            return "managed-fields"
        return "server-metadata" if trail[1] in _SERVER else ""
    if len(trail) == 3 and trail[1] in ("annotations", "labels"):
        name = trail[2]
        if name == LAST_APPLIED:
            return "last-applied"
        if name in _ROLLOUT:
            return "rollout-bookkeeping"
        return "own-marks" if name.startswith(OWN) else ""
    return ""


def _nothing(subject: Subject, trail: Trail, value: object) -> bool:
    if value is MISSING or value is None:
        return True
    if isinstance(value, list):
        return not value
    if isinstance(value, dict):
        return not value and trail[-1] in _PLAIN
    # The API server answers a Secret's empty value as null to some clients.
    return value == "" and subject.kind == "Secret" and len(trail) == 2 and trail[0] == "data"


def unordered(subject: Subject, trail: Trail) -> bool:
    """Whether a list is a set: metadata's own, and the addresses and ports of Endpoints."""
    if subject.kind in ("Endpoints", "EndpointSlice"):
        return trail[-1] in ("addresses", "notReadyAddresses", "ports", "endpoints")
    return len(trail) == 2 and trail[0] == "metadata" and trail[1] in _UNORDERED


def is_quantity(subject: Subject, trail: Trail) -> bool:
    """Whether Kubernetes reads this place as a quantity: resources, quotas, limit ranges, volumes, metric targets."""
    if trail[-1] in _QUANTITIES:
        return trail[0] in ("spec", "template", "parameters")
    if len(trail) < 3:
        return False
    parent, grand = trail[-2], trail[-3]
    if parent in _QUANTITY_MAPS:
        return grand == "resources"
    if parent in _LIMIT_RANGE_MAPS:
        return subject.kind == "LimitRange"
    if trail[-1] == "value" and parent == "target":
        return subject.kind == "HorizontalPodAutoscaler"
    if parent == "hard":
        return subject.kind == "ResourceQuota"
    return grand == "spec" and parent in ("capacity", "podFixed")


def quantity(value: object) -> Decimal | None:
    """The value of a quantity, None for what is none. Numbers count as their text."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    match = _NUMBER.match(value if isinstance(value, str) else repr(value)[:80])
    if match is None:
        return None
    suffix = match[2] or ""
    if suffix[:1] in ("e", "E") and suffix[1:] and suffix != "Ei":
        return Decimal(match[1]).scaleb(int(suffix[1:]))
    return Decimal(match[1]) * _SUFFIX.get(suffix, Decimal(1))


def _equal_quantities(before: object, after: object) -> bool:
    left = quantity(before)
    return left is not None and left == quantity(after)


def folded(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Secret with `stringData` written as `data`, as the API server stores it (stringData wins)."""
    text = obj.get("stringData")
    if not isinstance(text, dict) or not all(isinstance(value, str) for value in text.values()):
        return obj
    data = obj.get("data") if isinstance(obj.get("data"), dict) else {}
    encoded = {name: b64encode(value.encode("utf-8", "surrogatepass")).decode() for name, value in text.items()}
    rest = {name: value for name, value in obj.items() if name != "stringData"}
    return {**rest, "data": {**(data or {}), **encoded}}
