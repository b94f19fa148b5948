"""What is beside what should be: a server-side apply dry run of each object that may have moved.

An object is not asked about when neither its manifest nor its live fingerprint has changed since it was last verified,
and the watch that tells so is fresh. Everything else costs one call; what exists and was never seen by the watch, two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from kedge.engine.hooks import is_hook
from kedge.engine.overruled import laid
from kedge.kube.answer import Refusal
from kedge.kube.discovery import Kind
from kedge.model.errors import Conflict, Denied, Unavailable
from kedge.model.manifest import Desired, Manifest
from kedge.model.pair import Comparison, Known, Pair, Presumed, Scope, Seen
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.along import with_company
from kedge.targets.kubernetes.awaited import definable, homeless, lacking, wanted_of
from kedge.targets.kubernetes.gather import gathered
from kedge.targets.kubernetes.owners import hands, judged_owner, pointed, without_declared, without_surplus
from kedge.targets.kubernetes.quota import refused_by_moved_quotas
from kedge.targets.kubernetes.replicas import overridden, scalable, scaled_in
from kedge.targets.kubernetes.scopes import GroupKind, defined_in
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.slot import Slot, bare, slot_of

TRUST = 180.0
"""Seconds after which a watch that has told nothing, not even a bookmark, is no longer believed."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the pairs of one comparison have in common. `since`: watches fresher than this (monotonic) are believed."""

    site: Site
    scope: Scope
    defined: Mapping[GroupKind, bool]
    namespaces: frozenset[str]
    scaled: frozenset[Ref]
    since: float

    def served(self, manifest: Manifest) -> bool:
        catalog = self.site.client.discovery.seen
        return catalog is not None and catalog.find(*wanted_of(manifest)) is not None


@dataclass(frozen=True, slots=True)
class Look:
    """A pair, and the live object's fingerprint ("" where there is none)."""

    pair: Pair
    fingerprint: str = ""

    @property
    def awaited(self) -> Manifest | None:
        """Its manifest, where somebody else has to bring what is missing."""
        return self.pair.manifest if isinstance(self.pair, Presumed) and self.pair.by_others else None


async def compare_set(
    site: Site, scope: Scope, desired: Desired, known: Sequence[Known], extra: Sequence[Ref]
) -> Comparison:
    """See `kedge.ports.Target.compare`. Raises Unavailable, Denied and Conflict (an object moved under the dry run)."""
    manifests = [manifest for manifest in desired.manifests if not is_hook(manifest)]
    await _watch(site, [*(manifest.ref for manifest in manifests), *extra])
    verified = {entry.ref: entry for entry in known}
    since = site.client.clock.monotonic() - TRUST
    same = [m for m in manifests if _unchanged(site, scope, m, verified.get(m.ref), since)]
    unchanged = {manifest.ref for manifest in same}
    open_ones = [manifest for manifest in manifests if manifest.ref not in unchanged]
    setting = await _setting(site, scope, desired, open_ones, since)
    looks = await gathered([*(_look(setting, manifest) for manifest in open_ones)])
    if rendered := refused_by_moved_quotas([look.pair for look in looks]):
        looks = [replace(look, pair=rendered.get(look.pair.ref, look.pair)) for look in looks]
    _declare_awaited(setting, [manifest for manifest in (look.awaited for look in looks) if manifest is not None])
    leftovers = await gathered([*(_leftover(setting, ref) for ref in extra)])
    gone = await with_company(site, marks.owner_text(scope.installation, scope.unit), [p for p in leftovers if p])
    digests = {manifest.ref: manifest.digest for manifest in manifests}
    expected = {*(manifest.ref for manifest in desired.manifests), *extra}
    return Comparison(
        pairs=(*(look.pair for look in looks), *gone),
        unchanged=tuple(manifest.ref for manifest in same),
        fingerprints=(
            *(verified[manifest.ref] for manifest in same),
            *(Known(k.pair.ref, digests[k.pair.ref], k.fingerprint) for k in looks if k.fingerprint),
        ),
        strays=site.index.strays(marks.owner_text(scope.installation, scope.unit), expected),
    )


def _declare_awaited(setting: Setting, lacking_something: Sequence[Manifest]) -> None:
    """What lacks no namespace lacks its kind."""
    spaces = {m.ref.namespace for m in lacking_something if setting.served(m)}
    kinds = [m for m in lacking_something if not setting.served(m)]
    setting.site.awaited.declare(setting.scope.unit, kinds, sorted(spaces))


async def _watch(site: Site, refs: Sequence[Ref]) -> None:
    try:
        await site.index.ready(refs)
    except (Denied, Unavailable):
        # Without a watch every object is asked about: slower, never wrong. If the server is down, asking will tell.
        return


