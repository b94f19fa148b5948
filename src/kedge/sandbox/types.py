"""The field tables of built-in kinds, read from types.txt: they serve decoding, merging and the published OpenAPI."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SCALARS = frozenset({"string", "number", "boolean", "any", "intstr", "quantity", "time"})
TIMES = ("time", "Time", "Timestamp", "startedAt", "finishedAt")  # how the names of strings end that are times


@dataclass(frozen=True, slots=True)
class Type:
    """What one field holds. ``shape``: scalar, object, list, map; ``of``: the scalar's or type's name, or of the
    elements.

    ``keys`` are the keys of an associative list, ``unique`` marks a set, ``atomic`` what a merge replaces whole.
    """

    shape: str
    of: str
    keys: tuple[str, ...] = ()
    unique: bool = False
    atomic: bool = False
    element: Type | None = None


def parse_type(text: str) -> Type:
    """``string``, ``core.v1.PodSpec``, ``[core.v1.EnvVar]name``, ``<string>``, ``{string}``, each with ``!`` when
    atomic."""
    atomic = text.endswith("!")
    text = text.removesuffix("!")
    if text[0] == "{":
        element = parse_type(text[1:-1])
        return Type("map", element.of, atomic=atomic, element=element)
    if text[0] == "<":
        element = parse_type(text[1:-1])
        return Type("list", element.of, unique=True, element=element)
    if text[0] == "[":
        inner, _, keys = text[1:].rpartition("]")
        element = parse_type(inner)
        return Type("list", element.of, tuple(keys.split(",")) if keys else (), atomic=not keys, element=element)
    return Type("scalar" if text in SCALARS else "object", text, atomic=atomic)


@dataclass(frozen=True, slots=True)
class Types:
    """All types by name: ``fields[name][field] -> Type``; ``atomic`` names those that a merge replaces whole."""

    fields: dict[str, dict[str, Type]]
    atomic: frozenset[str]


@cache
def built_in_types() -> Types:
    """The table, read once; it never changes at run time."""
    fields: dict[str, dict[str, Type]] = {}
    atomic: set[str] = set()
    parsed: dict[str, Type] = {}
    for line in files("kedge.sandbox").joinpath("types.txt").read_text("utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        name, *pairs = line.split(" ")
        if name.endswith("!"):
            name = name.removesuffix("!")
            atomic.add(name)
        table: dict[str, Type] = {}
        for pair in pairs:
            key, _, text = pair.partition("=")
            if text == "string" and key.endswith(TIMES):
                text = "time"
            table[key] = parsed.setdefault(text, parse_type(text))
        fields[name] = table
    return Types(fields, frozenset(atomic))
