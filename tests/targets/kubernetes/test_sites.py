"""Clusters in use: opened once, kept up with, replaced, and bounded in what they may cost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.doors.kube_world import CONFIG_MAPS, WEB, World, config_map, definition, ref, staged
from tests.doors.sandbox_transport import SandboxTransport

from kedge.kube.kubeconfig import Access
from kedge.model.errors import Denied, Invalid, KedgeError, Unavailable
from kedge.sandbox import Request
from kedge.targets.kubernetes import KubernetesTarget
from kedge.targets.kubernetes.sites import RENEW

SETTINGS = ref("ConfigMap", "settings")
UNIT = "shop/web@prod"


class Kept:
    """A target whose cluster is reached as `access` says, or not at all while that is an error."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.access: Access | KedgeError = Access("https://c", token="first")
        self.opened: list[SandboxTransport] = []
        self.rings: list[tuple[str, str]] = []
        self.refused: list[str] = []
        entropy: Any = world.target._sites._means.entropy
        self.target = KubernetesTarget(self.open, world.clock, entropy, world.spawner, reach=self.reach)
        self.target.subscribe(lambda unit, about, what: self.rings.append((unit, about.kind)))

    async def reach(self, cluster: str, refused: str = "") -> Access:
        self.refused.append(refused)
        if isinstance(self.access, KedgeError):
            raise self.access
        return self.access

    async def open(self, cluster: str) -> SandboxTransport:
        await self.reach(cluster)
        self.opened.append(SandboxTransport(self.world.sandbox, Request))
        return self.opened[-1]

    async def look(self) -> bool:
        return (await self.target.look(WEB, [SETTINGS]))[SETTINGS].exists

    async def renewed(self) -> None:
        self.rings.clear()
        await asyncio.sleep(RENEW + 1)


@staged
async def test_a_cluster_that_is_reached_as_before_stays_open(world: World) -> None:
    kept = Kept(world)
    await kept.look()
    await kept.renewed()
    assert (len(kept.opened), kept.rings) == (1, [])


@staged
async def test_a_new_token_opens_nothing_anew_and_rings_those_who_failed(world: World) -> None:
    kept = Kept(world)
    await world.deploy(config_map("settings"))
    assert await kept.look()
    kept.access = Access("https://c", token="second")
    await kept.renewed()
    assert (len(kept.opened), kept.rings) == (1, [])
    kept.opened[0].down = True
    with pytest.raises(Unavailable):
        await kept.target.compare(WEB, await world.place(config_map("other")), (), ())
    kept.opened[0].down = False
    kept.access = Access("https://c", token="third")
    await kept.renewed()
    assert (UNIT, "Cluster") in kept.rings


@staged
async def test_anything_else_makes_a_new_site_and_rings_every_unit(world: World) -> None:
    kept = Kept(world)
    await world.deploy(config_map("settings"))
    assert await kept.look()
    tasks = len(world.spawner)
    before = Access("https://c", token="first")
    changed = (replace(before, server="https://d"), replace(before, ca="x"), replace(before, certificate="c", key="k"))
    for opened, access in enumerate(changed, 2):
        kept.access = access
        await kept.renewed()
        assert (UNIT, "Cluster") in kept.rings
        assert await kept.look()
        assert (len(kept.opened), len(world.spawner)) == (opened, tasks)


@staged
async def test_another_token_is_asked_for_as_soon_as_the_cluster_refuses_the_one_we_have(world: World) -> None:
    kept = Kept(world)
    await kept.look()
    await kept.renewed()
    assert set(kept.refused) == {""}
    site = kept.target._sites.get("default")
    assert site is not None
    site.client.asker.pulse.refused("the credential is not accepted")
    kept.opened[0].down = True
    await kept.renewed()
    assert kept.refused[-1] == "first"
    kept.opened[0].down = False
    kept.access = Access("https://c", token="second")
    await kept.renewed()
    await kept.renewed()
    assert kept.refused[-1] == ""
    assert kept.target.ailment("default") is None


