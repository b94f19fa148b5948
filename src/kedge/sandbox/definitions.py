"""Custom kinds: from a definition to what is served."""

from __future__ import annotations

from typing import Any

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.kinds import Kind
from kedge.sandbox.wire import Object

KEY = "customresourcedefinitions.apiextensions.k8s.io"


def kinds_of(definition: Object) -> list[Kind]:
    """The kinds a definition serves, one per served version, newest priority as written."""
    spec, names = definition["spec"], definition["spec"]["names"]
    return [_kind(spec, names, version) for version in spec["versions"] if version.get("served", True)]


def _kind(spec: Object, names: Object, version: Object) -> Kind:
    inner: dict[str, Any] = version.get("subresources") or {}
    return Kind(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        short=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset(name for name in ("status", "scale") if inner.get(name) is not None),
        generation=True,
        custom=True,
        singular=names.get("singular") or "",
        list_kind=names.get("listKind") or "",
        schema=(version.get("schema") or {}).get("openAPIV3Schema"),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable=tuple(item["jsonPath"].lstrip(".") for item in version.get("selectableFields") or ()),
        storage=bool(version.get("storage")),
        scale=inner.get("scale"),
    )


def serve(cluster: Cluster, definition: Object) -> None:
    """Serves what a definition says now; versions it no longer serves are gone at once."""
    found = kinds_of(definition)
    if not found:
        return
    cluster.unserve(found[0].key)
    for kind in found:
        cluster.serve(kind)


def taken(cluster: Cluster, definition: Object) -> bool:
    """Whether the names are somebody else's already."""
    spec = definition["spec"]
    key = f"{spec['names']['plural']}.{spec['group']}"
    for kind in cluster.kinds():
        if kind.key == key and not kind.custom:
            return True
        if kind.group == spec["group"] and kind.kind == spec["names"]["kind"] and kind.key != key:
            return True
    return False
