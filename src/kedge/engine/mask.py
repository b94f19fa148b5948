"""Secret values never appear: a marker stands for each, equal where the values are equal.

The marker is keyed, so that nobody can guess a value offline, and it is made from the decoded bytes, so that `data`
and `stringData` agree. What counts as secret: the values of a Secret, every copy of them in its annotations, and the
fields that an object's annotation `kedge.dev/sensitive: path, path` names.
"""

from __future__ import annotations

import binascii
import hmac
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from kedge.engine.normalize import ITEM, LAST_APPLIED, Trail, entries

SENSITIVE = "kedge.dev/sensitive"
WITHHELD = "(not shown: the message may quote a secret value)"

_COPIES = (LAST_APPLIED, "kapp.k14s.io/original", "objectset.rio.cattle.io/applied", "banzaicloud.com/last-applied")
_SEGMENT = re.compile(r'\["((?:[^"\\]|\\.){0,300})"\]|\[[^\]]{0,300}\]|([^.\[\]]+)')
_SECRET_FIELDS: tuple[Trail, ...] = (("data",), ("stringData",))
_LONGEST_TEXT = 4_000
_MOST_SECRET = 65_536
_FRAGMENT = 6


@dataclass(frozen=True, slots=True)
class Sensitive:
    """Which places of one object are secret. Places are field names from the root; list items do not count."""

    places: tuple[Trail, ...] = ()
    secret: bool = False

    def covers(self, trail: Trail) -> bool:
        """Whether this is a secret value, so that nothing in it may be looked at. The entries of a Secret's data are
        told apart by name, for names are not secret."""
        if not self.secret and not self.places:
            return False
        names = _names(trail)
        if self.secret and names[:1] in _SECRET_FIELDS and len(names) > 1:
            return True
        return any(names[: len(place)] == place for place in self.places)

    def touches(self, trail: Trail) -> bool:
        """Whether a value at this place is, or holds, something secret."""
        names = _names(trail)
        if self.secret and names[:1] in _SECRET_FIELDS:
            return True
        return self.covers(trail) or any(place[: len(names)] == names for place in self.places)


def _names(trail: Trail) -> Trail:
    return tuple(name for name in trail if name != ITEM)


def sensitive(kind: str, *objects: Mapping[str, Any] | None) -> Sensitive:
    """What is secret in these sightings of one object: what any one of them says."""
    places: list[Trail] = []
    for obj in objects:
        named = entries(obj, "annotations").get(SENSITIVE) if obj else None
        if isinstance(named, str):
            places += [place for place in map(_place, named.split(",")) if place]
    secret = kind == "Secret" or any(obj is not None and obj.get("kind") == "Secret" for obj in objects)
    return Sensitive(tuple(places), secret)


def _place(text: str) -> Trail:
    found = (match[2] or match[1] for match in _SEGMENT.finditer(text.strip()))
    return tuple(name for name in found if name)


def marker(value: Any, key: bytes, *, encoded: bool = False) -> str:
    """What is shown instead of a value. `encoded`: it is a Secret's base64, and equal to what it decodes to."""
    digest = hmac.new(key, b"mask\0" + _bytes(value, encoded=encoded), sha256).hexdigest()
    return f"++++++++ ({digest[:8]})"


def _bytes(value: Any, *, encoded: bool) -> bytes:
    if not isinstance(value, str):
        return json.dumps(value, sort_keys=True, default=str).encode()
    raw = value.encode("utf-8", "surrogatepass")
    if not encoded:
        return raw
    try:
        return b64decode(raw, validate=True)
    except binascii.Error:
        return raw


