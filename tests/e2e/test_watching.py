"""What the watches are worth when the wire is not: silence is noticed, and what was missed is made good."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.e2e.stories import PROJECT, application, folder_of, hasten
from tests.e2e.wire import Wire, wired
from tests.e2e.world import TOKEN, World, clustered, standing

from kedge.kube.ask import Asker
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import Response
from kedge.kube.watch import Watcher
from kedge.model.event import Event

pytestmark = pytest.mark.e2e

GREETING = "/api/v1/namespaces/web/configmaps/web"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setitem(Asker.__init__.__kwdefaults__, "deadline", 2.0)


@asynccontextmanager
async def on_a_wire(folder: Path, access: Access | None) -> AsyncIterator[tuple[World, Wire, World]]:
    """`shop/web` synced over a wire; the last is the world as somebody sees it who does not use the wire."""
    async with AsyncExitStack() as stack:
        if access is None:
            _, access = await stack.enter_async_context(clustered(folder / "sandbox"))
        wire, through = await stack.enter_async_context(wired(access))
        world = await stack.enter_async_context(standing(folder, access=through))
        world.repository.write(
            {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **folder_of("web", "hello")}
        )
        await world.synced("shop/web", world.pushed("begin"))
        yield world, wire, replace(world, access=access)


async def edited(world: World, greeting: str) -> None:
    change = {"data": {"greeting": greeting}}
    await world.call("PATCH", f"{GREETING}?fieldManager=kubectl-edit", change, "application/merge-patch+json")


async def healed(world: World, runs: int) -> None:
    await world.until("shop/web", lambda d: d.operation is None and d.runs >= runs and d.last.cause == "drift")
    await world.synced("shop/web")
    assert await world.greeting("web") == "hello"


async def test_what_a_silent_watch_missed_is_noticed_and_repaired(
    tmp_path: Path, access: Access | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Watcher.__init__.__kwdefaults__, "silence", 3.0)
    async with on_a_wire(tmp_path, access) as (_, wire, outside):
        await edited(outside, "edited while it is watched")
        await healed(outside, 2)
        wire.freeze()
        await edited(outside, "edited while nobody sees it")
        await healed(outside, 3)
        await outside.said("default", "get", "cluster")


async def test_a_verification_that_grows_too_old_is_an_alarm_once_and_ends_by_itself(
    tmp_path: Path, access: Access | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.targets.kubernetes.sites.RENEW", 0.5)
    monkeypatch.setattr("kedge.control.shift.vigil.LOOK", 0.2)
    monkeypatch.setattr("kedge.control.shift.vigil.QUIET", 8.0)
    monkeypatch.setattr("kedge.control.shift.vigil.GRACE", 1.0)
    async with on_a_wire(tmp_path, access) as (world, wire, outside):
        wire.shut()
        said = await world.said("not verified since", "get", "app")
        assert "cluster default: no answer" in said, said
        assert "alarm" in (await world.kedge("get", "web")).out
        assert await metric(world, "kedge_units_unverified") == 1
        assert await metric(world, "kedge_oldest_verification_seconds") > 8
        assert await metric(world, 'kedge_cluster_trouble{cluster="default",kind="unreachable"}') == 1
        assert [event.kind for event in await told(world)] == ["cluster.trouble", "unit.unverified"]
        wire.open()
        await world.said("cluster.well", "get", "event")
        # A connection alone verifies nothing: each watch has to tell something, a bookmark after a minute or news now.
        note = {"metadata": {"annotations": {"touched": "now"}}}
        await outside.call("PATCH", "/api/v1/namespaces/web", note, "application/merge-patch+json")
        await edited(outside, "edited as soon as it is over")
        await world.said("unit.verified", "get", "event")
        assert "not verified" not in (await world.kedge("get", "app")).out
        assert await metric(world, "kedge_units_unverified") == 0
        assert await metric(world, 'kedge_cluster_trouble{cluster="default",kind="unreachable"}') == 0
        counted = Counter(event.kind for event in await told(world))
        assert set(counted.values()) == {1}, counted
        await healed(outside, 2)


async def metric(world: World, name: str) -> float:
    """What /metrics says of it."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        text = await (await session.get(f"{world.url}/metrics")).text()
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).rpartition(" ")[2])


async def told(world: World) -> list[Event]:
    """What the vigil said, oldest first."""
    events = reversed(await world.house.doors.store.latest(limit=100))
    kinds = ("cluster.trouble", "cluster.well", "unit.unverified", "unit.verified")
    return [event for event in events if event.kind in kinds]


async def test_connections_that_are_cut_again_and_again_lose_nothing(tmp_path: Path, access: Access | None) -> None:
    async with on_a_wire(tmp_path, access) as (world, wire, outside):
        for number in range(3):
            made = wire.made
            wire.cut()
            await edited(outside, f"edited {number}")
            wire.cut()
            await healed(outside, 2 + number)
            assert wire.made > made
        world.repository.write(folder_of("web", "goodbye"))
        commit = world.pushed("goodbye")
        wire.cut()
        await world.synced("shop/web", commit)
        assert await outside.greeting("web") == "goodbye"


async def test_at_rest_nothing_is_asked_of_a_cluster(
    tmp_path: Path, access: Access | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_a_wire(tmp_path, access) as (world, _, outside):
        asked: list[str] = []
        ask = Asker.ask

        async def counted(self: Asker, method: str, path: str, *more: Any, **others: Any) -> Response:
            asked.append(f"{method} {path}")
            return await ask(self, method, path, *more, **others)

        monkeypatch.setattr(Asker, "ask", counted)
        turns = world.house.shift.turns.taken
        world.repository.write({"README.md": "a word that concerns nobody\n", "apps/web/NOTES.txt": "nor does this\n"})
        world.pushed("words")
        looks = world.forge.looks
        while world.forge.looks < looks + 3 or world.house.shift.turns.taken == turns:
            await asyncio.sleep(0.1)
        await world.synced("shop/web")
        assert asked == []
        await outside.call("DELETE", GREETING)
        await healed(outside, 2)
        assert len(asked) <= 8, asked
