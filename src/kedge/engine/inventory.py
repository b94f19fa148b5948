"""What a unit owns: written before the act (the union of old and new) and after it (what is left).

A crash between the two leaves an inventory that is too long, never one that is too short: nothing is orphaned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kedge.model.change import Act
from kedge.model.manifest import Manifest
from kedge.model.operation import Did, Operation, Outcome, Owned
from kedge.model.pair import Known
from kedge.model.plan import Plan, Step, StepKind
from kedge.model.ref import Ref


def before(inventory: Sequence[Owned], plan: Plan) -> tuple[Owned, ...]:
    """Old objects and everything the plan is about to make. Hooks with generated names join when they are named."""
    owned = {entry.ref: entry for entry in inventory}
    for step in plan.steps:
        if step.act is not Act.DELETE and step.ref.name and step.ref not in owned:
            owned[step.ref] = Owned(step.ref, hook=_hook(step), wave=step.wave)
    return _ordered(owned)


def named(inventory: Sequence[Owned], step: Step, outcome: Outcome) -> tuple[Owned, ...]:
    """Join a hook whose name was only known once it was made."""
    ref = replace(step.ref, name=outcome.name)
    owned = {entry.ref: entry for entry in inventory}
    owned.setdefault(ref, Owned(ref, uid=outcome.uid, hook=_hook(step), wave=step.wave))
    return _ordered(owned)


def after(inventory: Sequence[Owned], plan: Plan, operation: Operation) -> tuple[Owned, ...]:
    """What is left: without what is really gone, and with the digests and fingerprints that are now true."""
    owned = {entry.ref: entry for entry in inventory}
    for step in plan.steps:
        outcome = operation.outcome(step.key)
        ref = replace(step.ref, name=outcome.name) if outcome and outcome.name else step.ref
        if outcome is None or ref not in owned:
            continue
        if step.act is Act.DELETE:
            if outcome.did in (Did.SETTLED, Did.KEPT):
                del owned[ref]
        elif outcome.did in (Did.APPLIED, Did.SETTLED) and step.kind is StepKind.CHANGE:
            owned[ref] = replace(
                owned[ref], digest=step.manifest, fingerprint=outcome.fingerprint, uid=outcome.uid, wave=step.wave
            )
        cleaned = operation.outcome(f"clean:{step.key}")
        if cleaned is not None and cleaned.did is Did.SETTLED:
            owned.pop(ref, None)
    return _ordered(owned)


def verified(inventory: Sequence[Owned], known: Sequence[Known]) -> tuple[Owned, ...]:
    """Take over the digests and fingerprints of objects that were found equal to their wish."""
    fresh: Mapping[Ref, Known] = {entry.ref: entry for entry in known}
    return tuple(
        replace(entry, digest=fresh[entry.ref].digest, fingerprint=fresh[entry.ref].fingerprint)
        if entry.ref in fresh
        else entry
        for entry in inventory
    )


def known(inventory: Sequence[Owned]) -> tuple[Known, ...]:
    """What `Target.compare` may skip."""
    return tuple(
        Known(entry.ref, entry.digest, entry.fingerprint)
        for entry in inventory
        if entry.digest and entry.fingerprint and not entry.hook
    )


def extra(inventory: Sequence[Owned], manifests: Sequence[Manifest]) -> tuple[Ref, ...]:
    """Owned ordinary objects that are no longer desired."""
    desired = {manifest.ref for manifest in manifests}
    return tuple(entry.ref for entry in inventory if not entry.hook and entry.ref not in desired)


def _hook(step: Step) -> str:
    return (step.generate_name or step.ref.name) if step.kind is StepKind.HOOK else ""


def _ordered(owned: Mapping[Ref, Owned]) -> tuple[Owned, ...]:
    return tuple(owned[ref] for ref in sorted(owned))
