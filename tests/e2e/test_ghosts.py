"""Requests that were lost on their way and arrive long after newer ones: what they say is Kedge's own, and outdated.

A proxy keeps one write of a run, whose sender gives it up and writes again; it is carried out after later commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.test_recovery import placed
from tests.e2e.world import World, asked, clustered, standing
from tests.parts.proxy import Asked, Fate, Proxy, proxied

from kedge.kube.kubeconfig import Access
from kedge.model.ref import UnitName

pytestmark = pytest.mark.e2e

WEB = UnitName("shop", "web")
MAPS = "/api/v1/namespaces/web/configmaps"
EVER = 600.0


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


def kept(proxy: Proxy, name: str) -> Callable[[], bool]:
    """The next write to this ConfigMap is lost until `proxy.settled()`; answers whether it has been met."""
    proxy.ghostly = EVER

    def meet(asked: Asked) -> Fate:
        return Fate.GHOST if asked.write and asked.path == f"{MAPS}/{name}" and not proxy.ghosts else Fate.FINE

    proxy.meet = meet
    return lambda: proxy.struck[Fate.GHOST] == 1


@asynccontextmanager
async def haunted(folder: Path, access: Access | None) -> AsyncIterator[tuple[World, Proxy]]:
    """`shop/web` synced with a ConfigMap `web` that says `hello`, over a proxy."""
    async with AsyncExitStack() as stack:
        if access is None:
            _, access = await stack.enter_async_context(clustered(folder / "sandbox"))
        proxy, through = await stack.enter_async_context(proxied(access, folder / "proxy"))
        world = await stack.enter_async_context(standing(folder, access=through))
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        world.repository.write(folder_of("web", "hello"))
        await world.synced("shop/web", world.pushed("begin"))
        yield world, proxy


async def told(world: World, kind: str) -> list[str]:
    events = await world.house.doors.store.latest("shop/web", limit=100)
    return [event.message for event in events if event.kind == kind]


async def version(world: World, name: str) -> str:
    """What tells a write from none, "" where there is no such object."""
    found = await world.call("GET", f"{MAPS}/{name}")
    return str(found["metadata"]["resourceVersion"]) if found else ""


async def test_an_old_value_that_arrives_late_is_seen_and_taken_back(tmp_path: Path, access: Access | None) -> None:
    async with haunted(tmp_path, access) as (world, proxy):
        met = kept(proxy, "web")
        world.repository.write({"apps/web/config.yaml": config("old")})
        await world.synced("shop/web", world.pushed("old"))
        world.repository.write({"apps/web/config.yaml": config("new")})
        commit = world.pushed("new")
        await world.synced("shop/web", commit)
        assert met()
        assert await world.greeting("web") == "new"
        before = await version(world, "web")
        await proxy.settled()
        assert await version(world, "web") != before, "the late one was carried out"
        drifted = await world.until("shop/web", lambda d: d.operation is None and d.last.cause == "drift")
        assert drifted.last.result == "Succeeded"
        await world.synced("shop/web", commit)
        assert await world.greeting("web") == "new"


async def test_what_was_pruned_and_is_made_anew_by_a_late_request_goes_again(
    tmp_path: Path, access: Access | None
) -> None:
    async with haunted(tmp_path, access) as (world, proxy):
        met = kept(proxy, "extra")
        world.repository.write({"apps/web/extra.yaml": config("x", "extra")})
        await world.synced("shop/web", world.pushed("one more"))
        world.repository.write({"apps/web/extra.yaml": None})
        commit = world.pushed("one less")
        await world.synced("shop/web", commit)
        assert met()
        assert await version(world, "extra") == ""
        # Somebody has copied an object with everything that it bears: nobody has pruned that, and Kedge never wrote it.
        copy = await world.call("GET", f"{MAPS}/web")
        copy["metadata"] = {key: copy["metadata"][key] for key in ("labels", "annotations")} | {"name": "copy"}
        await world.call("POST", f"{MAPS}?fieldManager=kubectl-create", copy)

        await proxy.settled()
        await world.eventually(lambda: pruned_again(world))
        dossier = await world.synced("shop/web", commit)
        assert await version(world, "extra") == ""
        assert await version(world, "copy") != ""
        assert "extra" not in {entry.ref.name for entry in dossier.inventory}
        (sentence,) = await told(world, "unit.reclaimed")
        assert (
            sentence == "ConfigMap web/extra was pruned by run 3 and is there again: a request that was lost came late"
        )


async def pruned_again(world: World) -> bool:
    runs = await world.house.doors.store.operations("shop/web")
    return runs[0].number == 4 and runs[0].result == "Succeeded"


async def test_a_late_change_of_what_was_pruned_makes_nothing(tmp_path: Path, access: Access | None) -> None:
    async with haunted(tmp_path, access) as (world, proxy):
        world.repository.write({"apps/web/extra.yaml": config("x", "extra")})
        await world.synced("shop/web", world.pushed("one more"))
        met = kept(proxy, "extra")
        world.repository.write({"apps/web/extra.yaml": config("changed", "extra")})
        await world.synced("shop/web", world.pushed("changed"))
        world.repository.write({"apps/web/extra.yaml": None})
        commit = world.pushed("one less")
        await world.synced("shop/web", commit)
        assert met()
        late = len(proxy.wrote)
        await proxy.settled()
        assert [asked.what for asked in proxy.wrote[late:]] == [f"PATCH {MAPS}/extra"]
        assert await version(world, "extra") == "", "it names the object that it means, and that is gone"
        await world.synced("shop/web", commit)
        assert await told(world, "unit.reclaimed") == []


async def test_what_came_late_while_kedge_was_away_is_found_when_it_is_back(
    tmp_path: Path, access: Access | None
) -> None:
    async with AsyncExitStack() as stack:
        if access is None:
            _, access = await stack.enter_async_context(clustered(tmp_path / "sandbox"))
        proxy, through = await stack.enter_async_context(proxied(access, tmp_path / "proxy"))
        place = await stack.enter_async_context(placed(tmp_path, through))
        place.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        place.repository.write({**folder_of("web", "hello"), "apps/web/beside.yaml": config("hello", "beside")})
        begun = place.repository.push("begin")
        async with place.house() as world:
            await world.synced("shop/web", begun)
            kept(proxy, "extra")
            world.repository.write({"apps/web/extra.yaml": config("x", "extra")})
            await world.synced("shop/web", world.pushed("one more"))
            world.repository.write({"apps/web/extra.yaml": None})
            commit = world.pushed("one less")
            await world.synced("shop/web", commit)
        await proxy.settled()
        assert await asked(access, "GET", f"{MAPS}/extra") is not None
        async with place.house() as world:
            await world.eventually(lambda: pruned_again(world))
            await world.synced("shop/web", commit)
            assert await version(world, "extra") == ""
            assert len(await told(world, "unit.reclaimed")) == 1
