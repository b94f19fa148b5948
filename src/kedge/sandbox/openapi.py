"""The published OpenAPI, made from the field tables and from definitions' schemas: enough for kubectl to apply and
explain."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.discovery import groups_of
from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import no_such_path
from kedge.sandbox.types import Type, Types, built_in_types
from kedge.sandbox.wire import Object, Response, answer

SCALAR: dict[str, Object] = {
    "string": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "number": {"type": "integer", "format": "int64"},
    "boolean": {"type": "boolean"},
    "any": {"x-kubernetes-preserve-unknown-fields": True},
}
EITHER: Object = {"oneOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
NAMED = {
    "intstr": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
}
"""What is a number or a string has a name of its own, by which it is explained."""
WRITE_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string"}, "description": told}
    for name, told in (
        ("dryRun", "only All is known"),
        ("fieldManager", "who writes"),
        ("fieldValidation", "Ignore, Warn or Strict"),
    )
]


def openapi(cluster: Cluster, path: str) -> Response | None:
    """The answer to an OpenAPI path, or None when the path is none."""
    if path == "/openapi/v3":
        return answer(_index(cluster))
    if path == "/openapi/v2":
        return answer(
            {"swagger": "2.0", "info": {"title": "Kubernetes", "version": "sandbox"}, "paths": {}, "definitions": {}}
        )
    if not path.startswith("/openapi/v3/"):
        return None
    parts = path.removeprefix("/openapi/v3/").split("/")
    group, version = ("", parts[1]) if parts[0] == "api" and len(parts) == 2 else ("", "")
    if parts[0] == "apis" and len(parts) == 3:
        group, version = parts[1], parts[2]
    kinds = groups_of(cluster).get(group, {}).get(version)
    if not kinds:
        raise no_such_path()
    return answer(_document(kinds))


def _index(cluster: Cluster) -> Object:
    paths: Object = {}
    for group, versions in groups_of(cluster).items():
        for version, kinds in versions.items():
            where = f"apis/{group}/{version}" if group else f"api/{version}"
            digest = sha256(orjson.dumps([(kind.plural, kind.schema) for kind in kinds])).hexdigest().upper()
            paths[where] = {"serverRelativeURL": f"/openapi/v3/{where}?hash={digest}"}
    return {"paths": paths}


def _document(kinds: list[Kind]) -> Object:
    schemas: Object = {}
    paths: Object = {}
    for kind in kinds:
        name = _model(kind)
        gvk = [{"group": kind.group, "version": kind.version, "kind": kind.kind}]
        if kind.custom:
            schemas[name] = _custom(kind)
        elif kind.type:
            _collect(kind.type, built_in_types(), schemas)
        schemas[name] = {**(schemas.get(name) or {"type": "object"}), "x-kubernetes-group-version-kind": gvk}
        if "virtual" in kind.subresources:
            continue
        spaced = kind.path("{namespace}") if kind.namespaced else kind.path()
        paths[spaced + "/{name}"] = {
            verb: _operation(kind, name, verb) for verb in ("get", "put", "patch", "delete")
        }  # fmt: skip
        paths[spaced] = {verb: _operation(kind, name, verb) for verb in ("get", "post")}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "sandbox"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(kind: Kind, model: str, verb: str) -> Object:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}}
    return {
        "parameters": WRITE_PARAMETERS if verb != "get" else [],
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": {"get": "get", "put": "put", "post": "post", "patch": "patch", "delete": "delete"}[verb],
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }


def _model(kind: Kind) -> str:
    if kind.custom or not kind.type:
        return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])
    return _named(kind.type)


def _named(type_name: str) -> str:
    prefix = "io.k8s.apimachinery.pkg.apis." if type_name.startswith("meta.") else "io.k8s.api."
    return prefix + type_name


def _collect(name: str, types: Types, schemas: Object) -> None:
    if _named(name) in schemas:
        return
    made: Object = {"type": "object", "properties": {}}
    schemas[_named(name)] = made
    for field, type_ in types.fields.get(name, {}).items():
        made["properties"][field] = _schema(type_, types, schemas)
    if name in types.atomic:
        made["x-kubernetes-map-type"] = "atomic"


def _schema(type_: Type, types: Types, schemas: Object) -> Any:
    if type_.shape == "scalar" and type_.of in NAMED:
        schemas[NAMED[type_.of]] = EITHER
        return {"allOf": [{"$ref": f"#/components/schemas/{NAMED[type_.of]}"}]}
    if type_.shape == "scalar":
        return SCALAR[type_.of]
    if type_.shape == "object":
        _collect(type_.of, types, schemas)
        return {"allOf": [{"$ref": f"#/components/schemas/{_named(type_.of)}"}], "default": {}}
    inner = _schema(type_.element, types, schemas) if type_.element else {}
    if type_.shape == "map":
        return {"type": "object", "additionalProperties": inner}
    made: Object = {"type": "array", "items": inner}
    if type_.keys:
        made["x-kubernetes-list-type"] = "map"
        made["x-kubernetes-list-map-keys"] = list(type_.keys)
        made["x-kubernetes-patch-merge-key"] = type_.keys[0]
        made["x-kubernetes-patch-strategy"] = "merge"
    elif type_.unique:
        made["x-kubernetes-list-type"] = "set"
        made["x-kubernetes-patch-strategy"] = "merge"
    else:
        made["x-kubernetes-list-type"] = "atomic"
    return made


def _custom(kind: Kind) -> Object:
    schema = kind.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {
        **(schema.get("properties") or {}),
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    return {**schema, "properties": properties}
