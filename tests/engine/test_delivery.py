"""How a unit is shown once a turn is over, and who may go on."""

from __future__ import annotations

from dataclasses import replace

from tests.builders import dossier, operation, plan_of, ref

from kedge.engine.delivery import failed, settled, shown_synced, shown_verified
from kedge.model.dossier import Shown, Sync, Trouble
from kedge.model.health import Health, Status
from kedge.model.operation import Cause, Did, Outcome, Overruled, Result, Sight

WELL = Health(Status.HEALTHY)
HELD = ref("ConfigMap", "held")
GOING = Sight(HELD, exists=True, status="Progressing", terminating=True, finalizers=("example.com/backup",))


def test_what_the_cluster_overrules_is_never_shown_as_synced_and_holds_nobody_up():
    unit = dossier(overruled=(Overruled(ref("ConfigMap", "web"), "data.greeting"),))
    shown = shown_synced(unit, WELL)
    assert (shown.sync, shown.applied, shown.health) == (Sync.OUT_OF_SYNC, True, WELL)
    assert "data.greeting otherwise than Git states" in shown.why
    assert settled(replace(unit, shown=shown))
    sick = shown_synced(unit, Health(Status.DEGRADED, "a Pod fails"))
    assert "a Pod fails" in sick.why
    assert not settled(replace(unit, shown=sick))


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
