"""A stack's resource, as a saved plan says what would become of it → its change. Pure.

The effect covers what the tool would do and to which values (address, former address, actions, before, after, what is
unknown, what forces a replacement, what is imported): equal for two plans of the same world, whatever the commit.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from kedge.engine import mask
from kedge.engine.effects import canonical
from kedge.model.change import Act, Change, FieldAct, FieldChange
from kedge.model.pair import Planned

KNOWN_LATER = "(known after apply)"
_LONGEST = 2_000
_DEEPEST = 40
_NOTHING = object()
_LATER = object()
_ACTS = {
    ("create",): Act.CREATE,
    ("update",): Act.UPDATE,
    ("delete",): Act.DELETE,
    ("forget",): Act.FORGET,
    ("delete", "create"): Act.REPLACE,
    ("create", "delete"): Act.REPLACE,
    ("forget", "create"): Act.CREATE,
    ("create", "forget"): Act.CREATE,
}
_REASONS = {
    "replace_because_tainted": "it was left half made by an apply that failed",
    "replace_because_cannot_update": "it can not be changed in place",
    "replace_by_request": "asked for",
    "replace_by_triggers": "replace_triggered_by",
    "delete_because_no_resource_config": "it is not in the code any more",
    "delete_because_no_module": "its module is not in the code any more",
    "delete_because_wrong_repetition": "count or for_each came or went",
    "delete_because_count_index": "count is smaller",
    "delete_because_each_key": "for_each has no such key any more",
    "delete_because_no_move_target": "it was moved, and its target is there already",
}


def resource_change(pair: Planned, key: bytes, *, wished: bool = True) -> Change | None:
    """None for what is read, and for what stays as it is. `wished`: the wish moved; otherwise it is drift."""
    act = _ACTS.get(pair.actions)
    if act is None and not (pair.actions == ("no-op",) and (pair.previous or pair.importing)):
        return None
    return Change(
        ref=pair.ref,
        act=act or Act.UPDATE,
        fields=tuple(_fields(pair, key)) if act in (Act.CREATE, Act.UPDATE, Act.REPLACE) else (),
        effect=_effect(pair, key),
        why="; ".join(_why(pair)),
        drift=not wished,
    )


def _effect(pair: Planned, key: bytes) -> str:
    told = [
        pair.ref.key,
        pair.previous,
        list(pair.actions),
        pair.before,
        pair.after,
        pair.unknown,
        sorted(pair.replaces),
        pair.importing,
    ]
    return hmac.new(key, b"resource\0" + canonical(told).encode("utf-8", "surrogatepass"), sha256).hexdigest()


def _why(pair: Planned) -> Iterator[str]:
    if pair.outside:
        yield "it was changed outside of Kedge"
    if pair.previous:
        yield f"moved from {pair.previous}"
    if pair.importing:
        yield f"imported as {pair.importing}"
    if pair.replaces:
        yield f"{', '.join(pair.replaces)} can not be changed in place"
    elif pair.why:
        yield _REASONS.get(pair.why, pair.why.replace("_", " "))


def _fields(pair: Planned, key: bytes) -> Iterator[FieldChange]:
    secret = (pair.secret_before, pair.secret_after)
    for path, before, after, hidden in _leaves("", pair.before, pair.after, pair.unknown, secret, 0):
        if before is _NOTHING or before is None:
            act = FieldAct.GAIN
        else:
            act = FieldAct.LOSE if after is _NOTHING or after is None else FieldAct.CHANGE
        yield FieldChange(path, act, _shown(before, key, hidden), _shown(after, key, hidden))


def _shown(value: Any, key: bytes, hidden: bool) -> str:
    if value is _NOTHING or value is None:
        return ""
    if value is _LATER:
        return KNOWN_LATER
    if hidden:
        return mask.marker(value, key)
    text = canonical(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _leaves(
    path: str, before: Any, after: Any, unknown: Any, secret: tuple[Any, Any], depth: int
) -> Iterator[tuple[str, Any, Any, bool]]:
    """What differs: path, before, after, and whether it is secret. A secret is never looked into."""
    if True in secret or unknown is True or depth > _DEEPEST or not _both_hold(before, after):
        after = _LATER if _any(unknown) else after
        if after is _LATER or not _same(before, after):
            yield path, before, after, _any(secret)
        return
    for name, step in _steps(before, after, unknown):
        inner = (_below(secret[0], name, False), _below(secret[1], name, False))
        below = (_below(before, name), _below(after, name), _below(unknown, name, False))
        yield from _leaves(f"{path}{step}" if path else step.removeprefix("."), *below, inner, depth + 1)


def _both_hold(before: Any, after: Any) -> bool:
    """Whether there is something to walk into: two mappings, or two lists of one length. A mapping that comes is told
    name by name."""
    if before is None or before is _NOTHING or isinstance(before, dict):
        return isinstance(after, dict)
    return isinstance(before, list) and isinstance(after, list) and len(before) == len(after)


def _steps(before: Any, after: Any, unknown: Any) -> list[tuple[Any, str]]:
    if isinstance(after, list):
        return [(index, f"[{index}]") for index in range(len(after))]
    names = {name for part in (before, after, unknown) if isinstance(part, dict) for name in part}
    return [(name, f".{name}") for name in sorted(names)]


def _below(value: Any, name: Any, missing: Any = _NOTHING) -> Any:
    if isinstance(value, dict):
        return value.get(name, missing)
    if isinstance(value, list) and isinstance(name, int) and name < len(value):
        return value[name]
    return missing


def _same(before: Any, after: Any) -> bool:
    nothing = [value is None or value is _NOTHING for value in (before, after)]
    return all(nothing) or (not any(nothing) and canonical(before) == canonical(after))


def _any(mask: Any) -> bool:
    """Whether a tree of truth values holds a true one."""
    if isinstance(mask, dict):
        return any(_any(part) for part in mask.values())
    if isinstance(mask, list | tuple):
        return any(_any(part) for part in mask)
    return bool(mask)
