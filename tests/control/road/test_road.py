"""The road, told as stories over the fakes at the doors."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from tests.doors.town import WEB, Town, file, in_town, ref, unit

from kedge.model.declaration import ApproveSection, SyncSection, When
from kedge.model.dossier import Dossier, Sync
from kedge.model.errors import Conflict, Denied, Invalid, Unavailable
from kedge.model.operation import Cause, Result
from kedge.model.person import Person
from kedge.model.record import Record

MONA = Person("mona", ("sre",))
PIA = Person("pia", ("dev",))
HOOK = "argocd.argoproj.io/hook"
POLICY = "argocd.argoproj.io/hook-delete-policy"


def test_a_commit_is_applied_and_the_unit_says_so() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a", n=1), file("Deployment", "b", seconds=20))
        await asyncio.sleep(5)
        assert (await town.web()).shown.sync is Sync.OUT_OF_SYNC
        await asyncio.sleep(60)
        web = await town.web()
        assert (web.shown.sync, web.shown.health.status) == (Sync.SYNCED, "Healthy")
        assert web.last is not None
        assert (web.last.cause, web.last.result) == (Cause.COMMIT, Result.SUCCEEDED)

    in_town(story)


def test_an_object_edited_by_hand_is_put_right() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a", n=1))
        await asyncio.sleep(60)
        body = {**town.cluster.things[ref("ConfigMap", "a")].body, "spec": {"n": 9}}
        town.cluster.apply(ref("ConfigMap", "a"), body, "kubectl")
        await asyncio.sleep(5)
        assert town.cluster.things[ref("ConfigMap", "a")].body["spec"] == {"n": 1}
        last = (await town.web()).last
        assert last is not None
        assert last.cause is Cause.DRIFT

    in_town(story)


def test_a_commit_that_comes_in_during_a_hook_is_applied_right_after_the_run() -> None:
    async def story(town: Town) -> None:
        hook = file("Job", "move", notes={HOOK: "PreSync"}, seconds=40)
        await town.open(hook, file("ConfigMap", "a", n=1))
        await asyncio.sleep(10)
        town.push(hook, file("ConfigMap", "a", n=2))
        await asyncio.sleep(45)
        assert town.witness.begun == 2

    in_town(story)


def test_a_hook_whose_reply_was_lost_is_not_cut_short_by_a_newer_commit() -> None:
    """Nothing was on record of it: the newer run deleted it at work, and began it anew."""

    async def lost(what: str) -> None:
        if what.startswith("create batch/Job"):
            raise Unavailable(f"{what}: connection reset")

    async def story(town: Town) -> None:
        hook = file("Job", "move", notes={HOOK: "PreSync"}, seconds=40)
        await town.open(file("ConfigMap", "a", n=1))
        await asyncio.sleep(60)
        town.kedge.target.after = lost
        town.push(hook, file("ConfigMap", "a", n=2))
        await asyncio.sleep(3)
        made = town.cluster.things[ref("Job", "move")].uid
        town.push(hook, file("ConfigMap", "a", n=3))
        await asyncio.sleep(20)
        assert town.cluster.things[ref("Job", "move")].uid == made

    in_town(story)


def test_a_cancelled_run_stops_before_its_next_wave() -> None:
    async def story(town: Town) -> None:
        wave = {"argocd.argoproj.io/sync-wave": "1"}
        await town.open(file("Deployment", "a", seconds=60), file("ConfigMap", "b", notes=wave))
        await asyncio.sleep(10)
        await town.kedge.commands.cancel(MONA, WEB, "stop")
        await asyncio.sleep(120)
        assert town.standing() == ["Deployment a"]
        assert (await town.web()).suspended

    in_town(story)


def test_a_run_that_is_cancelled_in_the_middle_of_an_act_does_not_begin_the_next_wave() -> None:
    async def slow(what: str) -> None:
        await asyncio.sleep(10)

    async def story(town: Town) -> None:
        wave = {"argocd.argoproj.io/sync-wave": "1"}
        await town.open(file("Job", "idle", notes={HOOK: "PostDelete"}))
        await asyncio.sleep(30)
        town.kedge.target.after = slow
        town.push(file("ConfigMap", "a"), file("ConfigMap", "b", notes=wave))
        await asyncio.sleep(5)
        assert town.standing() == ["ConfigMap a"]
        await town.kedge.commands.cancel(MONA, WEB, "stop")
        await asyncio.sleep(60)
        assert town.standing() == ["ConfigMap a"]

    in_town(story)


def test_what_a_person_asks_for_during_a_run_neither_undoes_nor_is_undone_by_its_end() -> None:
    async def story(town: Town) -> None:
        hook = file("Job", "move", notes={HOOK: "PreSync", POLICY: "HookSucceeded"}, seconds=20)
        await town.open(hook, file("ConfigMap", "a", n=1))
        await asyncio.sleep(10)
        await town.kedge.commands.sync(MONA, WEB, "once more")
        await asyncio.sleep(120)
        runs = await town.store.operations("shop/web")
        assert [run.cause for run in runs] == [Cause.SYNC, Cause.COMMIT]
        assert all(run.result is Result.SUCCEEDED for run in runs)

    in_town(story)


def test_a_crash_right_after_a_hooks_object_went_does_not_lose_that_it_succeeded() -> None:
    async def story(town: Town) -> None:
        hook = file("Job", "move", notes={HOOK: "PreSync", POLICY: "HookSucceeded"}, seconds=20)
        await town.open(hook, file("ConfigMap", "a", n=1))
        await asyncio.sleep(10)
        wrote = town.cluster.witness

        def crash(write: object) -> None:
            wrote(write)  # type: ignore[arg-type]
            if getattr(write, "act", "") == "delete":
                town.chaos.crash_at = 1

        town.cluster.witness = crash
        await asyncio.sleep(30)
        assert town.kedge.dead
        await town.revive()
        await asyncio.sleep(60)
        last = (await town.web()).last
        assert last is not None
        assert (last.number, last.result) == (1, Result.SUCCEEDED)

    in_town(story)


@pytest.mark.parametrize("point", range(1, 40))
def test_a_crash_at_any_point_of_a_run_costs_time_and_nothing_else(point: int) -> None:
    async def story(town: Town) -> None:
        before = file("Job", "before", notes={HOOK: "PreSync", POLICY: "HookSucceeded"}, seconds=3)
        after = file("Job", "after", notes={HOOK: "PostSync"}, seconds=3)
        await town.open(before, after, file("ConfigMap", "a", n=1), file("Deployment", "b", seconds=3))
        town.chaos.crash_at = point
        for _ in range(20):
            await asyncio.sleep(10)
            await town.revive()
        town.push(before, after, file("ConfigMap", "c", n=1), file("Deployment", "b", seconds=3))
        for _ in range(20):
            await asyncio.sleep(10)
            await town.revive()
        assert town.standing() == ["ConfigMap c", "Deployment b", "Job after"]
        assert (await town.web()).shown.sync is Sync.SYNCED

    in_town(story)


def test_a_volume_goes_only_after_a_person_agreed_to_it() -> None:
    async def story(town: Town) -> None:
        await town.open(file("PersistentVolumeClaim", "data"), file("ConfigMap", "a"))
        await asyncio.sleep(60)
        town.push(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        web = await town.web()
        assert web.plan is not None
        assert "PersistentVolumeClaim data" in town.standing()
        await town.kedge.commands.approve(MONA, WEB, web.plan.effects, "empty by now")
        await asyncio.sleep(60)
        assert town.standing() == ["ConfigMap a"]

    in_town(story)


def test_an_approval_of_something_else_is_refused() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), approve=ApproveSection(When.ALWAYS, ("group:sre",)))
        await asyncio.sleep(10)
        plan = (await town.web()).plan
        assert plan is not None
        with pytest.raises(Conflict):
            await town.kedge.commands.approve(MONA, WEB, "0000ffff", "fine")
        with pytest.raises(Denied):
            await town.kedge.commands.approve(PIA, WEB, plan.effects, "fine")
        assert town.standing() == []

    in_town(story)


def test_a_broken_commit_changes_nothing_and_says_why() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        town.push(("apps/web/broken.json", b"{"))
        await asyncio.sleep(60)
        assert town.standing() == ["ConfigMap a"]
        assert "no manifest" in (await town.web()).shown.why

    in_town(story)


def test_while_the_newest_commit_is_broken_the_last_good_one_is_kept_true() -> None:
    # A unit whose newest commit did not render was left to drift until somebody mended it.
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a", n=1))
        await asyncio.sleep(60)
        good = (await town.web()).applied
        town.push(("apps/web/broken.json", b"{"))
        await asyncio.sleep(60)
        body = {**town.cluster.things[ref("ConfigMap", "a")].body, "spec": {"n": 9}}
        town.cluster.apply(ref("ConfigMap", "a"), body, "kubectl")
        await asyncio.sleep(5)
        assert town.cluster.things[ref("ConfigMap", "a")].body["spec"] == {"n": 1}
        web = await town.web()
        assert web.last is not None
        assert (web.last.cause, web.last.result, web.last.revision) == (Cause.DRIFT, Result.SUCCEEDED, good)
        assert web.shown.sync is Sync.UNKNOWN
        assert "no manifest" in web.shown.why
        runs = web.runs
        await asyncio.sleep(600)
        assert (await town.web()).runs == runs

    in_town(story)


def test_a_suspended_unit_waits_until_it_is_resumed() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a", n=1))
        await asyncio.sleep(60)
        await town.kedge.commands.suspend(MONA, WEB, "freeze")
        await asyncio.sleep(1)
        assert (await town.web()).shown.why == "suspended by mona: freeze"
        town.push(file("ConfigMap", "a", n=2))
        await asyncio.sleep(60)
        assert town.cluster.things[ref("ConfigMap", "a")].body["spec"] == {"n": 1}
        await town.kedge.commands.resume(MONA, WEB, "go")
        await asyncio.sleep(60)
        assert town.cluster.things[ref("ConfigMap", "a")].body["spec"] == {"n": 2}
        with pytest.raises(Invalid):
            await town.kedge.commands.resume(MONA, WEB, "again")

    in_town(story)


def test_a_rollback_holds_against_newer_commits_until_it_is_resumed() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a", n=1))
        await asyncio.sleep(60)
        town.push(file("ConfigMap", "a", n=2))
        await asyncio.sleep(60)
        await town.kedge.commands.rollback(MONA, WEB, "", "worse")
        await asyncio.sleep(60)
        town.push(file("ConfigMap", "a", n=3))
        await asyncio.sleep(60)
        assert town.cluster.things[ref("ConfigMap", "a")].body["spec"] == {"n": 1}
        await town.kedge.commands.resume(MONA, WEB, "mended")
        await asyncio.sleep(60)
        assert town.cluster.things[ref("ConfigMap", "a")].body["spec"] == {"n": 3}

    in_town(story)


def test_a_failing_run_is_retried_with_ever_longer_pauses() -> None:
    async def story(town: Town) -> None:
        hook = file("Job", "move", notes={HOOK: "PreSync"}, seconds=1, sick=True)
        await town.open(hook, file("ConfigMap", "a"), sync=SyncSection(timeout=30))
        await asyncio.sleep(600)
        runs = await town.store.operations("shop/web")
        assert 4 < len(runs) <= 10
        gaps = [newer.started - older.started for newer, older in pairwise(runs)]
        assert gaps == sorted(gaps, reverse=True)

    in_town(story)


def test_a_sync_is_carried_out_once_though_the_clock_goes_back() -> None:
    """A wish younger than its run counted as made during the run: the run began anew without end."""

    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), file("Job", "move", notes={HOOK: "Sync"}))
        await asyncio.sleep(60)
        town.source.unreachable = True
        await town.kedge.commands.sync(MONA, WEB, "once")
        town.clock.jump(-3600.0)
        await asyncio.sleep(60)
        assert [run.cause for run in await town.store.operations("shop/web")] == [Cause.SYNC, Cause.COMMIT]

    in_town(story)


def test_a_sync_that_a_newer_commit_supersedes_is_carried_out_by_what_takes_over() -> None:
    async def story(town: Town) -> None:
        await town.open(file("Deployment", "a", seconds=90), sync=SyncSection(auto=False))
        await asyncio.sleep(5)
        await town.kedge.commands.sync(MONA, WEB, "now")
        await asyncio.sleep(5)
        town.push(file("Deployment", "a", seconds=1))
        await asyncio.sleep(60)
        runs = await town.store.operations("shop/web")
        assert [(run.cause, run.result) for run in runs] == [
            (Cause.SYNC, Result.SUCCEEDED),
            (Cause.SYNC, Result.SUPERSEDED),
        ]

    in_town(story)


def test_nobody_approves_what_is_already_at_work() -> None:
    """It would have counted for the next plan of the same effects, which nobody has seen."""

    async def story(town: Town) -> None:
        rules = ApproveSection(When.ALWAYS, ("group:sre",))
        await town.open(file("Deployment", "a", seconds=60), approve=rules)
        await asyncio.sleep(5)
        plan = (await town.web()).plan
        assert plan is not None
        await town.kedge.commands.approve(MONA, WEB, plan.effects, "fine")
        await asyncio.sleep(5)
        with pytest.raises(Invalid, match="at work"):
            await town.kedge.commands.approve(MONA, WEB, plan.effects, "fine")

    in_town(story)


def test_one_person_who_approves_many_times_does_not_push_out_another() -> None:
    async def story(town: Town) -> None:
        rules = ApproveSection(When.ALWAYS, ("group:sre", "group:dev"), 3)
        await town.open(file("ConfigMap", "a"), approve=rules)
        await asyncio.sleep(5)
        plan = (await town.web()).plan
        assert plan is not None
        await town.kedge.commands.approve(PIA, WEB, plan.effects, "fine")
        for _ in range(30):
            await town.kedge.commands.approve(MONA, WEB, plan.effects, "fine")
        assert [given.person for given in (await town.web()).approvals] == ["pia", "mona"]

    in_town(story)


def test_what_is_being_deleted_is_not_called_synced() -> None:
    """A dry run changes nothing of an object that a finalizer still holds; a moment later it is gone."""

    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        town.cluster.linger = lambda _: 100.0
        town.cluster.delete(ref("ConfigMap", "a"), "kubectl")
        await asyncio.sleep(30)
        web = await town.web()
        assert (web.shown.sync, "is being deleted" in web.shown.why) == (Sync.OUT_OF_SYNC, True)
        await asyncio.sleep(120)
        assert (await town.web()).shown.sync is Sync.SYNCED
        assert town.standing() == ["ConfigMap a"]

    in_town(story)


def test_a_run_that_only_meets_errors_ends_at_its_deadline() -> None:
    """Only waiting was bounded: a cluster that answered every act with an error kept the run open for ever."""

    async def story(town: Town) -> None:
        await town.live()
        calls: list[str] = []

        async def refuse(what: str) -> None:
            if what != "compare":
                calls.append(what)
                raise Conflict("another version stands there")

        town.kedge.target.before = refuse
        town.source.commit(dict([file("ConfigMap", "a")]), time=town.clock.now())
        await town.enlist({"shop/web": unit(sync=SyncSection(timeout=30))})
        await asyncio.sleep(34)
        first = await town.store.operation("shop/web", 1)
        assert first is not None
        assert (first.result, "another version" in first.message) == (Result.FAILED, True)
        assert len(calls) < 80

    in_town(story)


def test_a_deletion_whose_object_was_made_anew_is_planned_anew() -> None:
    """It was tried again and again, of an object that no longer was."""

    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), file("Deployment", "b", seconds=1))
        await asyncio.sleep(60)
        town.push(file("Deployment", "b", seconds=20))
        await asyncio.sleep(10)
        body = town.cluster.things[ref("ConfigMap", "a")].body
        town.cluster.delete(ref("ConfigMap", "a"), "kubectl")
        town.cluster.apply(ref("ConfigMap", "a"), body, "kubectl")
        await asyncio.sleep(60)
        runs = await town.store.operations("shop/web")
        assert [run.result for run in runs] == [Result.SUCCEEDED, Result.FAILED, Result.SUCCEEDED]
        assert "made anew" in runs[1].message
        assert town.standing() == ["Deployment b"]

    in_town(story)


def test_an_approval_without_deletions_is_not_one_of_deletions_that_come_with_pruning() -> None:
    """The effects that were agreed to counted the deletions that a unit without pruning does not make."""

    async def story(town: Town) -> None:
        rules = ApproveSection(When.ALWAYS, ("group:sre",))
        await town.open(
            file("PersistentVolumeClaim", "data"), file("ConfigMap", "a", n=1), sync=SyncSection(prune=False)
        )
        await asyncio.sleep(60)
        await town.enlist({"shop/web": unit(sync=SyncSection(prune=False), approve=rules)})
        town.push(file("ConfigMap", "a", n=2))
        await asyncio.sleep(60)
        plan = (await town.web()).plan
        assert plan is not None
        assert plan.needs is not None
        assert plan.needs.reasons == ("every plan of this unit needs approval",)
        await town.kedge.commands.suspend(MONA, WEB, "wait")
        await town.kedge.commands.approve(MONA, WEB, plan.effects, "an update, fine")
        await town.enlist({"shop/web": unit(approve=rules)})
        await town.kedge.commands.resume(MONA, WEB, "go")
        await asyncio.sleep(60)
        assert "PersistentVolumeClaim data" in town.standing()
        assert "waits for" in (await town.web()).shown.why

    in_town(story)


def test_a_run_that_was_planned_under_other_rules_does_not_say_synced() -> None:
    """Pruning was switched on during the run: what had been kept was still there when it said Synced."""

    async def story(town: Town) -> None:
        await town.open(file("Deployment", "a", seconds=1), file("ConfigMap", "b"), sync=SyncSection(prune=False))
        await asyncio.sleep(60)
        town.push(file("Deployment", "a", seconds=20))
        await asyncio.sleep(5)
        said: list[tuple[str, bool]] = []
        heard = town.witness.recorded

        def hear(record: Record, after: Dossier) -> None:
            said.append((after.shown.sync.value, ref("ConfigMap", "b") in town.cluster.things))
            heard(record, after)

        town.kedge.store._recorded = hear
        await town.enlist({"shop/web": unit()})
        await asyncio.sleep(60)
        assert ("Synced", True) not in said
        assert said[-1] == ("Synced", False)

    in_town(story)
