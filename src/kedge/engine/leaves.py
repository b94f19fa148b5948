"""Two JSON objects → the smallest fields that differ, at paths that people read.

Items of a list are matched by the keys that Kubernetes' schemas name as list-map-keys (`name`, `containerPort`,
`mountPath` …), wherever both lists carry such a key once per item; else by their place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from kedge.engine.normalize import ITEM, MISSING, Subject, Trail, rule_of, unordered
from kedge.model.change import FieldAct, Hidden

_DEEPEST = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_BARE = re.compile(r"(?!\d+\Z)[A-Za-z0-9][A-Za-z0-9._/:-]{0,252}\Z")
_KEYS: tuple[tuple[str, ...], ...] = (
    ("containerPort", "protocol"),
    ("mountPath",),
    ("devicePath",),
    ("name",),
    ("port", "protocol"),
    ("ip",),
    ("topologyKey", "whenUnsatisfiable"),
    ("key",),
    ("uid",),
    ("type",),
    ("path",),
    ("host",),
)
_DEFAULT = {"protocol": "TCP", "whenUnsatisfiable": "DoNotSchedule"}
_SPREAD = frozenset({("metadata",), ("metadata", "annotations"), ("metadata", "labels"), ("data",), ("binaryData",)})
"""Maps that are told entry by entry even where one side has none at all: their entries are what people know."""

Opaque = Callable[[Trail], bool]
Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One field that differs, with its real values: never to be shown or stored as they are."""

    path: str
    trail: Trail
    act: FieldAct
    before: Any
    after: Any

    def __repr__(self) -> str:
        return f"Leaf({self.path!r}, {self.act})"


@dataclass(slots=True)
class _Walk:
    subject: Subject
    opaque: Opaque
    leaves: list[Leaf] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)


def leaves(
    subject: Subject, before: Mapping[str, Any], after: Mapping[str, Any], opaque: Opaque = lambda _trail: False
) -> tuple[tuple[Leaf, ...], tuple[Hidden, ...]]:
    """What differs and is shown, and what differs and is hidden; both ordered by name, lists by place.

    `opaque` says where the walk must not look inside, because even the names below could be secret.
    """
    walk = _Walk(subject, opaque)
    _maps(walk, "", (), before, after)
    return tuple(walk.leaves), tuple(walk.hidden)


def same(left: object, right: object) -> bool:
    """JSON equality: 1 equals 1.0, but never true. Iterative, for depth is the other side's choice."""
    if left is right:
        return True
    try:  # what Python tells apart is not the same in JSON either, what is written alike is: both are quick to tell
        if left != right:
            return False
        if type(left) is str or _text(left) == _text(right):
            return True
    except (RecursionError, TypeError):
        pass
    stack = [(left, right)]
    while stack:
        a, b = stack.pop()
        if a is b:
            continue
        if isinstance(a, dict):
            if not isinstance(b, dict) or len(a) != len(b):
                return False
            stack.extend((value, b.get(name, MISSING)) for name, value in a.items())
        elif isinstance(a, list):
            if not isinstance(b, list) or len(a) != len(b):
                return False
            stack.extend(zip(a, b, strict=True))
        elif isinstance(a, bool) is not isinstance(b, bool) or a != b:
            return False
    return True


