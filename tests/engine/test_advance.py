"""The life of an operation, told as conversations: what the watch sees, and what comes next."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.builders import change, draft, gone, hook, manifest, operation, owned, plan_of, ref, sight, waved

from kedge.engine.advance import (
    SICK_GRACE,
    Apply,
    Fail,
    Finish,
    Look,
    Pause,
    advance,
    interruptible,
    observe,
    takes_a_witness,
    unheard,
)
from kedge.engine.plan import make_plan
from kedge.model.change import Act
from kedge.model.operation import Did, Outcome, Result


class Story:
    """Drives `advance` against a little world of sights."""

    def __init__(self, plan, **more):
        self.plan = plan
        self.operation = operation(plan, **more)
        self.world = {}
        self.now = 1.0
        self.told = []

    def step(self):
        """Do what comes next; answers the move."""
        move = advance(self.operation, self.plan, self.now)
        if isinstance(move, Look):
            seen = {r: self.world.get(r, gone(r)) for r in move.refs}
            self.operation = observe(self.operation, self.plan, seen, self.now)
            move = advance(self.operation, self.plan, self.now, looked=True)
        if isinstance(move, Apply):
            outcomes = []
            for step in move.steps:
                self.told.append(f"{step.act} {step.ref.kind}/{step.ref.name}")
                deleting = step.act is Act.DELETE
                self.world[step.ref] = gone(step.ref) if deleting else self.world.get(step.ref, sight(step.ref))
                outcomes.append(Outcome(step.key, Did.DELETED if deleting else Did.APPLIED, at=self.now))
            self.operation = replace(self.operation, outcomes=(*self.operation.outcomes, *outcomes))
        if isinstance(move, Fail):
            self.operation = replace(self.operation, failing=move.why)
        return move

    def run(self):
        """Until it pauses or ends."""
        while not isinstance(move := self.step(), Pause | Finish):
            pass
        return move


def test_a_simple_unit_is_applied_kind_by_kind_and_finishes_when_healthy():
    story = Story(plan_of(manifest("Deployment", "web"), manifest("Service", "web"), manifest("ConfigMap", "web")))
    assert story.run() == Finish(Result.SUCCEEDED, "3 to create")
    assert story.told == ["create ConfigMap/web", "create Service/web", "create Deployment/web"]


def test_the_next_wave_waits_for_the_health_of_the_last_and_holds_no_worker():
    story = Story(plan_of(waved("Deployment", "db", 0), waved("Deployment", "web", 1)))
    story.world[ref("Deployment", "db")] = sight(ref("Deployment", "db"), "Progressing", message="0 of 1 ready")
    paused = story.run()
    assert paused.waiting == "waiting for apps/Deployment web/db: 0 of 1 ready"
    assert story.told == ["create Deployment/db"]
    story.world[ref("Deployment", "db")] = sight(ref("Deployment", "db"))
    assert isinstance(story.run(), Finish)
    assert story.told[-1] == "create Deployment/web"


def test_a_definition_is_established_before_its_objects_in_the_same_wave():
    definition = manifest("CustomResourceDefinition", "rockets.space", group="", names={"kind": "Rocket"})
    story = Story(plan_of(definition, manifest("Rocket", "apollo")))
    story.world[definition.ref] = sight(definition.ref, "Progressing", message="installing")
    assert isinstance(story.run(), Pause)
    assert story.told == ["create CustomResourceDefinition/rockets.space"]


def test_pruning_waits_until_the_new_objects_are_healthy():
    old = ref("ConfigMap", "old")
    plan = plan_of(
        manifest("Deployment", "web"),
        changes=(change(ref("Deployment", "web")), change(old, Act.DELETE)),
        inventory=(owned(old),),
    )
    story = Story(plan)
    story.world[ref("Deployment", "web")] = sight(ref("Deployment", "web"), "Progressing")
    assert isinstance(story.run(), Pause)
    assert "delete ConfigMap/old" not in story.told
    story.world[ref("Deployment", "web")] = sight(ref("Deployment", "web"))
    story.run()
    assert story.told[-1] == "delete ConfigMap/old"


def test_a_deletion_that_a_finalizer_holds_names_it_until_the_deadline():
    old = ref("ConfigMap", "old")
    story = Story(plan_of(changes=(change(old, Act.DELETE),), inventory=(owned(old),)))
    story.step()
    story.world[old] = sight(old, finalizers=("example.com/hold",), uid="u")
    assert story.run().waiting == "waiting for ConfigMap web/old: is being deleted, held by example.com/hold"
    story.now = 601.0
    assert story.run().result is Result.FAILED
    assert "held by example.com/hold" in story.operation.failing


def test_a_failed_hook_runs_the_syncfail_hooks_once_and_cleans_up_by_policy():
    migrate = hook("PreSync", "migrate", policy="HookFailed")
    story = Story(plan_of(migrate, manifest("Service", "web"), hook("SyncFail", "page")))
    story.world[migrate.ref] = sight(migrate.ref, "Degraded", message="BackoffLimitExceeded")
    ended = story.run()
    assert ended.result is Result.FAILED
    assert "BackoffLimitExceeded" in ended.message
    assert story.told == ["create Job/migrate", "create Job/page", "delete Job/migrate"]


def test_succeeded_hooks_go_at_the_end_where_their_policy_says_so():
    story = Story(plan_of(hook("PreSync", "migrate", policy="HookSucceeded"), manifest("Service", "web")))
    assert story.run().result is Result.SUCCEEDED
    assert story.told == ["create Job/migrate", "create Service/web", "delete Job/migrate"]


def test_an_object_that_looks_sick_right_after_the_act_gets_a_moment():
    story = Story(plan_of(manifest("Rocket", "apollo")))
    story.world[ref("Rocket", "apollo")] = sight(ref("Rocket", "apollo"), "Degraded", message="old news")
    assert story.run() == Pause("waiting for Rocket web/apollo: old news", 1.0 + SICK_GRACE)
    story.now += SICK_GRACE
    assert story.run().result is Result.FAILED


def test_a_hook_object_that_is_in_the_way_is_waited_for_and_then_made_anew():
    migrate = hook("PreSync", "migrate")
    story = Story(plan_of(migrate, manifest("Service", "web")))
    step = story.plan.steps[0]
    story.operation = replace(story.operation, outcomes=(Outcome(step.key, Did.CLEARING, uid="old"),))
    story.world[migrate.ref] = sight(migrate.ref, uid="old")
    assert isinstance(story.run(), Pause)
    story.world[migrate.ref] = gone(migrate.ref)
    story.step()
    assert story.told == ["create Job/migrate"]


def test_waiting_past_the_deadline_fails_with_what_it_waited_for():
    story = Story(plan_of(manifest("Deployment", "web")))
    story.world[ref("Deployment", "web")] = sight(ref("Deployment", "web"), "Progressing", message="0 of 1")
    story.run()
    story.now = 600.0
    assert story.run().message == "timed out after 600 s waiting for apps/Deployment web/web: 0 of 1"


def test_a_newer_commit_takes_over_unless_a_hook_is_at_work():
    plan = plan_of(hook("PreSync", "migrate"), manifest("Service", "web"))
    story = Story(plan)
    assert interruptible(story.operation, plan, {})
    story.step()
    assert not interruptible(story.operation, plan, {})


def test_a_hook_whose_reply_was_lost_is_at_work_all_the_same():
    migrate = hook("PreSync", "migrate")
    plan = plan_of(migrate, manifest("Service", "web"))
    run = operation(plan)
    assert unheard(run, plan) == (migrate.ref,)
    assert not interruptible(run, plan, {migrate.ref: sight(migrate.ref, "Progressing", operation=run.id)})
    assert interruptible(run, plan, {migrate.ref: sight(migrate.ref, "Healthy", operation=run.id)})
    assert interruptible(run, plan, {migrate.ref: sight(migrate.ref, "Progressing", operation="an earlier one")})


def test_a_hooks_second_phase_takes_away_what_the_first_has_made():
    plan = plan_of(hook("PreSync,PostSync", "warm"), manifest("Service", "web"))
    first, _, second = plan.steps
    fresh = operation(plan)
    assert not takes_a_witness(fresh, plan, [first])
    assert takes_a_witness(replace(fresh, outcomes=(Outcome(first.key, Did.SETTLED),)), plan, [second])


@given(
    waves=st.lists(st.integers(-3, 3), min_size=1, max_size=6),
    statuses=st.lists(st.sampled_from(["Healthy", "Progressing", "Degraded", "Suspended", "Missing"]), max_size=40),
)
def test_every_operation_ends_whatever_the_watch_says(waves, statuses):
    story = Story(plan_of(*(waved("ConfigMap", f"c{i}", wave) for i, wave in enumerate(waves)), hook("SyncFail", "s")))
    for status in [*statuses, *["Healthy"] * 20]:
        for what in list(story.world):
            story.world[what] = sight(what, status)
        move = story.run()
        if isinstance(move, Finish):
            break
        story.now += 100.0
    assert isinstance(move, Finish)
    assert len(story.told) == len(set(story.told))


@given(waves=st.lists(st.integers(-2, 2), min_size=1, max_size=6), cut=st.integers(0, 30))
def test_a_crash_between_moves_changes_nothing_that_is_done(waves, cut):
    manifests = [waved("ConfigMap", f"c{i}", wave) for i, wave in enumerate(waves)]
    straight = Story(plan_of(*manifests))
    straight.run()
    crashed = Story(plan_of(*manifests))
    for _ in range(cut):
        if isinstance(crashed.step(), Finish):
            break
    resumed = Story(plan_of(*manifests))
    resumed.operation, resumed.world, resumed.told = crashed.operation, crashed.world, crashed.told
    assert resumed.run().result is Result.SUCCEEDED
    assert resumed.told == straight.told


def test_a_removal_deletes_what_its_hooks_made_whatever_their_policy_says():
    bye = hook("PreDelete", "bye")
    story = Story(make_plan(draft(bye, removal=True)))
    assert story.run().result is Result.SUCCEEDED
    assert story.told == ["create Job/bye", "delete Job/bye"]


def test_a_removal_whose_hooks_object_stays_has_failed():
    bye = hook("PreDelete", "bye")
    story = Story(make_plan(draft(bye, removal=True)))
    made = Outcome(story.plan.steps[0].key, Did.SETTLED)
    stays = Outcome(f"clean:{made.step}", Did.FAILED, "it belongs to somebody else")
    story.operation = replace(story.operation, outcomes=(made, stays))
    assert story.run() == Finish(Result.FAILED, "batch/Job web/bye: it belongs to somebody else")
