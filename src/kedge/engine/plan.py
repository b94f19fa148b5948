"""From changes to a plan: which steps, in which order, and whose approval it needs.

Order: phase, then wave, then kind, as Argo CD's gitops-engine sorts its tasks. Namespaces and definitions are moved in
front of the first step that stands on them. Deleting comes last and goes backwards through waves and kinds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from kedge.engine import holding
from kedge.engine.hooks import Hook, generated_name, hook_of, wave_of
from kedge.engine.order import is_definition, is_namespace, kind_rank
from kedge.model.change import Act, Change, Finding, Severity
from kedge.model.declaration import OnRemove, When
from kedge.model.dossier import Dossier
from kedge.model.manifest import Desired, Manifest
from kedge.model.operation import Did, Operation, Owned, Result
from kedge.model.plan import Needs, Phase, Plan, Step, StepKind
from kedge.model.ref import Ref, stack_ref
from kedge.model.source import Revision
from kedge.model.unit import Unit

_NAMED = 3
"""Paths that a sentence names before it only says that there are more."""
_MUST_RUN = (Phase.PRE_SYNC, Phase.SYNC, Phase.POST_SYNC)


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything a plan is made of. `destructive` holds policy's sentences, `claimed` objects of other units; `effects`
    and `destructive` are of what is `carried_out`, and so is `along`: which deletions take others' objects with them.
    `holders` are those other units, and former owners that still are.

    `moved` says why a unit that moves has to be agreed to, "" for one that stays or may go.

    `unsettled` are objects of a run that failed, by digest: see the function of that name. `ran` are the steps that a
    failed run of this very set came through, None where there was none.

    `artifact` is the saved plan of a stack. `uids` are the live objects' at comparison time; `run_hooks` runs hooks
    although nothing changes (a person's sync).
    """

    unit: Unit
    revision: Revision | None
    desired: Desired
    changes: tuple[Change, ...]
    effects: str
    inventory: tuple[Owned, ...]
    destructive: tuple[str, ...] = ()
    along: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    claimed: Mapping[Ref, str] = field(default_factory=dict)
    holders: Mapping[str, Dossier] = field(default_factory=dict)
    uids: Mapping[Ref, str] = field(default_factory=dict)
    removal: bool = False
    run_hooks: bool = False
    unsettled: Mapping[Ref, str] = field(default_factory=dict)
    ran: frozenset[str] | None = None
    moved: str = ""
    now: float = 0.0
    artifact: str = ""


def make_plan(draft: Draft) -> Plan:
    """The plan of a draft. Deletions are left out, with a finding, where the unit does not prune."""
    changes, findings = _pruned(draft)
    if changes is not draft.changes:
        draft = replace(draft, changes=changes)
    steps = tuple(sorted(_steps(draft), key=lambda step: step.order))
    rendered = "" if draft.desired.holes else draft.desired.digest
    return Plan(
        id=_identity(draft, rendered, steps),
        unit=draft.unit.name,
        revision=draft.revision,
        rendered=rendered,
        steps=steps,
        changes=changes,
        effects=draft.effects,
        findings=(*draft.findings, *findings),
        needs=_needs(draft),
        blocked=_blocked(draft),
        removal=draft.removal,
        made_at=draft.now,
        claimants=tuple(sorted({draft.claimed[change.ref] for change in _claimed(draft)})),
        holes=draft.desired.holes,
    )


def _steps(draft: Draft) -> list[Step]:
    if draft.unit.tool is not None:
        return _artifact_steps(draft)
    return _removal_steps(draft) if draft.removal else _sync_steps(draft)


def _artifact_steps(draft: Draft) -> list[Step]:
    """A stack's saved plan is one step, and the stack itself the one object that the unit owns."""
    ref = stack_ref(draft.unit.name)
    if not draft.changes:
        return []
    act = Act.DELETE if draft.removal else Act.UPDATE
    digest = next((manifest.digest for manifest in draft.desired.manifests if manifest.ref == ref), "")
    phase = Phase.PRUNE if draft.removal else Phase.SYNC
    return [Step(f"{phase}:{ref.key}", StepKind.ARTIFACT, act, ref, phase, manifest=digest, artifact=draft.artifact)]


