from dataclasses import replace

import pytest
from tests.builders import change, dossier, manifest, plan_of, ref, revision, unit

from kedge.engine.gate import approved, gate, heal_again, retry_at
from kedge.model.change import Act
from kedge.model.declaration import ApproveSection, Heal, SyncSection, When
from kedge.model.dossier import Approval, Pin, Trouble, Wish
from kedge.model.operation import Cause

ALWAYS = unit(approve=ApproveSection(when=When.ALWAYS, by=("group:sre",), count=2))


def yes(plan, person="ann", groups=("sre",), **more):
    return Approval(plan.effects, tuple(c.effect for c in plan.changes), person, groups, "", 0.0, **more)


def drifted():
    return plan_of(manifest("Service", "web"), changes=(change(ref("Service", "web"), Act.UPDATE, drift=True),))


def test_a_plan_that_needs_nothing_goes():
    assert gate(dossier(), plan_of(manifest("Service", "web")), 0.0).go


def test_what_the_cluster_refuses_is_asked_again_since_it_may_be_granted():
    plan = replace(plan_of(manifest("Service", "web")), blocked=("it can not go",))
    assert gate(dossier(), plan, 100.0).until is None
    change = replace(plan.changes[0], rejection="it is forbidden")
    refused = gate(dossier(), replace(plan, changes=(change,)), 100.0)
    assert (refused.go, refused.waiting, refused.until) == (False, "it can not go", 280.0)


def test_an_object_of_another_program_is_looked_at_again_since_it_may_be_let_go():
    waiting = plan_of(manifest("Service", "web"), unit=ALWAYS)
    assert gate(dossier(), waiting, 100.0).until is None
    adopting = replace(waiting, changes=(replace(waiting.changes[0], adopts="Argo CD"),))
    assert (gate(dossier(), adopting, 100.0).approval, gate(dossier(), adopting, 100.0).until) == (True, 280.0)


def test_automatic_sync_off_waits_for_a_person_and_a_wish_opens_it():
    manual = dossier(unit=unit(sync=SyncSection(auto=False)))
    plan = plan_of(manifest("Service", "web"))
    assert "kedge sync" in gate(manual, plan, 0.0).waiting
    assert gate(replace(manual, wish=Wish(Cause.SYNC, "ann", "", 0.0)), plan, 0.0).go


def test_two_different_people_of_the_group_are_needed():
    plan = plan_of(manifest("Service", "web"), unit=ALWAYS)
    assert not approved(plan, plan.needs, [yes(plan), yes(plan)])
    assert not approved(plan, plan.needs, [yes(plan), yes(plan, "bob", ("dev",))])
    assert approved(plan, plan.needs, [yes(plan), yes(plan, "bob")])


def test_an_approval_of_more_effects_covers_fewer_but_never_others():
    shown = plan_of(manifest("Service", "web"), manifest("ConfigMap", "web"), unit=ALWAYS)
    now = plan_of(manifest("Service", "web"), unit=ALWAYS, effects="1" * 64)
    other = plan_of(manifest("Secret", "web"), unit=ALWAYS, effects="2" * 64)
    given = [yes(shown), yes(shown, "bob")]
    assert approved(now, now.needs, given)
    assert not approved(other, other.needs, given)


def test_breaking_the_glass_counts_for_all():
    plan = plan_of(manifest("Service", "web"), unit=ALWAYS)
    assert approved(plan, plan.needs, [yes(plan, "eve", (), break_glass=True)])


def test_suspended_units_hold_and_say_who_suspended_them():
    assert "by ann" in gate(dossier(suspended="by ann"), plan_of(manifest("Service", "web")), 0.0).waiting


def test_an_expired_pin_alerts_and_holds():
    pin = Pin("ann", "bad release", 0.0, 100.0, 3, unit(), revision(), "r")
    verdict = gate(dossier(pin=pin), plan_of(manifest("Service", "web")), 101.0)
    assert not verdict.go
    assert "expired" in verdict.waiting


def test_drift_is_repaired_only_where_declared():
    assert gate(dossier(), drifted(), 0.0).go
    never = dossier(unit=unit(sync=SyncSection(heal=Heal.NEVER)))
    assert "healing is off" in gate(never, drifted(), 0.0).waiting


def test_a_fighting_controller_is_answered_ever_more_slowly():
    waits = [heal_again(tuple(1000.0 for _ in range(n))) - 1000.0 for n in range(3, 12)]
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0, 600.0]
    verdict = gate(dossier(heals=(0.0, 1.0, 2.0)), drifted(), 5.0)
    assert verdict.until == 12.0


def test_a_failed_plan_is_tried_again_with_backoff_and_at_once_for_another_set():
    plan = plan_of(manifest("Service", "web"))
    failed = dossier(trouble=Trouble(plan.rendered, "hook failed", 1, 0.0, 5.0))
    assert gate(failed, plan, 1.0).until == 5.0
    assert gate(failed, plan, 5.0).go
    assert gate(failed, plan_of(manifest("Service", "other")), 1.0).go


@pytest.mark.parametrize(("attempts", "wait"), [(1, 5.0), (2, 10.0), (6, 160.0), (7, 180.0), (10, None)])
def test_retries_double_up_to_three_minutes_and_end(attempts, wait):
    assert retry_at(attempts, 0.0) == wait


def test_a_unit_waits_for_what_it_comes_after():
    assert gate(dossier(), plan_of(manifest("Service", "web")), 0.0, "waits for shop/db").waiting == "waits for shop/db"


def test_a_run_that_failed_for_want_of_a_definition_goes_on_when_it_is_there_and_not_before():
    plan = plan_of(manifest("Widget", "one"))
    waiting = replace(plan, changes=(replace(plan.changes[0], awaits="nothing defines Widget"),))
    failed = dossier(plan=waiting, trouble=Trouble(plan.rendered, "timed out: nothing defines Widget", 10, 0.0, None))
    held = gate(failed, waiting, 100.0)
    assert (held.go, held.waiting, held.until) == (
        False,
        "failed: timed out: nothing defines Widget; goes on once it is there",
        280.0,
    )
    assert gate(failed, plan, 100.0).go
    assert not gate(replace(failed, plan=plan), plan, 100.0).go
    other = replace(failed, trouble=Trouble(plan.rendered, "it is forbidden", 1, 0.0, 50.0))
    assert gate(other, waiting, 100.0).go
    assert gate(replace(failed, wish=Wish(Cause.SYNC, "ann", "", 0.0)), waiting, 100.0).go


def test_a_removal_that_finds_everything_gone_is_not_asked_for_again():
    before = replace(plan_of(manifest("Service", "web"), unit=ALWAYS), removal=True)
    left = replace(before, changes=(), effects="3" * 64)
    assert approved(left, before.needs, [yes(before), yes(before, "bob")])
    assert not approved(left, before.needs, [])
