"""JSON Schemas (2020-12) of Kedge's kinds, for editors: made from the same dataclasses and rules as the reader's."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from typing import Any, get_args, get_origin

from kedge.dialects import rules
from kedge.dialects.kedge import IMPLICIT_PROJECT, KINDS, RENDERERS
from kedge.dialects.shape import hints, optional, sentences, spelled
from kedge.model.declaration import API_VERSION, Application, Credential, Root, SecretFrom, Stack
from kedge.model.errors import Invalid

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
_DURATION = {
    "type": "string",
    "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
    "examples": ["5m", "1h30m"],
}
_PATH = {"type": "string", "pattern": r"^(?!/)(?!(.*/)?(\.\.|\.git)(/|$))[^\\\x00-\x1f]*$"}
_BESIDE = {"type": "string", "pattern": r"^(?!/)(?!(.*/)?\.git(/|$))[^\\\x00-\x1f]*$"}
_PATTERNS: dict[Any, dict[str, Any]] = {
    rules.name: _NAME,
    rules.path: _PATH,
    rules.beside: _BESIDE,
    rules.release: {**_NAME, "maxLength": 53},
    rules.approver: {"type": "string", "pattern": "^(group|user):[^ :]"},
    rules.workspace: {"type": "string", "pattern": r"^(?!\.{1,2}$|-)[A-Za-z0-9._~$&+=:@-]{0,250}$"},
    rules.neighbour: {"type": "string", "pattern": "^(app|stack)/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
}
_METADATA = frozenset({"name", "project", "labels", "where"})


def schemas() -> dict[str, dict[str, Any]]:
    """Kind → its schema, ordered by kind."""
    return {kind: schema(kind) for kind in sorted(KINDS)}


def schema(kind: str) -> dict[str, Any]:
    """The schema of one kind. Raises Invalid for a kind that there is not."""
    if kind not in KINDS:
        raise Invalid(f"there is no kind “{kind}”", hint=f"known are {', '.join(KINDS)}")
    model = KINDS[kind]
    spec = _unit(hints(model)["spec"]) if model in (Application, Stack) else _section(model, skip=_METADATA)
    required = ["apiVersion", "kind", "metadata"]
    if model in (Root, Credential):
        required.append("spec")
    if model is Root:
        spec["required"] = ["repository"]
    if model is Credential:
        spec["anyOf"] = [{"required": ["prefix"]}, {"required": ["environment"]}]
    return {
        "$schema": DIALECT,
        "$id": f"https://kedge.dev/schemas/v1alpha1/{kind.lower()}.json",
        "title": kind,
        "description": inspect.cleandoc(model.__doc__ or ""),
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": _metadata(model),
            "spec": spec,
        },
        "required": required,
        "additionalProperties": False,
    }


def _metadata(model: type) -> dict[str, Any]:
    properties: dict[str, Any] = {"name": {**_NAME, "description": "Its name, a DNS label."}}
    if "project" in {field.name for field in fields(model)}:
        properties["project"] = {**_NAME, "default": IMPLICIT_PROJECT}
        properties["labels"] = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
    return {"type": "object", "properties": properties, "required": ["name"], "additionalProperties": False}


def every() -> dict[str, Any]:
    """One schema that fits a document of any kind."""
    return {"$schema": DIALECT, "title": "Kedge", "oneOf": list(schemas().values())}


def _unit(kind: type) -> dict[str, Any]:
    """The spec, and under `environments` the same fields again, each optional."""
    spec = _section(kind, skip=frozenset({"environments"}))
    if "helm" in spec["properties"]:
        pairs = [[one, other] for index, one in enumerate(RENDERERS) for other in RENDERERS[index + 1 :]]
        pairs += [["jsonnet", "helm"], ["jsonnet", "kustomize"]]
        spec["not"] = {"type": "object", "anyOf": [{"required": pair} for pair in pairs]}
    laid = {key: part for key, part in spec.items() if key != "description"}
    spec["properties"] = {
        **spec["properties"],
        "environments": {
            "type": ["object", "null"],
            "description": "Fields laid over the ones above: one unit for each environment.",
            "propertyNames": _NAME,
            "additionalProperties": laid,
        },
    }
    return spec


def _section(kind: type, skip: frozenset[str] = frozenset()) -> dict[str, Any]:
    shown = [field for field in fields(kind) if field.name not in skip]
    properties = {spelled(field.name): _field(kind, field) for field in shown}
    made: dict[str, Any] = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
    text = inspect.cleandoc(kind.__doc__ or "")
    if text and not text.startswith(f"{kind.__name__}("):
        made["description"] = text
    if kind is SecretFrom:
        made |= {"type": "object", "minProperties": 1, "maxProperties": 1}
    return made


def _field(kind: type, field: Field[Any]) -> dict[str, Any]:
    made = _typed(kind, field)
    sentence = sentences(kind)[field.name]
    return {**made, "description": sentence} if sentence else made


def _typed(kind: type, field: Field[Any]) -> dict[str, Any]:
    place = (kind, field.name)
    if place in rules.DURATIONS:
        return {**_DURATION, "default": f"{field.default:g}s"}
    made = _value(hints(kind)[field.name], place)
    default = None if field.default is MISSING else field.default
    if isinstance(default, bool | int | str):
        made["default"] = str(default) if isinstance(default, StrEnum) else default
    if place in rules.POSITIVE:
        made["minimum"] = 1
    return made


def _value(hint: Any, place: tuple[type, str]) -> dict[str, Any]:
    hint = optional(hint)
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _value(get_args(hint)[0], place)}
    if get_origin(hint) is dict:
        part = get_args(hint)[1]
        return {"type": "object", **({"additionalProperties": _value(part, place)} if part is not Any else {})}
    if is_dataclass(hint) and isinstance(hint, type):
        return _section(hint)
    if issubclass(hint, StrEnum):
        return {"type": "string", "enum": [str(choice) for choice in hint]}
    if hint in (bool, int):
        return {"type": "boolean" if hint is bool else "integer"}
    return _text(place)


def _text(place: tuple[type, str]) -> dict[str, Any]:
    pattern = _PATTERNS.get(rules.BY_FIELD.get(place))
    if pattern is None:
        return {"type": "string"}
    if place in rules.EMPTY_ALLOWED and "pattern" in pattern and pattern not in (_PATH, _BESIDE):
        return {"anyOf": [{"const": ""}, dict(pattern)]}
    return dict(pattern)
