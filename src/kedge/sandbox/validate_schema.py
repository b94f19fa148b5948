"""Whether a definition's schema is one: whoever prunes, defaults and validates by it later need not ask again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedge.sandbox.problems import Cause, unsupported, wrong

TYPES = ("array", "boolean", "integer", "number", "object", "string")
Fits = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


KEYWORDS: dict[str, tuple[Fits, str]] = {
    **dict.fromkeys(("description", "format", "pattern", "title", "x-kubernetes-list-type"), (_text, "a string")),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), (_number, "a number")),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        (_count, "an integer, not negative"),
    ),
    **dict.fromkeys(
        (
            "nullable", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum", "x-kubernetes-int-or-string",
            "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
        ),
        (_flag, "a boolean"),
    ),
    **dict.fromkeys(("required", "x-kubernetes-list-map-keys"), (_texts, "a list of strings")),
    "enum": (lambda value: isinstance(value, list), "a list"),
}  # fmt: skip


def schema_causes(schema: Any, path: str) -> list[Cause]:
    """Every keyword of another shape than OpenAPI v3 gives it, in this schema and those within. The depth is bounded by
    that of request bodies."""
    if not isinstance(schema, dict):
        return [wrong(path, schema, "must be a schema, which is an object")]
    causes: list[Cause] = []
    if "type" in schema and schema["type"] not in TYPES:
        causes.append(unsupported(f"{path}.type", schema["type"], TYPES))
    for key, value in schema.items():
        fits = KEYWORDS.get(key)
        if fits is not None and not fits[0](value):
            causes.append(wrong(f"{path}.{key}", value, f"must be {fits[1]}"))
        elif key in ("items", "not") or (key == "additionalProperties" and not isinstance(value, bool)):
            causes += schema_causes(value, f"{path}.{key}")
        elif key in ("allOf", "anyOf", "oneOf"):
            causes += _each(dict(enumerate(value)) if isinstance(value, list) else value, f"{path}.{key}")
        elif key == "properties":
            causes += _each(value, f"{path}.{key}")
    return causes


def _each(schemas: Any, path: str) -> list[Cause]:
    if not isinstance(schemas, dict):
        return [wrong(path, schemas, "must hold schemas")]
    return [cause for key, schema in schemas.items() for cause in schema_causes(schema, f"{path}[{key}]")]