def _unchanged(site: Site, scope: Scope, manifest: Manifest, known: Known | None, since: float) -> bool:
    slot = site.index.get(manifest.ref)
    if known is None or slot is None or slot.terminating or not site.index.sees(manifest.ref, since):
        return False
    ours = slot.owner == marks.owner_text(scope.installation, scope.unit)
    return (
        ours and known.digest == manifest.digest and bool(known.fingerprint) and known.fingerprint == slot.fingerprint
    )


async def _setting(site: Site, scope: Scope, desired: Desired, manifests: Sequence[Manifest], since: float) -> Setting:
    site.autoscalers.declare(scope.unit, scaled_in(desired.manifests))
    asked = {manifest.ref.namespace for manifest in manifests if scalable(manifest)}
    scaled: frozenset[Ref] = await site.autoscalers.targets(scope.unit, asked) if asked else frozenset()
    return Setting(
        site=site,
        scope=scope,
        defined=defined_in(desired.manifests),
        namespaces=frozenset(m.ref.name for m in desired.manifests if m.ref.group_kind == ("", "Namespace")),
        scaled=scaled,
        since=since,
    )


async def _look(setting: Setting, manifest: Manifest) -> Look:
    site, ref = setting.site, manifest.ref
    kind = await site.kind_of(manifest)
    if kind is None:
        return Look(_undefined(setting, manifest))
    live: Mapping[str, Any] | None = None
    if ref in setting.scaled:
        live = await site.client.get(kind, ref.namespace, ref.name)
    body = await site.sendable(manifest, setting.scaled if live is not None else frozenset(), live)
    if manifest.holes:
        return await _untried(setting, kind, manifest, body, "it holds what is not known yet")
    answer = await site.client.apply(kind, ref.namespace, ref.name, body, dry_run=True)
    if answer.refusal is not None:
        if "does not support dry run" in answer.refusal.text:
            return await _untried(setting, kind, manifest, body, f"the cluster can not try it: {answer.refusal.text}")
        cleared = await _taken_back(setting, kind, manifest, body)
        return cleared or await _refused(setting, kind, manifest, answer.refusal)
    if answer.created:
        return Look(Seen(ref, None, bare(answer.value), manifest))
    slot = await _live(setting, kind, ref, answer.value)
    if slot is None:
        raise Conflict(f"{ref} went away while it was being compared")
    return Look(_seen(setting, manifest, slot, answer.value), slot.fingerprint)


async def _live(setting: Setting, kind: Kind, ref: Ref, hint: Mapping[str, Any] | None) -> Slot | None:
    """The live object: from the index when that is of the version of the dry run's answer (`hint`), else read. What the
    index shows as newer is no better: a server may have been put back to an earlier state."""
    slot = setting.site.index.get(ref)
    if slot is not None and setting.site.index.sees(ref, setting.since):
        version = str(((hint or {}).get("metadata") or {}).get("resourceVersion") or "")
        if not version or (slot.uid == marks.uid_of(hint or {}) and slot.version == version):
            return slot
    live = await setting.site.client.get(kind, ref.namespace, ref.name)
    return None if live is None else slot_of(ref, live, setting.site.client.clock.now())


def _seen(setting: Setting, manifest: Manifest, slot: Slot, answer: Mapping[str, Any]) -> Seen:
    live = slot.object()
    mark = slot.mark and without_declared(slot.mark, orjson.loads(manifest.body))
    owner = judged_owner(setting.scope, slot.owner, mark)
    predicted = without_surplus(answer, hands(answer, adopt=owner))
    return Seen(
        ref=manifest.ref,
        live=live,
        predicted=bare(predicted),
        manifest=manifest,
        owner=owner,
        interactive=slot.hands,
        uid=slot.uid,
        autoscaled=manifest.ref in setting.scaled and overridden(orjson.loads(manifest.body), live),
    )


async def _untried(setting: Setting, kind: Kind, manifest: Manifest, body: bytes, why: str) -> Look:
    """A webhook with side effects forbids dry runs, or there is a hole: values decide, and a moved wish is applied as
    it is rendered."""
    ref = manifest.ref
    found = await setting.site.client.get(kind, ref.namespace, ref.name)
    if found is None:
        return Look(Presumed(ref, manifest, why))
    slot = slot_of(ref, found, setting.site.client.clock.now())
    guess = _seen(setting, manifest, slot, found)
    rest = bare(without_surplus(found, hands(found, adopt=guess.owner)))
    return Look(replace(guess, predicted=laid(rest, orjson.loads(body)), untried=why), slot.fingerprint)