def carried_out(unit: Unit, changes: tuple[Change, ...], *, removal: bool) -> tuple[Change, ...]:
    """The changes that a plan of this unit makes: no deletions where it does not prune. Whatever people are shown, and
    whatever they agree to, is about these and no others."""
    if unit.sync.prune or removal:
        return changes
    return tuple(change for change in changes if change.act is not Act.DELETE)


def _pruned(draft: Draft) -> tuple[tuple[Change, ...], tuple[Finding, ...]]:
    if draft.unit.sync.prune or draft.removal:
        return draft.changes, ()
    kept = [change for change in draft.changes if change.act is Act.DELETE]
    findings = tuple(
        Finding(Severity.INFO, "prune-off", f"{change.ref} left Git and is kept: pruning is off", change.ref)
        for change in kept
    )
    return carried_out(draft.unit, draft.changes, removal=False), findings


def _sync_steps(draft: Draft) -> list[Step]:
    manifests = {manifest.ref: manifest for manifest in draft.desired.manifests if manifest.ref.name}
    owned = {entry.ref: entry for entry in draft.inventory}
    steps = [
        _delete_step(owned.get(change.ref) or Owned(change.ref), draft)
        if change.act is Act.DELETE
        else _apply_step(manifests[change.ref], change.act, draft)
        for change in draft.changes
    ]
    drift_only = bool(draft.changes) and all(change.drift for change in draft.changes)
    hooks = _hook_steps(draft)
    if draft.run_hooks or (draft.changes and not drift_only) or _owed(draft, hooks):
        steps += hooks
    if draft.unsettled and not drift_only:
        steps += _once_more(steps, manifests, draft)
    return _hoisted(steps, draft.desired.manifests)


def unsettled(plan: Plan | None, run: Operation | None) -> Mapping[Ref, str]:
    """What a run that failed or was given up applied, or was about to, and did not see well: by the manifest's digest.
    `plan` is the run's, or the one that waits since then."""
    if plan is None or run is None or run.result in (None, Result.SUCCEEDED):
        return {}
    outcomes = {outcome.step: outcome.did for outcome in run.outcomes}
    steps = [step for step in plan.steps if step.kind is StepKind.CHANGE and step.act is not Act.DELETE]
    return {step.ref: step.manifest for step in steps if outcomes.get(step.key) is not Did.SETTLED}


def came_through(dossier: Dossier, rendered: str) -> frozenset[str] | None:
    """See `Draft.ran`: where the last run of this set failed, and is to be tried again."""
    last, trouble = dossier.last, dossier.trouble
    if last is None or trouble is None or last.result is not Result.FAILED or not dossier.unit.sync.auto:
        return None
    if not rendered == last.rendered == trouble.key:
        return None
    return frozenset(outcome.step for outcome in last.outcomes if outcome.did is Did.SETTLED)


def _owed(draft: Draft, hooks: Sequence[Step]) -> bool:
    """Whether hooks are left that a failed run never came to, or that failed in it: all is as Git states by now, and
    still they have to run, as with Argo CD's retries."""
    if draft.ran is None:
        return False
    return any(step.key not in draft.ran and step.act is not Act.DELETE for step in hooks if step.phase in _MUST_RUN)


def _once_more(steps: Sequence[Step], manifests: Mapping[Ref, Manifest], draft: Draft) -> list[Step]:
    """What is unsettled and wanted as it is stands in front of whatever comes after it in the order: it is applied
    again, which changes nothing, and has to become well first. Otherwise another try would go past it."""
    end = max(((step.phase.rank, step.wave) for step in steps), default=(0, 0))
    changed = {change.ref for change in draft.changes}
    still = [manifests[ref] for ref, digest in draft.unsettled.items() if ref in manifests and ref not in changed]
    again = [_apply_step(m, Act.UPDATE, draft) for m in still if m.digest == draft.unsettled[m.ref]]
    return [step for step in again if (step.phase.rank, step.wave) < end]


