"""May this plan begin now, unattended or not? One answer, with the sentence that people see when it may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kedge.engine.effects import covered
from kedge.model.declaration import Heal
from kedge.model.dossier import Approval, Dossier
from kedge.model.operation import Cause
from kedge.model.plan import Needs, Plan

HEAL_CALM = 600.0
"""Seconds after which an object that stayed as it should counts as calm again (Argo CD resets on any new sync)."""

BLOCKED = 180.0
"""Seconds until a cluster is asked again about a plan that hangs on what nobody watches: a right or a quota that it
refuses for, an object that is another program's."""

RETRY = 180.0
"""Seconds, at most, until what failed is tried again."""

_FIRST_HEALS = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """`go`, or hold: `waiting` says why, `approval` whether a person's yes would help, `until` when to ask again."""

    go: bool
    waiting: str = ""
    approval: bool = False
    until: float | None = None


GO = Verdict(True)


def gate(dossier: Dossier, plan: Plan, now: float, upstream: str = "") -> Verdict:
    """The first reason to hold, in the order in which a person would want to hear it. `upstream` is the sentence of a
    unit that this one comes after and that is not there yet."""
    if plan.blocked:
        more = f" (and {len(plan.blocked) - 1} more)" if len(plan.blocked) > 1 else ""
        refused = any(change.rejection for change in plan.changes)
        return Verdict(False, plan.blocked[0] + more, until=now + BLOCKED if refused else None)
    expired = pin_expired(dossier, now)
    if expired:
        return Verdict(False, expired)
    if dossier.suspended and dossier.wish is None:
        return Verdict(False, f"suspended: {dossier.suspended}")
    asked = "" if plan.needs is None else _asked(plan, plan.needs, dossier.approvals)
    if plan.holes:
        lacking = f"waits for {', '.join(plan.holes)}, which is not there yet"
        return Verdict(False, f"{lacking}; {asked}" if asked else lacking, bool(asked), now + BLOCKED)
    if upstream:
        return Verdict(False, upstream, until=now + BLOCKED)
    if asked:
        # Another program may let its object go meanwhile, and nothing of ours watches that.
        until = now + BLOCKED if any(change.adopts for change in plan.changes) else None
        return Verdict(False, asked, True, until)
    if dossier.wish is not None or dossier.pin is not None or dossier.removed is not None:
        return _retry(dossier, plan, now)
    return _automation(dossier, plan, now)


def pin_expired(dossier: Dossier, now: float) -> str:
    """The alert of a pin that is over, "" while it holds or where there is none."""
    pin = dossier.pin
    if pin is None or now < pin.expires:
        return ""
    return f"the pin of {pin.actor} to run {pin.run} expired: resume or roll back again"


def _automation(dossier: Dossier, plan: Plan, now: float) -> Verdict:
    sync = dossier.unit.sync
    given = plan.needs is not None
    if plan.drift_only:
        agreed = given and plan.whole  # somebody has agreed to this very repair
        if sync.heal is Heal.NEVER and not agreed:
            return Verdict(False, "drifted, and healing is off: kedge sync repairs it")
        if dossier.unit.tool is not None and dossier.unit.tool.harmless and not agreed and not plan.harmless:
            return Verdict(False, "drifted, and the repair would delete or replace: kedge sync does it")
        calm = heal_again(dossier.heals)
        if dossier.heals and dossier.heals[-1] <= now < calm:
            return Verdict(False, "drifted again right after it was repaired: something fights over it", until=calm)
    elif not sync.auto and not given:
        return Verdict(False, "automatic sync is off: kedge sync applies it")
    return _retry(dossier, plan, now)


def _retry(dossier: Dossier, plan: Plan, now: float) -> Verdict:
    trouble = dossier.trouble
    if trouble is None or dossier.wish is not None or trouble.key != plan.rendered:
        return GO
    if _lacked(plan, trouble.text):
        return Verdict(False, f"failed: {trouble.text}; goes on once it is there", until=now + BLOCKED)
    if dossier.plan is not None and _lacked(dossier.plan, trouble.text):
        return GO  # what it failed for is there by now
    if trouble.again is None:
        return Verdict(False, f"failed: {trouble.text}; kedge sync tries again")
    # Trouble of a time to come was had before the clock was set back: there is nothing left to wait for.
    if trouble.at <= now < trouble.again:
        return Verdict(False, f"failed, will try again: {trouble.text}", until=trouble.again)
    return GO


