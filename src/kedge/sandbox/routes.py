"""From a path to what it means: a collection, an object, or one of its subresources."""

from __future__ import annotations

from dataclasses import dataclass

from kedge.sandbox.cluster import Cluster
from kedge.sandbox.kinds import Kind
from kedge.sandbox.problems import NoSuchPage, Problem, no_such_path
from kedge.sandbox.store import Place

RUNNING = frozenset({"attach", "exec", "portforward", "proxy"})
OF_NAMESPACE = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Target:
    """``namespace`` is None for a cluster-scoped kind or a list over all namespaces; ``name`` is "" for a
    collection."""

    kind: Kind
    namespace: str | None
    name: str = ""
    subresource: str = ""

    @property
    def place(self) -> Place:
        return Place(self.kind.key, self.namespace or "", self.name)


def route(cluster: Cluster, path: str) -> Target:
    """Raises Problem: 404 for what is not served, 501 for what only a cluster that runs something can do."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise NoSuchPage
    namespace: str | None = None
    within = (
        rest[0] == "namespaces" and len(rest) > 2 and not (not group and len(rest) == 3 and rest[2] in OF_NAMESPACE)
    )
    if within:
        namespace, rest = rest[1], rest[2:]
    kind = cluster.served.get((group, version, rest[0]))
    if kind is None and not cluster.brought(group):
        raise NoSuchPage
    if kind is None or (len(rest) > 3 and rest[2] != "proxy") or (namespace is not None and not kind.namespaced):
        raise no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource in RUNNING and not kind.group:
        told = f"the sandbox runs no containers and reaches none: {subresource} is not supported, logs are"
        raise Problem(501, "NotImplemented", told, {})
    if subresource and subresource not in kind.subresources:
        raise no_such_path()
    if name and kind.namespaced and namespace is None:
        raise no_such_path()
    return Target(kind, namespace, name, subresource)