def _apply_step(manifest: Manifest, act: Act, draft: Draft) -> Step:
    ref = manifest.ref
    return Step(
        key=f"Sync:{ref.key}",
        kind=StepKind.CHANGE,
        act=act,
        ref=ref,
        phase=Phase.SYNC,
        wave=wave_of(manifest),
        rank=kind_rank(ref),
        manifest=manifest.digest,
        uid=draft.uids.get(ref, ""),
    )


def _delete_step(entry: Owned, draft: Draft) -> Step:
    ref = entry.ref
    return Step(
        key=f"Prune:{ref.key}",
        kind=StepKind.CHANGE,
        act=Act.DELETE,
        ref=ref,
        phase=Phase.PRUNE,
        wave=-entry.wave,
        rank=-kind_rank(ref),
        uid=draft.uids.get(ref, ""),
    )


def _hooks(draft: Draft) -> list[tuple[Manifest, Hook]]:
    installing = not any(not entry.hook for entry in draft.inventory)
    found = [(manifest, hook_of(manifest, installing=installing)) for manifest in draft.desired.manifests]
    return [(manifest, hook) for manifest, hook in found if hook is not None]


def _hook_steps(draft: Draft, phases: Sequence[Phase] = ()) -> list[Step]:
    wanted = phases or (Phase.PRE_SYNC, Phase.SYNC, Phase.POST_SYNC, Phase.SYNC_FAIL)
    steps: list[Step] = []
    for manifest, hook in _hooks(draft):
        for phase in hook.phases:
            if phase in wanted:
                steps.append(_hook_step(manifest, hook, phase))
                steps += _stale_generated(manifest, phase, draft.inventory)
    return steps


def _hook_step(manifest: Manifest, hook: Hook, phase: Phase) -> Step:
    name = manifest.ref.key if manifest.ref.name else f"{manifest.ref.key}{manifest.generate_name}"
    return Step(
        key=f"{phase}:{name}",
        kind=StepKind.HOOK,
        act=Act.CREATE,
        ref=manifest.ref,
        phase=phase,
        wave=wave_of(manifest),
        rank=kind_rank(manifest.ref),
        manifest=manifest.digest,
        policies=hook.policies,
        generate_name=manifest.generate_name,
    )


def _stale_generated(manifest: Manifest, phase: Phase, inventory: Sequence[Owned]) -> list[Step]:
    """Earlier runs' objects of a hook with a generated name: BeforeHookCreation can not find them by name."""
    if not manifest.generate_name:
        return []
    stale = [entry for entry in inventory if entry.hook == manifest.generate_name]
    return [
        Step(
            key=f"{phase}:stale:{entry.ref.key}",
            kind=StepKind.HOOK,
            act=Act.DELETE,
            ref=entry.ref,
            phase=phase,
            wave=wave_of(manifest),
            rank=-1,
            uid=entry.uid,
        )
        for entry in stale
    ]


def _removal_steps(draft: Draft) -> list[Step]:
    """The hooks' own objects are not pruned: their steps clear them, and the run's end deletes them."""
    hooks = _hook_steps(draft, (Phase.PRE_DELETE, Phase.POST_DELETE))
    cleared = {step.ref for step in hooks}
    return [*hooks, *(_delete_step(entry, draft) for entry in draft.inventory if entry.ref not in cleared)]


def _hoisted(steps: list[Step], manifests: Sequence[Manifest]) -> list[Step]:
    """Move each namespace and definition in front of the first step that needs it, taking its phase and wave."""
    if not any(_is_base(step) for step in steps):
        return steps
    bodies = {manifest.ref: manifest for manifest in manifests}
    hoisted: list[Step] = []
    for step in steps:
        if not _is_base(step):
            hoisted.append(step)
            continue
        first = min(_users(step, steps, bodies), key=lambda other: other.order, default=step)
        earlier = (first.phase.rank, first.wave) < (step.phase.rank, step.wave)
        hoisted.append(replace(step, phase=first.phase, wave=first.wave) if earlier else step)
    return hoisted


def _is_base(step: Step) -> bool:
    return step.act is not Act.DELETE and (is_namespace(step.ref) or is_definition(step.ref))


