"""How a unit is shown once a turn is over, and who may go on."""

from __future__ import annotations

from dataclasses import replace

from tests.builders import change, dossier, manifest, operation, owned, plan_of, ref, revision, unit

from kedge.engine.delivery import (
    Asked,
    asked,
    drift_due,
    failed,
    proven,
    settled,
    shown_synced,
    shown_verified,
    unverified_for,
)
from kedge.model.change import Act
from kedge.model.declaration import Day, WindowSection
from kedge.model.dossier import Dossier, Rendering, Shown, Sync, Trouble, Wish
from kedge.model.execution import Tool
from kedge.model.health import Health, Status
from kedge.model.operation import Cause, Did, Outcome, Overruled, Result, Sight
from kedge.model.plan import Phase, Step, StepKind
from kedge.model.unit import StackTool

WELL = Health(Status.HEALTHY)
HELD = ref("ConfigMap", "held")
GOING = Sight(HELD, exists=True, status="Progressing", terminating=True, finalizers=("example.com/backup",))


def test_what_the_cluster_overrules_is_never_shown_as_synced_and_holds_nobody_up():
    one = dossier(overruled=(Overruled(ref("ConfigMap", "web"), "data.greeting"),))
    shown = shown_synced(one, WELL)
    assert (shown.sync, shown.applied, shown.health) == (Sync.OUT_OF_SYNC, True, WELL)
    assert "data.greeting otherwise than Git states" in shown.why
    assert settled(replace(one, shown=shown))
    sick = shown_synced(one, Health(Status.DEGRADED, "a Pod fails"))
    assert "a Pod fails" in sick.why
    assert not settled(replace(one, shown=sick))


def test_what_is_applied_but_unhealthy_or_not_applied_holds_up_who_comes_after():
    assert not settled(dossier(shown=Shown(Sync.OUT_OF_SYNC, WELL, "2 to create")))
    assert settled(dossier(shown=Shown(Sync.SYNCED, WELL)))


def test_what_left_git_and_is_held_is_named_and_its_health_is_not_the_unit_s():
    shown = shown_verified(dossier(), {HELD: GOING}, [HELD], 0.0)
    assert (shown.sync, shown.applied, shown.health) == (Sync.OUT_OF_SYNC, True, WELL)
    assert shown.why == f"{HELD} left Git and is being deleted, held by example.com/backup"


def test_what_is_wanted_and_on_its_way_out_is_not_applied():
    shown = shown_verified(dossier(), {HELD: GOING}, [], 0.0)
    assert (shown.sync, shown.applied) == (Sync.OUT_OF_SYNC, False)
    assert shown.why == f"{HELD} is being deleted, held by example.com/backup: it is made anew once it is gone"


def test_a_run_that_only_waited_for_what_is_gone_by_now_is_not_told_of():
    ended = replace(operation(plan_of()), result=Result.FAILED, message="timed out")
    waited = replace(ended, outcomes=(Outcome("a", Did.SETTLED), Outcome("b", Did.DELETED)))
    assert shown_synced(dossier(last=waited), WELL).why == ""
    for did in (Did.FAILED, Did.APPLIED, Did.CLEARING):
        other = replace(waited, outcomes=(*waited.outcomes, Outcome("c", did)))
        assert "timed out" in shown_synced(dossier(last=other), WELL).why


def test_a_removal_is_tried_for_ever_for_no_commit_will_come():
    run = replace(operation(plan_of()), rendered="", message="it is held")
    tired = dossier(trouble=Trouble("", "it is held", 10, 0.0))
    assert failed(tired, run, 100.0).again is None
    assert failed(tired, replace(run, cause=Cause.REMOVAL), 100.0).again == 280.0


NIGHTLY = WindowSection(from_="22:00", to="06:00")
DAY, HOUR = 86_400.0, 3600.0


def _stack(verified: float, **tool: object) -> Dossier:
    return dossier(unit=unit(tool=StackTool(Tool.OPENTOFU, **tool)), verified=verified)


