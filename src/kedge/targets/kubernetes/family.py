"""A unit's objects and what the cluster made from them: by ownerReferences, and of StatefulSets the volume claims.

Nothing here is watched or kept: it is read when somebody asks, and costs nothing otherwise.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kedge.kube.answer import mapping
from kedge.model.errors import Denied, KedgeError, Unavailable
from kedge.model.family import Child, Family
from kedge.model.operation import Sight
from kedge.model.ref import Ref
from kedge.targets.kubernetes import census, marks
from kedge.targets.kubernetes.census import WORKLOADS, Census, GroupKind
from kedge.targets.kubernetes.scopes import CLUSTER_SCOPED
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.slot import Slot, bare, ref_of, sight_of, slot_of

NAMESPACES = 5
CHILDREN = 2_000
READ = 200
"""Objects that are read one by one: managed ones that no watch shows yet, and children of unusual kinds."""
WATCHED_WITHIN = 5.0
UNKNOWN = "Unknown"
PLAIN: frozenset[GroupKind] = frozenset(
    {
        ("", "ConfigMap"),
        ("", "Secret"),
        ("", "ServiceAccount"),
        ("apps", "ControllerRevision"),
        ("coordination.k8s.io", "Lease"),
        ("discovery.k8s.io", "EndpointSlice"),
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
    }
)
"""Kinds that have no health, or hold what nobody should read without need: never read whole."""
STATEFUL_SET = ("apps", "StatefulSet")
CLAIM = ("", "PersistentVolumeClaim")


@dataclass(frozen=True, slots=True)
class Kin:
    """A child with the object as it was read: whole for workloads, else metadata alone."""

    child: Child
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kinship:
    """`sights` of the unit's own objects; `kin` below them, each after its owner."""

    sights: Mapping[Ref, Sight]
    kin: tuple[Kin, ...]
    notes: tuple[str, ...]


async def family_of(site: Site, refs: Sequence[Ref]) -> Family:
    """Raises Unavailable and Denied when the cluster does not answer at all."""
    found = await kinship(site, refs)
    children = await _with_health(site, found.kin)
    return Family(found.sights, children, found.notes)


async def kinship(site: Site, refs: Sequence[Ref], only: Collection[GroupKind] = ()) -> Kinship:
    """With `only`, children are looked for among these kinds alone."""
    slots, troubles = await _roots(site, refs)
    sights = {ref: _sight(site, ref, slots.get(ref), troubles.get(ref, "")) for ref in refs}
    spaces = namespaces_of(refs)
    notes = [f"objects in {len(spaces) - NAMESPACES} more namespaces are not looked at"] * (len(spaces) > NAMESPACES)
    # cluster-scoped kinds of Kubernetes itself own nothing
    wide = any(not ref.namespace and ref.group_kind not in CLUSTER_SCOPED for ref in refs)
    seen = await census.taken(site.client, spaces[:NAMESPACES], clusterwide=wide, only=only)
    kin = _descended({slot.uid: slot for slot in slots.values() if slot.uid}, seen)
    if len(kin) > CHILDREN:
        notes.append(f"there are {len(kin)} children: only the first {CHILDREN} are shown")
    return Kinship(sights, tuple(kin[:CHILDREN]), (*notes, *seen.notes))


async def _roots(site: Site, refs: Sequence[Ref]) -> tuple[dict[Ref, Slot], dict[Ref, str]]:
    """The unit's objects, and why some can not be seen: as the watches show them, else read."""
    site.index.start(refs)
    # What no watch shows is read below, and says there what is wrong.
    with suppress(Denied, Unavailable, TimeoutError):
        async with asyncio.timeout(WATCHED_WITHIN):
            await site.index.ready(refs)
    slots: dict[Ref, Slot] = {}
    troubles: dict[Ref, str] = {}
    unseen: list[Ref] = []
    for ref in refs:
        slot, watch = site.index.get(ref), site.index.watching(ref)
        if slot is not None:
            slots[ref] = slot
        elif watch is None or not watch.synced:
            unseen.append(ref)
    now = site.client.clock.now()
    for ref, live in zip(unseen, await _read(site, unseen[:READ]), strict=False):
        if isinstance(live, str):
            troubles[ref] = live
        elif live is not None:
            slots[ref] = slot_of(ref, live, now, site.index.judging)
    troubles.update({ref: "not watched yet" for ref in unseen[READ:]})
    return slots, troubles


async def _read(site: Site, refs: Sequence[Ref]) -> list[Mapping[str, Any] | str | None]:
    """The live objects, or sentences on why they can not be read; within a time that a person waits."""
    turns, end = asyncio.Semaphore(census.AT_ONCE), site.client.clock.monotonic() + census.SECONDS

    async def one(ref: Ref) -> Mapping[str, Any] | str | None:
        async with turns:
            try:
                async with asyncio.timeout(max(0.0, end - site.client.clock.monotonic())):
                    return await site.get(ref)
            except TimeoutError:
                return f"no answer within {census.SECONDS:.0f} s"
            except KedgeError as error:
                return str(error)

    return await asyncio.gather(*map(one, refs))


