"""What a rule's expressions see of an object: a bounded copy, made of the parts that they read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kedge.engine.health.read import LIST_LIMIT, conditions, mapping, seconds

MOST_NODES = 1_000  # values of one part, so that comparing wholes stays cheap
MOST_TEXT = 2_000  # characters of one text
MOST_DEPTH = 24

_HEAVY = frozenset({"managedFields"})


def view_of(obj: Mapping[str, Any], uses: Collection[str], now: float | None) -> dict[str, Any]:
    """The variables among `uses`: `object` and its parts `metadata`, `spec` and `status`; `conditions` by type, each
    with `status`, `reason` and `message`; `age` in seconds, where the time is known."""
    found: dict[str, Any] = {}
    for name in uses:
        if name == "conditions":
            found[name] = conditions_by_type(obj)
        elif name == "age":
            born = seconds(obj, "metadata", "creationTimestamp")
            found[name] = None if now is None or born is None else max(0.0, now - born)
        else:
            part = obj if name == "object" else mapping(obj, name)
            found[name] = _Copy().of(part, 0)
    return found


def conditions_by_type(obj: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The first condition of each type."""
    found: dict[str, dict[str, str]] = {}
    for condition in conditions(obj):
        told = {"status": condition.status, "reason": condition.reason, "message": condition.message}
        found.setdefault(condition.type, told)
    return found


class _Copy:
    def __init__(self) -> None:
        self._left = MOST_NODES

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if isinstance(value, str):
            return value[:MOST_TEXT]
        if isinstance(value, list):
            return self._list(value, depth + 1)
        if isinstance(value, (dict, Mapping)):
            return self._mapping(value, depth + 1)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
            return float(value) if abs(value) < 2**1000 else None
        return value if value is None or isinstance(value, (bool, int, float)) else None

    def _mapping(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """Plain values first: a long list must not crowd out the phase behind it."""
        found: dict[str, Any] = {}
        for key, part in sorted(value.items(), key=_is_nested):
            if self._left <= 0 or depth > MOST_DEPTH:
                break
            if isinstance(key, str) and key not in _HEAVY:
                found[key[:MOST_TEXT]] = self.of(part, depth)
        return found

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        for part in value[:LIST_LIMIT]:
            if self._left <= 0 or depth > MOST_DEPTH:
                break
            found.append(self.of(part, depth))
        return found


def _is_nested(item: tuple[Any, Any]) -> bool:
    return isinstance(item[1], (dict, list, Mapping))