def _text(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _maps(walk: _Walk, path: str, trail: Trail, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    odd = [name for name in {**before, **after} if not same(before.get(name, MISSING), after.get(name, MISSING))]
    for name in sorted(odd):
        old, new = before.get(name, MISSING), after.get(name, MISSING)
        _values(walk, f"{path}{_step(name, path)}", (*trail, name), old, new)


def path_of(place: Sequence[str | int]) -> str:
    """A place in one object as a path: items by their number."""
    path = ""
    for step in place:
        path += f"[{step}]" if isinstance(step, int) else _step(step, path)
    return path


def _step(name: str, path: str) -> str:
    if _NAME.match(name):
        return f".{name}" if path else name
    return f"[{_quoted(name)}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _values(walk: _Walk, path: str, trail: Trail, before: Any, after: Any) -> None:
    rule = rule_of(walk.subject, trail, path, before, after)
    if rule:
        walk.hidden.append(Hidden(path, rule))
        return
    if walk.opaque(trail):
        _leaf(walk, path, trail, before, after)
        return
    if trail in _SPREAD:
        before, after = ({} if value in (MISSING, None) else value for value in (before, after))
    if isinstance(before, dict) and isinstance(after, dict) and len(trail) < _DEEPEST:
        _maps(walk, path, trail, before, after)
    elif isinstance(before, list) and isinstance(after, list) and len(trail) < _DEEPEST:
        _lists(walk, path, trail, before, after)
    else:
        _leaf(walk, path, trail, before, after)


def _leaf(walk: _Walk, path: str, trail: Trail, before: Any, after: Any) -> None:
    if before is MISSING or before is None:
        act = FieldAct.GAIN
    elif after is MISSING or after is None:
        act = FieldAct.LOSE
    else:
        act = FieldAct.CHANGE
    walk.leaves.append(Leaf(path, trail, act, before, after))


def _lists(walk: _Walk, path: str, trail: Trail, before: list[Any], after: list[Any]) -> None:
    fields = shared_key(before, after)
    if fields:
        _keyed(walk, path, trail, keyed(before, fields), keyed(after, fields), fields)
    elif _set_of_texts(before) and _set_of_texts(after) and unordered(walk.subject, trail):
        _texts(walk, path, trail, before, after)
    elif any(isinstance(item, (dict, list)) for item in (*before, *after)):
        _placed(walk, path, trail, before, after)
    else:
        _leaf(walk, path, trail, before, after)


def shared_key(before: Sequence[Any], after: Sequence[Any]) -> tuple[str, ...]:
    """The fields that tell the items of both lists apart; () when there are none."""
    items = (*before, *after)
    if not items or not all(isinstance(item, dict) for item in items):
        return ()
    likely = [fields for fields in _KEYS if fields[0] in items[0]]
    return next((fields for fields in likely if _fits(before, fields) and _fits(after, fields)), ())


def _fits(items: Sequence[Mapping[str, Any]], fields: tuple[str, ...]) -> bool:
    if not all(_is_key(item.get(fields[0])) for item in items):
        return False
    keys = [_key_of(item, fields) for item in items]
    return all(_is_key(part) for key in keys for part in key) and len(set(keys)) == len(keys)


def _is_key(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _key_of(item: Mapping[str, Any], fields: tuple[str, ...]) -> Key:
    return tuple(item.get(name, _DEFAULT.get(name, "")) for name in fields)


def keyed(items: Sequence[Mapping[str, Any]], fields: tuple[str, ...]) -> dict[Key, Mapping[str, Any]]:
    """Items by key, in their order."""
    return {_key_of(item, fields): item for item in items}


def _keyed(
    walk: _Walk,
    path: str,
    trail: Trail,
    before: Mapping[Key, Any],
    after: Mapping[Key, Any],
    fields: tuple[str, ...],
) -> None:
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key, MISSING), after.get(key, MISSING)
        if not same(old, new):
            _values(walk, f"{path}{_label(fields, key)}", (*trail, ITEM), old, new)
    old_order = [key for key in before if key in after]
    new_order = [key for key in after if key in before]
    if old_order != new_order:
        if unordered(walk.subject, trail):
            walk.hidden.append(Hidden(path, "order"))
        else:
            names = [[_label(fields, key)[1:-1] for key in order] for order in (old_order, new_order)]
            _leaf(walk, f"{path}[order]", trail, names[0], names[1])


def _label(fields: tuple[str, ...], key: Key) -> str:
    parts = [
        f"{name}={_written(value)}"
        for place, (name, value) in enumerate(zip(fields, key, strict=True))
        if place == 0 or value != _DEFAULT.get(name)
    ]
    return f"[{','.join(parts)}]"


def _written(value: str | int) -> str:
    return str(value) if isinstance(value, int) or _BARE.match(value) else _quoted(value)


def _set_of_texts(items: Sequence[Any]) -> bool:
    return all(isinstance(item, str) for item in items) and len(set(items)) == len(items)


def _texts(walk: _Walk, path: str, trail: Trail, before: Sequence[str], after: Sequence[str]) -> None:
    if set(before) == set(after):
        walk.hidden.append(Hidden(path, "order"))
        return
    for text in before:
        if text not in after:
            _leaf(walk, f"{path}[{_quoted(text)}]", trail, text, MISSING)
    for text in after:
        if text not in before:
            _leaf(walk, f"{path}[{_quoted(text)}]", trail, MISSING, text)


def _placed(walk: _Walk, path: str, trail: Trail, before: Sequence[Any], after: Sequence[Any]) -> None:
    """By place. Items that were only put in or taken out somewhere do not make all that follow look different."""
    shorter = min(len(before), len(after))
    head = next((n for n in range(shorter) if not same(before[n], after[n])), shorter)
    moved = abs(len(before) - len(after))
    longer = before if len(before) > len(after) else after
    other = after if longer is before else before
    only_moved = moved and all(same(longer[n + moved], other[n]) for n in range(head, shorter))
    pairs = range(head, head if only_moved else shorter)
    for place in pairs:
        if not same(before[place], after[place]):
            _values(walk, f"{path}[{place}]", (*trail, ITEM), before[place], after[place])
    for place in range(pairs.stop, pairs.stop + moved):
        old, new = (longer[place], MISSING) if longer is before else (MISSING, longer[place])
        _values(walk, f"{path}[{place}]", (*trail, ITEM), old, new)


def overlaid(live: Any, wish: Any, depth: int = 0) -> Any:
    """What a live value would be with a wish laid over it: for objects that the API server would not predict."""
    if depth > _DEEPEST:
        return wish
    if isinstance(live, dict) and isinstance(wish, dict):
        both = {name: overlaid(live[name], value, depth + 1) if name in live else value for name, value in wish.items()}
        return {**live, **both}
    if isinstance(live, list) and isinstance(wish, list):
        fields = shared_key(live, wish)
        if fields:
            known = keyed(live, fields)
            return [overlaid(known.get(key, MISSING), item, depth + 1) for key, item in keyed(wish, fields).items()]
    return wish
