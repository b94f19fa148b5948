"""How a unit goes: its hooks, its objects, and what comes back."""

from __future__ import annotations

import asyncio

import pytest
from tests.doors.town import WEB, Town, file, in_town, unit

from kedge.model.declaration import OnRemove, SyncSection
from kedge.model.dossier import Dossier, Sync
from kedge.model.errors import Invalid
from kedge.model.operation import Cause
from kedge.model.person import Person
from kedge.model.record import Record
from kedge.model.ref import UnitName

MONA = Person("mona", ("sre",))
PIA = Person("pia", ("dev",))
HOOK = "argocd.argoproj.io/hook"
POLICY = "argocd.argoproj.io/hook-delete-policy"


@pytest.mark.parametrize(("rule", "left"), [(OnRemove.KEEP, 1), (OnRemove.DELETE, 0), (OnRemove.ASK, 1)])
def test_a_unit_that_leaves_git_does_with_its_objects_as_it_declared(rule: OnRemove, left: int) -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), on_remove=rule)
        await asyncio.sleep(60)
        await town.enlist({})
        await asyncio.sleep(60)
        assert len(town.standing()) == left
        assert (await town.dossier("shop/web") is not None) == (rule is OnRemove.ASK)

    in_town(story)


@pytest.mark.parametrize("name", ["last", ""])
def test_a_removal_runs_its_hooks_once_and_leaves_nothing_of_theirs(name: str) -> None:
    """The hook's object stayed in the inventory: the next removal deleted it, and its hook made it anew, for ever."""

    async def story(town: Town) -> None:
        path, body = file("Job", "last", notes={HOOK: "PreDelete"}, seconds=3)
        if not name:
            body = body.replace(b'"name": "last"', b'"generateName": "last-"')
        await town.open((path, body), file("ConfigMap", "a"), on_remove=OnRemove.DELETE)
        await asyncio.sleep(60)
        await town.enlist({})
        await asyncio.sleep(120)
        assert town.standing() == []
        assert await town.dossier("shop/web") is None
        assert len(await town.store.operations("shop/web")) == 2

    in_town(story)


def test_objects_that_hooks_left_behind_go_with_their_unit() -> None:
    """They were taken for a stranger's, kept, and forgotten."""

    async def story(town: Town) -> None:
        hook = file("Job", "move", notes={HOOK: "PreSync"}, seconds=1)
        await town.open(hook, file("ConfigMap", "a"), on_remove=OnRemove.DELETE)
        await asyncio.sleep(60)
        assert "Job move" in town.standing()
        await town.enlist({})
        await asyncio.sleep(60)
        assert town.standing() == []

    in_town(story)


def test_a_unit_that_is_declared_again_while_its_removal_ends_is_not_forgotten() -> None:
    """The end of the removal forgot it, and no root would have named it anew before its next commit."""

    async def story(town: Town) -> None:
        hook = file("Job", "last", notes={HOOK: "PreDelete"}, seconds=20)
        await town.open(hook, file("ConfigMap", "a"), on_remove=OnRemove.DELETE)
        await asyncio.sleep(60)
        record = town.store.record

        async def late(new: Record) -> Dossier:
            if new.forget:
                town.store.record = record  # type: ignore[method-assign]
                await town.enlist({"shop/web": unit()})
            return await record(new)

        town.store.record = late  # type: ignore[method-assign]
        await town.enlist({})
        await asyncio.sleep(120)
        assert (await town.web()).shown.sync is Sync.SYNCED
        assert "ConfigMap a" in town.standing()

    in_town(story)


def test_a_unit_whose_set_was_found_in_force_can_be_removed() -> None:
    """Its rendered set was remembered but not kept, and a removal needs it for its hooks."""

    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), file("ConfigMap", "b"), sync=SyncSection(prune=False))
        await asyncio.sleep(60)
        town.push(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        web = await town.web()
        assert web.rendering is not None
        assert await town.store.rendered(web.rendering.rendered) is not None

    in_town(story)


def test_a_removal_is_no_state_to_go_back_to() -> None:
    """It names a set for its hooks' sake, perhaps one that never was in force: going back to it pruned what was."""

    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), on_remove=OnRemove.DELETE)
        await asyncio.sleep(60)
        await town.enlist({})
        town.cluster.linger = lambda _: 1000.0
        await asyncio.sleep(10)
        await town.enlist({"shop/web": unit()})
        await asyncio.sleep(1200)
        runs = await town.store.operations("shop/web")
        assert Cause.REMOVAL in {run.cause for run in runs}
        for to in ("2", ""):
            with pytest.raises(Invalid, match="go back to"):
                await town.kedge.commands.rollback(MONA, WEB, to, "worse")

    in_town(story)


def test_a_removal_runs_no_hook_that_nobody_agreed_to() -> None:
    """It ran those of the newest set, also where that one still waited for approval."""

    async def story(town: Town) -> None:
        await town.open(file("PersistentVolumeClaim", "data"), file("ConfigMap", "a"), on_remove=OnRemove.DELETE)
        await asyncio.sleep(60)
        town.push(file("ConfigMap", "a"), file("Job", "bye", notes={HOOK: "PreDelete"}))
        await asyncio.sleep(60)
        plan = (await town.web()).plan
        assert plan is not None
        assert plan.needs is not None
        await town.enlist({})
        await asyncio.sleep(60)
        assert town.standing() == []
        assert not [line for line in town.story if "Job web/bye" in line]

    in_town(story)


def test_what_comes_after_another_is_removed_before_it() -> None:
    """The namespaces went first, with all that was in them."""

    async def story(town: Town) -> None:
        await town.live()
        first = file("ConfigMap", "a")
        api = UnitName("shop", "api")
        last = ("apps/api/b.json", first[1].replace(b'"a"', b'"b"'))
        hook = ("apps/api/c.json", file("Job", "last", notes={HOOK: "PreDelete"}, seconds=60)[1])
        town.source.commit(dict([first, last, hook]), time=town.clock.now())
        rule = OnRemove.DELETE
        await town.enlist({"shop/web": unit(on_remove=rule), "shop/api": unit(api, on_remove=rule, after=(WEB,))})
        await asyncio.sleep(60)
        assert len(town.standing()) == 2
        await town.enlist({})
        await asyncio.sleep(20)
        held = await town.dossier("shop/web")
        assert held is not None
        assert held.shown.why.endswith("waits until shop/api is removed, which comes after it")
        await asyncio.sleep(120)
        assert town.standing() == []
        ended = {name: (await town.store.operations(name))[0].finished for name in ("shop/web", "shop/api")}
        assert ended["shop/api"] <= ended["shop/web"]

    in_town(story)
