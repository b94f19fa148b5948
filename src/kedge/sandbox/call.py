"""What a write asked for beside its body: who writes, whether only to try, how strict to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import orjson

from kedge.sandbox import protobuf
from kedge.sandbox.cluster import Cluster
from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import Cause, bad_request, invalid, required, too_large, unsupported, wrong
from kedge.sandbox.routes import Target
from kedge.sandbox.wire import TRUE, Object, Request

APPLY = "application/apply-patch+yaml"
OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}
STRICTNESS = ("Ignore", "Strict", "Warn")
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
    if request.method in OPTIONS:
        wrong_options = _wrong_options(request)
        if wrong_options:
            raise invalid(options_kind(request.method), "", wrong_options)
    agent = request.headers.get("user-agent", "").partition("/")[0]
    manager = (query.get("fieldManager") or agent or "unknown")[:MANAGER_LENGTH]
    force = query.get("force") in TRUE
    strictness = query.get("fieldValidation") or "Warn"
    return Call(cluster, request, target, manager, bool(query.get("dryRun")), strictness, force)


def options_kind(method: str) -> Kind:
    """What the options of a request are called where they are refused."""
    return Kind("meta.k8s.io", "v1", "", OPTIONS[method], False)


def _wrong_options(request: Request) -> list[Cause]:
    query, causes = request.query, []
    if query.get("dryRun", "") not in ("", "All"):
        causes.append(unsupported("dryRun", [query["dryRun"]], ("All",)))
    if query.get("fieldValidation") and query["fieldValidation"] not in STRICTNESS:
        causes.append(unsupported("fieldValidation", query["fieldValidation"], STRICTNESS))
    manager = query.get("fieldManager", "")
    if len(manager.encode()) > MANAGER_LENGTH:
        causes.append(Cause("FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager"))
    for character in manager:
        if not character.isprintable():
            causes.append(wrong("fieldManager", manager, "should only contain printable characters"))
    if request.method == "PATCH":
        if request.headers.get("content-type", "").partition(";")[0].strip() == APPLY:
            if not manager:
                causes.append(required("fieldManager", "is required for apply patch"))
        elif "force" in query:
            causes.append(Cause("FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force"))
    return causes


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