def view(obj: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """A copy of any object that may be shown anywhere. Lists of objects are masked item by item."""
    found = sensitive(str(obj.get("kind", "")), obj)
    masked = {name: _masked(found, (name,), value, key) for name, value in obj.items()}
    if found.secret:
        masked["metadata"] = _without_copies(obj, masked.get("metadata"), key)
        if "metadata" not in obj:
            del masked["metadata"]
    items = obj.get("items")
    if isinstance(items, list) and not found.touches(("items",)):
        masked["items"] = [view(item, key) if isinstance(item, dict) else item for item in items]
    return masked


def _masked(found: Sensitive, trail: Trail, value: Any, key: bytes) -> Any:
    if not found.touches(trail):
        return value
    if found.covers(trail) or not isinstance(value, (dict, list)):
        return None if value is None else marker(value, key, encoded=found.secret and trail[0] == "data")
    if isinstance(value, dict):
        return {name: _masked(found, (*trail, name), item, key) for name, item in value.items()}
    if found.secret and trail in _SECRET_FIELDS:
        return marker(value, key)
    return [_masked(found, (*trail, ITEM), item, key) for item in value]


def _without_copies(obj: Mapping[str, Any], metadata: Any, key: bytes) -> Any:
    annotations = entries(obj, "annotations")
    if not annotations or not isinstance(metadata, dict):
        return metadata
    values = tuple(forms(obj, sensitive("Secret", obj)))
    kept = {name: marker(value, key) if copies(name, value, values) else value for name, value in annotations.items()}
    return {**metadata, "annotations": kept}


def copies(name: str, value: Any, values: tuple[str, ...]) -> bool:
    """Whether an annotation of a Secret repeats its values: by what it is known to hold, or by what it does hold."""
    if name in _COPIES or name.endswith("last-applied-configuration"):
        return True
    return isinstance(value, str) and any(len(form) >= 4 and form in value for form in values)


def forms(obj: Mapping[str, Any] | None, found: Sensitive) -> Iterator[str]:
    """Every spelling of every secret value of an object: plain, base64, and as JSON writes either."""
    if obj is None:
        return
    stack: list[tuple[Trail, Any]] = [
        ((name,), value) for held in (obj, *_copied(obj, found)) for name, value in held.items()
    ]
    while stack:
        trail, value = stack.pop()
        if isinstance(value, dict):
            stack += [((*trail, str(name)), item) for name, item in value.items() if found.touches((*trail, str(name)))]
        elif isinstance(value, list):
            stack += [((*trail, ITEM), item) for item in value if found.touches((*trail, ITEM))]
        elif found.touches(trail) and value is not None and value != "":
            yield from _spellings(value if isinstance(value, str) else json.dumps(value), encoded=trail[0] == "data")


def _copied(obj: Mapping[str, Any], found: Sensitive) -> Iterator[Mapping[str, Any]]:
    """Earlier manifests of a Secret that its annotations keep: their values are as secret."""
    for name, value in entries(obj, "annotations").items() if found.secret else ():
        if not copies(name, value, ()) or not isinstance(value, str):
            continue
        try:
            earlier = json.loads(value)
        except (ValueError, RecursionError):
            continue
        if isinstance(earlier, dict):
            yield earlier


def _spellings(text: str, *, encoded: bool) -> Iterator[str]:
    raw = text.encode("utf-8", "surrogatepass")
    plain = _bytes(text, encoded=encoded).decode("utf-8", "replace")
    for form in dict.fromkeys(
        (text, plain, b64encode(raw).decode(), b64encode(plain.encode("utf-8", "replace")).decode())
    ):
        yield form
        for escaped in (json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1]):
            if escaped != form:
                yield escaped


def text(message: str, key: bytes, kind: str, *objects: Mapping[str, Any] | None) -> str:
    """An error about an object, without its secret values or pieces of them (an API server quotes what it can not
    read, cut anywhere). Where that can not be made sure of, the whole message is withheld."""
    found = sensitive(kind, *objects)
    if not found.secret and not found.places:
        return message
    values = sorted({form for obj in objects for form in forms(obj, found)}, key=lambda form: (-len(form), form))
    if sum(map(len, values)) > _MOST_SECRET or len(message) > _LONGEST_TEXT:
        return WITHHELD
    for value in values:
        if len(value) >= 4:
            message = message.replace(value, marker(value, key))
        else:
            message = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "++++++++", message)
    pieces = {value[start : start + _FRAGMENT] for value in values for start in range(len(value) - _FRAGMENT + 1)}
    return WITHHELD if any(piece in message for piece in pieces) else message