@staged
async def test_whoever_waits_for_a_watch_of_a_site_that_goes_is_told_to_come_again(world: World) -> None:
    kept = Kept(world)

    async def held(method: str, path: str) -> None:
        await asyncio.sleep(1e6 if method == "WATCH" else 0)

    kept.access = Access("https://c")
    await kept.target.place(WEB, await world.place(config_map("settings")))
    kept.opened[0]._before = held
    looking = asyncio.ensure_future(kept.look())
    await asyncio.sleep(1)
    kept.access = Access("https://d")
    with pytest.raises(Unavailable, match="how this cluster is reached has changed"):
        await looking


@staged
async def test_a_cluster_that_can_not_be_reached_any_more_is_left_and_says_why(world: World) -> None:
    kept = Kept(world)
    await kept.look()
    for error in (Invalid("there is no cluster prod"), Denied("its secret is not set")):
        kept.access = error
        await kept.renewed()
        assert (UNIT, "Cluster") in kept.rings
        ailment = kept.target.ailment("default")
        assert ailment is not None
        assert ailment.reason == str(error)
        with pytest.raises(type(error)):
            await kept.look()
        assert kept.target.fresh("default") is None
        kept.access = Access("https://c")
        await kept.renewed()
        assert (UNIT, "Cluster") in kept.rings
        assert kept.target.ailment("default") is None


@staged
async def test_while_nobody_can_tell_how_it_is_reached_it_stays_as_it_is(world: World) -> None:
    kept = Kept(world)
    await kept.look()
    kept.access = Unavailable("the store is not there")
    await kept.renewed()
    assert (len(kept.opened), kept.rings, kept.target.ailment("default")) == (1, [], None)


@staged
async def test_a_cluster_that_is_away_says_since_when_and_its_units_are_rung_when_it_is_back(world: World) -> None:
    kept = Kept(world)
    await kept.look()
    kept.opened[0].down = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            await kept.target.compare(WEB, await world.place(config_map("other")), (), ())
        await asyncio.sleep(1)
    ailment = kept.target.ailment("default")
    assert ailment is not None
    assert ailment.since < world.clock.now()
    kept.opened[0].down = False
    kept.rings.clear()
    await asyncio.sleep(20)
    other = replace(WEB, unit="shop/api@prod")
    await kept.target.compare(other, await world.place(config_map("other"), scope=other), (), ())
    assert kept.target.ailment("default") is None
    assert kept.rings == [(UNIT, "Cluster")]


@staged
async def test_a_cluster_that_shows_more_than_can_be_kept_is_not_watched_and_says_so(world: World) -> None:
    await world.deploy(*(config_map(f"s{number}") for number in range(5)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kedge.targets.kubernetes.index.MOST_SLOTS", 10)
        await world.look(SETTINGS)
        for number in range(5, 20):
            body = world.get(f"{CONFIG_MAPS}/s0")
            body["metadata"] = {**body["metadata"], "name": f"s{number}", "uid": "", "resourceVersion": ""}
            world.call("POST", CONFIG_MAPS, body)
        await asyncio.sleep(5)
        with pytest.raises(Unavailable, match="it shows more than 10 objects"):
            await world.look(SETTINGS)
        index: Any = world.target._sites.get("default").index  # type: ignore[union-attr]
        assert (len(list(index.slots())), index._size) == (0, 0)
        assert (await world.compare(config_map("s0"))).pairs
    await asyncio.sleep(400)
    assert (await world.look(ref("ConfigMap", "s19")))[0].exists


@staged
async def test_a_unit_is_rung_when_a_kind_that_it_waits_for_is_there(world: World) -> None:
    kept = Kept(world)
    widget = await world.place({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}})
    await kept.target.compare(WEB, widget, (), ())
    await kept.renewed()
    assert kept.rings == []
    world.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition())
    await kept.renewed()
    assert (UNIT, "Cluster") in kept.rings
    kept.opened[0].log.clear()
    await kept.renewed()
    assert (kept.rings, kept.opened[0].calls()) == ([], [])


@staged
async def test_nobody_looks_for_a_kind_that_a_unit_needs_no_more(world: World) -> None:
    kept = Kept(world)
    widget = await world.place({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}})
    await kept.target.compare(WEB, widget, (), ())
    await kept.target.compare(WEB, await world.place(config_map("settings")), (), ())
    kept.opened[0].log.clear()
    await kept.renewed()
    assert kept.opened[0].calls() == []
