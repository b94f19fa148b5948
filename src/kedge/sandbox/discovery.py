"""What is served, in every form clients ask for it: versions, groups, resource lists, and all of it at once."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256

import orjson

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.kinds import Kind, real_subresources, verbs_of
from kedge.sandbox.problems import NoSuchPage, no_such_path
from kedge.sandbox.wire import Object, Request, Response, answer

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SUBRESOURCE = {
    "scale": ("autoscaling", "v1", "Scale", ("get", "patch", "update")),
    "log": ("", "v1", "Pod", ("get",)),
    "eviction": ("policy", "v1", "Eviction", ("create",)),
    "binding": ("", "v1", "Binding", ("create",)),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", ("create",)),
    "finalize": ("", "v1", "Namespace", ("update",)),
}


def groups_of(cluster: Cluster) -> dict[str, dict[str, list[Kind]]]:
    """Kinds by group and version; the core group is ""."""
    found: dict[str, dict[str, list[Kind]]] = {}
    for kind in cluster.kinds():
        found.setdefault(kind.group, {}).setdefault(kind.version, []).append(kind)
    return found


def discover(cluster: Cluster, request: Request) -> Response | None:
    """The answer to a discovery path, or None when the path is none."""
    parts = [part for part in request.path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) <= 2:
        return _core(cluster, request, parts)
    if parts[:1] != ["apis"] or len(parts) > 3:
        return None
    groups = groups_of(cluster)
    if len(parts) == 1:
        if _wants_aggregated(request):
            return _aggregated({name: versions for name, versions in groups.items() if name})
        listed = [_group(name, list(versions)) for name, versions in groups.items() if name]
        return answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})
    versions = groups.get(parts[1])
    if versions is None or not parts[1]:
        raise NoSuchPage
    if len(parts) == 2:
        return answer({"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], list(versions))})
    if parts[2] not in versions:
        raise no_such_path()
    return answer(_resources(f"{parts[1]}/{parts[2]}", versions[parts[2]]))


def _core(cluster: Cluster, request: Request, parts: list[str]) -> Response:
    core = groups_of(cluster).get("", {})
    if len(parts) == 2:
        if parts[1] != "v1":
            raise no_such_path()
        return answer(_resources("v1", core["v1"]))
    if _wants_aggregated(request):
        return _aggregated({"": core})
    return answer({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})


def _wants_aggregated(request: Request) -> bool:
    accept = request.headers.get("accept", "").replace(" ", "")
    return any("as=APIGroupDiscoveryList" in choice and "v=v2" in choice.split(";") for choice in accept.split(","))


def _group(name: str, versions: Sequence[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(group_version: str, kinds: Sequence[Kind]) -> Object:
    rows: list[Object] = []
    for kind in kinds:
        row: Object = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(verbs_of(kind)),
        }
        if kind.short:
            row["shortNames"] = list(kind.short)
        if kind.categories:
            row["categories"] = list(kind.categories)
        if "get" in row["verbs"]:
            row["storageVersionHash"] = storage_hash(kind)
        rows.append(row)
        for name in real_subresources(kind):
            group, version, other, verbs = _subresource(kind, name)
            extra: Object = {
                "name": f"{kind.plural}/{name}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": other,
            }
            if (group, version) != (kind.group, kind.version):
                extra |= {"group": group, "version": version}
            rows.append({**extra, "verbs": list(verbs)})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}


def storage_hash(kind: Kind) -> str:
    """What changes when objects of this kind are stored in another version."""
    return b64encode(sha256(f"{kind.api_version}/{kind.kind}".encode()).digest()[:8]).decode()


def _subresource(kind: Kind, name: str) -> tuple[str, str, str, tuple[str, ...]]:
    """Group, version, kind and verbs; one without a line of its own speaks the kind it belongs to."""
    return SUBRESOURCE.get(name, (kind.group, kind.version, kind.kind, ("get", "patch", "update")))


def _aggregated(groups: dict[str, dict[str, list[Kind]]]) -> Response:
    items = []
    for name, versions in groups.items():
        listed = [
            {"version": version, "resources": [_row(kind) for kind in kinds], "freshness": "Current"}
            for version, kinds in versions.items()
        ]
        meta: Object = {"creationTimestamp": None} if not name else {"name": name, "creationTimestamp": None}
        items.append({"metadata": meta, "versions": listed})
    body = orjson.dumps(
        {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
    )
    etag = '"' + sha256(body).hexdigest().upper() + '"'
    return Response(200, {"content-type": AGGREGATED, "etag": etag, "vary": "Accept"}, body)


def _row(kind: Kind) -> Object:
    row: Object = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(verbs_of(kind)),
    }
    if kind.short:
        row["shortNames"] = list(kind.short)
    if kind.categories:
        row["categories"] = list(kind.categories)
    inner = []
    for name in real_subresources(kind):
        group, version, other, verbs = _subresource(kind, name)
        answered = {"group": group, "version": version, "kind": other}
        inner.append({"subresource": name, "responseKind": answered, "verbs": list(verbs)})
    if inner:
        row["subresources"] = inner
    return row


def version(cluster: Cluster) -> Object:
    """``/version``."""
    text = cluster.options.version
    major, minor, *_ = text.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{text}+sandbox",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }
