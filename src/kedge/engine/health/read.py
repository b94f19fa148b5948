"""Reading live objects that nobody has checked.

A live object comes from an API server, a file or a person, so any field may hold any JSON value. These readers
answer a default instead of raising, so that a rule judges by what is readable.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unicodedata import category

TEXT_LIMIT = 300  # characters of remote text in one message; longer texts bury the sentence around them
LIST_LIMIT = 256  # entries of a list that a rule looks at
DIGITS_LIMIT = 18  # digits of a number written as text

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of `status.conditions`. `status` is usually True, False or Unknown; `generation` the one it saw.

    `severity` is Cluster API's and Knative's: Error, Warning or Info, and only for conditions that are not True. What
    few conditions are asked for is read when it is.
    """

    type: str
    status: str
    entry: Mapping[str, Any]

    @property
    def reason(self) -> str:
        return text(self.entry, "reason")

    @property
    def message(self) -> str:
        return text(self.entry, "message")

    @property
    def generation(self) -> int | None:
        return whole(self.entry, "observedGeneration")

    @property
    def severity(self) -> str:
        return text(self.entry, "severity")

    @property
    def true(self) -> bool:
        return self.status == "True"

    @property
    def false(self) -> bool:
        return self.status == "False"

    @property
    def why(self) -> str:
        """The condition's own words: its message, else its reason, else nothing."""
        return self.message or self.reason


def field(obj: object, *path: str) -> Any:
    """The value at `path`, or None where a step is missing or not a mapping."""
    for step in path:
        if type(obj) is not dict and not isinstance(obj, Mapping):  # the first is the rule, and ten times as quick
            return None
        obj = obj.get(step)
    return obj


def mapping(obj: object, *path: str) -> Mapping[str, Any]:
    """The mapping at `path`, or an empty one."""
    found = field(obj, *path)
    return found if type(found) is dict or isinstance(found, Mapping) else _NOTHING


def mappings(obj: object, *path: str) -> tuple[Mapping[str, Any], ...]:
    """The mappings in the list at `path`; other entries are passed over, and long lists cut."""
    found = field(obj, *path)
    if not isinstance(found, list):
        return ()
    return tuple(item for item in found[:LIST_LIMIT] if type(item) is dict or isinstance(item, Mapping))


def text(obj: object, *path: str) -> str:
    """The string at `path`, cleaned and bounded, or ""."""
    found = field(obj, *path)
    return clean(found) if isinstance(found, str) else ""


def whole(obj: object, *path: str) -> int | None:
    """The integer at `path`, also where it is written as text; None where there is none that fits 64 bits."""
    found = field(obj, *path)
    if found is None or isinstance(found, bool):
        return None
    if isinstance(found, str):
        digits = found.strip()
        plain = digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_LIMIT
        return int(digits) if plain else None
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    return found if isinstance(found, int) and abs(found) < 2**63 else None


def count(obj: object, *path: str, default: int = 0) -> int:
    """The integer at `path`; Kubernetes leaves a zero out, so a missing one is `default`."""
    found = whole(obj, *path)
    return default if found is None else found


def flag(obj: object, *path: str) -> bool:
    """Whether the value at `path` is true, as a boolean or as the text annotations use."""
    found = field(obj, *path)
    return found is True or (isinstance(found, str) and found.strip().lower() == "true")


def conditions(obj: object, *path: str, only: Container[str] | None = None) -> tuple[Condition, ...]:
    """The readable conditions at `path` (default `status.conditions`), in the order they stand; of `only` these types
    where they are given."""
    entries = mappings(obj, *(path or ("status", "conditions")))
    return tuple([_condition(entry) for entry in entries if only is None or text(entry, "type") in only])


def find(found: Iterable[Condition], kind: str) -> Condition | None:
    """The first condition of type `kind`."""
    return next((condition for condition in found if condition.type == kind), None)


def group_of(obj: object) -> str:
    """The API group: the part of `apiVersion` before the slash, "" for the core group."""
    group, slash, _ = text(obj, "apiVersion").partition("/")
    return group if slash else ""


def seconds(obj: object, *path: str) -> float | None:
    """The RFC 3339 time at `path` in epoch seconds, or None."""
    found = field(obj, *path)
    if not isinstance(found, str) or len(found) > 64:
        return None
    try:
        moment = datetime.fromisoformat(found)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return zoned.timestamp()
    except (ValueError, OverflowError):
        return None


def clean(remote: str) -> str:
    """Remote text on one line, without control or invisible characters, at most TEXT_LIMIT characters."""
    if len(remote) <= TEXT_LIMIT and " " not in remote and remote.isprintable():
        return remote  # one word, as most are
    head = remote[: TEXT_LIMIT * 4]
    shown = head if head.isprintable() else "".join(map(_shown, head))  # almost always, and twenty times as quick
    line = " ".join(shown.split())
    return line if len(line) <= TEXT_LIMIT else line[: TEXT_LIMIT - 1].rstrip() + "…"


def _shown(character: str) -> str:
    """Formatting characters (zero width, direction marks) vanish; whatever else does not print leaves a gap."""
    if character.isprintable():
        return character
    return "" if category(character) in ("Cf", "Cs") else " "


def sentence(*parts: str) -> str:
    """Join what is not empty by ": ", so that a missing remote text leaves no trace."""
    return ": ".join(part for part in parts if part)


def listed(names: Iterable[str], limit: int = 5) -> str:
    """Names in a row, the rest counted."""
    every = [name for name in names if name]
    shown = ", ".join(every[:limit])
    return f"{shown} and {len(every) - limit} more" if len(every) > limit else shown


def _condition(entry: Mapping[str, Any]) -> Condition:
    status = entry.get("status")
    # Hand-written and some generated objects hold a boolean here; the meaning is plain.
    told = str(status) if isinstance(status, bool) else text(entry, "status")
    return Condition(text(entry, "type"), told, entry)
