"""What a write asked for beside its body: who writes, whether only to try, how strict to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import orjson

from kedge.sandbox import protobuf
from kedge.sandbox.cluster import Cluster
from kedge.sandbox.problems import Cause, bad_request, invalid, too_large
from kedge.sandbox.routes import Target
from kedge.sandbox.wire import TRUE, Object, Request

MANAGER_LENGTH = 128
DEPTH = 200


@dataclass(frozen=True, slots=True)
class Call:
    """One write on its way. ``strictness`` is Strict, Warn or Ignore."""

    cluster: Cluster
    request: Request
    target: Target
    manager: str
    dry: bool
    strictness: str
    force: bool = False

    def at(self, target: Target) -> Call:
        return replace(self, target=target)


def call_of(cluster: Cluster, request: Request, target: Target) -> Call:
    """Raises Problem for options the API server refuses."""
    query = request.query
    if len(request.body) > cluster.options.body_limit:
        raise too_large(cluster.options.body_limit)
    dry = query.get("dryRun", "")
    if dry not in ("", "All"):
        told = f'Unsupported value: "{dry}": supported values: "All"'
        raise invalid(target.kind, "", [Cause("FieldValueNotSupported", told, "dryRun")])
    strictness = query.get("fieldValidation") or "Warn"
    if strictness not in ("Strict", "Warn", "Ignore"):
        raise bad_request(
            f'fieldValidation: Unsupported value: "{strictness}": supported values: "Ignore", "Strict", "Warn"'
        )
    agent = request.headers.get("user-agent", "").partition("/")[0]
    manager = (query.get("fieldManager") or agent or "unknown")[:MANAGER_LENGTH]
    force = query.get("force") in TRUE
    return Call(cluster, request, target, manager, bool(dry), strictness, force)


def parsed(body: bytes) -> Any:
    """A JSON body, or one in protobuf as kubectl sends it; raises Problem (400) for others (this server reads no
    YAML)."""
    try:
        if body.startswith(protobuf.MAGIC):
            return protobuf.read(body)
        found = orjson.loads(body)
    except (protobuf.Unreadable, UnicodeDecodeError) as error:
        raise bad_request(f"the body is no protobuf message of this kind: {error}") from error
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the body is not JSON, which is all that the sandbox reads: {error}") from error
    if body.count(b"{") + body.count(b"[") > DEPTH:
        shallow(found, "the body")
    return found


def shallow(value: Any, what: str) -> None:
    """Raises Problem (400) where dicts and lists are nested more deeply than can be worked with."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise bad_request(f"{what} is nested more than {DEPTH} levels deep")
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(inner, (dict, list))
        ]


def parsed_object(call: Call) -> Object:
    """A body that is an object of the target's kind, with its apiVersion, kind and metadata in place."""
    obj = parsed(call.request.body)
    if not isinstance(obj, dict):
        raise bad_request("the body of the request is not an object")
    return addressed(call, obj)


def addressed(call: Call, obj: Object) -> Object:
    """Checks that a body says of itself what the URL says of it."""
    kind = call.target.kind
    if obj.setdefault("apiVersion", kind.api_version) != kind.api_version:
        expected = f"does not match the expected API version ({kind.api_version})"
        raise bad_request(f"the API version in the data ({obj['apiVersion']}) {expected}")
    if obj.setdefault("kind", kind.kind) != kind.kind:
        raise bad_request(f"the kind in the data ({obj['kind']}) does not match the expected kind ({kind.kind})")
    meta = obj.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise bad_request("metadata: expected an object")
    if not kind.namespaced:
        if meta.get("namespace"):
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        meta.pop("namespace", None)
    elif meta.setdefault("namespace", call.target.namespace) != call.target.namespace:
        if meta["namespace"]:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        meta["namespace"] = call.target.namespace
    if call.target.name and meta.setdefault("name", call.target.name) != call.target.name:
        told = f"the name of the object ({meta['name']}) does not match the name on the URL ({call.target.name})"
        raise bad_request(told)
    return obj


def warned(unknown: list[str]) -> dict[str, str]:
    """Headers that tell of dropped fields."""
    told = ", ".join('299 - "unknown field \\"' + path + '\\""' for path in unknown)
    return {"warning": told} if told else {}
