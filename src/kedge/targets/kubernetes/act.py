"""One step of a plan, done: apply, replace or delete one object.

Everything here may be done again after a crash or a lost reply: applying is idempotent, deleting is of one uid, hooks
carry the operation that they belong to (see `hook.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from kedge.engine.overruled import overruled
from kedge.kube.answer import Answer, Refusal
from kedge.kube.discovery import Kind
from kedge.model.change import Act
from kedge.model.errors import Conflict
from kedge.model.manifest import Manifest
from kedge.model.operation import Did, Outcome
from kedge.model.pair import Scope
from kedge.model.plan import Step, StepKind
from kedge.model.ref import Ref
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.awaited import no_home_yet, not_yet
from kedge.targets.kubernetes.compare import lacks_namespace, raise_if_passing, sentence_of
from kedge.targets.kubernetes.owners import hands, judged_owner, mark_of, taking_over
from kedge.targets.kubernetes.replicas import scalable
from kedge.targets.kubernetes.site import Site
from kedge.targets.kubernetes.slot import ref_of, slot_of

DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
NEVER_REPLACED = {
    ("", "Namespace"): "everything in it would be deleted",
    DEFINITION: "every object of its kind would be deleted",
    ("", "PersistentVolume"): "its data would be lost",
    ("", "PersistentVolumeClaim"): "its data would be lost",
}
KEEP = (
    ("helm.sh/resource-policy", "keep"),
    ("argocd.argoproj.io/sync-options", "Prune=false"),
    ("argocd.argoproj.io/sync-options", "Delete=false"),
)


@dataclass(frozen=True, slots=True)
class Deed:
    """One step with what it needs."""

    site: Site
    scope: Scope
    step: Step

    @property
    def ref(self) -> Ref:
        return self.step.ref

    @property
    def owner(self) -> str:
        return marks.owner_text(self.scope.installation, self.scope.unit)

    def outcome(self, did: Did, message: str = "", **more: Any) -> Outcome:
        return Outcome(self.step.key, did, message, at=self.site.client.clock.now(), **more)

    def failed(self, sentence: str) -> Outcome:
        return self.outcome(Did.FAILED, sentence)


async def apply(deed: Deed, manifest: Manifest) -> Outcome:
    """Server-side apply: one call, unless somebody's fields have to be taken over first."""
    kind = await served(deed, manifest)
    with deed.site.index.writing(manifest.ref):
        await _take_over(deed, kind, manifest.ref)
        body = manifest.body
        if scalable(manifest):
            scaled = await deed.site.autoscalers.targets(deed.scope.unit, [manifest.ref.namespace])
            body = await deed.site.sendable(manifest, scaled, None)
        return await _sent(deed, kind, manifest.ref, body)


async def _sent(deed: Deed, kind: Kind, ref: Ref, body: bytes) -> Outcome:
    """What the plan changes is taken by force. What it creates is not: where somebody else was quicker, nobody has seen
    what would be taken from them. The run then fails, and the next plan shows it.

    What is changed is named by its uid: a request that was lost, and comes when its object has long been pruned, must
    not make it anew. Where the object is not there any more, it is made as one that the plan creates."""
    fresh = deed.step.act is Act.CREATE and not deed.scope.adopt
    if deed.step.act is Act.UPDATE and deed.step.uid:
        answer = await deed.site.client.apply(kind, ref.namespace, ref.name, noted(body, deed.scope.pin, deed.step.uid))
        if answer.refusal is None or not answer.refusal.another:
            return applied(deed, ref, answer, body)
        fresh = not deed.scope.adopt
    slot = deed.site.index.get(ref)
    if fresh and slot is not None and slot.owner not in ("", deed.owner):
        return deed.failed(f"{ref} was made since the plan, and is of {slot.owner}: it is compared again")
    answer = await deed.site.client.apply(
        kind, ref.namespace, ref.name, noted(body, deed.scope.pin, ""), force=not fresh
    )
    refusal = answer.refusal
    if fresh and refusal is not None and refusal.code == 409 and "conflict with" in refusal.text:
        return deed.failed(f"{ref} was made by somebody else since the plan: {refusal.text}")
    return applied(deed, ref, answer, body)


