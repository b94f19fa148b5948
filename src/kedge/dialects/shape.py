"""One reader for every shape: plain values → the model's dataclasses, by their type hints, every problem collected."""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from kedge.dialects import rules
from kedge.model.errors import Problem, Where

Step = str | int
Path = tuple[Step, ...]
MISSING = object()
"""Answer for a value that is wrong: the problem is told, the default stands in."""

MOST_PROBLEMS = 50
"""Problems of one document that are told: a text made of nothing else would fill the store with them."""
_SHOWN = 60


def spelled(name: str) -> str:
    """A field of the model as it is written in YAML: `from_` is `from`, which Python keeps for itself."""
    return name.removesuffix("_")


@lru_cache(maxsize=64)
def hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def sentences(kind: type) -> dict[str, str]:
    """What the model says of each field of a dataclass, "" where it says nothing."""
    annotated = get_type_hints(kind, include_extras=True)
    return {name: next(iter(getattr(hint, "__metadata__", ())), "") for name, hint in annotated.items()}


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that is most like `word`, "" when none is."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower()[:100], by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def suggestion(word: str, known: Sequence[str]) -> str:
    near = nearest(word, known)
    return f"did you mean “{near}”?" if near else f"known are {', '.join(known)}" if known else ""


def named(value: Any) -> str:
    """What kind of value it is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text “{rules.shown(value)}”"
    if isinstance(value, int | float):
        return f"the number {value}"[:_SHOWN]
    return "a list" if isinstance(value, list) else "a mapping"


def optional(hint: Any) -> Any:
    """`X` for `X | None`, everything else as it is."""
    if get_origin(hint) in (Union, types.UnionType):
        (inner,) = (part for part in get_args(hint) if part is not type(None))
        return inner
    return hint


class Shape:
    """Reads values of one document. `where` answers the place of a path; problems gather in `problems`."""

    def __init__(self, where: Callable[[Path], Where]) -> None:
        self.where = where
        self.problems: list[Problem] = []

    def wrong(self, path: Path, text: str, hint: str = "") -> Any:
        if not self.full:
            self.problems.append(Problem(text, self.where(path), hint))
        return MISSING

    @property
    def full(self) -> bool:
        """Whether so much is wrong already that nothing more is told."""
        return len(self.problems) >= MOST_PROBLEMS

    def section(self, kind: Any, value: Any, path: Path, *, skip: frozenset[str] = frozenset()) -> Any:
        """A dataclass from a mapping; nothing counts as an empty mapping. Fields in `skip` are not read."""
        value = {} if value is None else value
        if not isinstance(value, dict):
            return self.wrong(path, f"a mapping is wanted, not {named(value)}")
        known = {spelled(field.name): field.name for field in fields(kind) if field.name not in {*skip, "where"}}
        found = {}
        for key, part in value.items():
            if key not in known:
                self.unknown(key, list(known), path)
                continue
            read = self._field(kind, known[key], part, (*path, key))
            if read is not MISSING:
                found[known[key]] = read
        return found

    def unknown(self, key: str, known: Sequence[str], path: Path) -> None:
        if not self.full:  # to look for the nearest name takes long
            self.wrong((*path, key), f"there is no field “{key[:_SHOWN]}”", suggestion(key, known))

    def _field(self, kind: type, key: str, value: Any, path: Path) -> Any:
        place = (kind, key)
        if place in rules.DURATIONS:
            return self._duration(value, path)
        read = self.value(hints(kind)[key], value, path)
        if read is MISSING:
            return read
        texts = read if isinstance(read, tuple) else (read,)
        for index, text in enumerate(texts):
            complaint = self._complaint(place, text)
            if complaint:
                at = (*path, index) if isinstance(read, tuple) else path
                return self.wrong(at, f"“{rules.shown(str(text))}”: {complaint}")
        return read

    def _complaint(self, place: tuple[type, str], value: Any) -> str:
        if place in rules.POSITIVE and isinstance(value, int) and value < 1:
            return "a number of at least 1 is wanted"
        if not isinstance(value, str) or isinstance(value, StrEnum) or place in rules.MULTILINE:
            return ""
        if not value and place in rules.EMPTY_ALLOWED:
            return ""
        if len(value) > rules.LONGEST:
            return f"it has {len(value)} characters, and at most {rules.LONGEST} are read"
        return rules.BY_FIELD.get(place, rules.line)(value)

    def _duration(self, value: Any, path: Path) -> Any:
        seconds = rules.duration(value) if isinstance(value, str) else None
        if not seconds:
            return self.wrong(path, f"a duration such as 90s, 5m or 1h30m is wanted, not {named(value)}")
        return seconds

    def value(self, hint: Any, value: Any, path: Path) -> Any:
        """A value of a type hint, or MISSING."""
        hint = optional(hint)
        if is_dataclass(hint) and isinstance(hint, type):
            return self.build(hint, value, path)
        origin = get_origin(hint)
        if origin is tuple:
            return self._list(get_args(hint)[0], value, path)
        if origin is dict:
            return self._mapping(get_args(hint)[1], value, path)
        if issubclass(hint, StrEnum):
            return self._choice(hint, value, path)
        return self._scalar(hint, value, path)

    def build(self, kind: Any, value: Any, path: Path) -> Any:
        found = self.section(kind, value, path)
        return found if found is MISSING else kind(**found)

    def _scalar(self, hint: type, value: Any, path: Path) -> Any:
        if hint is bool:
            return value if isinstance(value, bool) else self._mismatch("true or false", value, path)
        if hint is int:
            fits = isinstance(value, int) and not isinstance(value, bool)
            return value if fits else self._mismatch("a whole number", value, path)
        if isinstance(value, str):
            return value
        hint_text = "put quotes around it" if isinstance(value, bool | int | float) else ""
        return self.wrong(path, f"a text is wanted, not {named(value)}", hint_text)

    def _mismatch(self, wanted: str, value: Any, path: Path) -> Any:
        return self.wrong(path, f"{wanted} is wanted, not {named(value)}")

    def _list(self, hint: Any, value: Any, path: Path) -> Any:
        if not isinstance(value, list):
            return self._mismatch("a list", value, path)
        read = [self.value(hint, part, (*path, index)) for index, part in enumerate(value)]
        return MISSING if any(part is MISSING for part in read) else tuple(read)

    def _mapping(self, hint: Any, value: Any, path: Path) -> Any:
        """Any values, or those of a type hint."""
        if not isinstance(value, dict):
            return self._mismatch("a mapping", value, path)
        if hint is Any:
            return value
        read = {key: self.value(hint, part, (*path, key)) for key, part in value.items()}
        return MISSING if any(part is MISSING for part in read.values()) else read

    def _choice(self, kind: type[StrEnum], value: Any, path: Path) -> Any:
        allowed = [str(choice) for choice in kind]
        if isinstance(value, str) and value in allowed:
            return kind(value)
        near = nearest(value, allowed) if isinstance(value, str) else ""
        hint = f"did you mean “{near}”?" if near else ""
        return self.wrong(path, f"one of {', '.join(allowed)} is wanted, not {named(value)}", hint)

    def labels(self, value: Any, path: Path) -> tuple[tuple[str, str], ...]:
        """Text to text, ordered by key."""
        if value is None:
            return ()
        if not isinstance(value, dict):
            self._mismatch("a mapping", value, path)
            return ()
        read = {key: self._scalar(str, part, (*path, key)) for key, part in value.items()}
        for key, part in read.items():
            if isinstance(part, str) and (complaint := rules.line(key) or rules.line(part)):
                self.wrong((*path, key), complaint)
        return tuple(sorted((key, part) for key, part in read.items() if isinstance(part, str)))
