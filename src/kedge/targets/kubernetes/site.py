"""One cluster as the target knows it: its client, its index, its autoscalers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kedge.kube.client import Client
from kedge.kube.discovery import Kind
from kedge.model.manifest import Manifest
from kedge.model.ref import Ref
from kedge.targets.kubernetes.index import Index
from kedge.targets.kubernetes.replicas import Autoscalers, with_replicas_left


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    client: Client
    index: Index
    autoscalers: Autoscalers

    def acting_as(self, account: str) -> Site:
        """The same cluster, written to as a service account; it is looked at as before."""
        return replace(self, client=self.client.acting_as(account)) if account else self

    async def kind_of(self, manifest: Manifest) -> Kind | None:
        """The kind in the manifest's own version. None when it is not served. Raises Unavailable."""
        version = manifest.api_version.rpartition("/")[2]
        return await self.client.discovery.find(manifest.ref.group, manifest.ref.kind, version)

    async def get(self, ref: Ref) -> Mapping[str, Any] | None:
        """The live object, read from the cluster. None when it, or its kind, is not there."""
        kind = await self.client.discovery.find(ref.group, ref.kind)
        return None if kind is None else await self.client.get(kind, ref.namespace, ref.name)

    async def sendable(self, manifest: Manifest, scaled: frozenset[Ref], live: Mapping[str, Any] | None) -> bytes:
        """The bytes to apply: the manifest's own, but for replicas that an autoscaler owns.

        `live` saves a read where it is at hand with its managedFields."""
        if manifest.ref not in scaled:
            return manifest.body
        return with_replicas_left(manifest.body, live if live is not None else await self.get(manifest.ref))
