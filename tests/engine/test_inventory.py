from dataclasses import replace

from tests.builders import Walked, change, hook, manifest, operation, owned, plan_of, ref

from kedge.engine import inventory
from kedge.model.change import Act
from kedge.model.operation import Did, Outcome
from kedge.model.pair import Known

OLD, NEW = ref("ConfigMap", "old"), ref("ConfigMap", "new")


def swap():
    return plan_of(
        manifest("ConfigMap", "new"), changes=(change(NEW), change(OLD, Act.DELETE)), inventory=(owned(OLD),)
    )


def ended(plan, **did):
    outcomes = tuple(
        Outcome(step.key, did[step.ref.name], fingerprint="f", uid="u") for step in plan.steps if step.ref.name in did
    )
    return replace(operation(plan), outcomes=outcomes)


def test_before_the_act_it_holds_the_old_and_the_new():
    assert [entry.ref for entry in inventory.before((owned(OLD),), swap())] == [NEW, OLD]


def test_what_a_run_makes_anything_else_of_is_not_what_it_was_however_far_the_run_comes():
    """Who went back in Git after a run that had come half way was told of drift."""
    wish = manifest("ConfigMap", "new")
    for was, known in (("another", ""), (wish.digest, wish.digest)):
        held = (owned(NEW, digest=was, fingerprint="f"),)
        (entry,) = inventory.before(held, plan_of(wish, inventory=held))
        assert (entry.digest, entry.fingerprint) == (known, "")


def test_after_the_act_only_what_is_really_gone_is_forgotten():
    plan = swap()
    union = inventory.before((owned(OLD),), plan)
    still_there = inventory.after(union, plan, ended(plan, new=Did.SETTLED, old=Did.DELETED))
    assert [entry.ref for entry in still_there] == [NEW, OLD]
    left = inventory.after(union, plan, ended(plan, new=Did.SETTLED, old=Did.SETTLED))
    assert [(entry.ref, entry.fingerprint) for entry in left] == [(NEW, "f")]


def test_a_failed_apply_stays_in_the_inventory_unverified():
    plan = swap()
    left = inventory.after(inventory.before((), plan), plan, ended(plan, new=Did.FAILED))
    assert [(entry.ref, entry.digest) for entry in left] == [(NEW, "")]


def test_a_cleaned_hook_leaves_the_inventory():
    plan = plan_of(hook("PreSync", "h", policy="HookSucceeded"), manifest("ConfigMap", "new"))
    done = ended(plan, h=Did.SETTLED, new=Did.SETTLED)
    cleaned = replace(done, outcomes=(*done.outcomes, Outcome(f"clean:{plan.steps[0].key}", Did.SETTLED)))
    assert [entry.ref for entry in inventory.after(inventory.before((), plan), plan, cleaned)] == [NEW]


def test_objects_found_as_they_should_be_join_and_what_vanished_leaves():
    wish = (manifest("ConfigMap", "new"),)
    found = inventory.verified((owned(OLD),), wish, (Known(NEW, "d", "f"),), live=())
    assert [(entry.ref, entry.digest, entry.fingerprint) for entry in found] == [(NEW, "d", "f")]


def test_surplus_is_what_is_owned_and_no_longer_desired_hooks_aside():
    held = (owned(OLD), owned(NEW), owned(ref("Job", "h"), hook="h"))
    assert inventory.surplus(held, (manifest("ConfigMap", "new"),)) == (OLD,)


def test_a_hooks_object_that_another_hand_took_over_leaves_the_inventory():
    plan = plan_of(hook("PreSync", "h", policy="HookSucceeded"), manifest("ConfigMap", "new"))
    done = ended(plan, h=Did.SETTLED, new=Did.SETTLED)
    kept = replace(done, outcomes=(*done.outcomes, Outcome(f"clean:{plan.steps[0].key}", Did.KEPT)))
    assert [entry.ref for entry in inventory.after(inventory.before((), plan), plan, kept)] == [NEW]


def test_what_a_run_is_about_to_touch_is_unverified_until_its_end():
    """A commit that took a deletion back found the object unchanged in a watch that had not heard of its end."""
    known = (owned(OLD, digest="d", fingerprint="f"), owned(ref("ConfigMap", "same"), digest="d", fingerprint="f"))
    union = inventory.before(known, swap())
    assert [entry.ref.name for entry in inventory.known(union)] == ["same"]
    assert {entry.digest for entry in union} == {"d", ""}


def test_outcomes_are_not_looked_through_anew_for_every_step():
    plan = plan_of(*(manifest("ConfigMap", f"c{number:03}") for number in range(200)))
    outcomes = Walked(Outcome(step.key, Did.SETTLED) for step in plan.steps)
    done = replace(operation(plan), outcomes=outcomes)
    left = inventory.after(inventory.before((), plan), plan, done)
    assert len(left) == 200
    assert inventory.overruled((), plan, done, left) == ()
    assert outcomes.walks < 10