def _users(base: Step, steps: Sequence[Step], bodies: Mapping[Ref, Manifest]) -> list[Step]:
    """What stands on a namespace or a definition."""
    others = [other for other in steps if other is not base and other.act is not Act.DELETE]
    if is_namespace(base.ref):
        return [other for other in others if other.ref.namespace == base.ref.name]
    spec = json.loads(bodies[base.ref].body).get("spec") or {}
    kind = spec.get("group"), (spec.get("names") or {}).get("kind")
    return [other for other in others if other.ref.group_kind == kind]


def _needs(draft: Draft) -> Needs | None:
    rule = draft.unit.approve
    reasons: list[str] = [
        holding.adopted(change.ref, change.adopts, draft.holders.get(change.adopts.removeprefix(holding.UNIT)))
        for change in draft.changes
        if change.adopts and change.ref not in draft.claimed
    ]
    if draft.moved:
        reasons.append(draft.moved)
    if draft.unit.tool is not None:
        reasons += _of_a_stack(draft)
    elif draft.removal:
        if draft.unit.on_remove is not OnRemove.DELETE and not draft.moved:
            reasons.append(f"{draft.unit.name} left Git: approving deletes its {len(draft.inventory)} objects")
        reasons += draft.along
    elif rule.when is not When.NEVER or not draft.desired.manifests:
        reasons += draft.destructive
    if rule.when is When.ALWAYS and draft.changes and not _repairs_harmlessly(draft):
        reasons.append("every plan of this unit needs approval")
    return Needs(tuple(reasons), rule.by, max(1, rule.count)) if reasons else None


def _repairs_harmlessly(draft: Draft) -> bool:
    """Whether it only brings back what was agreed to, as the stack's declaration lets drift be repaired unattended."""
    changes = draft.changes
    fits = all(change.drift and change.act in (Act.CREATE, Act.UPDATE) for change in changes)
    return draft.unit.tool is not None and draft.unit.tool.harmless and fits


def _of_a_stack(draft: Draft) -> list[str]:
    """Whatever the rule says, nothing that may hold state goes without a person's word."""
    if draft.removal:
        count = len(draft.changes)
        return [f"{draft.unit.name} left Git: approving destroys its {count} resource{'' if count == 1 else 's'}"]
    return list(draft.destructive)


def _claimed(draft: Draft) -> list[Change]:
    return [change for change in draft.changes if change.act is not Act.DELETE and change.ref in draft.claimed]


def _blocked(draft: Draft) -> tuple[str, ...]:
    claimed = [
        holding.claimed(change.ref, draft.claimed[change.ref], draft.holders.get(draft.claimed[change.ref]))
        for change in _claimed(draft)
    ]
    refused = [_refused(change) for change in draft.changes if change.rejection]
    errors = [finding.text for finding in draft.findings if finding.severity is Severity.ERROR]
    return (*claimed, *refused, *errors)


def _refused(change: Change) -> str:
    """Of an immutable field the server may only list those that are not (a StatefulSet): what was tried is named."""
    paths = [field.path for field in change.fields] if change.act is Act.UPDATE else []
    told = any(path in change.rejection for path in paths)
    more = ", …" if len(paths) > _NAMED else ""
    what = f"to change {', '.join(paths[:_NAMED])}{more}" if paths and not told else "it"
    return f"{change.ref}: the API server refuses {what}: {change.rejection}"


def named(plan: Plan, operation: str) -> Plan:
    """Give hooks with generated names the name they will have in this operation: known before the act, so that the
    inventory can hold it and a crash can not run the hook twice."""
    steps = tuple(
        replace(step, ref=replace(step.ref, name=generated_name(step.generate_name, operation, step.key)))
        if step.generate_name and not step.ref.name
        else step
        for step in plan.steps
    )
    return replace(plan, steps=steps)


def _identity(draft: Draft, rendered: str, steps: Sequence[Step]) -> str:
    commit = draft.revision.commit if draft.revision else ""
    lines = [
        str(draft.unit.name),
        commit,
        rendered,
        draft.effects,
        *([draft.moved] if draft.moved else []),
        *(f"{step.key}={step.manifest}" for step in steps),
    ]
    return sha256("\n".join(lines).encode()).hexdigest()