def _sight(site: Site, ref: Ref, slot: Slot | None, trouble: str) -> Sight:
    if slot is not None:
        return sight_of(slot, site.index.message(slot))
    if trouble:
        return Sight(ref, exists=False, status=UNKNOWN, message=trouble)
    return Sight(ref, exists=False)


def namespaces_of(refs: Iterable[Ref]) -> list[str]:
    """Those of the objects, the one with most of them first."""
    counts: dict[str, int] = {}
    for ref in refs:
        if ref.namespace:
            counts[ref.namespace] = counts.get(ref.namespace, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))


def _descended(roots: Mapping[str, Slot], seen: Census) -> list[Kin]:
    """What descends from the roots, depth first. Each object stands once, below the owner that controls it."""
    below: dict[str, list[str]] = {}
    for uid, obj in seen.objects.items():
        maker = "" if uid in roots else _owner_uid(obj)
        if maker in roots or maker in seen.objects:
            below.setdefault(maker, []).append(uid)
    _claims_below(below, roots, seen)
    found: list[Kin] = []
    done = set(roots)
    for root in roots.values():
        pending = [(root.uid, root.ref)]
        while pending:
            owner_uid, owner = pending.pop()
            if owner_uid not in roots:
                found.append(Kin(_child(seen.objects[owner_uid], owner), seen.objects[owner_uid]))
                owner = found[-1].child.ref
            inner = [uid for uid in below.get(owner_uid, ()) if uid not in done]
            done.update(inner)
            inner.sort(key=lambda uid: ref_of(seen.objects[uid]), reverse=True)
            pending.extend((uid, owner) for uid in inner)
    return found


def _owner_uid(obj: Mapping[str, Any]) -> str:
    """The uid of the owner that controls it, else of the first; "" for none."""
    owners = owners_of(obj)
    return str(owners[0].get("uid") or "") if owners else ""


def owners_of(obj: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Its ownerReferences, the controlling one first."""
    owners = mapping(obj.get("metadata")).get("ownerReferences")
    found = [owner for owner in owners if isinstance(owner, dict)] if isinstance(owners, list) else []
    return sorted(found, key=lambda owner: owner.get("controller") is not True)


def _claims_below(below: dict[str, list[str]], roots: Mapping[str, Slot], seen: Census) -> None:
    """Volume claims that a StatefulSet made carry no owner: they outlive it on purpose."""
    sets = [(uid, slot.object()) for uid, slot in roots.items() if slot.ref.group_kind == STATEFUL_SET]
    sets += [(uid, obj) for uid, obj in seen.objects.items() if ref_of(obj).group_kind == STATEFUL_SET]
    if not sets:
        return
    for uid, obj in seen.objects.items():
        if uid in roots or ref_of(obj).group_kind != CLAIM or owners_of(obj):
            continue
        for owner, body in sets:
            if claimed_by(body, obj):
                below.setdefault(owner, []).append(uid)
                break


def claimed_by(stateful: Mapping[str, Any], claim: Mapping[str, Any]) -> bool:
    """Whether a claim was made for a Pod of a StatefulSet: `TEMPLATE-SET-NUMBER`, with the labels of its selector."""
    of, name = ref_of(stateful), ref_of(claim)
    spec = mapping(stateful.get("spec"))
    wanted = mapping(mapping(spec.get("selector")).get("matchLabels"))
    labels = marks.labels_of(claim)
    templates = spec.get("volumeClaimTemplates")
    if of.namespace != name.namespace or any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return any(
        re.fullmatch(rf"{re.escape(f'{ref_of(template).name}-{of.name}')}-\d+", name.name) is not None
        for template in (templates if isinstance(templates, list) else [])
        if isinstance(template, dict)
    )


def _child(obj: Mapping[str, Any], owner: Ref) -> Child:
    terminating = bool(mapping(obj.get("metadata")).get("deletionTimestamp"))
    return Child(ref_of(obj), owner, marks.uid_of(obj), terminating=terminating)


async def _with_health(site: Site, kin: Sequence[Kin]) -> tuple[Child, ...]:
    """The children with their health. Those of unusual kinds, of which only metadata is here, are read for it."""
    now = site.client.clock.now()
    unusual = [entry.child.ref for entry in kin if entry.child.ref.group_kind not in WORKLOADS | PLAIN]
    left = set(unusual[READ:])
    read = dict(zip(unusual, await _read(site, unusual[:READ]), strict=False))

    def judge(entry: Kin) -> Child:
        child, body = entry.child, read.get(entry.child.ref, entry.body)
        if child.ref in left:
            return _told(child, UNKNOWN, f"only {READ} such objects are read")
        if isinstance(body, str):
            return _told(child, UNKNOWN, body)
        health, _ = site.index.judging.judged(bare(body or entry.body), now)
        return _told(child, health.status.value, health.message)

    return tuple(map(judge, kin))


def _told(child: Child, status: str, message: str) -> Child:
    return Child(child.ref, child.owner, child.uid, status, message, child.terminating)
