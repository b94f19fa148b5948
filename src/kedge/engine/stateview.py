"""A state as people may see it, and what lies between two of them: secret values are never shown.

What counts as secret: what the tool marks so (outputs, attributes), every other text of the state that is equal to
such a value, and attributes whose name says so, for a tool does not mark what only the provider knows to be secret.
Which data sources were read is left out: they are read anew each time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedge.engine import mask
from kedge.engine.leaves import Leaf, leaves
from kedge.engine.mask import Sensitive
from kedge.engine.normalize import MISSING, Subject, Trail
from kedge.engine.statefile import instance_address, parsed
from kedge.model.change import Act, FieldChange

_TELLING = re.compile(
    r"(?i)passw|passphrase|secret|token|credential|private_?key|access_?key|api_?key|connection_string|(^|_)pem$|user_data"
)
_ROOT = "attributes"
_SUBJECT = Subject("")
_SHORTEST = 4
_CUT = 2000


@dataclass(frozen=True, slots=True)
class Shown:
    """One managed resource or one output. `values` are what may be shown: JSON, with markers for what may not."""

    address: str
    values: Any


@dataclass(frozen=True, slots=True)
class StateView:
    outputs: tuple[Shown, ...] = ()
    resources: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class StateDifference:
    """One resource or output (`output.NAME`) that differs."""

    address: str
    act: Act
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class _Thing:
    """A resource's instance or an output, with its real values."""

    address: str
    values: Any
    found: Sensitive


@dataclass(frozen=True, slots=True)
class _Veil:
    """`known` are secret texts, wherever they stand."""

    key: bytes
    known: frozenset[str] = field(repr=False)

    def hides(self, found: Sensitive, trail: Trail, value: Any) -> bool:
        if found.covers(trail):
            return True
        if isinstance(value, (dict, list)) or value is None or isinstance(value, bool):
            return False
        return (bool(trail) and bool(_TELLING.search(trail[-1]))) or (isinstance(value, str) and value in self.known)

    def over(self, found: Sensitive, value: Any, trail: Trail = ()) -> Any:
        if value is None or value == "":
            return value
        if self.hides(found, trail, value):
            return mask.marker(value, self.key)
        if isinstance(value, dict):
            return {name: self.over(found, item, (*trail, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.over(found, item, trail) for item in value]
        return value


def view(content: bytes, key: bytes) -> StateView:
    """Raises Invalid for what is no state. `key` keys the markers: equal values have equal ones."""
    outputs, resources = _things(parsed(content))
    veil = _veil(key, outputs, resources)
    return StateView(
        tuple(Shown(thing.address, veil.over(thing.found, thing.values)) for thing in outputs.values()),
        tuple(Shown(thing.address, veil.over(thing.found, thing.values)) for thing in resources.values()),
    )


def differences(before: bytes, after: bytes, key: bytes) -> tuple[StateDifference, ...]:
    """Resources first, then outputs, each by address; "" for no state at all. Raises Invalid."""
    old, new = (_things(parsed(content)) if content else ({}, {}) for content in (before, after))
    veil = _veil(key, *old, *new)
    return tuple(
        found for place in (1, 0) for found in _compared(old[place], new[place], veil, "" if place else "output.")
    )


def _compared(
    old: Mapping[str, _Thing], new: Mapping[str, _Thing], veil: _Veil, prefix: str
) -> Iterator[StateDifference]:
    for address in sorted(old.keys() | new.keys()):
        before, after = old.get(address), new.get(address)
        if before is None or after is None:
            act = Act.DELETE if after is None else Act.CREATE
            yield StateDifference(prefix + address, act, tuple(_fields(before, after, veil)))
            continue
        fields = tuple(_fields(before, after, veil))
        if fields:
            yield StateDifference(prefix + address, Act.UPDATE, fields)


def _fields(before: _Thing | None, after: _Thing | None, veil: _Veil) -> Iterator[FieldChange]:
    """Below a name of our own, for the rules of Kubernetes' fields are not those of a provider."""
    found = Sensitive(
        tuple((_ROOT, *place) for thing in (before, after) if thing is not None for place in thing.found.places)
    )
    old, new = ({_ROOT: thing.values} if thing is not None else {_ROOT: None} for thing in (before, after))
    shown, _ = leaves(_SUBJECT, old, new, found.covers)
    for leaf in shown:
        path = leaf.path.removeprefix(_ROOT).removeprefix(".")
        yield FieldChange(path, leaf.act, *(_text(found, leaf, value, veil) for value in (leaf.before, leaf.after)))


def _text(found: Sensitive, leaf: Leaf, value: Any, veil: _Veil) -> str:
    if value is MISSING or value is None:
        return ""
    return json.dumps(veil.over(found, value, leaf.trail), ensure_ascii=False, sort_keys=True)[:_CUT]


def _things(state: Mapping[str, Any]) -> tuple[dict[str, _Thing], dict[str, _Thing]]:
    """Outputs and managed resources, each by name."""
    outputs = {
        name: _Thing(name, one.get("value"), Sensitive(((),) if one.get("sensitive") else ()))
        for name, one in sorted(_map(state.get("outputs")).items())
        if isinstance(one, dict)
    }
    found = (thing for each in _list(state.get("resources")) for thing in _instances(each))
    return outputs, {thing.address: thing for thing in sorted(found, key=lambda thing: thing.address)}


def _instances(resource: Any) -> Iterator[_Thing]:
    if not isinstance(resource, dict) or resource.get("mode") != "managed":
        return
    module = resource.get("module") or ""
    base = f"{module}{'.' if module else ''}{resource.get('type')}.{resource.get('name')}"
    for instance in _list(resource.get("instances")):
        if isinstance(instance, dict):
            deposed = f" (deposed {instance['deposed']})" if instance.get("deposed") else ""
            address = instance_address(base, instance.get("index_key")) + deposed
            yield _Thing(address, instance.get("attributes"), Sensitive(_places(instance.get("sensitive_attributes"))))


def _places(paths: Any) -> tuple[Trail, ...]:
    """`[[{"type": "get_attr", "value": "password"}]]` → places as `mask` counts them: names only."""
    return tuple(tuple(_steps(path)) for path in _list(paths) if isinstance(path, list))


def _steps(path: list[Any]) -> Iterator[str]:
    for step in path:
        value = step.get("value") if isinstance(step, dict) else None
        if isinstance(value, dict):
            value = value.get("value")
        if isinstance(value, str):
            yield value


def _veil(key: bytes, *groups: Mapping[str, _Thing]) -> _Veil:
    known = {
        text
        for group in groups
        for thing in group.values()
        for text in _secret_texts(thing.found, thing.values, ())
        if len(text) >= _SHORTEST
    }
    return _Veil(key, frozenset(known))


def _secret_texts(found: Sensitive, value: Any, trail: Trail, covered: bool = False) -> Iterator[str]:
    covered = covered or found.covers(trail)
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _secret_texts(found, item, (*trail, name), covered)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_texts(found, item, trail, covered)
    elif covered and isinstance(value, str):
        yield value


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
