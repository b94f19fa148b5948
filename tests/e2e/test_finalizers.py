"""What left Git and does not go, because a finalizer of somebody else holds it: it is named, and nothing waits for it
for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.world import World, standing

from kedge.control.shift.queue import Lane
from kedge.kube.kubeconfig import Access

pytestmark = pytest.mark.e2e

MAPS = "/api/v1/namespaces/web/configmaps"
MERGE = "application/merge-patch+json"
HOLDER = "example.com/backup"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


@asynccontextmanager
async def holding(folder: Path, access: Access | None) -> AsyncIterator[World]:
    """`shop/web` with a ConfigMap `held`, which a finalizer is on."""
    async with standing(folder, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, **folder_of("web", "hello")})
        world.repository.write({".kedge/web.yaml": application("web"), "apps/web/held.yaml": config("x", "held")})
        await world.synced("shop/web", world.pushed("begin"))
        hold = {"metadata": {"finalizers": [HOLDER]}}
        await world.call("PATCH", f"{MAPS}/held?fieldManager=backup", hold, MERGE)
        yield world


HURRIED = {".kedge/web.yaml": application("web", "  sync: {timeout: 3s}\n")}
"""From here on a run may take three seconds: with the commit whose run is to end by that, and with no other before."""


async def let_go(world: World) -> None:
    await world.call("PATCH", f"{MAPS}/held?fieldManager=backup", {"metadata": {"finalizers": None}}, MERGE)


async def runs(world: World) -> list[tuple[int, str]]:
    return [(run.number, str(run.result)) for run in await world.house.doors.store.operations("shop/web")]


async def test_a_run_that_waits_for_a_held_object_ends_at_its_deadline_and_is_not_begun_again(
    tmp_path: Path, access: Access | None
) -> None:
    async with holding(tmp_path, access) as world:
        world.repository.write({**HURRIED, "apps/web/held.yaml": None, "apps/web/config.yaml": config("goodbye")})
        commit = world.pushed("without it")
        await world.applied("shop/web", commit)
        for words in (("get",), ("get", "web")):
            shown = await world.said("left Git and is being deleted", *words)
            assert f"ConfigMap web/held left Git and is being deleted, held by {HOLDER}" in shown, shown
            assert "OutOfSync" in shown
        told = await world.said("timed out after 3 s", "history", "web")
        assert f"ConfigMap web/held: is being deleted, held by {HOLDER}" in told
        tree = (await world.kedge("tree", "web")).out
        assert f"waiting for finalizers {HOLDER}" in next(line for line in tree.splitlines() if "web/held" in line)
        assert (await world.kedge("wait", "web", "--timeout", "1m")).code == 4

        # Neither a look at everything nor a person's sync waits for it again.
        world.house.shift.turns.ring("shop/web", Lane.SWEEP)
        await world.kedge("sync", "web", "-y", "--wait")
        await world.applied("shop/web", commit)
        assert [number for number, result in await runs(world) if result == "Failed"] == [2]

        await let_go(world)
        after = await world.synced("shop/web", commit)
        assert after.shown.why == ""
        assert "held" not in {entry.ref.name for entry in after.inventory}
        assert await world.call("GET", f"{MAPS}/held") is None


async def test_a_newer_commit_gets_past_a_held_object_and_does_not_wait_for_it_again(
    tmp_path: Path, access: Access | None
) -> None:
    async with holding(tmp_path, access) as world:
        world.repository.write({"apps/web/held.yaml": None})
        world.pushed("without it")
        await world.said(HOLDER, "get", "web")
        for greeting in ("second", "third"):
            world.repository.write({"apps/web/config.yaml": config(greeting)})
            commit = world.pushed(greeting)
            told = await world.applied("shop/web", commit)
            assert await world.greeting("web") == greeting
            assert told.last.result == "Succeeded"
            assert HOLDER in told.shown.why
            assert told.shown.health.status == "Healthy"
            assert (await world.kedge("wait", "web", "--timeout", "1m")).code == 0
        # What comes after the unit does not wait for it either.
        more = application("other", "  after: [app/web]\n")
        world.repository.write({".kedge/other.yaml": more, **folder_of("other", "hello")})
        await world.synced("shop/other", world.pushed("after it"))

        # It is wanted again: it is made anew, once it is gone.
        world.repository.write({**HURRIED, "apps/web/held.yaml": config("again", "held")})
        commit = world.pushed("with it again")
        shown = await world.said("made anew once it is gone", "get", "web")
        assert HOLDER in shown
        await let_go(world)
        await world.synced("shop/web", commit)
        assert await world.greeting("web", "held") == "again"


async def test_a_unit_whose_last_object_is_held_goes_when_that_is_let_go(tmp_path: Path, access: Access | None) -> None:
    async with holding(tmp_path, access) as world:
        world.repository.write(HURRIED)
        world.pushed("hurried")
        await world.until("shop/web", lambda d: d.unit.sync.timeout == 3)
        world.repository.write({".kedge/web.yaml": None})
        world.pushed("without the unit")
        await world.until("shop/web", lambda d: d.plan is not None and d.plan.needs is not None)
        await world.kedge("approve", "web", "-y", "--reason", "it may go")
        await world.until("shop/web", lambda d: d.trouble is not None and d.trouble.attempts >= 1)
        assert HOLDER in await world.said(HOLDER, "history", "web")
        await let_go(world)
        await world.gone("shop/web")