def applied(deed: Deed, ref: Ref, answer: Answer, body: bytes) -> Outcome:
    """The outcome of an answered apply of `body`; the index learns what the answer shows."""
    if answer.refusal is not None:
        return refused(deed, answer.refusal)
    slot = deed.site.index.learn(answer.value)
    if ref.group_kind == DEFINITION:
        deed.site.client.discovery.expect()
    name = ref.name if not deed.step.ref.name else ""
    told = overruled(ref.kind, orjson.loads(body), answer.value) if deed.step.kind is StepKind.CHANGE else ""
    return deed.outcome(Did.APPLIED, name=name, fingerprint=slot.fingerprint, uid=slot.uid, overruled=told)


def refused(deed: Deed, refusal: Refusal) -> Outcome:
    """FAILED with the server's sentence; lasting where a dry run had nothing against what no other try would change.

    Raises Conflict and Unavailable for what will pass by itself, Awaited for a namespace that somebody else makes. One
    that this set makes has gone since: another plan makes it again."""
    raise_if_passing(refusal, str(deed.ref))
    if lacks_namespace(deed.ref, refusal) and deed.site.awaited.waits(deed.scope.unit, deed.ref.namespace):
        raise no_home_yet(deed.ref)
    if refusal.too_large:
        limit = "1.5 MiB, unless its etcd is told otherwise"
        sentence = f"the cluster's database takes no object so large ({limit}): {refusal.text}"
        return deed.outcome(Did.FAILED, sentence, lasting=True)
    more = " (only a replacement could change it)" if refusal.immutable else ""
    return deed.failed(f"{sentence_of(refusal)}{more}")


async def served(deed: Deed, manifest: Manifest) -> Kind:
    """The manifest's kind. Raises Awaited while it is not served: a definition was just applied, by this unit or by
    somebody else, or will be."""
    kind = await deed.site.kind_of(manifest)
    if kind is None:
        raise not_yet(manifest, deed.site.client.discovery)
    return kind


async def _take_over(deed: Deed, kind: Kind, ref: Ref) -> None:
    """Make people's fields ours (and, adopting, another program's), so that the apply removes what Git does not state.

    The index knows whether there are any; with `adopt` the object is read, for it need not be in the index."""
    slot = deed.site.index.get(ref)
    nothing = deed.step.act is Act.CREATE if slot is None else not slot.hands
    if nothing and not deed.scope.adopt:
        return
    live = await deed.site.client.get(kind, ref.namespace, ref.name)
    if live is None:
        return
    owner = judged_owner(deed.scope, marks.owner_of(live), mark_of(live)) if deed.scope.adopt else None
    names = hands(live, adopt=owner)
    if not names and owner is None:
        return
    patch = taking_over(live, names, adopt=owner is not None)
    answer = await deed.site.client.json_patch(kind, ref.namespace, ref.name, patch)
    if answer.refusal is not None and not answer.refusal.missing:
        raise Conflict(f"{ref} changed while its fields were being taken over: {answer.refusal.text}")


async def replace(deed: Deed, manifest: Manifest) -> Outcome:
    """Delete the planned object and say CLEARING; once it is gone (or another one stands there), apply."""
    reason = NEVER_REPLACED.get(deed.ref.group_kind)
    if reason:
        return deed.failed(
            f"a {deed.ref.kind} is never replaced: {reason}; change it by hand, or undo the change in Git"
        )
    live = await deed.site.get(deed.ref)
    if live is None or (deed.step.uid and marks.uid_of(live) != deed.step.uid):
        return await apply(deed, manifest)
    if not deed.scope.adopt and marks.owner_of(live) != deed.owner:
        return deed.failed(not_ours(deed, live, "replaced"))
    return await clear(deed, live)


async def clear(deed: Deed, live: Mapping[str, Any]) -> Outcome:
    """Delete `live`, which stands in the way. CLEARING carries its uid: whoever waits knows when it is gone."""
    uid = marks.uid_of(live)
    if not (live.get("metadata") or {}).get("deletionTimestamp"):
        kind = await deed.site.client.kind(deed.ref.group, deed.ref.kind)
        name = str((live.get("metadata") or {}).get("name") or "")
        with deed.site.index.writing(deed.ref):
            answer = await deed.site.client.delete(kind, deed.ref.namespace, name, uid=uid)
        if answer.refusal is not None and not answer.refusal.missing:
            return refused(deed, answer.refusal)
    return deed.outcome(Did.CLEARING, "is being deleted to make room", uid=uid)


