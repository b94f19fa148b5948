"""Repositories and roots that are away, rewritten, half there or at odds: nothing is lost, and nobody else waits."""

from __future__ import annotations

import asyncio

import pytest
from tests.e2e.stories import PROJECT, application, folder_of, hasten
from tests.e2e.world import Repository, World, standing

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


def root(repository: Repository, name: str = "team", path: str = "") -> str:
    return f"""
apiVersion: kedge.dev/v1alpha1
kind: Root
metadata: {{name: {name}}}
spec: {{repository: "{repository.url}", ref: main, path: "{path}", projects: [shop], kinds: [Application]}}
"""


def declared(name: str, greeting: str = "hello") -> dict[str, str | None]:
    """`shop/NAME`, deployed from the repository that it stands in."""
    return {f".kedge/{name}.yaml": application(name), **folder_of(name, greeting)}


async def with_a_team(world: World, path: str = "") -> Repository:
    """`shop/web` in the admin root, `shop/sick` in the root of a team."""
    prefix = f"{path}/" if path else ""
    files = {".kedge/sick.yaml": application("sick"), **folder_of("sick", "hello")}
    moved = {(prefix + name if name.startswith(".kedge") else name): text for name, text in files.items()}
    team = world.forge.repository("team", moved)
    world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/team.yaml": root(team, path=path), **declared("web")})
    world.pushed("begin")
    await world.synced("shop/web")
    await world.synced("shop/sick")
    await world.whole()
    return team


async def goes_on(world: World, greeting: str) -> None:
    """The neighbour is deployed as if nothing were."""
    world.repository.write(folder_of("web", greeting))
    await world.synced("shop/web", world.pushed(f"say {greeting}"))
    assert await world.greeting("web") == greeting


async def unharmed(world: World) -> None:
    """`shop/sick` is declared and deployed as it was, and was run once."""
    dossier = await world.until("shop/sick", lambda d: d.operation is None)
    assert dossier.removed is None
    assert dossier.plan is None
    assert [run.number for run in await world.house.doors.store.operations("shop/sick")] == [1]
    assert await world.greeting("sick") == "hello"


async def recovers(world: World, team: Repository) -> None:
    """The next commit of the team is deployed, with nobody doing anything but push."""
    team.write(folder_of("sick", "well again"))
    commit = team.push("well again")
    world.hint()
    await world.synced("shop/sick", commit)
    assert await world.greeting("sick") == "well again"
    await world.whole()


