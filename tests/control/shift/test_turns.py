"""Turns: one unit at a time, and what goes wrong in one comes back by itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from tests.doors.memory_cluster import Write
from tests.doors.town import Town, file, in_town, unit

from kedge.control.shift.turns import LIMIT
from kedge.model.declaration import OnRemove
from kedge.model.errors import Unavailable
from kedge.model.person import Person
from kedge.model.ref import Ref, UnitName


def test_a_cluster_that_does_not_answer_is_asked_again_and_the_unit_says_why() -> None:
    async def story(town: Town) -> None:
        await town.live()
        calls = []

        async def down(what: str) -> None:
            calls.append(town.clock.now())
            if len(calls) < 4:
                raise Unavailable("the cluster does not answer")

        town.kedge.target.before = down
        town.source.commit(dict([file("ConfigMap", "a")]))
        await town.enlist({"shop/web": unit()})
        await asyncio.sleep(3)
        assert (await town.web()).shown.why.startswith("the cluster does not answer")
        await asyncio.sleep(120)
        assert town.standing() == ["ConfigMap a"]

    in_town(story)


def test_a_dependent_goes_on_as_soon_as_what_it_waits_for_is_healthy() -> None:
    async def story(town: Town) -> None:
        await town.live()
        db = UnitName("shop", "db")
        _, body = file("Deployment", "db", seconds=40)
        town.source.commit({"apps/db/db.json": body, **dict([file("ConfigMap", "a")])})
        await town.enlist({"shop/web": unit(after=(db,)), "shop/db": unit(db)})
        await asyncio.sleep(30)
        assert town.standing() == ["Deployment db"]
        assert "waits for shop/db" in (await town.web()).shown.why
        await asyncio.sleep(20)
        assert town.standing() == ["ConfigMap a", "Deployment db"]

    in_town(story)


def test_what_an_object_says_of_itself_at_every_step_is_told_once_a_second() -> None:
    async def story(town: Town) -> None:
        await town.live()
        town.source.commit(dict([file("ConfigMap", "a")]))
        await town.enlist({"shop/web": unit()})
        await asyncio.sleep(5)
        before = town.kedge.turns.taken
        for _ in range(20):
            for ring in town.kedge.target.rings:
                ring("shop/web", Ref("", "ConfigMap", "web", "a"), "words")
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        assert 2 <= town.kedge.turns.taken - before <= 3

    in_town(story)


def test_what_an_object_says_of_itself_takes_no_turn_from_those_who_wait_for_one() -> None:
    """While a fleet of 400 was declared, three of four units took a turn and a record for "Created new replica set"."""

    async def story(town: Town) -> None:
        await town.live()
        town.source.commit(dict([file("ConfigMap", "a")]))
        await town.enlist({"shop/web": unit()})
        await asyncio.sleep(5)
        turns = town.kedge.turns
        before = turns.taken
        for number in range(2 * LIMIT):
            turns.queue.ring(f"shop/x{number}")
        turns.hear("shop/web", "words")
        await asyncio.sleep(2.9)
        assert turns.taken == before + 2 * LIMIT
        await asyncio.sleep(0.2)
        assert turns.taken == before + 2 * LIMIT + 1

    in_town(story)


def test_what_rang_while_a_run_was_at_work_is_compared_in_the_turn_that_ends_it() -> None:
    async def story(town: Town) -> None:
        await town.live()
        town.source.commit(dict([file("Deployment", "a", seconds=4)]))
        await town.enlist({"shop/web": unit()})
        await asyncio.sleep(2)
        before = town.kedge.turns.taken
        await asyncio.sleep(60)
        assert (await town.web()).shown.sync == "Synced"
        assert town.kedge.turns.taken - before == 1

    in_town(story)


def test_a_unit_never_has_two_turns_at_once() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        at_once: list[int] = [0, 0]
        load = town.store.load

        async def slow(name: UnitName) -> Any:
            at_once[0] += 1
            at_once[1] = max(at_once)
            await asyncio.sleep(1)
            at_once[0] -= 1
            return await load(name)

        town.store.load = slow  # type: ignore[method-assign]
        for _ in range(20):
            town.kedge.turns.ring("shop/web")
            await asyncio.sleep(0.1)
        await asyncio.sleep(30)
        assert at_once[1] == 1

    in_town(story)


def test_a_resync_of_a_unit_at_rest_writes_nothing() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), file("Deployment", "b", seconds=5))
        await asyncio.sleep(60)
        version, writes = (await town.web()).version, town.witness.writes
        await asyncio.sleep(24 * 3600)
        assert ((await town.web()).version, town.witness.writes) == (version, writes)

    in_town(story)


def test_a_unit_that_waits_for_anothers_object_goes_on_as_soon_as_that_one_lets_go() -> None:
    """Nobody rang it: it waited for the next sweep, hours later."""

    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"), file("ConfigMap", "b"), on_remove=OnRemove.DELETE)
        await asyncio.sleep(60)
        new = replace(unit(), name=UnitName("shop", "webx"))
        await town.enlist({"shop/web": unit(on_remove=OnRemove.ASK), "shop/webx": new})
        await asyncio.sleep(60)
        assert "belongs to shop/web" in (await town.dossier("shop/webx")).shown.why
        await town.enlist({"shop/webx": new})
        await asyncio.sleep(60)
        await town.kedge.commands.approve(Person("mona"), UnitName("shop", "web"), (await town.web()).plan.effects, "")
        await asyncio.sleep(60)
        assert await town.dossier("shop/web") is None
        assert (await town.dossier("shop/webx")).shown.sync == "Synced"
        assert town.standing() == ["ConfigMap a", "ConfigMap b"]

    in_town(story)


def test_two_units_that_wait_for_each_others_objects_wait_quietly() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        other = replace(unit(), name=UnitName("shop", "webx"))
        await asyncio.sleep(60)
        _, body = file("ConfigMap", "b")
        town.push(("apps/b/b.json", body))
        b = replace(other, source=replace(other.source, path="apps/b"))
        await town.enlist({"shop/web": unit(), "shop/webx": b})
        await asyncio.sleep(60)
        both = {"apps/web/a.json": file("ConfigMap", "a")[1], "apps/web/b.json": body}
        town.push(*both.items(), ("apps/b/a.json", file("ConfigMap", "a")[1]), ("apps/b/b.json", body))
        await asyncio.sleep(120)
        taken = town.kedge.turns.taken
        await asyncio.sleep(600)
        assert "belongs to" in (await town.web()).shown.why
        assert "belongs to" in (await town.dossier("shop/webx")).shown.why
        assert town.kedge.turns.taken == taken

    in_town(story)


def test_nothing_is_done_to_the_cluster_while_it_can_not_be_written_down() -> None:
    """A full disk had every unit in flight apply its wave anew every few seconds."""

    async def story(town: Town) -> None:
        await town.open(file("Deployment", "a", seconds=5))
        await asyncio.sleep(60)
        town.push(file("Deployment", "a", seconds=6))
        wrote = town.cluster.witness

        def fill(write: Write) -> None:
            wrote(write)
            town.chaos.disk_full = True

        town.cluster.witness = fill
        await asyncio.sleep(600)
        assert town.witness.writes == 2
        town.cluster.witness = wrote
        town.chaos.disk_full = False
        await asyncio.sleep(60)
        assert (await town.web()).shown.sync == "Synced"

    in_town(story)


def test_a_clock_that_is_set_back_does_not_hold_up_what_is_tried_again() -> None:
    async def story(town: Town) -> None:
        hook = {"argocd.argoproj.io/hook": "PreSync"}
        await town.open(file("Job", "move", notes=hook, seconds=1, sick=True), file("ConfigMap", "a"))
        await asyncio.sleep(20)
        while (await town.web()).operation is not None:
            await asyncio.sleep(1)
        town.well = True
        town.clock.jump(-3600.0)
        await asyncio.sleep(200)
        assert "ConfigMap a" in town.standing()

    in_town(story)


def test_a_dependent_whose_upstream_settles_while_its_own_turn_is_under_way_is_rung() -> None:
    # It had looked before, and registered after: it waited for ever for what had already come about.
    async def story(town: Town) -> None:
        await town.live()
        db = UnitName("shop", "db")
        town.source.commit({"apps/db/db.json": file("ConfigMap", "db")[1], **dict([file("ConfigMap", "a")])})
        load = town.store.load

        async def slow(name: UnitName) -> Any:
            found = await load(name)
            task = asyncio.current_task()
            if name == db and task is not None and "shop/web" in task.get_name():
                await asyncio.sleep(2)  # only the look at the upstream is slow: it settles meanwhile
            return found

        town.store.load = slow  # type: ignore[method-assign]
        await town.enlist({"shop/web": unit(after=(db,)), "shop/db": unit(db)})
        await asyncio.sleep(30)
        assert town.standing() == ["ConfigMap a", "ConfigMap db"]

    in_town(story)