async def _taken_back(setting: Setting, kind: Kind, manifest: Manifest, body: bytes) -> Look | None:
    """What people have added by hand may be what the server objects to (a second port, where Git has one without a
    name). An apply takes that back first, which a dry run can not: so the whole outcome is tried. None where nobody's
    hands are in it, or the server objects all the same."""
    slot = setting.site.index.get(manifest.ref)
    if slot is not None and not slot.hands:
        return None
    found = await setting.site.client.get(kind, manifest.ref.namespace, manifest.ref.name)
    if found is None or not hands(found):
        return None
    slot = slot_of(manifest.ref, found, setting.site.client.clock.now())
    seen = _seen(setting, manifest, slot, found)
    outcome = laid(without_surplus(found, hands(found, adopt=seen.owner)), orjson.loads(body))
    fields = [name for name in outcome if name not in ("apiVersion", "kind", "metadata", "status")]
    patch = [{"op": "add", "path": f"/{pointed(name)}", "value": outcome[name]} for name in fields]
    answer = await setting.site.client.json_patch(kind, manifest.ref.namespace, manifest.ref.name, patch, dry_run=True)
    if answer.refusal is not None:
        return None
    predicted = {**bare(answer.value), "metadata": bare(outcome)["metadata"]}
    return Look(replace(seen, predicted=predicted), slot.fingerprint)


async def _refused(setting: Setting, kind: Kind, manifest: Manifest, refusal: Refusal) -> Look:
    ref = manifest.ref
    if refusal.missing:
        return Look(_homeless(setting, manifest, refusal))
    raise_if_passing(refusal, f"{ref} can not be compared")
    slot = await _live(setting, kind, ref, None)
    desired = orjson.loads(manifest.body)
    live = None if slot is None else slot.object()
    owner = judged_owner(setting.scope, slot.owner, slot.mark) if slot is not None else None
    seen = Seen(
        ref=ref,
        live=live,
        predicted=desired if live is None else overlaid(live, desired),
        manifest=manifest,
        owner=owner,
        interactive=slot.hands if slot else (),
        rejection=sentence_of(refusal),
        immutable=refusal.immutable and live is not None,
        uid=slot.uid if slot else "",
    )
    return Look(seen, slot.fingerprint if slot else "")


def sentence_of(refusal: Refusal) -> str:
    """The server's sentence; for a missing right (other refusals are 403 too: quotas, admission) also what to do."""
    lacking = refusal.code == 403 and " cannot " in refusal.text
    return f"{refusal.text}; grant the right to the account that Kedge uses there" if lacking else refusal.text


def raise_if_passing(refusal: Refusal, what: str) -> None:
    """Raise Conflict or Unavailable for a refusal that will pass without anybody changing the manifest."""
    if refusal.another:
        raise Conflict(f"{what}: it was made anew meanwhile, look again: {refusal.text}")
    if refusal.code == 409:
        raise Conflict(f"{what}: {refusal.text}")
    if refusal.code == 403 and "being terminated" in refusal.text:
        raise Unavailable(f"{what}: {refusal.text}", retry_after=5.0)


def _undefined(setting: Setting, manifest: Manifest) -> Pair:
    ref = manifest.ref
    if ref.group_kind in setting.defined:
        return Presumed(ref, manifest, f"the definition of {ref.kind} is part of this set and not served yet")
    missing = lacking(manifest, setting.site.client.discovery.seen)
    if not definable(ref):
        return Seen(ref, None, orjson.loads(manifest.body), manifest, rejection=missing)
    return Presumed(ref, manifest, f"{missing} yet: waits for its definition", by_others=True)


def _homeless(setting: Setting, manifest: Manifest, refusal: Refusal) -> Presumed:
    ref = manifest.ref
    if not lacks_namespace(ref, refusal):
        return Presumed(ref, manifest, f"the API server does not find it a place: {refusal.text}")
    if ref.namespace in setting.namespaces:
        return Presumed(ref, manifest, f"the namespace {ref.namespace} is part of this set and does not exist yet")
    return Presumed(ref, manifest, homeless(ref), by_others=True)


def lacks_namespace(ref: Ref, refusal: Refusal) -> bool:
    return refusal.missing and bool(ref.namespace) and "namespaces" in refusal.text


async def _leftover(setting: Setting, ref: Ref) -> Seen | None:
    """An owned object that is no longer desired. None when it is gone, or another unit has taken it over since."""
    site, scope = setting.site, setting.scope
    slot = site.index.get(ref)
    if slot is None or not site.index.sees(ref, setting.since):
        live = await site.get(ref)
        slot = None if live is None else slot_of(ref, live, site.client.clock.now())
    if slot is None or (slot.terminating and not slot.finalizers):
        return None
    owner = judged_owner(scope, slot.owner, slot.mark)
    if owner is not None and owner.kind in ("unit", "installation"):
        return None
    return Seen(ref, slot.object(), None, owner=owner, uid=slot.uid, going=slot.terminating)


def overlaid(live: Mapping[str, Any], desired: Mapping[str, Any]) -> dict[str, Any]:
    """A guess at the outcome of an apply that the server refused: what is wished laid over what is."""
    made = dict(live)
    for key, value in desired.items():
        below = made.get(key)
        made[key] = overlaid(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return made