def _lacked(plan: Plan, failure: str) -> bool:
    """Whether a run failed for want of what somebody else has to bring."""
    return any(change.awaits and change.awaits in failure for change in plan.changes)


def _asked(plan: Plan, needs: Needs, approvals: Sequence[Approval]) -> str:
    """Whose approval is lacking, and of what; "" where it was given."""
    if approved(plan, needs, approvals):
        return ""
    sentence = f"waits for {_approvers(needs)}: {needs.reasons[0]}"
    rest = covered(plan.changes, (effect for approval in approvals for effect in approval.changes))
    if plan.whole and approvals and not rest and all(approval.effects != plan.effects for approval in approvals):
        return f"{sentence}; not what was approved: some of that is not to be done any more"
    if not approvals or not rest:
        return sentence
    more = f" (and {len(rest) - 1} more)" if len(rest) > 1 else ""
    return f"{sentence}; not what was approved: {rest[0].act} {rest[0].ref}{more}"


def approved(plan: Plan, needs: Needs, approvals: Sequence[Approval]) -> bool:
    """Whether enough people who may have agreed to every one of the plan's effects (a subset of what they saw).

    A stack's plan is applied whole: only an approval of exactly its effects counts.

    An approval of other effects is worth nothing here; one person counts once; breaking the glass counts for all. A
    removal that finds everything gone deletes nothing: whoever agreed to it before need not agree again.
    """
    if plan.whole:
        approvals = [a for a in approvals if a.break_glass or a.effects == plan.effects]
    fitting = [approval for approval in approvals if approval.break_glass or may_approve(approval, needs.by)]
    for effect in {change.effect for change in plan.changes} or {plan.effects}:
        over = plan.removal and not plan.changes
        agreed = [a for a in fitting if over or effect in a.changes or a.effects == plan.effects]
        if len({a.person for a in agreed}) < needs.count and not any(a.break_glass for a in agreed):
            return False
    return True


def agreed_to(plan: Plan) -> tuple[str, ...]:
    """What an approval of the plan names: its effects, and each deletion also for when nothing goes along any more."""
    return tuple(effect for change in plan.changes for effect in (change.effect, change.alone) if effect)


def outdated(plan: Plan, approvals: Sequence[Approval]) -> Approval | None:
    """The newest approval that was of something else than the plan that waits now; None where there is none."""
    newest = approvals[-1] if approvals else None
    if newest is None or plan.needs is None or newest.effects == plan.effects:
        return None
    return newest if plan.whole or covered(plan.changes, newest.changes) else None


def may_approve(approval: Approval, by: Sequence[str]) -> bool:
    """`by` holds `group:NAME` and `user:NAME`; nobody named means anybody."""
    names = {f"user:{approval.person}", *(f"group:{group}" for group in approval.groups)}
    return not by or bool(names & set(by))


def heal_again(heals: Sequence[float]) -> float:
    """Earliest time of the next repair: three at once, then 10 s doubling to 10 minutes (six writes an hour against a
    controller that fights on)."""
    if len(heals) < _FIRST_HEALS:
        return 0.0
    return heals[-1] + min(600.0, 10.0 * 2.0 ** (len(heals) - _FIRST_HEALS))


def remembered_heals(dossier: Dossier, now: float) -> tuple[float, ...]:
    """Repairs that still count: none once things stayed calm for a while."""
    heals = dossier.heals
    return heals[-16:] if heals and now - heals[-1] < 2 * HEAL_CALM else ()


def retry_at(attempts: int, now: float) -> float | None:
    """5 s doubling to 3 minutes as Argo CD's automated retries; None after ten: it waits for a person or a commit."""
    return None if attempts >= 10 else now + min(RETRY, 5.0 * 2.0 ** max(0, attempts - 1))


def cause_of(dossier: Dossier, plan: Plan) -> Cause:
    """Why an operation begins, as the record tells it."""
    if plan.removal:
        return Cause.REMOVAL
    if dossier.wish is not None:
        return dossier.wish.cause
    if dossier.pin is not None and dossier.pin.rendered == plan.rendered and not plan.drift_only:
        return Cause.ROLLBACK
    return Cause.DRIFT if plan.drift_only else Cause.COMMIT


def _approvers(needs: Needs) -> str:
    return f"{needs.count} of {', '.join(needs.by)}" if needs.by else f"{needs.count} approval"
