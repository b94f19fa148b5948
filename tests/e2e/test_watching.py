"""What the watches are worth when the wire is not: silence is noticed, and what was missed is made good."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from tests.e2e import stories
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.wire import Wire, wired
from tests.e2e.world import TOKEN, World, clustered, standing
from tests.parts.fixtures import RealCluster
from tests.parts.proxy import Asked, Fate, Proxy, proxied

from kedge.kube.ask import Asker
from kedge.kube.kubeconfig import Access
from kedge.kube.transport import Response
from kedge.kube.watch import Watcher
from kedge.model.event import Event
from kedge.targets.kubernetes import marks

pytestmark = pytest.mark.e2e

GREETING = "/api/v1/namespaces/web/configmaps/web"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setitem(Asker.__init__.__kwdefaults__, "deadline", 2.0)


@pytest.fixture
def patient(_hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where requests are counted: one that takes its time is not asked again."""
    monkeypatch.setitem(Asker.__init__.__kwdefaults__, "deadline", 30.0)


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


CONFIG_MAPS = "/api/v1/configmaps"


async def test_a_snapshot_comes_with_the_watch_and_nothing_is_listed(
    tmp_path: Path, access: Access | None, patient: None
) -> None:
    async with behind_a_proxy(tmp_path, access) as (_, proxy, _, _):
        watches = [asked for asked in proxy.asked if asked.watching]
        assert {asked.path for asked in watches} == {CONFIG_MAPS, "/api/v1/namespaces"}
        for asked in watches:
            assert asked.query["sendInitialEvents"] == asked.query["allowWatchBookmarks"] == "true"
            assert asked.query["labelSelector"].startswith("kedge.dev/")
        # A unit that was never at work is looked for once, in every kind: that is the only list.
        lists = [asked for asked in proxy.asked if asked.path == CONFIG_MAPS and not asked.watching]
        assert [asked.query["labelSelector"] for asked in lists] == [marks.UNIT]
        # A snapshot has one end, a bookmark; what came after it is an event.
        assert proxy.heard[CONFIG_MAPS, "END OF SNAPSHOT"] == 1
        assert proxy.heard[CONFIG_MAPS, "ADDED"] == 1


async def test_a_watch_whose_version_is_forgotten_begins_anew_and_has_missed_nothing(
    tmp_path: Path, access: Access | None
) -> None:
    async with behind_a_proxy(tmp_path, access) as (_, proxy, wire, outside):
        proxy.meet = lambda asked: Fate.EXPIRED if "resourceVersion" in asked.query else Fate.FINE
        wire.shut()
        await edited(outside, "edited while nobody sees it")
        begun = len(proxy.asked)
        wire.open()
        await healed(outside, 2)
        queries = await watched_twice(outside, proxy, CONFIG_MAPS, begun)
        assert "resourceVersion" in queries[0]
        assert any("sendInitialEvents" in query for query in queries[1:])
        # What vanished meanwhile nobody tells any more: a snapshot does not mention it.
        wire.shut()
        await outside.call("DELETE", GREETING)
        wire.open()
        await healed(outside, 3)


async def watched_twice(world: World, proxy: Proxy, path: str, since: int) -> list[Mapping[str, str]]:
    """How a kind was watched since then, twice at least: drift may be found before its watch is back, by asking for the
    object."""
    queries: list[Mapping[str, str]] = []

    async def asked_twice() -> bool:
        queries[:] = [asked.query for asked in proxy.asked[since:] if asked.watching and asked.path == path]
        return len(queries) > 1

    await world.eventually(asked_twice)
    return queries


WIDGETS = "/apis/example.com/v1/widgets"
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {
      type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: web}
