"""Whose objects a cluster holds, read from the cluster alone: for a store that was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kedge.kube.discovery import Kind
from kedge.model.errors import Denied, Unavailable
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.gather import gathered
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.slot import ref_of


async def recovered(site: Site, installation: str) -> Mapping[str, Sequence[Ref]]:
    """Unit → its objects, in order. Kinds that Kedge may not list can hold nothing of its own.

    Raises Unavailable when a group can not be listed: an inventory with holes is worse than none. Metrics are
    no objects that anybody applies, and their servers are often away."""
    catalog = await site.client.discovery.catalog()
    failed = [f"{group}: {why}" for group, why in catalog.failed.items() if not group.endswith("metrics.k8s.io")]
    if failed:
        raise Unavailable(f"{site.name}: the inventory can not be recovered whole: {'; '.join(failed)}")
    kinds = [served[0] for served in catalog.kinds.values() if {"list", "patch"} <= served[0].verbs]
    found: dict[str, set[Ref]] = {}
    for listed in await gathered([_marked(site, kind) for kind in kinds]):
        for owner, ref in listed:
            holder, unit = marks.split_owner(owner)
            if holder == installation:
                found.setdefault(unit, set()).add(ref)
    return {unit: tuple(sorted(found[unit])) for unit in sorted(found)}


async def _marked(site: Site, kind: Kind) -> list[tuple[str, Ref]]:
    try:
        listing = await site.client.list(kind, labels=marks.UNIT)
    except Denied:
        return []
    return [(marks.owner_of(item), ref_of(item)) for item in listing.items if _original(item)]


def _original(item: Mapping[str, object]) -> bool:
    """Not a copy, and not the same object under another group (events, ingresses) than the one it was applied to."""
    return not marks.is_copy(item) and (marks.applied_here(item) or not marks.managed_fields_of(item))
