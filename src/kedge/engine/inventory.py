"""What a unit owns: written before the act (the union of old and new) and after it (what is left).

A crash between the two leaves an inventory that is too long, never one that is too short: nothing is orphaned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kedge.engine.overruled import TOLD
from kedge.model.change import Act
from kedge.model.manifest import Manifest
from kedge.model.operation import Did, Operation, Overruled, Owned, Sight
from kedge.model.pair import Known
from kedge.model.plan import Plan, Step, StepKind
from kedge.model.ref import Ref


def before(inventory: Sequence[Owned], plan: Plan) -> tuple[Owned, ...]:
    """Old objects and everything the plan is about to make. What it is about to touch is unverified until it is known
    what came of it: whatever ends the run, a watch that lags behind must not have the old state taken for unchanged.
    Nor is it what it was: who goes back in Git after a run that came half way wants that undone, which is no drift."""
    owned = {entry.ref: entry for entry in inventory}
    for step in plan.steps:
        if step.kind is not StepKind.HOOK and step.ref in owned:
            was = owned[step.ref].digest
            owned[step.ref] = replace(owned[step.ref], fingerprint="", digest=was if was == step.manifest else "")
        if step.act is not Act.DELETE and step.ref not in owned:
            owned[step.ref] = Owned(step.ref, hook=_hook(step), wave=step.wave)
    return _ordered(owned)


def after(inventory: Sequence[Owned], plan: Plan, operation: Operation) -> tuple[Owned, ...]:
    """What is left: without what is really gone, and with the digests and fingerprints that are now true."""
    owned, outcomes = {entry.ref: entry for entry in inventory}, operation.by_step()
    for step in plan.steps:
        outcome = outcomes.get(step.key)
        ref = step.ref
        if outcome is None or ref not in owned:
            continue
        if step.act is Act.DELETE:
            if outcome.did in (Did.SETTLED, Did.KEPT):
                del owned[ref]
        elif outcome.did in (Did.APPLIED, Did.SETTLED) and step.kind is not StepKind.HOOK:
            owned[ref] = replace(
                owned[ref], digest=step.manifest, fingerprint=outcome.fingerprint, uid=outcome.uid, wave=step.wave
            )
        cleaned = outcomes.get(f"clean:{step.key}")
        if cleaned is not None and cleaned.did in (Did.SETTLED, Did.KEPT):
            owned.pop(ref, None)
    return _ordered(owned)


def overruled(
    known: Sequence[Overruled], plan: Plan, operation: Operation, left: Sequence[Owned]
) -> tuple[Overruled, ...]:
    """What the target makes otherwise than Git states: as known before, and as this run has seen it."""
    found, outcomes = {entry.ref: entry for entry in known}, operation.by_step()
    for step in plan.steps:
        outcome = outcomes.get(step.key)
        if step.kind is StepKind.CHANGE and outcome is not None and outcome.did in (Did.APPLIED, Did.SETTLED):
            found.pop(step.ref, None)
            if outcome.overruled:
                found[step.ref] = Overruled(step.ref, outcome.overruled)
    owned = refs(left)
    return tuple(found[ref] for ref in sorted(found) if ref in owned)[:TOLD]


def verified(
    inventory: Sequence[Owned], manifests: Sequence[Manifest], known: Sequence[Known], live: Sequence[Ref]
) -> tuple[Owned, ...]:
    """The inventory of a unit that was found as it should be.

    Every verified object is in it, with the digest and fingerprint that were found equal to its wish; what is neither
    desired nor `live` any more has gone.
    """
    desired = {manifest.ref for manifest in manifests}
    standing = desired.union(live)
    owned = {entry.ref: entry for entry in inventory if entry.hook or entry.ref in standing}
    for entry in known:
        if entry.ref in desired:
            before = owned.get(entry.ref) or Owned(entry.ref)
            if (before.digest, before.fingerprint) != (entry.digest, entry.fingerprint):
                before = replace(before, digest=entry.digest, fingerprint=entry.fingerprint)
            owned[entry.ref] = before
    return _ordered(owned)


def moved(inventory: Sequence[Owned], sights: Mapping[Ref, Sight]) -> tuple[Ref, ...]:
    """Ordinary objects that the watch shows otherwise than they were left: gone, going, or changed by another hand."""
    found = []
    for entry in inventory:
        sight = sights.get(entry.ref)
        if entry.hook or sight is None:
            continue
        changed = entry.fingerprint and sight.fingerprint and entry.fingerprint != sight.fingerprint
        if not sight.exists or sight.terminating or changed:
            found.append(entry.ref)
    return tuple(found)


def going(sights: Mapping[Ref, Sight]) -> tuple[Ref, ...]:
    """Objects that are being deleted: an apply changes nothing of them, and they vanish all the same."""
    return tuple(ref for ref, sight in sorted(sights.items()) if sight.exists and sight.terminating)


def known(inventory: Sequence[Owned]) -> tuple[Known, ...]:
    """What `Target.compare` may skip."""
    return tuple(
        Known(entry.ref, entry.digest, entry.fingerprint)
        for entry in inventory
        if entry.digest and entry.fingerprint and not entry.hook
    )


def surplus(inventory: Sequence[Owned], manifests: Sequence[Manifest]) -> tuple[Ref, ...]:
    """Owned ordinary objects that are no longer desired."""
    desired = {manifest.ref for manifest in manifests}
    return tuple(entry.ref for entry in inventory if not entry.hook and entry.ref not in desired)


def refs(inventory: Sequence[Owned]) -> frozenset[Ref]:
    return frozenset(entry.ref for entry in inventory)


def _hook(step: Step) -> str:
    return (step.generate_name or step.ref.name) if step.kind is StepKind.HOOK else ""


def _ordered(owned: Mapping[Ref, Owned]) -> tuple[Owned, ...]:
    return tuple(owned[ref] for ref in sorted(owned))
