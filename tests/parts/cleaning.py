"""A cluster given back as it was: what a test has made goes, whoever still holds on to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.parts.api import Api, Refused

Baseline = frozenset[str]
"""Paths of the objects that were there at the beginning."""
PATIENCE = 60.0
PASSING = frozenset({"events", "leases", "endpoints", "endpointslices", "controllerrevisions"})
"""Written by the control plane itself, at any time, or gone with what they belong to."""
AT_ONCE = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}


def kinds(api: Api) -> Iterator[tuple[str, dict[str, Any]]]:
    """(the folder of a group and version, a resource of it), each resource once, of those that can be removed."""
    groups = [{"preferredVersion": {"groupVersion": "v1"}}, *api.call("GET", "/apis")["groups"]]
    for group in groups:
        version = group["preferredVersion"]["groupVersion"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for resource in api.call("GET", base)["resources"]:
            if {"list", "delete"} <= set(resource["verbs"]) and resource["name"] not in PASSING:
                yield base, resource


def objects(api: Api) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, object) of all there is."""
    for base, resource in kinds(api):
        try:
            found = api.call("GET", f"{base}/{resource['name']}")["items"]
        except Refused as error:
            if error.code == 404:  # a definition that goes meanwhile
                continue
            raise
        for item in found:
            item["kind"] = resource["kind"]  # a list's items do not say it
            meta = item["metadata"]
            inner = f"/namespaces/{meta['namespace']}" if resource["namespaced"] else ""
            yield f"{base}{inner}/{resource['name']}/{meta['name']}", item


def taken(api: Api) -> Baseline:
    return frozenset(path for path, _ in objects(api))


@dataclass(frozen=True)
class Cleaner:
    api: Api
    baseline: Baseline

    def restore(self) -> None:
        """Answers when nothing is left that was not there at the beginning."""
        due = time.monotonic() + PATIENCE
        while left := [(path, item) for path, item in objects(self.api) if path not in self.baseline]:
            if time.monotonic() > due:
                raise AssertionError(f"these do not go from the cluster: {[path for path, _ in left]}")
            for path, item in left:
                self.remove(path, item)
            time.sleep(0.2)

    def remove(self, path: str, item: dict[str, Any]) -> None:
        """What is in a new namespace goes with it, unless a finalizer holds it, which nobody here will serve."""
        meta = item["metadata"]
        space = meta.get("namespace")
        inside = space is not None and f"/api/v1/namespaces/{space}" not in self.baseline
        try:
            if meta.get("finalizers") and item["kind"] != "CustomResourceDefinition":
                self.api.call("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
            if not inside and not meta.get("deletionTimestamp"):
                self.api.call("DELETE", path, AT_ONCE)
        except Refused as error:
            if error.code not in (404, 409):
                raise
