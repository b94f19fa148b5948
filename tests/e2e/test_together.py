"""A commit that changes a declaration and what it declares is judged as one: never its half under yesterday's rules."""

from __future__ import annotations

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of
from tests.e2e.world import World, standing

pytestmark = pytest.mark.e2e

RULES = ("  approve: {when: always}", "  sync: {auto: false}")


async def begun(world: World) -> None:
    world.repository.write(
        {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **folder_of("web", "a")}
    )
    await world.synced("shop/web", world.pushed("begin"))


@pytest.mark.parametrize("rule", RULES)
async def test_a_commit_that_asks_for_a_person_does_not_go_past_that_person_itself(tmp_path, access, rule):
    async with standing(tmp_path, access=access) as world:
        await begun(world)
        world.repository.write({".kedge/web.yaml": application("web", rule), "apps/web/config.yaml": config("b")})
        commit = world.pushed("from here on, ask")
        held = await world.until("shop/web", lambda d: bool(d.head and d.head.commit == commit and d.shown.why))
        assert held.runs == 1
        assert await world.greeting("web") == "a"


async def test_a_folder_and_the_declaration_that_names_it_move_in_one_commit_without_a_bad_moment(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        await begun(world)
        moved = application("web", source="{path: elsewhere/web}")
        gone = dict.fromkeys(folder_of("web", "a"))
        world.repository.write({".kedge/web.yaml": moved, **gone, **folder_of("web", "b", at="elsewhere/")})
        commit = world.pushed("move the folder")
        await world.synced("shop/web", commit)
        assert await world.greeting("web") == "b"
        told = await world.house.doors.store.latest("shop/web", limit=100)
        assert [event.message for event in told if event.kind == "unit.trouble"] == []


async def test_a_sync_asks_git_first_and_is_not_answered_with_the_commit_before(tmp_path, access):
    async with standing(tmp_path, access=access, poll=3600.0) as world:
        await begun(world)
        world.repository.write({"apps/web/config.yaml": config("b")})
        world.repository.push("nobody is told")
        said = await world.kedge("sync", "shop/web", "-y")
        assert said.code == 0, said.err
        assert await world.greeting("web") == "b"
        names = (await world.kedge("tree", "shop/web", "-o", "name")).out.splitlines()
        assert {"Namespace web", "ConfigMap web/web"} <= set(names)


async def test_a_sync_goes_on_with_what_is_known_where_git_does_not_answer(tmp_path, access):
    async with standing(tmp_path, access=access, poll=3600.0) as world:
        await begun(world)
        world.forge.down()
        said = await world.kedge("sync", "shop/web", "-y")
        assert said.code == 0, said.err
        assert f"what is known is applied: source {world.repository.url} main:" in said.err


async def test_a_sync_of_what_the_server_refuses_answers_at_once(tmp_path, access):
    async with standing(tmp_path, access=access, poll=3600.0) as world:
        await begun(world)
        world.repository.write({"apps/web/config.yaml": config("b", name="Not_A_Name")})
        world.repository.push("a bad name")
        said = await world.kedge("sync", "shop/web", "-y", "--timeout", "40s")
        assert said.code == 4, said.err
        assert "Not_A_Name" in said.err
