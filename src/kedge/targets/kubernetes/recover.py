"""Whose objects a cluster holds, read from the cluster alone: for a store that was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kedge.kube.discovery import Kind
from kedge.model.errors import Denied, Unavailable
from kedge.model.recovery import Recovered
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.gather import gathered
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.slot import ref_of


@dataclass(frozen=True, slots=True)
class Marked:
    """An object with our marks: who its owner is, and what it says of a pin."""

    owner: str
    ref: Ref
    pin: str


MOST = 200
"""Namespaces that are looked into one by one, where Kedge may not list a kind in all of them."""


async def recovered(site: Site, installation: str, namespaces: Sequence[str] = ()) -> Recovered:
    """See `kedge.ports.Target.recover`. Kinds that Kedge may list nowhere can hold nothing of its own.

    A group of somebody else's that does not answer is told, and stops nothing. Raises Unavailable when the core group
    can not be listed. Metrics are no objects that anybody applies, and their servers are often away."""
    catalog = await site.client.discovery.catalog()
    unread = [f"{group}: {why}" for group, why in catalog.failed.items() if not group.endswith("metrics.k8s.io")]
    kinds = [served[0] for served in catalog.kinds.values() if {"list", "patch"} <= served[0].verbs]
    found: dict[str, set[Ref]] = {}
    pins: dict[str, str] = {}
    within = frozenset(namespaces[:MOST])
    narrow = False
    for kind, listed in zip(kinds, await gathered([_marked(site, kind) for kind in kinds]), strict=True):
        if listed is None and kind.namespaced:
            narrow = True
            listed = await _marked_in(site, kind, sorted(within))
        if listed is None:
            continue
        if isinstance(listed, str):
            unread.append(listed)
            continue
        for marked in listed:
            holder, unit = marks.split_owner(marked.owner)
            if holder == installation:
                found.setdefault(unit, set()).add(marked.ref)
                pins[unit] = max(pins.get(unit, ""), marked.pin)
    units = {unit: tuple(sorted(found[unit])) for unit in sorted(found)}
    if narrow and len(namespaces) > MOST:
        unread.append(f"all but {MOST} of {len(namespaces)} namespaces: Kedge may not list in all of them at once")
    told = {unit: pin for unit, pin in pins.items() if pin}
    return Recovered(units, told, tuple(sorted(unread)), within if narrow else None)


async def _marked_in(site: Site, kind: Kind, namespaces: Sequence[str]) -> list[Marked] | str | None:
    """What of a kind is marked in some namespaces; None where it may be listed in none of them."""
    found: list[Marked] = []
    allowed = False
    for listed in await gathered([_marked(site, kind, namespace) for namespace in namespaces]):
        if isinstance(listed, str):
            return listed
        allowed = allowed or listed is not None
        found += listed or ()
    return found if allowed else None


async def _marked(site: Site, kind: Kind, namespace: str = "") -> list[Marked] | str | None:
    """What of a kind is marked; a sentence where it can not be listed, None where it may not."""
    try:
        listing = await site.client.list(kind, namespace, labels=marks.UNIT)
    except Denied:
        if site.client.asker.pulse.ailment is not None:
            raise  # it does not know us at all (401): that says nothing of what there is
        return None
    except Unavailable as error:
        if not kind.group:
            raise
        return f"{kind.kind}.{kind.group}: {error}"
    return [_read(item) for item in listing.items if _original(item)]


def _read(item: Mapping[str, object]) -> Marked:
    return Marked(marks.owner_of(item), ref_of(item), str(marks.annotations_of(item).get(marks.PINNED) or ""))


def _original(item: Mapping[str, object]) -> bool:
    """Not a copy, and not the same object under another group (events, ingresses) than the one it was applied to."""
    return not marks.is_copy(item) and (marks.applied_here(item) or not marks.managed_fields_of(item))