async def delete(deed: Deed) -> Outcome:
    """Delete the one object of the plan, if it is ours beyond doubt.

    Raises Conflict when another object of ours stands under its name by now: the plan was made for a different one."""
    live = await _live(deed)
    if live is None:
        return deed.outcome(Did.DELETED, "it was gone already")
    uid = marks.uid_of(live)
    if marks.owner_of(live) != deed.owner or marks.is_copy(live):
        if deed.step.uid and uid != deed.step.uid:
            return deed.outcome(Did.DELETED, "it was gone already; another object has its name", uid=deed.step.uid)
        if not marks.owner_of(live) and keeps(live):
            return deed.outcome(Did.KEPT, "it was let go already", uid=uid)  # by a try whose answer was lost
        return deed.failed(not_ours(deed, live, "deleted"))
    if deed.step.uid and uid != deed.step.uid:
        raise Conflict(f"{deed.ref} was made anew since the plan: look again before it is deleted")
    if keeps(live):
        return await _keep(deed, live)
    if (live.get("metadata") or {}).get("deletionTimestamp"):
        return deed.outcome(Did.DELETED, "is being deleted", uid=uid)
    kind = await deed.site.client.kind(deed.ref.group, deed.ref.kind)
    with deed.site.index.writing(deed.ref):
        answer = await deed.site.client.delete(kind, deed.ref.namespace, deed.ref.name, uid=uid)
    if answer.refusal is not None and not answer.refusal.missing:
        return refused(deed, answer.refusal)
    return deed.outcome(Did.DELETED, uid=uid)


async def _live(deed: Deed) -> Mapping[str, Any] | None:
    """From the index when it shows the planned object as ours; else read, because a deletion is never a guess."""
    slot = deed.site.index.get(deed.ref)
    if slot is not None and slot.owner == deed.owner and deed.step.uid == slot.uid != "":
        return slot.object()
    return await deed.site.get(deed.ref)


def keeps(live: Mapping[str, Any]) -> bool:
    """Whether the object asks to outlive its declaration, by Helm's resource policy or Argo CD's sync options."""
    annotations = marks.annotations_of(live)
    return any(value in [word.strip() for word in str(annotations.get(key) or "").split(",")] for key, value in KEEP)


async def _keep(deed: Deed, live: Mapping[str, Any]) -> Outcome:
    """Let go of an object: without our marks it is nobody's."""
    kind = await deed.site.client.kind(deed.ref.group, deed.ref.kind)
    labels = {key: None for key in marks.labels_of(live) if key.startswith("kedge.dev/")}
    annotations = {key: None for key in marks.annotations_of(live) if key.startswith("kedge.dev/")}
    change = {"metadata": {"uid": marks.uid_of(live), "labels": labels, "annotations": annotations}}
    with deed.site.index.writing(deed.ref):
        answer = await deed.site.client.merge_patch(kind, deed.ref.namespace, deed.ref.name, change)
    if answer.refusal is not None and not answer.refusal.missing:
        return refused(deed, answer.refusal)
    return deed.outcome(Did.KEPT, "it asks to be kept: it stays, and is not Kedge's any more")


def not_ours(deed: Deed, live: Mapping[str, Any], what: str) -> str:
    text = marks.owner_of(live)
    whose = judged_owner(deed.scope, text, mark_of(live))
    owner = f"it belongs to {whose}" if whose else "it does not say that it belongs to this unit"
    return f"{deed.ref} is not {what}: {owner} (annotation {marks.OWNER}: {text or 'none'})"


def known_slot(deed: Deed, live: Mapping[str, Any]) -> Outcome:
    """The outcome for an object that already is as this step would make it."""
    slot = slot_of(ref_of(live), live, deed.site.client.clock.now())
    return deed.outcome(Did.APPLIED, name=slot.ref.name, fingerprint=slot.fingerprint, uid=slot.uid)


def noted(body: bytes, pin: str, uid: str) -> bytes:
    """The bytes to apply, which also name the object by its uid, and say what the unit is pinned to. The next ordinary
    apply takes the note away."""
    if not pin and not uid:
        return body
    obj = orjson.loads(body)
    metadata = obj["metadata"]
    if uid:
        metadata["uid"] = uid
    if pin:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), marks.PINNED: pin}
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
