"""What reads a value that is not there yet is shown with a hole, agreed to once, and applied when it is filled."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.doors.town import WEB, Town, file, in_town, unit

from kedge.model.declaration import ApproveSection, SyncSection, ValueType, When
from kedge.model.dossier import Dossier
from kedge.model.person import Person
from kedge.model.plan import Plan
from kedge.model.ref import UnitName
from kedge.model.rendering import SubstituteSection
from kedge.model.unit import Input, OutputField, RenderSpec

MONA = Person("mona", ("sre",))
DB = UnitName("shop", "db")
ASK = ApproveSection(When.ALWAYS)
WAITS = "waits for shop/db.endpoint, which is not there yet"


def database(text: str) -> tuple[str, bytes]:
    """The file of shop/db that its output is read from."""
    name, data = file("ConfigMap", "db", endpoint=text)
    return name.replace("apps/web", "apps/db"), data


def reader(type: ValueType = ValueType.STRING, **more: Any) -> Any:
    variables = SubstituteSection(variables={"host": {"$input": "host"}})
    inputs = (Input("host", DB, "endpoint", type),)
    return unit(inputs=inputs, render=RenderSpec(substitute=variables), **more)


async def opened(town: Town, *files: tuple[str, bytes], web: Any = None, later: str = "db.local") -> None:
    """shop/web reads what shop/db puts out once somebody has agreed to it."""
    await town.live()
    town.source.commit(dict((database(later), *files)), time=town.clock.now())
    upstream = unit(DB, approve=ASK, outputs=(OutputField("endpoint", "ConfigMap/db", "spec.endpoint"),))
    await town.enlist({"shop/web": web or reader(approve=ASK), "shop/db": upstream})
    await asyncio.sleep(30)


async def held(town: Town) -> tuple[Dossier, Plan]:
    dossier = await town.web()
    assert dossier.plan is not None
    return dossier, dossier.plan


async def agree(town: Town, name: UnitName = WEB) -> None:
    dossier = await town.dossier(str(name))
    assert dossier is not None
    assert dossier.plan is not None
    await town.kedge.commands.approve(MONA, name, dossier.plan.effects, "fine")
    await asyncio.sleep(30)


def test_one_approval_is_enough_though_it_was_given_with_a_hole() -> None:
    async def story(town: Town) -> None:
        await opened(town, file("ConfigMap", "a", url="http://${host}:80"), file("ConfigMap", "b"))
        dossier, plan = await held(town)
        assert plan.holes == ("shop/db.endpoint",)
        assert [(str(change.ref), [f.after for f in change.fields]) for change in plan.changes] == [
            ("ConfigMap web/a", ['"http://‹shop/db.endpoint›:80"']),
            ("ConfigMap web/b", []),
        ]
        assert f"2 to create; {WAITS}; waits for 1 approval" in dossier.shown.why
        await agree(town)
        dossier, plan = await held(town)
        assert (dossier.shown.why, plan.needs) == (f"2 to create; {WAITS}", None)
        assert town.standing() == [], "nothing of it is applied before the hole is filled"
        said = [event.message for event in await town.store.events(unit="shop/web") if event.kind == "plan.approved"]
        assert [text.endswith(": 2 to create, before shop/db.endpoint is there") for text in said] == [True]
        await agree(town, DB)
        assert town.standing() == ["ConfigMap a", "ConfigMap b", "ConfigMap db"]
        dossier = await town.web()
        assert (dossier.shown.sync, dossier.runs, dossier.approvals) == ("Synced", 1, ())
        assert dossier.last is not None
        assert dossier.last.reason == "approved by mona"
        bodies = [thing.body["spec"] for ref, thing in town.cluster.things.items() if ref.name == "a"]
        assert bodies == [{"url": "http://db.local:80"}]

    in_town(story)


def test_what_needs_no_approval_is_applied_when_its_hole_is_filled() -> None:
    async def story(town: Town) -> None:
        await opened(town, file("ConfigMap", "a", host="${host}"), web=reader())
        dossier, plan = await held(town)
        assert (plan.needs, dossier.shown.why) == (None, f"1 to create; {WAITS}")
        await agree(town, DB)
        assert (await town.web()).shown.sync == "Synced"

    in_town(story)


def test_an_approval_of_another_commit_says_nothing_of_this_one() -> None:
    async def story(town: Town) -> None:
        await opened(town, file("ConfigMap", "a", host="${host}"))
        await agree(town)
        town.push(database("db.local"), file("ConfigMap", "a", host="${host}", more="x"))
        await asyncio.sleep(30)
        await agree(town, DB)
        dossier, plan = await held(town)
        assert town.standing() == ["ConfigMap db"]
        assert plan.holes == ()
        assert dossier.shown.why.endswith("; not what was approved: create ConfigMap web/a")
        await agree(town)
        assert town.standing() == ["ConfigMap a", "ConfigMap db"]

    in_town(story)


def test_a_deletion_that_was_not_agreed_to_with_the_hole_is_held_and_named() -> None:
    async def story(town: Town) -> None:
        disk = file("PersistentVolumeClaim", "disk")
        await opened(town, file("ConfigMap", "a", host="old"), disk, web=unit())
        assert town.standing() == ["ConfigMap a", "PersistentVolumeClaim disk"]
        town.source.commit(dict((database("new"), file("ConfigMap", "a", host="${host}"), disk)), time=town.clock.now())
        await town.enlist({"shop/web": reader(approve=ASK), "shop/db": town.units["shop/db"]})
        town.kedge.rounds.hint(lambda repository: True, "main")
        await asyncio.sleep(30)
        _, plan = await held(town)
        assert [(str(change.ref), [(f.before, f.after) for f in change.fields]) for change in plan.changes] == [
            ("ConfigMap web/a", [('"old"', '"‹shop/db.endpoint›"')])
        ]
        await agree(town)
        town.push(database("new"), file("ConfigMap", "a", host="${host}"))
        await asyncio.sleep(30)
        await agree(town, DB)
        dossier, plan = await held(town)
        assert plan.holes == ()
        assert town.standing() == ["ConfigMap a", "ConfigMap db", "PersistentVolumeClaim disk"]
        assert dossier.shown.why.endswith("; not what was approved: delete PersistentVolumeClaim web/disk")

    in_town(story)


def test_what_can_not_be_shown_with_a_hole_names_the_value_and_waits() -> None:
    async def story(town: Town) -> None:
        await opened(town, file("ConfigMap", "${host}"))
        dossier = await town.web()
        assert dossier.plan is None
        assert dossier.shown.why == WAITS
        await agree(town, DB)
        await agree(town)
        assert town.standing() == ["ConfigMap db", "ConfigMap db.local"]

    in_town(story)


def test_a_hole_in_a_hook_alone_holds_the_unit_too() -> None:
    async def story(town: Town) -> None:
        hook = file("Job", "migrate", notes={"argocd.argoproj.io/hook": "PreSync"}, host="${host}")
        await opened(town, hook, web=reader())
        dossier, plan = await held(town)
        assert (plan.empty, plan.done_before, plan.holes) == (False, False, ("shop/db.endpoint",))
        assert dossier.shown.sync == "OutOfSync"
        assert dossier.runs == 0

    in_town(story)


def test_a_sync_that_was_asked_for_meanwhile_is_owed_until_the_hole_is_filled() -> None:
    async def story(town: Town) -> None:
        web = reader(sync=SyncSection(auto=False))
        await opened(town, file("ConfigMap", "a", host="${host}"), web=web)
        await town.kedge.commands.sync(MONA, WEB, "now")
        await asyncio.sleep(30)
        assert town.standing() == []
        await agree(town, DB)
        assert town.standing() == ["ConfigMap a", "ConfigMap db"]

    in_town(story)
