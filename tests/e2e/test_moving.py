"""Units whose target becomes another: nothing is moved unasked, and nothing is left behind without a word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.test_clusters import Fleet, Side, running, said_in, unit
from tests.e2e.world import MONA, World, clustered, standing

from kedge.kube.ask import Asker
from kedge.kube.kubeconfig import Access
from kedge.model.dossier import Dossier
from kedge.model.ref import UnitName
from kedge.sandbox.wire import Request

pytestmark = pytest.mark.e2e

SICK = UnitName("shop", "sick")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.targets.kubernetes.sites.RENEW", 0.2)
    monkeypatch.setitem(Asker.__init__.__kwdefaults__, "deadline", 2.0)


async def held(found: Fleet, sentence: str) -> Dossier:
    """Until the unit waits for an approval, and says `sentence`."""
    return await found.world.until(
        "shop/sick",
        lambda d: d.operation is None and d.plan is not None and d.plan.needs is not None and sentence in d.shown.why,
    )


async def agree(found: Fleet, dossier: Dossier) -> None:
    assert dossier.plan is not None
    said = await found.world.kedge("approve", "shop/sick", "--effects", dossier.plan.effects[:12], "-y")
    assert said.code == 0, said


async def told(found: Fleet, kind: str) -> list[str]:
    events = await found.world.house.doors.store.latest("shop/sick")
    return [event.message for event in events if event.kind == kind]


def moving(found: Fleet, *, more: str = "", cluster: str = "", namespace: str = "") -> None:
    """Not yet pushed."""
    declared = application("sick", more, namespace=namespace)
    where = declared.replace("target: {", f"target: {{cluster: {cluster or 'sick'}, ")
    found.world.repository.write({".kedge/sick.yaml": where})


def maps_in(cluster: Side, namespace: str) -> list[str]:
    answer = cluster.core.handle(Request.of("GET", f"/api/v1/namespaces/{namespace}/configmaps"))
    names = [item["metadata"]["name"] for item in answer.json()["items"]]
    return [name for name in names if name != "kube-root-ca.crt"]


async def test_a_cluster_declared_at_another_server_is_a_plan_that_waits_for_a_person(
    tmp_path: Path, access: Access | None
) -> None:
    async with running(tmp_path, access) as found, clustered(tmp_path / "other") as (other, there):
        found.environ["SICK"], before = there.token, found.access["sick"].server
        found.access["sick"] = there
        found.declare("sick", "token: {env: SICK}")
        found.world.pushed("move")
        waits = await held(found, f"cluster sick was {before} and is {there.server} now")
        assert f"leaves its 2 objects at {before} as they are" in waits.shown.why
        assert waits.plan is not None
        assert waits.plan.summary() == "2 to create"
        assert said_in(other, "sick") is None
        # What Git says meanwhile is applied nowhere either.
        found.world.repository.write(folder_of("sick", "goodbye"))
        commit = found.world.pushed("goodbye")
        waits = await found.world.until("shop/sick", lambda d: d.plan is not None and d.plan.revision.commit == commit)
        assert (said_in(found.sick, "sick"), said_in(other, "sick")) == ("hello", None)
        await agree(found, waits)
        await found.world.synced("shop/sick", commit)
        assert (said_in(found.sick, "sick"), said_in(other, "sick")) == ("hello", "goodbye")
        assert await told(found, "unit.moved") == [f"moved: 2 objects at {before} left as they are, unmanaged"]


async def test_the_same_cluster_under_another_address_moves_nothing(tmp_path: Path, access: Access | None) -> None:
    async with running(tmp_path, access) as found:
        access = found.access["sick"]
        found.access["sick"] = replace(access, server=access.server.replace("127.0.0.1", "localhost"))
        found.declare("sick", "token: {env: SICK}")
        found.world.pushed("another address")
        await found.world.until("shop/sick", lambda d: d.home.server == found.access["sick"].server)
        found.world.repository.write(folder_of("sick", "goodbye"))
        await found.world.synced("shop/sick", found.world.pushed("goodbye"))
        assert said_in(found.sick, "sick") == "goodbye"
        assert await told(found, "unit.moved") == []


async def test_who_keeps_what_is_removed_moves_to_another_server_unasked_and_it_is_recorded(
    tmp_path: Path, access: Access | None
) -> None:
    async with running(tmp_path, access) as found, clustered(tmp_path / "other") as (other, there):
        found.environ["SICK"], before = there.token, found.access["sick"].server
        found.access["sick"] = there
        found.declare("sick", "token: {env: SICK}")
        moving(found, more="  onRemove: keep\n")
        found.world.pushed("move")
        await found.recovered(cluster=other)
        assert said_in(found.sick, "sick") == "hello"
        assert await told(found, "unit.moved") == [f"moved: 2 objects at {before} left as they are, unmanaged"]


async def test_a_unit_whose_cluster_is_elsewhere_by_now_is_not_removed_there(
    tmp_path: Path, access: Access | None
) -> None:
    async with running(tmp_path, access) as found, clustered(tmp_path / "other") as (_, there):
        found.environ["SICK"], before = there.token, found.access["sick"]
        found.access["sick"] = there
        found.declare("sick", "token: {env: SICK}")
        found.world.repository.write({".kedge/sick.yaml": None})
        found.world.pushed("move and remove")
        await found.world.said(f"its 2 objects are at {before.server}", "get", "sick")
        found.environ["SICK"], found.access["sick"] = before.token, before
        found.declare("sick", "token: {env: SICK}")
        found.world.pushed("move back")
        await agree(found, await held(found, "left Git: approving deletes its 2 objects"))
        await found.world.gone("shop/sick")
        assert maps_in(found.sick, "sick") == []


async def test_a_unit_that_moves_to_another_cluster_is_removed_from_the_first_once_somebody_agrees(
    tmp_path: Path, access: Access | None
) -> None:
    async with running(tmp_path, access) as found:
        moving(found, cluster="well")
        commit = found.world.pushed("move")
        waits = await held(found, "its target moved from cluster sick to well: approving deletes its 2 objects in sick")
        assert waits.plan is not None
        assert (waits.plan.removal, waits.plan.summary()) == (True, "2 to delete")
        assert (said_in(found.sick, "sick"), said_in(found.well, "sick")) == ("hello", None)
        await agree(found, waits)
        await found.world.synced("shop/sick", commit)
        assert (maps_in(found.sick, "sick"), said_in(found.well, "sick")) == ([], "hello")
        assert said_in(found.well, "well") == "hello"


async def test_a_move_to_another_cluster_does_with_what_it_leaves_as_it_is_declared(
    tmp_path: Path, access: Access | None
) -> None:
    async with running(tmp_path, access) as found:
        moving(found, cluster="well", more="  onRemove: keep\n")
        await found.world.synced("shop/sick", found.world.pushed("move, and keep"))
        await found.world.eventually(lambda: there(found.well, "hello"))
        assert said_in(found.sick, "sick") == "hello"
        assert await told(found, "unit.moved") == ["moved: 2 objects in cluster sick left as they are, unmanaged"]
        # Back again: what was left is taken up, and what is left behind now is deleted unasked.
        moving(found, cluster="sick", more="  onRemove: delete\n")
        await found.world.synced("shop/sick", found.world.pushed("move back, and delete"))
        await found.world.eventually(lambda: there(found.well, None))
        assert said_in(found.sick, "sick") == "hello"
        await found.world.synced("shop/sick")


async def there(cluster: Side, greeting: str | None) -> bool:
    return said_in(cluster, "sick") == greeting


async def test_a_unit_that_moves_back_before_anybody_agreed_stays_as_it_was(
    tmp_path: Path, access: Access | None
) -> None:
    async with running(tmp_path, access) as found:
        moving(found, cluster="well")
        found.world.pushed("move")
        await held(found, "its target moved from cluster sick to well")
        found.world.repository.write(unit("sick", "goodbye"))
        dossier = await found.world.synced("shop/sick", found.world.pushed("move back"))
        assert (dossier.runs, said_in(found.sick, "sick"), said_in(found.well, "sick")) == (2, "goodbye", None)


@pytest.mark.parametrize(("rule", "left"), [("ask", []), ("keep", ["web"]), ("delete", [])])
async def test_another_namespace_is_a_plan_that_prunes_the_first_one_as_declared(
    tmp_path: Path, access: Access | None, rule: str, left: list[str]
) -> None:
    async with running(tmp_path, access) as found:
        space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"
        found.world.repository.write({"apps/sick/other.yaml": space, "apps/sick/more.yaml": config("x", "more")})
        await found.world.synced("shop/sick", found.world.pushed("more"))
        found.world.repository.write({"apps/sick/more.yaml": None})
        moving(found, namespace="other", more=f"  onRemove: {rule}\n  approve: {{when: never}}\n")
        commit = found.world.pushed("move")
        if rule == "ask":
            waits = await held(found, "its target moved from namespace sick to other")
            assert waits.plan is not None
            assert waits.plan.summary() == "1 to create, 2 to delete"
            assert maps_in(found.sick, "sick") == ["more", "web"]
            await agree(found, waits)
        await found.world.synced("shop/sick", commit)
        assert maps_in(found.sick, "other") == ["web"]
        expected = ["more", "web"] if rule == "keep" else left
        assert maps_in(found.sick, "sick") == expected
        moves = ["moved: 2 objects in namespace sick left as they are, unmanaged"] if rule == "keep" else []
        assert await told(found, "unit.moved") == moves


async def test_a_rollback_to_another_cluster_shows_that_it_is_a_removal_here_first(
    tmp_path: Path, access: Access | None
) -> None:
    async with running(tmp_path, access) as found:
        moving(found, cluster="well", more="  onRemove: delete\n")
        await found.world.synced("shop/sick", found.world.pushed("move, and delete"))
        await found.world.eventually(lambda: there(found.well, "hello"))
        await found.world.synced("shop/sick")
        commands = found.world.house.commands
        await found.world.retried(lambda: commands.rollback(MONA, SICK, "1", "back"))
        await agree(found, await held(found, "its target moved from cluster well to sick"))
        await found.world.eventually(lambda: there(found.sick, "hello"))
        assert said_in(found.well, "sick") is None


async def test_a_renamed_unit_is_told_who_holds_its_objects_and_may_take_them_over(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        before = application("old", "", source="{path: apps/old}", namespace="old")
        after = before.replace("name: old", "name: new", 1)
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/old.yaml": before, **folder_of("old", "hello")})
        await world.synced("shop/old", world.pushed("begin"))
        uid = await uid_of(world)
        world.repository.write({".kedge/old.yaml": None, ".kedge/new.yaml": after})
        world.pushed("rename")
        why = await world.said("belongs to shop/old, which left Git", "get", "new")
        assert "declare shop/old again with onRemove: keep" in why
        assert "remove it from one of the two" not in why
        # As the sentence says: nothing is deleted.
        world.repository.write({".kedge/old.yaml": f"{before}  onRemove: keep\n"})
        world.pushed("hand over")
        await world.until("shop/old", lambda d: d.removed is None and d.shown.sync == "Synced")
        # The other one hears of it, though nothing of its own has changed.
        await world.said("remove it from one of the two", "get", "new")
        world.repository.write({".kedge/old.yaml": None})
        world.pushed("and remove")
        await world.gone("shop/old")
        await world.said("was left by shop/old, which is not declared any more", "get", "new")
        dossier = await world.until("shop/new", lambda d: d.plan is not None and d.plan.needs is not None)
        assert dossier.plan is not None
        said = await world.kedge("approve", "shop/new", "--effects", dossier.plan.effects[:12], "-y")
        assert said.code == 0, said
        await world.synced("shop/new")
        assert (await uid_of(world), await world.greeting("old")) == (uid, "hello")


async def test_a_unit_that_gets_environments_is_told_that_the_one_without_waits_for_an_approval(
    tmp_path: Path, access: Access | None
) -> None:
    async with standing(tmp_path, access=access) as world:
        plain = application("web")
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": plain, **folder_of("web", "hello")})
        await world.synced("shop/web", world.pushed("begin"))
        world.repository.write({".kedge/web.yaml": f"{plain}  environments: {{prod: {{}}}}\n"})
        commit = world.pushed("an environment")
        await world.said("belongs to shop/web, which left Git and waits for an approval", "get", "shop/web@prod")
        waits = await world.until("shop/web", lambda d: d.removed is not None and d.plan is not None)
        assert waits.plan is not None
        await world.kedge("approve", "shop/web", "--effects", waits.plan.effects[:12], "-y")
        await world.synced("shop/web@prod", commit)
        assert await world.greeting("web") == "hello"


async def uid_of(world: World) -> str:
    found: str = (await world.call("GET", "/api/v1/namespaces/old/configmaps/web"))["metadata"]["uid"]
    return found
