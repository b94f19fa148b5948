"""JSON Schemas of the declarations, from the dataclasses that hold them: one source for reader, editor and docs."""

from __future__ import annotations

import types
from dataclasses import Field, fields, is_dataclass
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from kedge.dialects import rules
from kedge.model.declaration import (
    API_VERSION,
    Application,
    ApplicationSpec,
    Cluster,
    Credential,
    Project,
    Root,
)
from kedge.model.rule import HealthRule

KINDS: dict[str, type] = {kind.__name__: kind for kind in (Application, Root, Project, Cluster, Credential, HealthRule)}
DRAFT = "http://json-schema.org/draft-07/schema#"
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
DURATION = {"type": "string", "pattern": "^(\\d{1,5}d)?(\\d{1,6}h)?(\\d{1,7}m)?(\\d{1,9}s)?$", "minLength": 2}
_METADATA = ("name", "project", "labels", "where")


def schema(kind: str) -> dict[str, Any]:
    """The schema of one kind's documents. Raises KeyError for an unknown kind."""
    shape = KINDS[kind]
    spec = _application() if shape is Application else _section(shape, skip=_METADATA)
    needed = ["apiVersion", "kind", "metadata"] + ([] if shape in (Application, Project, Cluster) else ["spec"])
    return {
        "$schema": DRAFT,
        "title": kind,
        "description": _doc(shape),
        "type": "object",
        "additionalProperties": False,
        "required": needed,
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": _metadata(shape),
            "spec": spec,
        },
    }


def every() -> dict[str, Any]:
    """One schema that fits a document of any kind."""
    return {"$schema": DRAFT, "title": "Kedge", "oneOf": [schema(kind) for kind in KINDS]}


def _metadata(shape: type) -> dict[str, Any]:
    known: dict[str, Any] = {"name": NAME}
    if "project" in {field.name for field in fields(shape)}:
        known["project"] = {**NAME, "default": "default"}
        known["labels"] = {"type": "object", "additionalProperties": {"type": "string"}}
    return {"type": "object", "additionalProperties": False, "required": ["name"], "properties": known}


def _application() -> dict[str, Any]:
    """Environments hold the same fields, laid over those above."""
    plain = _section(ApplicationSpec, skip=("environments",))
    inner = _section(ApplicationSpec, skip=("environments",))
    plain["properties"]["environments"] = {"type": "object", "propertyNames": NAME, "additionalProperties": inner}
    return plain


def _section(shape: type, skip: tuple[str, ...] = ("where",)) -> dict[str, Any]:
    hints = get_type_hints(shape)
    known = {field.name: _field(shape, field, hints[field.name]) for field in fields(shape) if field.name not in skip}
    found: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": known}
    return {**found, "description": _doc(shape)} if _doc(shape) else found


def _field(shape: type, field: Field[Any], hint: Any) -> dict[str, Any]:
    if (shape, field.name) in rules.DURATIONS:
        return dict(DURATION)
    found = _value(hint)
    if (shape, field.name) in rules.POSITIVE:
        found["minimum"] = 1
    default = field.default
    if isinstance(default, bool | int | StrEnum) or (isinstance(default, str) and default):
        found["default"] = default.value if isinstance(default, StrEnum) else default
    return found


def _value(hint: Any) -> dict[str, Any]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _value(next(part for part in inner if part is not type(None)))
    if origin is tuple:
        return {"type": "array", "items": _value(inner[0])}
    if origin is dict:
        return {"type": "object"}
    if is_dataclass(hint) and isinstance(hint, type):
        return _section(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"enum": [choice.value for choice in hint]}
    return {"type": {bool: "boolean", int: "integer", float: "number"}.get(hint, "string")}


def _doc(shape: type) -> str:
    """The docstring; a dataclass without one gets its signature from Python, which is of no use to anybody."""
    text = shape.__doc__ or ""
    return "" if text.startswith(f"{shape.__name__}(") else " ".join(text.split())