async def test_a_repository_that_can_not_be_reached_is_told_and_holds_up_only_what_is_in_it(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        team = await with_a_team(world)
        world.forge.hide("team")
        world.hint()
        for words in (("get",), ("get", "sick"), ("get", "source")):
            shown = await world.said(team.url, *words)
            assert "correct the repository's URL" in shown, shown
        assert "source.trouble" in await world.said(team.url, "get", "event")
        await goes_on(world, "goodbye")
        await unharmed(world)
        world.forge.show("team")
        await recovers(world, team)
        await world.silent("source", "get")


async def test_a_server_that_is_down_is_asked_again_until_it_answers(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        await with_a_team(world)
        world.forge.down()
        world.hint()
        shown = await world.said("source http://127.0.0.1", "get")
        assert "look whether its server runs" in shown, shown
        await unharmed(world)
        world.forge.up()
        await goes_on(world, "goodbye")
        await world.silent("source", "get")  # the team's repository is asked again in its own time
        report = await world.house.doors.store.verify_chain()
        assert (report.broken, report.why) == (0, "")


async def test_a_unit_whose_repository_never_answered_says_so_and_starts_when_it_does(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        other = world.forge.repository("other", folder_of("sick", "hello"))
        world.forge.hide("other")
        source = f'{{repository: "{other.url}", path: apps/sick}}'
        sick = application("sick", source=source)
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/sick.yaml": sick, **declared("web")})
        world.pushed("begin")
        await world.synced("shop/web")
        await world.said("no commit of", "get", "sick")
        await world.said(f"source {other.url}", "get", "sick")
        assert await world.greeting("sick") is None
        world.forge.show("other")
        await world.synced("shop/sick")
        assert await world.greeting("sick") == "hello"


async def test_a_rewritten_branch_is_told_and_followed(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, **declared("web"), **declared("sick")})
        before = world.pushed("begin")
        await world.synced("shop/web", before)
        await world.synced("shop/sick", before)
        world.repository.git("checkout", "--quiet", "--orphan", "anew")
        world.repository.write(folder_of("sick", "rewritten"))
        after = world.pushed("another history")
        await world.synced("shop/sick", after)
        assert await world.greeting("sick") == "rewritten"
        await world.synced("shop/web")
        shown = await world.said("source.rewritten", "get", "event")
        assert "history was rewritten" in shown
        assert [run.number for run in await world.house.doors.store.operations("shop/web")] == [1]
        runs = await world.house.doors.store.operations("shop/sick")
        assert [run.revision.commit for run in runs] == [after, before]


async def test_a_branch_that_is_deleted_is_a_source_with_a_problem_and_removes_nothing(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        team = await with_a_team(world)
        team.git("push", "--quiet", "origin", "HEAD:refs/heads/kept")
        world.forge.bare("team", "update-ref", "-d", "refs/heads/main")
        world.hint()
        shown = await world.said("there is no branch or tag “main”", "get")
        assert team.url in shown
        await goes_on(world, "goodbye")
        await unharmed(world)
        await recovers(world, team)


async def test_a_folder_of_a_root_that_vanishes_removes_nothing(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        team = await with_a_team(world, path="ours")
        team.git("rm", "-r", "--quiet", "ours")
        team.push("where did it go?")
        world.hint()
        for words in (("get",), ("get", "sick"), ("get", "source")):
            assert "there is no folder ours" in await world.said("root team", *words)
        await goes_on(world, "goodbye")
        await unharmed(world)
        team.git("checkout", "--quiet", "HEAD~1", "--", "ours")
        await recovers(world, team)


async def test_a_root_whose_every_declaration_is_gone_asks_before_anything_goes(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        team = await with_a_team(world)
        team.git("rm", "-r", "--quiet", ".kedge")
        team.push("all declarations are gone")
        world.hint()
        held = await world.until("shop/sick", lambda d: d.plan is not None and d.plan.removal)
        assert held.plan.needs is not None
        assert "left Git" in await world.said("removed", "get", "sick")
        await goes_on(world, "goodbye")
        assert await world.greeting("sick") == "hello"
        team.git("checkout", "--quiet", "HEAD~1", "--", ".kedge")
        await recovers(world, team)
        assert (await world.house.doors.store.load(held.name)).removed is None


async def test_a_root_that_the_admin_root_no_longer_names_removes_nothing(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        team = await with_a_team(world)
        world.repository.write({".kedge/team.yaml": None})
        world.pushed("the team's root is gone")
        for words in (("get",), ("get", "sick")):
            told = await world.said("root team: the admin root does not name it any more", *words)
            assert "stays as it is" in told
            assert "take their declarations out of it while it is named" in told
        assert "root team" not in (await world.kedge("get", "well")).err
        await goes_on(world, "goodbye")
        await unharmed(world)
        world.repository.write({".kedge/team.yaml": root(team)})
        world.pushed("and here again")
        await recovers(world, team)


async def test_an_admin_root_that_half_loads_forgets_neither_roots_nor_projects(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        team = await with_a_team(world)
        world.repository.write(
            {".kedge/team.yaml": "kind: Root\nmetadata: {name\n", ".kedge/shop.yaml": "kind: [Project"}
        )
        world.pushed("broken roots")
        for file in (".kedge/team.yaml", ".kedge/shop.yaml"):
            assert "line" in await world.said(file, "get")
        await goes_on(world, "goodbye")
        await unharmed(world)
        # What the broken files said last is in force: the team is not held up by them.
        team.write({".kedge/more.yaml": application("more"), **folder_of("more", "hello")})
        team.push("one more")
        world.hint()
        await world.synced("shop/more")
        world.repository.write({".kedge/team.yaml": root(team), ".kedge/shop.yaml": PROJECT})
        world.pushed("mended")
        await recovers(world, team)


async def test_the_first_of_two_roots_keeps_a_name_and_the_second_is_told(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        team = await with_a_team(world)
        world.repository.write(declared("sick", "not this one"))
        world.pushed("the name is taken")
        for words in (("get",), ("get", "source"), ("get", "event")):
            shown = await world.said("shop/sick is declared already", *words)
            assert ".kedge/sick.yaml" in shown
            assert "team" in shown
        await goes_on(world, "goodbye")
        await unharmed(world)
        team.write({".kedge/sick.yaml": None})
        team.push("let it go")
        world.hint()
        await world.until("shop/sick", lambda d: d.unit.root == "admin")
        await world.synced("shop/sick")
        assert await world.greeting("sick") == "not this one"
        await world.whole()


async def test_an_empty_commit_does_nothing_and_writes_nothing(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, **declared("web")})
        await world.synced("shop/web", world.pushed("begin"))
        await world.whole()
        store = world.house.doors.store
        before, made = await store.load((await world.synced("shop/web")).name), await written(world)
        commit = world.pushed("nothing at all")
        await world.until("shop/web", lambda d: d.head.commit == commit)
        events = {event.kind: event for event in await store.latest(limit=1)}
        assert events["source.moved"].commit == commit
        # A change after it has its turn behind it, so everything that the empty one could have caused has come.
        for _ in range(5):
            await asyncio.sleep(0)
        after = await store.load(before.name)
        assert (after.version, after.last, after.rendering) == (before.version, before.last, before.rendering)
        assert await written(world) == made


async def written(world: World) -> str:
    """The version of the last write to the unit's object."""
    found = await world.call("GET", "/api/v1/namespaces/web/configmaps/web")
    return str(found["metadata"]["resourceVersion"])


async def test_an_object_that_two_applications_state_stays_with_the_first(tmp_path, access):
    async with standing(tmp_path, access=access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, **declared("web")})
        await world.synced("shop/web", world.pushed("begin"))
        world.repository.write(
            {
                ".kedge/sick.yaml": application("sick", namespace="web"),
                "apps/sick/config.yaml": folder_of("sick", "mine")["apps/sick/config.yaml"],
            }
        )
        world.pushed("the same ConfigMap")
        shown = await world.said("shop/web", "get", "sick")
        assert "ConfigMap web/web" in shown, shown
        assert "shop/web" in await world.said("ConfigMap web/web", "history", "sick", "--events")
        await goes_on(world, "still mine")
        assert await world.house.doors.store.operations("shop/sick") == []
        world.repository.git("mv", "apps/sick/config.yaml", "apps/sick/other.yaml")
        world.repository.write(
            {
                "apps/sick/other.yaml": folder_of("sick", "mine")["apps/sick/config.yaml"].replace(
                    "name: web", "name: other"
                )
            }
        )
        await world.synced("shop/sick", world.pushed("another name"))
        assert await world.greeting("web", "other") == "mine"
        assert await world.greeting("web") == "still mine"
