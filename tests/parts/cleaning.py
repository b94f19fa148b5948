"""A cluster given back as it was: what a test has made goes, whoever still holds on to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.parts.api import Api, Refused
from tests.parts.patience import until

Baseline = frozenset[str]
"""Paths of the objects that were there at the beginning."""
PATIENCE = 180.0
PASSING = frozenset({"events", "leases", "endpoints", "endpointslices", "controllerrevisions"})
"""Written by the control plane itself, at any time, or gone with what they belong to."""
OF_EVERY_NAMESPACE = ("/serviceaccounts/default", "/configmaps/kube-root-ca.crt")
AT_ONCE = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}


def kinds(api: Api) -> Iterator[tuple[str, dict[str, Any]]]:
    """(the folder of a group and version, a resource of it), each resource once, of those that can be removed."""
    groups = [{"preferredVersion": {"groupVersion": "v1"}}, *api.call("GET", "/apis")["groups"]]
    for group in groups:
        version = group["preferredVersion"]["groupVersion"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for resource in asked(api, base, "resources"):
            if {"list", "delete"} <= set(resource["verbs"]) and resource["name"] not in PASSING:
                yield base, resource


def asked(api: Api, path: str, key: str) -> list[dict[str, Any]]:
    """The list under `key`; empty where a definition goes at this moment, or another server does not answer."""
    try:
        found: list[dict[str, Any]] = api.call("GET", path)[key]
        return found
    except Refused as error:
        if error.code in (404, 503):
            return []
        raise


def objects(api: Api) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, object) of all there is."""
    for base, resource in kinds(api):
        for item in asked(api, f"{base}/{resource['name']}", "items"):
            item["kind"] = resource["kind"]  # a list's items do not say it
            meta = item["metadata"]
            inner = f"/namespaces/{meta['namespace']}" if resource["namespaced"] else ""
            yield f"{base}{inner}/{resource['name']}/{meta['name']}", item


def taken(api: Api) -> Baseline:
    return frozenset(path for path, _ in objects(api))


def owned(item: dict[str, Any]) -> bool:
    return bool(item["metadata"].get("ownerReferences"))


@dataclass(frozen=True)
class Cleaner:
    """Namespaces go last: their controller takes 5 s to begin, and much longer where anything in them ends slowly."""

    api: Api
    baseline: Baseline

    def restore(self) -> None:
        """Answers when nothing is left that was not there at the beginning."""
        if left := until(self.swept, lambda left: not left, PATIENCE):
            raise AssertionError(f"these do not go from the cluster: {left}")

    def swept(self) -> list[str]:
        """Paths that were still there, and have been asked to go."""
        left = self.left()
        # Owners first, or they would replace what is removed before them.
        inner = [(path, item) for path, item in left if item["kind"] != "Namespace"]
        for path, item in sorted(inner, key=lambda one: owned(one[1])):
            self.remove(path, item)
        if not inner:
            for path, _ in left:
                self.close(path)
        return [path for path, _ in left]

    def left(self) -> list[tuple[str, dict[str, Any]]]:
        found = ((path, item) for path, item in objects(self.api) if path not in self.baseline)
        return [(path, item) for path, item in found if not path.endswith(OF_EVERY_NAMESPACE)]

    def remove(self, path: str, item: dict[str, Any]) -> None:
        meta = item["metadata"]
        if meta.get("finalizers") and item["kind"] != "CustomResourceDefinition":
            # Nobody here serves what a test has invented.
            self.ask("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
        if not meta.get("deletionTimestamp"):
            self.ask("DELETE", path, AT_ONCE)

    def close(self, path: str) -> None:
        """What the namespace controller would do with an empty namespace, at once."""
        self.ask("DELETE", path, AT_ONCE)
        for inner in (*OF_EVERY_NAMESPACE, "/events"):
            self.ask("DELETE", path + inner, AT_ONCE)
        empty = {"metadata": {"name": path.rpartition("/")[2]}, "spec": {"finalizers": []}}
        self.ask("PUT", f"{path}/finalize", empty)

    def ask(self, method: str, path: str, body: Any, kind: str = "application/json") -> None:
        """What is gone, or changes at this moment, is looked at again."""
        try:
            self.api.call(method, path, body, kind)
        except Refused as error:
            if error.code not in (404, 409):
                raise