spec: {size: 2}
"""


async def test_a_version_that_the_server_itself_has_forgotten_costs_a_snapshot_and_no_event(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    async with behind_a_proxy(tmp_path, real_cluster.access) as (world, proxy, wire, outside):
        world.repository.write({"apps/web/widget.yaml": DEFINITION})
        await world.synced("shop/web", world.pushed("a kind of our own"))
        proxy.change = ancient
        wire.shut()
        path, change = "/apis/example.com/v1/namespaces/web/widgets/web", {"spec": {"size": 3}}
        kind = "application/merge-patch+json"
        await outside.call("PATCH", f"{path}?fieldManager=kubectl-edit", change, kind)
        begun = len(proxy.asked)
        wire.open()
        await world.until("shop/web", lambda d: d.operation is None and d.last.cause == "drift")
        assert (await outside.call("GET", path))["spec"] == {"size": 2}
        queries = await watched_twice(world, proxy, WIDGETS, begun)
        assert ["resourceVersion" in queries[0], "sendInitialEvents" in queries[1]] == [True, True]
        assert proxy.heard[WIDGETS, "ERROR"] == 1


async def test_pages_that_expire_midway_are_read_again_and_nothing_is_lost(
    tmp_path: Path, access: Access | None, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.kube.client.PAGE", 2)
    async with behind_a_proxy(tmp_path, access) as (world, proxy, _, _):
        more = {f"apps/web/more{number}.yaml": config("x", f"more{number}") for number in range(6)}
        world.repository.write(more)
        await world.synced("shop/web", world.pushed("more"))
        expired: list[str] = []

        def midway(asked: Asked) -> Fate:
            if asked.path == CONFIG_MAPS and "continue" in asked.query and len(expired) < 1:
                expired.append(asked.query["continue"])
                return Fate.EXPIRED
            return Fate.FINE

        proxy.meet, before = midway, len(proxy.asked)
        target = world.house.doors.target
        found = await target.recover("default", world.house.doors.installation.id)
        names = [ref.name for ref in found.units["shop/web"] if ref.kind == "ConfigMap"]
        assert (sorted(names), found.unread) == (sorted(["web", *(f"more{number}" for number in range(6))]), ())
        pages = [asked for asked in proxy.asked[before:] if asked.path == CONFIG_MAPS and not asked.watching]
        assert (len(expired), len(pages)) == (1, 2 + 4)  # two pages, the second of which expired, and all four


def ancient(asked: Asked) -> Asked:
    """Watch from a version that no server remembers."""
    if asked.watching and "resourceVersion" in asked.query:
        return replace(asked, query={**asked.query, "resourceVersion": "1"})
    return asked


@asynccontextmanager
async def behind_a_proxy(folder: Path, access: Access | None) -> AsyncIterator[tuple[World, Proxy, Wire, World]]:
    """As `on_a_wire`, with a proxy at its end that reads what is said."""
    async with AsyncExitStack() as stack:
        if access is None:
            _, access = await stack.enter_async_context(clustered(folder / "sandbox"))
        proxy, seen = await stack.enter_async_context(proxied(access, folder / "proxy"))
        async with on_a_wire(folder, seen) as (world, wire, _):
            yield world, proxy, wire, replace(world, access=access)


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
        assert "default" in (await outside.kedge("get", "cluster")).out


async def test_a_verification_that_grows_too_old_is_an_alarm_once_and_ends_by_itself(
    tmp_path: Path, access: Access | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.targets.kubernetes.sites.RENEW", 0.5)
    monkeypatch.setattr("kedge.control.shift.vigil.LOOK", 0.2)
    monkeypatch.setattr("kedge.control.shift.vigil.GRACE", 1.0)
    async with on_a_wire(tmp_path, access) as (world, wire, outside):
        wire.shut()
        await world.said("cluster.trouble", "get", "event")
        with monkeypatch.context() as impatient:
            impatient.setattr("kedge.control.shift.vigil.QUIET", 3.0)
            said = await world.said("not verified since", "get", "app")
            assert "cluster default: no answer" in said, said
            assert "alarm" in (await world.kedge("get", "web")).out
            assert await metric(world, "kedge_units_unverified") == 1
            assert await metric(world, "kedge_oldest_verification_seconds") > 3
        assert await metric(world, 'kedge_cluster_trouble{cluster="default",kind="unreachable"}') == 1
        assert [event.kind for event in await told(world)] == ["cluster.trouble", "unit.unverified"]
        wire.open()
        await world.said("cluster.well", "get", "event")
        # A connection alone verifies nothing: each watch has to tell something, a bookmark after a minute or news now.
        note = {"metadata": {"annotations": {"touched": "now"}}}
        await outside.call("PATCH", "/api/v1/namespaces/web", note, "application/merge-patch+json")
        await edited(outside, "edited as soon as it is over")
        await world.said("unit.verified", "get", "event")
        await world.silent("not verified", "get", "app")
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


THINGS = "/apis/example.com/"
THING = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: one}\nspec: {size: s}\n"


async def test_a_dead_api_makes_those_stale_that_use_it_and_nobody_else(
    tmp_path: Path, access: Access | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an aggregated API server that is away: it made every unit of the cluster stale."""
    monkeypatch.setattr("kedge.control.shift.vigil.QUIET", 5.0)
    monkeypatch.setattr("kedge.control.shift.vigil.LOOK", 0.2)
    monkeypatch.setattr("kedge.kube.watch.MAX_PAUSE", 1.0)
    async with AsyncExitStack() as stack:
        if access is None:
            _, access = await stack.enter_async_context(clustered(tmp_path / "sandbox"))
        proxy, through = await stack.enter_async_context(proxied(access, tmp_path / "proxy"))
        world = await stack.enter_async_context(standing(tmp_path, access=through))
        outside = replace(world, access=access)
        definition = (await outside.call("POST", DEFINITIONS, yaml.safe_load(stories.DEFINITION)))["metadata"]["name"]
        assert definition == "things.example.com"
        for name in ("web", "thing"):
            world.repository.write({f".kedge/{name}.yaml": application(name, namespace="default")})
        world.repository.write(
            {".kedge/shop.yaml": PROJECT, "apps/web/config.yaml": config("hello"), "apps/thing/one.yaml": THING}
        )
        begun = world.pushed("begin")
        await world.synced("shop/web", begun)
        await world.synced("shop/thing", begun)
        proxy.meet = lambda asked: Fate.AWAY if asked.path.startswith(THINGS) else Fate.FINE
        proxy.cut()
        rows = await seen_by_many(world, outside)
        assert "not verified since" in rows["shop/thing"]["late"]
        assert rows["shop/web"]["verifiedAge"] < 4 < rows["shop/thing"]["verifiedAge"]
        proxy.meet = lambda asked: Fate.FINE
        change = {"metadata": {"annotations": {"somebody": "is here again"}}}
        await outside.call("PATCH", f"{THINGS}v1/namespaces/default/things/one", change, MERGE)
        await world.eventually(lambda: verified(world))


async def seen_by_many(world: World, outside: World) -> Any:
    """Rows of the fleet once the thing is late and the ConfigMap, of which there is news all the while, is not: a
    moment in which nothing on the machine works makes both late, until the next news."""
    for number in range(400):
        change = {"metadata": {"annotations": {"somebody": f"was here {number}"}}}
        await outside.call("PATCH", "/api/v1/namespaces/default/configmaps/web", change, MERGE)
        rows = {row["name"]: row for row in (await world.kedge("get", "-o", "json")).json["items"]}
        if rows["shop/thing"]["late"] and not rows["shop/web"]["late"] and rows["shop/web"]["verifiedAge"] < 4:
            return rows
        await asyncio.sleep(0.2)
    raise AssertionError(f"never the one late and the other not: {rows}")


async def verified(world: World) -> bool:
    return any(event.kind == "unit.verified" for event in await world.house.doors.store.latest("shop/thing"))
