"""Stacks on the road, as the simulation of them found it going wrong."""

from __future__ import annotations

import asyncio

from tests.doors.stack_town import DB, StackTown, code, in_stack_town, stack

from kedge.model.declaration import OnRemove
from kedge.model.execution import Task
from kedge.model.person import Person
from kedge.model.ref import UnitName
from kedge.model.unit import Input

MONA = Person("mona", ("sre",))
NET = UnitName("shop", "net")
BEFORE = code(a={"size": "small"}, b={"size": "small"})
AFTER = code(a={"size": "large"}, b={"size": "large"})


def test_who_goes_back_in_git_after_an_apply_that_came_half_way_wants_that_undone() -> None:
    """It was called drift, which nobody had made: with healing off the stack stayed half changed, and units that read
    it, or come after it, did not wait for it."""

    async def story(town: StackTown) -> None:
        await town.open(BEFORE)
        await town.push(AFTER, seconds=1.0)
        apply = await town.at_work()
        while not any(thing.attributes["size"] == "large" for thing in town.cloud.things.values()):
            await asyncio.sleep(0.5)
        town.exec.jobs[apply].ask("somebody pulled the plug")
        await town.push(BEFORE)
        dossier = await town.of()
        assert {thing.attributes["size"] for thing in town.cloud.things.values()} == {"small"}
        assert (dossier.shown.sync, dossier.shown.why) == ("Synced", "")
        assert dossier.last is not None
        assert dossier.last.cause == "commit"

    in_stack_town(story)


def test_a_state_that_somebody_gave_the_stack_right_after_its_apply_is_not_what_the_apply_left() -> None:
    """It was taken for verified until drift was looked for, whatever was in it."""

    async def story(town: StackTown) -> None:
        await town.open(BEFORE)
        pushing = []

        def ended(unit: str, id: str) -> None:
            if id.startswith("apply-"):
                pushing.append(town.loop.create_task(town.pushed()))

        town.exec.subscribe(ended)
        await town.push(AFTER)
        assert [execution.task for execution in town.exec.begun[-3:]] == [Task.PLAN, Task.APPLY, Task.PLAN]
        assert ((await town.of()).shown.sync, len(pushing)) == ("Synced", 1)

    in_stack_town(story)


def test_a_stack_that_leaves_git_with_nothing_left_in_it_is_let_go() -> None:
    """It was looked at again at once, for ever: it owned itself, and there was nothing to destroy."""

    async def story(town: StackTown) -> None:
        await town.open(code(), units=(stack(on_remove=OnRemove.ASK),))
        assert (await town.of()).shown.sync == "Synced"
        await town.enlist({})
        await asyncio.sleep(60)
        assert await town.dossier("shop/db") is None

    in_stack_town(story)


def test_a_stack_that_reads_a_value_which_is_gone_is_not_what_git_states() -> None:
    """It was said to be Synced for as long as the value was away, and units that come after it went on."""

    async def story(town: StackTown) -> None:
        put_out = {"range": {"value": "10.0.0.0/16"}}
        reads = stack(inputs=(Input("host", NET, "range"),), variables={"host": {"$input": "host"}})
        await town.open(code("net", put_out), code(a={"of": "${var.host}"}), units=(stack(NET), reads))
        assert (await town.of()).shown.sync == "Synced"
        await town.push(code("net"))
        shown = (await town.of()).shown
        assert (shown.sync, shown.why) == ("Unknown", "waits for shop/net.range, which is not there yet")
        await town.push(code("net", put_out))
        assert (await town.of()).shown.sync == "Synced"

    in_stack_town(story)


def test_a_stack_whose_pin_has_ended_is_not_what_git_states_before_it_has_been_compared() -> None:
    """It was called Synced while the plan was made, by what it had been rendered to before it was pinned; units that
    come after it went on."""

    async def story(town: StackTown) -> None:
        await town.open(BEFORE)
        await town.push(AFTER)
        await town.kedge.commands.rollback(MONA, DB, "1", "it was better")
        await asyncio.sleep(120)
        assert {thing.attributes["size"] for thing in town.cloud.things.values()} == {"small"}
        await town.kedge.commands.resume(MONA, DB, "it was not")
        await asyncio.sleep(0.5)
        shown = (await town.of()).shown
        assert (shown.sync, shown.why) == ("Unknown", "the plan is being made")
        await asyncio.sleep(120)
        assert (await town.of()).shown.sync == "Synced"
        assert {thing.attributes["size"] for thing in town.cloud.things.values()} == {"large"}

    in_stack_town(story)
