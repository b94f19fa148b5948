"""Effects: what a change would do, as a keyed digest. An approval names effects; nothing else may then be applied.

The real values are in it, so a secret that changes is another effect; the key keeps anybody from guessing the values.
Of what a deletion takes along, it holds whether there is anything and what of it holds data, by name: objects that come
and go in a namespace would otherwise ask for a person again and again.
What is not in it: the server's bookkeeping, what normalisation hides, and the content hash at the end of a generated
name (the content itself is).
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from kedge.engine.leaves import Leaf
from kedge.engine.normalize import MISSING, folded, rule_of, subject_of
from kedge.model.change import Act, Change
from kedge.model.pair import Along
from kedge.model.ref import Ref

_GENERATED = re.compile(r"(.+)-[2456789bcdfghkmt]{10}\Z")
"""The hash that kustomize's generators append: ten characters of this alphabet."""

_GENERATED_KINDS = frozenset({("", "ConfigMap"), ("", "Secret")})
_HOLDS_DATA = frozenset({("apps", "StatefulSet"), ("", "PersistentVolumeClaim"), ("", "PersistentVolume")})
_NAMED_BY = frozenset({"secret", "configMap", "configMapRef", "configMapKeyRef", "secretRef", "secretKeyRef"})


@dataclass(frozen=True, slots=True)
class Deed:
    """A change with its real values: never to be shown or stored. `body` is all of what would be created."""

    ref: Ref
    act: Act
    leaves: tuple[Leaf, ...] = ()
    body: Mapping[str, Any] | None = None
    adopts: str = ""
    along: Along | None = None

    def __repr__(self) -> str:
        return f"Deed({self.ref}, {self.act})"


def is_generated(ref: Ref) -> bool:
    """Whether the name ends in a hash of the content, as kustomize's generators name what they make."""
    return ref.group_kind in _GENERATED_KINDS and _GENERATED.match(ref.name) is not None


def bound(key: bytes, place: str) -> bytes:
    """The key for effects at a place: who agrees to them there has not agreed to them anywhere else."""
    return hmac.digest(key, b"place\0" + place.encode("utf-8", "surrogatepass"), sha256)


def effect(deed: Deed, key: bytes) -> str:
    """Digest of one change, in hex: HMAC-SHA256 over the object, the act, and the fields in order of path."""
    stem = _stem(deed.ref.name) if is_generated(deed.ref) else deed.ref.name
    told: dict[str, Any] = {
        "ref": [deed.ref.group, deed.ref.kind, deed.ref.namespace, stem],
        "act": deed.act.value,
        "fields": sorted(_told(leaf) for leaf in deed.leaves),
        "adopts": deed.adopts,
    }
    if deed.along is not None and deed.along.others:
        told["along"] = sorted(str(ref) for ref in deed.along.named if ref.group_kind in _HOLDS_DATA)
    if deed.body is not None:
        told["body"] = _essential(deed.ref, deed.body)
    return hmac.digest(key, b"effect\0" + canonical(told).encode("utf-8", "surrogatepass"), sha256).hex()


def _told(leaf: Leaf) -> list[str]:
    return [leaf.path, leaf.act.value, *(_value(leaf.trail, value) for value in (leaf.before, leaf.after))]


def _value(trail: tuple[str, ...], value: Any) -> str:
    if value is MISSING:
        return ""
    named = trail[-2:] == ("secret", "secretName") or (trail[-1] == "name" and trail[-2:-1] and trail[-2] in _NAMED_BY)
    return canonical(_stem(value) if named and isinstance(value, str) else value)


def _stem(name: str) -> str:
    match = _GENERATED.match(name)
    return f"{match[1]}-*" if match else name


def _essential(ref: Ref, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without what would be hidden if it changed."""
    body = folded(body) if ref.kind == "Secret" else body
    subject = subject_of(ref.kind, {}, body)
    kept = {name: value for name, value in body.items() if not rule_of(subject, (name,), name, value, MISSING)}
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        kept["metadata"] = _essential_metadata(metadata, ref)
    return kept


def _essential_metadata(metadata: Mapping[str, Any], ref: Ref) -> dict[str, Any]:
    subject = subject_of(ref.kind, {}, {})
    kept: dict[str, Any] = {}
    for name, value in metadata.items():
        if name == "name" or rule_of(subject, ("metadata", name), "", value, MISSING):
            continue
        if name in ("labels", "annotations") and isinstance(value, dict):
            value = {
                entry: text
                for entry, text in value.items()
                if not rule_of(subject, ("metadata", name, entry), "", text, MISSING)
            }
            if not value:
                continue
        kept[name] = value
    return kept


_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)


def canonical(value: Any) -> str:
    """JSON text with sorted keys and no spaces. What the quick way can not write (numbers beyond 64 bits, deep nesting)
    Python's own does, and what is nested beyond its reach is written without recursion."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        pass
    try:
        return _ENCODER.encode(value)
    except RecursionError:
        return _flat(value)


def _flat(value: Any) -> str:
    parts: list[str] = []
    stack: list[tuple[bool, Any]] = [(False, value)]
    while stack:
        literal, item = stack.pop()
        if literal:
            parts.append(item)
        elif isinstance(item, (dict, list)):
            named = isinstance(item, dict)
            pairs = sorted(item.items()) if isinstance(item, dict) else [("", entry) for entry in item]
            stack.append((True, "}" if named else "]"))
            for number, (name, entry) in reversed(list(enumerate(pairs))):
                head = f"{json.dumps(name, ensure_ascii=False)}:" if named else ""
                stack += [(False, entry), (True, f",{head}" if number else head)]
            parts.append("{" if named else "[")
        else:
            parts.append(json.dumps(item, ensure_ascii=False, default=str))
    return "".join(parts)


def effects(changes: Iterable[Change]) -> str:
    """Digest over the set of effects: the order of the changes does not matter."""
    return sha256("\n".join(sorted({change.effect for change in changes})).encode()).hexdigest()


def covered(changes: Iterable[Change], approved: Iterable[str]) -> tuple[Change, ...]:
    """The changes whose effects are not among those approved; none left means: go."""
    agreed = frozenset(approved)
    return tuple(change for change in changes if change.effect not in agreed)


@dataclass(frozen=True, slots=True)
class Difference:
    """What came to be between an approval and now. `altered` holds the same object's change then and now."""

    added: tuple[Change, ...] = ()
    dropped: tuple[Change, ...] = ()
    altered: tuple[tuple[Change, Change], ...] = ()


def difference(approved: Sequence[Change], now: Sequence[Change]) -> Difference:
    """For showing why an approval does not hold any more. A new generated name of the same effect is no difference."""
    known, current = {change.effect for change in approved}, {change.effect for change in now}
    then = {change.ref: change for change in approved if change.effect not in current}
    here = {change.ref: change for change in now if change.effect not in known}
    return Difference(
        added=tuple(change for ref, change in here.items() if ref not in then),
        dropped=tuple(change for ref, change in then.items() if ref not in here),
        altered=tuple((then[ref], change) for ref, change in here.items() if ref in then),
    )
