"""What a deletion takes with it: what is in a namespace, the objects of a definition, what a custom object owns.

Asked of the cluster when a plan deletes such an object, and of no other: what Deployments and their like make (Pods,
Jobs) is theirs to make again. Bounded as a tree is; what can not be told is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kedge.kube.answer import mapping
from kedge.kube.survey import survey
from kedge.model.errors import Denied, Unavailable
from kedge.model.pair import Along, Seen
from kedge.model.ref import Ref
from kedge.targets.kubernetes import census, marks
from kedge.targets.kubernetes.awaited import definable
from kedge.targets.kubernetes.census import MOST, GroupKind
from kedge.targets.kubernetes.family import owners_of
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.slot import ref_of

DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
MADE: frozenset[GroupKind] = frozenset(
    {
        ("", "Pod"),
        ("apps", "ReplicaSet"),
        ("apps", "ControllerRevision"),
        ("coordination.k8s.io", "Lease"),
        ("discovery.k8s.io", "EndpointSlice"),
    }
)
"""What others make and make again: nobody misses it."""
ALWAYS = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})
"""What every namespace has."""
LASTING = frozenset({("apps", "StatefulSet"), ("", "PersistentVolumeClaim"), ("", "PersistentVolume")})
NAMED = 5
APP_OF = {
    ("argoproj.io", "Application"): ("status", "resources"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"): ("status", "inventory", "entries"),
}
"""Objects whose controllers delete what they list in their status, which owns nothing by reference."""


async def with_company(site: Site, owner: str, pairs: Sequence[Seen]) -> list[Seen]:
    """The deletions `pairs`, each with what goes along; `owner` is the unit's mark."""
    spaces = sorted({pair.ref.name if _space(pair.ref) else pair.ref.namespace for pair in pairs if _takes(pair.ref)})
    seen = census.Census()
    why = ""
    if spaces:
        wide = any(not pair.ref.namespace and _owns(pair.ref) for pair in pairs)
        try:
            await site.client.discovery.catalog(0.0)  # a kind that nobody has asked for yet counts, too
            seen = await census.taken(site.client, [space for space in spaces if space], clusterwide=wide)
        except (Denied, Unavailable) as error:
            why = str(error)
    return [await _accompanied(site, owner, pair, seen, why) for pair in pairs]


def _takes(ref: Ref) -> bool:
    return _space(ref) or _owns(ref)


def _space(ref: Ref) -> bool:
    return ref.group_kind == ("", "Namespace")


def _owns(ref: Ref) -> bool:
    return definable(ref) and ref.group_kind != DEFINITION and not ref.group.endswith(".k8s.io")


async def _accompanied(site: Site, owner: str, pair: Seen, seen: census.Census, why: str) -> Seen:
    ref, found = pair.ref, Along(why=why)
    if ref.group_kind == DEFINITION:
        found = await _of_its_kind(site, owner, pair)
    elif _space(ref) and not why:
        found = _told(owner, _inside(owner, ref.name, seen), seen.notes)
    elif _owns(ref) and not why:
        found = _listed(pair) or _told("", _below(pair.uid, seen), seen.notes)
    elif not _takes(ref):
        return pair
    return Seen(ref, pair.live, None, owner=pair.owner, uid=pair.uid, going=pair.going, along=found)


async def _of_its_kind(site: Site, owner: str, pair: Seen) -> Along:
    spec = mapping((pair.live or {}).get("spec"))
    group, kind = str(spec.get("group") or ""), str(mapping(spec.get("names")).get("kind") or "")
    try:
        served = await site.client.discovery.find(group, kind)
        if served is None:
            return Along()
        found = await survey(site.client, served, "", MOST, whole=False)
    except (Denied, Unavailable) as error:
        return Along(why=str(error))
    return _told(owner, found.items, ("there are more",) if found.cut else ())


def _inside(owner: str, space: str, seen: census.Census) -> Iterable[Mapping[str, Any]]:
    """What is in a namespace, without what the unit's own objects brought and what everybody has there."""
    ours = {uid for uid, obj in seen.objects.items() if marks.owner_of(obj) == owner}
    for uid, obj in seen.objects.items():
        ref = ref_of(obj)
        if ref.namespace != space or ref.group_kind in MADE or (ref.kind, ref.name) in ALWAYS:
            continue
        if uid in ours or not ours & _ancestors(uid, seen):
            yield obj


def _below(root: str, seen: census.Census) -> Iterable[Mapping[str, Any]]:
    for uid, obj in seen.objects.items():
        if ref_of(obj).group_kind not in MADE and root in _ancestors(uid, seen):
            yield obj


def _ancestors(uid: str, seen: census.Census) -> set[str]:
    """The uids of all its owners, and of theirs."""
    found: set[str] = set()
    pending = [uid]
    while pending:
        obj = seen.objects.get(pending.pop())
        above = {str(owner.get("uid") or "") for owner in owners_of(obj)} if obj is not None else set()
        pending += above - found
        found |= above
    return found


def _listed(pair: Seen) -> Along | None:
    """What an Argo CD or Flux object would delete, where it says so."""
    path = APP_OF.get(pair.ref.group_kind)
    value: Any = pair.live
    for name in path or ():
        value = mapping(value).get(name)
    if path is None or not isinstance(value, list) or not _prunes(pair):
        return None
    return _along(0, [_entry(item) for item in value if isinstance(item, dict)], ())


def _prunes(pair: Seen) -> bool:
    live = pair.live or {}
    finalizers = mapping(live.get("metadata")).get("finalizers") or ()
    argo = any("resources-finalizer.argocd.argoproj.io" in str(word) for word in finalizers)
    return argo or mapping(live.get("spec")).get("prune") is True


def _entry(item: Mapping[str, Any]) -> Ref:
    """Argo CD writes fields, Flux NAMESPACE_NAME_GROUP_KIND."""
    if "id" in item:
        namespace, name, group, kind = [*str(item["id"]).split("_"), "", "", ""][:4]
        return Ref(group, kind, namespace, name)
    group, kind, namespace, name = (str(item.get(key) or "") for key in ("group", "kind", "namespace", "name"))
    return Ref(group, kind, namespace, name)


def _told(owner: str, objects: Iterable[Mapping[str, Any]], notes: Sequence[str]) -> Along:
    """`owner` "": nothing of it counts as the unit's own."""
    found = list(objects)
    others = [ref_of(obj) for obj in found if not owner or marks.owner_of(obj) != owner]
    return _along(len(found) - len(others), others, notes)


def _along(own: int, others: Sequence[Ref], notes: Sequence[str]) -> Along:
    """What holds data is named first."""
    order = sorted(others, key=lambda ref: (ref.group_kind not in LASTING, ref))
    return Along(own, len(others), tuple(order[:NAMED]), "; ".join(notes[:2]))
