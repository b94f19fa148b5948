"""A clock that jumps between commits: nothing waits for it, and the records stay in their order."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.stories import PROJECT, application, folder_of, hasten
from tests.e2e.test_rollouts import deployment
from tests.e2e.world import World, standing
from tests.parts.fixtures import RealCluster
from tests.parts.proxy import Fate, fine, proxied

from kedge.clock import SystemClock
from kedge.kube.kubeconfig import Access
from kedge.model.ref import UnitName

pytestmark = pytest.mark.e2e

HOUR, DAY = 3600.0, 86400.0


@dataclass
class Ahead:
    """How far Kedge's wall clock is ahead; that of the cluster is its own."""

    seconds: float = 0.0


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    hasten(monkeypatch)
    found = Ahead()
    monkeypatch.setattr(SystemClock, "now", lambda self: time.time() + found.seconds)
    return found


async def test_commits_get_through_and_records_stay_in_order_while_the_clock_jumps(
    tmp_path: Path, access: Access | None, ahead: Ahead
) -> None:
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        for number, jump in enumerate((0.0, -HOUR, DAY, -HOUR)):
            ahead.seconds += jump
            world.repository.write(folder_of("web", f"g{number}"))
            found = await world.synced("shop/web", world.pushed(f"commit {number}"))
            assert await world.greeting("web") == f"g{number}"
            assert found.verified is not None
            assert found.verified <= time.time() + ahead.seconds
        runs = await world.house.doors.store.operations("shop/web")
        assert [(run.number, str(run.result)) for run in runs] == [(n, "Succeeded") for n in (4, 3, 2, 1)]
        report = await world.house.doors.store.verify_chain()
        assert (report.broken, report.why) == (0, "")


NODE = "/api/v1/nodes/node-1"
MERGE = "application/merge-patch+json"


async def test_a_rollout_that_takes_its_time_is_neither_ended_nor_forgotten_while_the_clock_jumps(
    tmp_path: Path, real_cluster: RealCluster, ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody raises an alarm, or tells of a verification in the time to come."""
    monkeypatch.setattr("kedge.control.shift.vigil.LOOK", 0.2)
    async with standing(tmp_path, access=real_cluster.access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        world.repository.write({".kedge/calm.yaml": application("calm"), **folder_of("calm", "hello")})
        world.repository.write(
            {**folder_of("web", "hello"), "apps/web/deployment.yaml": deployment(node="kedge: late")}
        )
        commit = world.pushed("onto a node that comes later")
        await world.synced("shop/calm", commit)
        await world.until("shop/web", lambda d: d.operation is not None and "Deployment" in d.operation.waiting)
        for jump in (DAY, -2 * DAY, DAY + HOUR):
            ahead.seconds += jump
            turns = world.house.shift.turns.taken
            world.house.shift.ring(UnitName("shop", "web"), "a look")
            await world.eventually(lambda before=turns: looked(world, before + 1))
            await asyncio.sleep(1.0)  # some looks of the vigil
            said = (await world.kedge("get", "web")).out
            assert "run 1: waiting for apps/Deployment web/web" in said
            rows = (await world.kedge("get", "-o", "json")).json["items"]
            ages = {row["name"]: row["verifiedAge"] for row in rows}
            assert ages["shop/calm"] < HOUR / 2, rows
        await world.call("PATCH", NODE, {"metadata": {"labels": {"kedge": "late"}}}, MERGE)
        try:
            await world.synced("shop/web", commit)
        finally:
            await world.call("PATCH", NODE, {"metadata": {"labels": {"kedge": None}}}, MERGE)
        runs = await world.house.doors.store.operations("shop/web")
        assert [(run.number, str(run.result)) for run in runs] == [(1, "Succeeded")]
        events = await world.house.doors.store.latest(limit=500)
        assert {event.kind for event in events} & {"unit.unverified", "cluster.trouble", "unit.trouble"} == set()


async def looked(world: World, turns: int) -> bool:
    return world.house.shift.turns.taken >= turns


@pytest.mark.parametrize("jump", [-DAY, DAY])
async def test_a_cluster_that_goes_away_is_told_as_long_ago_as_it_was_whatever_the_clock_does(
    tmp_path: Path, real_cluster: RealCluster, ahead: Ahead, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """With a clock that was set back, the alarm came only when it had caught up; set forward, at once."""
    monkeypatch.setattr("kedge.control.shift.vigil.LOOK", 0.2)
    monkeypatch.setattr("kedge.control.shift.vigil.GRACE", 3.0)
    async with (
        proxied(real_cluster.access, tmp_path / "proxy") as (proxy, access),
        standing(tmp_path, access=access) as w,
    ):
        w.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        w.repository.write(folder_of("web", "hello"))
        await w.synced("shop/web", w.pushed("begin"))
        proxy.meet = lambda asked: Fate.DROPPED
        proxy.cut()
        looked = time.monotonic()
        (unit,) = (await w.kedge("get", "-o", "json")).json["items"]
        monkeypatch.setattr("kedge.control.shift.vigil.QUIET", 3.0)
        ahead.seconds += jump
        await w.said("not verified since", "get", "web")
        assert unit["verifiedAge"] + time.monotonic() - looked > 2.9
        (row,) = (await w.kedge("get", "cluster", "-o", "json")).json["items"]
        assert row["age"] < HOUR
        assert row["reasonAge"] < HOUR
        proxy.meet = fine
        monkeypatch.setattr("kedge.control.shift.vigil.QUIET", 300.0)
        w.repository.write(folder_of("web", "something to see"))
        w.pushed("something to see")
        await w.eventually(lambda: seen_again(w))
        kinds = [event.kind for event in await w.house.doors.store.latest("shop/web", limit=100)]
        assert kinds.count("unit.unverified") == kinds.count("unit.verified") == 1


async def seen_again(world: World) -> bool:
    events = await world.house.doors.store.latest("shop/web", limit=100)
    return any(event.kind == "unit.verified" for event in events)
