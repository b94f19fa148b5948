"""One cluster as the target knows it: its client, its index, its autoscalers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kedge.kube.client import Client
from kedge.kube.discovery import Kind
from kedge.model.errors import Denied, Unavailable
from kedge.model.manifest import Manifest
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.awaited import AwaitedThings, wanted_of
from kedge.targets.kubernetes.index import Index
from kedge.targets.kubernetes.replicas import Autoscalers, with_replicas_left


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    client: Client
    index: Index
    autoscalers: Autoscalers
    awaited: AwaitedThings = field(default_factory=AwaitedThings)

    def acting_as(self, account: str) -> Site:
        """The same cluster, written to as a service account; it is looked at as before."""
        return replace(self, client=self.client.acting_as(account)) if account else self

    async def kind_of(self, manifest: Manifest) -> Kind | None:
        """The kind in the manifest's own version. None when it is not served. Raises Unavailable."""
        return await self.client.discovery.find(*wanted_of(manifest))

    async def get(self, ref: Ref) -> Mapping[str, Any] | None:
        """The live object, read from the cluster. None when it, or its kind, is not there.

        Nor is an object there in a namespace whose kind has none: what was put there by a guess, before the kind was
        known, must not be taken for the one that has its name."""
        kind = await self.client.discovery.find(ref.group, ref.kind)
        if kind is None:
            await self._prove_gone(ref)
            return None
        if ref.namespace and not kind.namespaced:
            return None
        return await self.client.get(kind, ref.namespace, ref.name)

    async def _prove_gone(self, ref: Ref) -> None:
        """A kind that was served before and is not listed any more is gone when its objects are: while an API server
        starts, or lies, they are there all the same. Raises Unavailable for one that is."""
        kind = self.client.discovery.gone(ref.group, ref.kind)
        if kind is not None and await self.client.get(kind, ref.namespace, ref.name) is not None:
            raise Unavailable(f"{ref} is there, though the cluster does not list its kind", retry_after=10.0)

    async def has_namespace(self, name: str) -> bool:
        """Raises Unavailable and Denied."""
        return await self.get(Ref("", "Namespace", "", name)) is not None

    async def identity(self) -> str:
        """The uid of the namespace kube-system, which a cluster keeps for life; "" where it may not be read."""
        namespaces = await self.client.discovery.find("", "Namespace")
        try:
            found = await self.client.get(namespaces, "", "kube-system") if namespaces is not None else None
        except Denied:
            if self.client.asker.pulse.ailment is not None:
                raise  # it does not know us at all (401): that says nothing of what we may read
            return ""
        return marks.uid_of(found or {})

    async def sendable(self, manifest: Manifest, scaled: frozenset[Ref], live: Mapping[str, Any] | None) -> bytes:
        """The bytes to apply: the manifest's own, but for replicas that an autoscaler owns.

        `live` saves a read where it is at hand with its managedFields."""
        if manifest.ref not in scaled:
            return manifest.body
        return with_replicas_left(manifest.body, live if live is not None else await self.get(manifest.ref))
