"""From any live object upwards: what made it, and who manages the topmost one where no unit does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from kedge.engine.fieldset import CLIENT_SIDE, INTERACTIVE, writers
from kedge.kube.discovery import Kind
from kedge.kube.survey import survey
from kedge.model.errors import Denied, Invalid, Unavailable
from kedge.model.family import Lineage
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.family import CLAIM, STATEFUL_SET, claimed_by, owners_of
from kedge.targets.kubernetes.owners import mark_of
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.slot import ref_of

SECONDS = 20.0
STEPS = 16
CANDIDATES = 8
_SETS = 500
_PROGRAMS = {"argocd": "Argo CD", "flux": "Flux", "helm": "Helm"}

Object = Mapping[str, Any]


async def lineage_of(site: Site, word: str, namespace: str, name: str) -> Lineage | None:
    """As `_traced`, within a time that a person waits. Raises Unavailable after it."""
    try:
        async with asyncio.timeout(SECONDS):
            return await _traced(site, word, namespace, name)
    except TimeoutError:
        raise Unavailable(f"nobody could tell within {SECONDS:.0f} s what “{word}/{name}” hangs from") from None


async def _traced(site: Site, word: str, namespace: str, name: str) -> Lineage | None:
    """The object that `word` (a kind as kubectl takes it), `namespace` and `name` mean, and its owners upwards.

    None where there is no such object. Raises Invalid where the word is no kind, or several objects are meant: it
    lists them."""
    catalog = await site.client.discovery.catalog()
    kinds = catalog.named(word)
    if not kinds:
        group = next((group for group in catalog.failed if word.lower().endswith(f".{group}")), "")
        if group:
            raise Unavailable(f"kinds of {group} can not be looked up: {catalog.failed[group]}")
        raise Invalid(
            f"this cluster serves no kind “{word}”", hint="write it as kubectl does: deploy, deployments.apps"
        )
    found = [obj for kind in kinds[:CANDIDATES] for obj in await _those(site, kind, namespace, name)]
    unlike = {marks.uid_of(obj) or str(ref_of(obj)): obj for obj in reversed(found)}
    if len(unlike) > 1:
        raise Invalid(f"“{word}/{name}” may be any of {', '.join(_written(obj, kinds) for obj in found)}")
    return await _climbed(site, found[0]) if found else None


async def _those(site: Site, kind: Kind, namespace: str, name: str) -> Sequence[Object]:
    """The objects of a kind and name: one, or without a namespace those in any."""
    if namespace or not kind.namespaced:
        live = await site.client.get(kind, namespace, name)
        return [live] if live is not None else []
    listing = await survey(site.client, kind, "", CANDIDATES, whole=False, fields=f"metadata.name={name}")
    return listing.items


def _written(obj: Object, kinds: Sequence[Kind]) -> str:
    """So that it can be typed: `deployments.apps/web -n web`."""
    ref = ref_of(obj)
    plural = next((kind.plural for kind in kinds if (kind.group, kind.kind) == ref.group_kind), ref.kind)
    space = f" -n {ref.namespace}" if ref.namespace else ""
    return f"{plural}{f'.{ref.group}' if ref.group else ''}/{ref.name}{space}"


async def _climbed(site: Site, obj: Object) -> Lineage:
    chain = [ref_of(obj)]
    for _ in range(STEPS):
        above = await _above(site, obj)
        if isinstance(above, str):
            return Lineage(tuple(chain), above)
        if above is None or ref_of(above) in chain:
            break
        obj = above
        chain.append(ref_of(obj))
    return Lineage(tuple(chain), managed_by(obj))


async def _above(site: Site, obj: Object) -> Object | str | None:
    """The object that made `obj`; a sentence where it is gone or can not be read; None at the top."""
    ref = ref_of(obj)
    owners = owners_of(obj)
    if not owners:
        return await _stateful(site, obj) if ref.group_kind == CLAIM else None
    owner = owners[0]
    group, kind = str(owner.get("apiVersion") or "").rpartition("/")[0], str(owner.get("kind") or "")
    name = str(owner.get("name") or "")
    served = await site.client.discovery.find(group, kind)
    what = f"{group}/{kind} {name}" if group else f"{kind} {name}"
    if served is None:
        return f"{what}, of a kind that this cluster does not serve any more"
    try:
        live = await site.client.get(served, ref.namespace if served.namespaced else "", name)
    except Denied:
        return f"{what}, which Kedge is not permitted to read"
    if live is None or marks.uid_of(live) != str(owner.get("uid") or ""):
        return f"{what}, which is gone"
    return live


async def _stateful(site: Site, claim: Object) -> Object | None:
    """The StatefulSet that a volume claim was made for, which no owner reference tells."""
    kind = await site.client.discovery.find(*STATEFUL_SET)
    if kind is None:
        return None
    sets = await survey(site.client, kind, ref_of(claim).namespace, _SETS)
    return next((found for found in sets.items if claimed_by(found, claim)), None)


def managed_by(obj: Object) -> str:
    """Who manages an object, by its marks, else by the server's record of who wrote it."""
    installation, unit = marks.split_owner(marks.owner_of(obj))
    if installation and not marks.is_copy(obj):
        return f"unit {unit} of the Kedge installation {installation}"
    mark = mark_of(obj)
    if mark is not None:
        return f"{_PROGRAMS.get(mark.kind, mark.kind)} ({mark.name})"
    wrote = [manager for manager, _, subresource in writers(marks.managed_fields_of(obj)) if not subresource]
    people = [manager for manager in wrote if manager in INTERACTIVE or manager in CLIENT_SIDE]
    if people:
        return f"a person with kubectl ({', '.join(dict.fromkeys(people))})"
    if wrote:
        return f"nobody by name; it was written by {', '.join(dict.fromkeys(wrote))}"
    return "nobody"
