"""Hooks that a failed run never came to, or that failed in it, are run by its next tries with nothing else to do."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.doors.town import WEB, Town, file, in_town

from kedge.model.declaration import ApproveSection, SyncSection, When
from kedge.model.dossier import Sync
from kedge.model.operation import Result
from kedge.model.person import Person

HOOK = "argocd.argoproj.io/hook"
MONA = Person("mona")


def after(**spec: Any) -> tuple[str, bytes]:
    return file("Job", "after", notes={HOOK: "PostSync"}, **spec)


async def results(town: Town) -> list[Result | None]:
    return [run.result for run in reversed(await town.store.operations("shop/web"))]


def test_a_hook_that_failed_is_run_again_until_it_comes_through() -> None:
    """All that Git states was there after the first try, so there was nothing to do and it never ran again."""

    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), after(seconds=1, sick=True))
        await asyncio.sleep(4)
        web = await town.web()
        assert await results(town) == [Result.FAILED]
        assert (web.shown.sync, web.shown.why[:12]) == (Sync.SYNCED, "run 1 failed")
        town.well = True
        await asyncio.sleep(30)
        assert await results(town) == [Result.FAILED, Result.SUCCEEDED]
        web = await town.web()
        assert (web.shown.sync, web.shown.why, web.trouble) == (Sync.SYNCED, "", None)
        await asyncio.sleep(24 * 3600)
        assert len(await results(town)) == 2

    in_town(story)


def test_it_is_tried_ever_more_seldom_and_then_waits_for_a_person() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), after(seconds=1, sick=True))
        await asyncio.sleep(6 * 3600)
        assert await results(town) == [Result.FAILED] * 10
        assert (await town.web()).shown.why.startswith("run 10 failed")
        town.well = True
        await town.kedge.commands.sync(MONA, WEB, "it is well")
        await asyncio.sleep(30)
        assert (await results(town))[-1] is Result.SUCCEEDED

    in_town(story)


def test_a_hook_that_a_run_never_came_to_is_run_once_the_rollout_is_through() -> None:
    async def story(town: Town) -> None:
        slow = file("Deployment", "a", seconds=100)
        await town.open(slow, after(seconds=1), sync=SyncSection(timeout=30))
        await asyncio.sleep(50)
        assert (await results(town))[0] is Result.FAILED
        assert "Job after" not in town.standing()
        await asyncio.sleep(600)
        assert (await results(town))[-1] is Result.SUCCEEDED
        assert "Job after" in town.standing()
        assert (await town.web()).shown.sync is Sync.SYNCED

    in_town(story)


def test_nobody_s_hooks_are_run_where_nothing_runs_unasked() -> None:
    async def story(town: Town) -> None:
        rules = {"sync": SyncSection(auto=False), "approve": ApproveSection(When.NEVER)}
        await town.open(file("ConfigMap", "a"), after(seconds=1, sick=True), **rules)
        await asyncio.sleep(5)
        await town.kedge.commands.sync(MONA, WEB, "now")
        await asyncio.sleep(600)
        assert await results(town) == [Result.FAILED]
        assert (await town.web()).shown.sync is Sync.SYNCED

    in_town(story)


def test_a_suspended_unit_with_a_failed_hook_is_synced_and_waits() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), after(seconds=1, sick=True))
        await asyncio.sleep(4)
        await town.kedge.commands.suspend(MONA, WEB, "a quiet night")
        await asyncio.sleep(600)
        assert await results(town) == [Result.FAILED]
        assert (await town.web()).shown.sync is Sync.SYNCED
        await town.kedge.commands.resume(MONA, WEB, "morning")
        town.well = True
        await asyncio.sleep(30)
        assert await results(town) == [Result.FAILED, Result.SUCCEEDED]

    in_town(story)