def test_drift_is_due_a_period_after_the_last_plan_a_tenth_sooner_or_later():
    due = drift_due(_stack(1000 * DAY, every=HOUR), 1000 * DAY)
    assert due is not None
    assert 1000 * DAY + 0.9 * HOUR <= due <= 1000 * DAY + 1.1 * HOUR
    assert drift_due(dossier(verified=5.0), 5.0) is None, "an application is watched"


def test_drift_is_looked_for_in_windows_only_and_what_was_missed_is_due_in_the_next():
    noon, spread = 1000 * DAY + 12 * HOUR, 4 * HOUR
    stack = _stack(noon, every=HOUR, windows=(NIGHTLY,))
    due = drift_due(stack, noon)
    assert due is not None
    assert noon + 10 * HOUR <= due <= noon + 10 * HOUR + spread
    assert asked(stack, noon + 9 * HOUR) == Asked()
    assert asked(stack, due) == Asked(due, drift=True)
    missed = drift_due(stack, noon + DAY)
    assert missed == due + DAY, "it slept through the night"
    assert asked(stack, noon + DAY) == Asked()


def test_what_a_person_asks_for_is_no_drift_and_drift_that_waits_is_asked_about():
    stack = _stack(1000 * DAY, every=HOUR)
    now = 1000 * DAY + 2 * HOUR
    wish = Wish(Cause.SYNC, "mona", "", now)
    assert asked(replace(stack, wish=wish), now) == Asked(now)
    # The clock was set back since: plans were given up as soon as they were begun, thousands of them.
    assert asked(replace(stack, wish=wish, verified=now), now - 60) == Asked()
    step = Step("apply", StepKind.ARTIFACT, Act.UPDATE, ref("ConfigMap", "a"), Phase.SYNC)
    found = replace(plan_of(), steps=(step,), changes=(change(ref("ConfigMap", "a"), Act.UPDATE, drift=True),))
    assert asked(replace(stack, plan=replace(found, made_at=now)), now) == Asked(held=True)


def test_a_stacks_verification_is_too_old_after_some_of_its_own_periods():
    assert unverified_for(unit(), 0.0, 3) is None
    stack = _stack(0.0, every=DAY).unit
    assert unverified_for(stack, 1000 * DAY, 3) == 3 * DAY + stack.sync.timeout
    weekly = replace(stack, tool=replace(stack.tool, windows=(WindowSection((Day.SUNDAY,)),)))
    assert unverified_for(weekly, 1000 * DAY, 3) == 9 * DAY + stack.sync.timeout


def _just_run(**more: object) -> Dossier:
    """The dossier that a run leaves behind which went well."""
    made = plan_of(manifest("ConfigMap", "web"))
    last = replace(operation(made), result=Result.SUCCEEDED, finished=1.0)
    head = last.revision
    assert head is not None
    given = {
        "head": head,
        "applied": head,
        "last": last,
        "inventory": (owned(ref("ConfigMap", "web"), fingerprint="as it was left"),),
        "rendering": Rendering(head, "spec", (), "digest", last.rendered),
        "shown": Shown(Sync.SYNCED, WELL),
    }
    return dossier(**{**given, **more})


def test_a_run_proves_its_application_and_only_what_may_have_moved_meanwhile_is_compared_once_more():
    one = _just_run()
    assert proven(one)
    newer = revision("b" * 40)
    moved = {
        "a newer commit": replace(one, head=newer),
        "a wish": replace(one, wish=Wish(Cause.SYNC, "mona", "again", 2.0)),
        "it left Git": replace(one, removed=2.0),
        "not as it was applied": replace(one, shown=Shown(Sync.OUT_OF_SYNC, WELL, "it is compared again")),
        "nobody knows how it was left": replace(one, inventory=(owned(ref("ConfigMap", "web")),)),
        "another set was rendered since": replace(one, rendering=replace(one.rendering, rendered="another")),
        "placed by a guess": replace(one, rendering=replace(one.rendering, guessed=True)),
        "a stack": replace(one, unit=unit(tool=StackTool(Tool.OPENTOFU))),
    }
    assert not [why for why, after in moved.items() if proven(after)]
