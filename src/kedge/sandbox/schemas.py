"""Structural schemas of custom kinds: pruning, defaulting and validation, worded as the API server words them."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from kedge.sandbox.problems import Cause
from kedge.sandbox.wire import Object

TYPE_OF = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
META = frozenset({"apiVersion", "kind", "metadata"})
Schema = dict[str, Any]
STEPS = 1e7
ESCAPED = re.compile(r"\\.|\[\^?\]?[^\]]*\]")
REPEAT = re.compile(r"[*+?{]")
NESTED = re.compile(r"[*+?{|].*\)[*+{]", re.DOTALL)


def prune(schema: Schema | None, obj: Object) -> list[str]:
    """Drops what the schema does not know, in place; answers the paths of what was dropped."""
    unknown: list[str] = []
    if schema is not None:
        _prune(schema, obj, "", unknown, keep=META)
    return unknown


def _prune(schema: Schema, value: Any, path: str, unknown: list[str], keep: frozenset[str] = frozenset()) -> None:
    if isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                _prune(items, item, f"{path.rstrip('.')}[{index}].", unknown)
        return
    if not isinstance(value, dict):
        return
    if schema.get("x-kubernetes-embedded-resource"):
        keep = META
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields")) or additional is True
    for key in list(value):
        if key in properties:
            if key not in keep:
                _prune(properties[key], value[key], f"{path}{key}.", unknown)
        elif isinstance(additional, dict):
            _prune(additional, value[key], f"{path}{key}.", unknown)
        elif not preserve and key not in keep:
            unknown.append(path + key)
            del value[key]


class Overgrown(Exception):
    """Defaults that make far more of an object than was sent."""


@dataclass(slots=True)
class Growth:
    """How many bytes of defaults an object may still get."""

    left: int = 4 * 1024 * 1024

    def copy(self, value: Any) -> Any:
        raw = orjson.dumps(value)
        self.left -= len(raw)
        if self.left < 0:
            raise Overgrown("the defaults of its schema make the object too large")
        return orjson.loads(raw)


def default(schema: Schema | None, value: Any, growth: Growth | None = None) -> None:
    """Fills in ``default`` wherever a property is absent (or null and not nullable), in place, depth first. Raises
    Overgrown."""
    if not schema:
        return
    growth = growth or Growth()
    if isinstance(value, dict):
        for key, sub in (schema.get("properties") or {}).items():
            if value.get(key) is None and key in value and not sub.get("nullable"):
                del value[key]
            if key not in value and "default" in sub:
                value[key] = growth.copy(sub["default"])
            if key in value:
                default(sub, value[key], growth)
        additional = schema.get("additionalProperties")
        if isinstance(additional, dict):
            for key in value.keys() - (schema.get("properties") or {}).keys():
                default(additional, value[key], growth)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            default(schema["items"], item, growth)


def validate(schema: Schema | None, obj: Object) -> list[Cause]:
    """Every way in which the object does not fit its schema."""
    causes: list[Cause] = []
    for key, sub in ((schema or {}).get("properties") or {}).items():
        if key not in META and key in obj:
            _check(sub, obj[key], key, causes)
    for name in (schema or {}).get("required") or ():
        if name not in obj:
            causes.append(Cause("FieldValueRequired", "Required value", name))
    return causes


def _check(schema: Schema, value: Any, path: str, causes: list[Cause]) -> None:
    if value is None and schema.get("nullable"):
        return
    if not _type_fits(schema, value):
        wanted = schema.get("type", "integer or string")
        found = "null" if value is None else TYPE_OF[type(value)]
        told = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
        causes.append(Cause("FieldValueTypeInvalid", told, path))
        return
    enum = schema.get("enum")
    if enum is not None and value not in enum:
        supported = ", ".join(_shown(item) for item in enum)
        causes.append(
            Cause("FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {supported}", path)
        )
    for told in _bounds(schema, value):
        causes.append(Cause("FieldValueInvalid", f"Invalid value: {_shown(value)}: {path} in body {told}", path))
    if isinstance(value, dict):
        _check_object(schema, value, path, causes)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(schema.get("items") or {}, item, f"{path}[{index}]", causes)


def _check_object(schema: Schema, value: Object, path: str, causes: list[Cause]) -> None:
    for name in schema.get("required") or ():
        if name not in value:
            causes.append(Cause("FieldValueRequired", "Required value", f"{path}.{name}"))
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    for key, item in value.items():
        sub = properties.get(key, additional)
        if isinstance(sub, dict):
            _check(sub, item, f"{path}.{key}", causes)


def _type_fits(schema: Schema, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, (int, str)) and not isinstance(value, bool)
    wanted = schema.get("type")
    if not wanted:
        return True
    found = TYPE_OF.get(type(value), "null")
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return found == wanted or (wanted == "number" and found == "integer")


def _bounds(schema: Schema, value: Any) -> list[str]:
    told = []
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
            told.append(f"should be greater than {'' if schema.get('exclusiveMinimum') else 'or equal to '}{low}")
        if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
            told.append(f"should be less than {'' if schema.get('exclusiveMaximum') else 'or equal to '}{high}")
    if isinstance(value, str):
        told += _length(schema, len(value), "minLength", "maxLength", "chars long")
        pattern = schema.get("pattern")
        if pattern and len(value) <= _longest(pattern) and not _compiled(pattern).search(value):
            told.append(f"should match '{pattern}'")
    if isinstance(value, list):
        told += _length(schema, len(value), "minItems", "maxItems", "items")
    return told


def _length(schema: Schema, length: int, low: str, high: str, unit: str) -> list[str]:
    told = []
    if schema.get(low) is not None and length < schema[low]:
        told.append(
            f"should be at least {schema[low]} {unit}"
            if unit != "items"
            else f"should have at least {schema[low]} items"
        )
    if schema.get(high) is not None and length > schema[high]:
        told.append(
            f"may not be longer than {schema[high]}" if unit != "items" else f"must have at most {schema[high]} items"
        )
    return told


@lru_cache(maxsize=512)
def _longest(pattern: str) -> int:
    """How long a text may be tried against a pattern: Python's matcher goes back over every repetition, so that each
    multiplies the steps by the text's length, and one within another doubles them with every character. What is longer
    counts as fitting."""
    bare = ESCAPED.sub("x", pattern)
    repeats = len(REPEAT.findall(bare))
    if NESTED.search(bare):
        return 20
    return int(STEPS ** (1 / (repeats + 1)))


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern that only Go reads takes everything."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return re.compile("")


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()
