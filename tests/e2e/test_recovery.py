"""The database is lost: the key and the installation's name are left, and a cluster full of what it put there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of
from tests.e2e.world import MONA, Cluster, Forge, Repository, World, clustered, forged, served, without_bugs

from kedge.compose import Parts, open_house
from kedge.control.road.enlist import AdminRoot
from kedge.kube.kubeconfig import Access
from kedge.model.dossier import Dossier
from kedge.model.ref import UnitName

pytestmark = pytest.mark.e2e

WEB = UnitName("shop", "web")
MAPS = "/api/v1/namespaces/web/configmaps"
OPEN = "  onRemove: delete\n"


@dataclass
class Place:
    """What outlives a house: the forge, the cluster and the data directory."""

    folder: Path
    forge: Forge
    repository: Repository
    sandbox: Cluster | None
    access: Access

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def lose_the_database(self) -> None:
        for file in self.data.glob("kedge.db*"):
            file.unlink()

    @asynccontextmanager
    async def house(self) -> AsyncIterator[World]:
        async with AsyncExitStack() as stack:
            stack.enter_context(without_bugs())
            parts = Parts(self.data, {}, access=self.access, poll=1.0)
            house = await stack.enter_async_context(open_house(parts, AdminRoot(self.repository.url, "main")))
            url = await stack.enter_async_context(served(house, self.data, ""))
            await house.start()
            yield World(house, self.repository, self.access, self.forge, self.sandbox, self.data, url)


@asynccontextmanager
async def placed(folder: Path, access: Access | None) -> AsyncIterator[Place]:
    (folder / "data").mkdir(mode=0o700)
    async with AsyncExitStack() as stack:
        forge = stack.enter_context(forged(folder))
        sandbox = None
        if access is None:
            sandbox, access = await stack.enter_async_context(clustered(folder / "cluster"))
        yield Place(folder, forge, forge.repository("system"), sandbox, access)


def several(count: int) -> dict[str, str | None]:
    return {f"apps/web/more{number}.yaml": config("x", f"more{number}") for number in range(count)}


def declared(more: str = "", **files: str) -> dict[str, str | None]:
    inner: dict[str, str | None] = {f"apps/web/{name}.yaml": text for name, text in files.items()}
    return {
        ".kedge/shop.yaml": PROJECT,
        ".kedge/web.yaml": application("web", more),
        **folder_of("web", "hello"),
        **inner,
    }


async def uids(world: World) -> dict[str, str]:
    items = (await world.call("GET", f"{MAPS}?labelSelector=kedge.dev/unit"))["items"]
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}


async def told(world: World, kind: str) -> list[str]:
    events = await world.house.doors.store.latest("shop/web", limit=100)
    return [event.message for event in events if event.kind == kind]


def waits(dossier: Dossier) -> bool:
    return dossier.plan is not None and dossier.plan.needs is not None and bool(dossier.shown.why)


async def test_a_house_without_its_database_goes_on_as_itself_and_writes_nothing(tmp_path, access):
    async with placed(tmp_path, access) as place:
        place.repository.write(declared(other=config("x", "other")))
        commit = place.repository.push("begin")
        async with place.house() as world:
            await world.synced("shop/web", commit)
            before, name = await uids(world), world.house.doors.installation.id
            versions = await world.call("GET", f"{MAPS}/web")
        place.lose_the_database()
        async with place.house() as world:
            dossier = await world.synced("shop/web", commit)
            assert world.house.doors.installation.id == name
            assert await uids(world) == before
            assert (await world.call("GET", f"{MAPS}/web"))["metadata"] == versions["metadata"]
            assert (dossier.runs, len(dossier.inventory)) == (0, 3)
            assert "3 objects that carry its mark" in (await world.kedge("get", "event")).out
            assert len(await told(world, "unit.recovered")) == 1


async def test_what_left_git_while_the_database_was_lost_is_pruned(tmp_path, access):
    async with placed(tmp_path, access) as place:
        place.repository.write(declared(other=config("x", "other")))
        begun = place.repository.push("begin")
        async with place.house() as world:
            await world.synced("shop/web", begun)
            before = await uids(world)
        place.lose_the_database()
        place.repository.write({"apps/web/other.yaml": None})
        commit = place.repository.push("without the other")
        async with place.house() as world:
            await world.synced("shop/web", commit)
            assert await uids(world) == {"web": before["web"]}
            assert await world.call("GET", f"{MAPS}/other") is None


async def test_a_prune_of_much_still_asks_after_the_database_was_lost(tmp_path, access):
    async with placed(tmp_path, access) as place:
        place.repository.write({**declared(), **several(8)})
        begun = place.repository.push("begin")
        async with place.house() as world:
            await world.synced("shop/web", begun)
            assert len(await uids(world)) == 9
        place.lose_the_database()
        place.repository.write(dict.fromkeys(several(8)))
        commit = place.repository.push("without most")
        async with place.house() as world:
            held = await world.until("shop/web", waits)
            assert len(await uids(world)) == 9
            await world.retried(lambda: world.house.commands.approve(MONA, WEB, held.plan.effects[:12], "meant"))
            await world.synced("shop/web", commit)
            assert list(await uids(world)) == ["web"]


async def test_a_unit_that_left_git_with_the_database_keeps_its_objects_and_is_told(tmp_path, access, monkeypatch):
    monkeypatch.setattr("kedge.control.shift.shift.TIDY", 0.3)
    async with placed(tmp_path, access) as place:
        both = {**declared(), ".kedge/old.yaml": application("old", OPEN), **folder_of("old", "bye")}
        place.repository.write(both)
        begun = place.repository.push("begin")
        async with place.house() as world:
            await world.synced("shop/web", begun)
            await world.synced("shop/old", begun)
        place.lose_the_database()
        place.repository.write({".kedge/old.yaml": None, **dict.fromkeys(folder_of("old", "bye"))})
        commit = place.repository.push("without the old one")
        async with place.house() as world:
            await world.synced("shop/web", commit)
            said = await world.said("no root declares it", "get", "event")
            assert "2 objects carry its mark" in said
            assert await world.greeting("old") == "bye"
            place.repository.write(both)
            again = place.repository.push("declared again")
            found = await world.synced("shop/old", again)
            assert len(found.inventory) == 2
            place.repository.write({".kedge/old.yaml": None, **dict.fromkeys(folder_of("old", "bye"))})
            place.repository.push("and removed")
            await world.gone("shop/old")
            assert await world.greeting("old") is None


async def test_a_pin_that_was_lost_with_the_database_holds_until_a_person_says_what_to_do(tmp_path, access):
    async with placed(tmp_path, access) as place:
        place.repository.write(declared())
        good = place.repository.push("good")
        async with place.house() as world:
            await world.synced("shop/web", good)
            world.repository.write({"apps/web/config.yaml": config("bad")})
            await world.synced("shop/web", world.pushed("bad"))
            await world.retried(lambda: world.house.commands.rollback(MONA, WEB, "1", "it was bad"))
            await world.synced("shop/web", good)
            note = await pinned(world)
            assert note is not None
            assert note.startswith("to run 1 (")
        place.lose_the_database()
        async with place.house() as world:
            held = await world.until("shop/web", lambda d: "suspended" in d.shown.why)
            assert "it was pinned to run 1" in held.shown.why
            assert await world.greeting("web") == "hello"
            await world.retried(lambda: world.house.commands.resume(MONA, WEB, "the bad one is good now"))
            await world.until("shop/web", lambda d: d.runs == 1 and d.operation is None)
            assert await world.greeting("web") == "bad"
            assert await pinned(world) is None


async def pinned(world: World) -> str | None:
    live: Any = await world.call("GET", f"{MAPS}/web")
    found: str | None = live["metadata"]["annotations"].get("kedge.dev/pinned")
    return found


async def test_a_database_of_another_installation_is_refused(tmp_path):
    async with placed(tmp_path, None) as place:
        async with place.house():
            assert (place.data / "installation").read_text().strip()
        (place.data / "installation").write_text("another\n")
        with pytest.raises(Exception, match="the file beside it names another"):
            async with place.house():
                pass


async def test_what_was_kept_when_its_unit_left_git_is_the_unit_s_again_when_it_comes_back(tmp_path, access):
    async with placed(tmp_path, access) as place:
        keeping = declared("  onRemove: keep\n", other=config("x", "other"))
        place.repository.write(keeping)
        begun = place.repository.push("begin")
        async with place.house() as world:
            await world.synced("shop/web", begun)
            world.repository.write({".kedge/web.yaml": None})
            world.pushed("let go")
            await world.gone("shop/web")
            back = {**keeping, "apps/web/other.yaml": None}
            world.repository.write({name: text for name, text in back.items() if text is not None})
            (world.repository.work / "apps/web/other.yaml").unlink()
            await world.synced("shop/web", world.pushed("back, without the other"))
            assert list(await uids(world)) == ["web"]
