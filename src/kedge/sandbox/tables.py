"""What cells of a table are made with: ages, and values found by a path."""

from __future__ import annotations

import re
from typing import Any

from kedge.sandbox.cluster import epoch_of

STEP = re.compile(r"\.([^.\[\]]+)|\[['\"]([^'\"]+)['\"]\]|\[(\d{1,9}|\*)\]|\[\?\(@\.(\w+)==['\"]([^'\"]*)['\"]\)\]")
NONE = "<none>"


def age(stamp: Any, now: float) -> str:
    """A duration as kubectl shows it: 45s, 3m20s, 5h, 2d."""
    if not stamp:
        return "<unknown>"
    try:
        seconds = max(0, int(now - epoch_of(str(stamp))))
    except (ValueError, OverflowError):  # a printed column of a custom kind may hold anything
        return "<invalid>"
    for limit, size, small, unit, rest in (
        (120, 1, 1, "s", ""),
        (600, 60, 1, "m", "s"),
        (10800, 60, 60, "m", ""),
        (28800, 3600, 60, "h", "m"),
        (172800, 3600, 3600, "h", ""),
        (691200, 86400, 3600, "d", "h"),
    ):
        if seconds < limit:
            whole, left = divmod(seconds, size)
            return f"{whole}{unit}" + (f"{left // small}{rest}" if rest and left // small else "")
    return f"{seconds // 86400}d"


def at(obj: Any, path: str, default: Any = None) -> Any:
    """A value by dots."""
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
        if obj is None:
            return default
    return obj


def json_path(obj: Any, path: str) -> Any:
    """The small part of JSONPath that printer columns use; None when nothing is there."""
    found = [obj]
    for key, quoted, index, name, value in STEP.findall(path):
        if key or quoted:
            found = [item[key or quoted] for item in found if isinstance(item, dict) and (key or quoted) in item]
        elif index == "*":
            found = [inner for item in found if isinstance(item, list) for inner in item]
        elif index:
            found = [item[int(index)] for item in found if isinstance(item, list) and len(item) > int(index)]
        else:
            found = [
                inner for item in found if isinstance(item, list) for inner in item
                if isinstance(inner, dict) and str(inner.get(name)) == value
            ]  # fmt: skip
    return found[0] if len(found) == 1 else ",".join(map(str, found)) if found else None
