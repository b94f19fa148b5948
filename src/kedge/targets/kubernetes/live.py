"""The port `Live` over Kubernetes clusters: what people ask of a running unit, and the little they may do to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from kedge.engine.actions import Brought
from kedge.model.action import Doing, Done, Possible
from kedge.model.errors import Invalid
from kedge.model.family import ClusterEvents, Family, Lineage, LogWish
from kedge.model.pair import Scope
from kedge.model.ref import Ref
from kedge.ports import Log
from kedge.spawn import Spawner
from kedge.targets.kubernetes import touch
from kedge.targets.kubernetes.doing import do, possible
from kedge.targets.kubernetes.family import family_of
from kedge.targets.kubernetes.happenings import happenings
from kedge.targets.kubernetes.lineage import lineage_of
from kedge.targets.kubernetes.naming import listed, named
from kedge.targets.kubernetes.podlogs import Places, Reading, logs_of
from kedge.targets.kubernetes.site import Site


class KubernetesLive:
    """`kedge.ports.Live`, over sites that the target opens."""

    def __init__(
        self,
        site: Callable[[Scope], Awaitable[Site]],
        opened: Callable[[str], Awaitable[Site]],
        spawner: Spawner,
        brought: Brought,
    ) -> None:
        self._site = site
        self._opened = opened
        self._spawner = spawner
        self._brought = brought
        self._places = Places()

    async def family(self, scope: Scope, refs: Sequence[Ref]) -> Family:
        return await family_of(await self._site(scope), refs)

    async def lineage(self, cluster: str, kind: str, namespace: str, name: str) -> Lineage | None:
        return await lineage_of(await self._opened(cluster), kind, namespace, name)

    async def logs(self, scope: Scope, refs: Sequence[Ref], wish: LogWish) -> Log:
        return await logs_of(Reading(await self._site(scope), self._spawner, self._places, refs, wish))

    async def events(self, scope: Scope, refs: Sequence[Ref]) -> ClusterEvents:
        return await happenings(await self._site(scope), refs)

    async def restartable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Ref]:
        able = [ref for ref in refs if ref.group_kind in touch.RESTARTABLE]
        if not text:
            if not able:
                raise Invalid("the unit has nothing to restart", hint="Deployments, StatefulSets, DaemonSets can")
            return sorted(able)
        catalog = await (await self._site(scope)).client.discovery.catalog()
        found = named(text, refs, catalog)
        return [ref for ref in found if ref in able] or found

    async def restart(self, scope: Scope, ref: Ref, *, dry_run: bool = False) -> str:
        return await touch.restart(await self._site(scope), scope, ref, dry_run=dry_run)

    async def actions(self, scope: Scope, refs: Sequence[Ref], text: str) -> Sequence[Possible]:
        site = await self._site(scope)
        found = named(text, refs, await site.client.discovery.catalog()) if text else sorted(refs)
        return await possible(site, found, self._brought)

    async def act(self, scope: Scope, doing: Doing, *, dry_run: bool = False) -> Done:
        return await do(await self._site(scope), scope, doing, self._brought, dry_run=dry_run)

    async def scalable(self, scope: Scope, refs: Sequence[Ref], text: str) -> Ref:
        catalog = await (await self._site(scope)).client.discovery.catalog()
        found = named(text, refs, catalog)
        likely = [ref for ref in found if ref.group_kind in touch.SCALABLE] or found
        if len(likely) > 1:
            raise Invalid(f"“{text}” may be any of several objects", hint=listed(likely))
        return likely[0]

    async def scale(self, scope: Scope, ref: Ref, replicas: int, *, force: bool = False, dry_run: bool = False) -> str:
        return await touch.scale(await self._site(scope), scope, ref, replicas, force=force, dry_run=dry_run)
