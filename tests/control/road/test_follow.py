"""Units of one commit that come after each other, or read each other's values, are applied in that order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from tests.control.road.test_holes import ASK, DB, MONA, agree, database, opened, reader
from tests.doors.town import WEB, Town, file, in_town, unit

from kedge.control.road.render import abreast
from kedge.model.dossier import Dossier
from kedge.model.errors import Unavailable
from kedge.model.ref import UnitName
from kedge.model.unit import Input, OutputField

API = UnitName("shop", "api")


def page(words: str) -> tuple[str, bytes]:
    return file("ConfigMap", "a", url=f"{words} http://${{host}}:80")


async def ran(town: Town, name: UnitName) -> list[tuple[float, float]]:
    """When each run of a unit began and ended, the oldest first."""
    return [(run.started, run.finished or 0.0) for run in reversed(await town.store.operations(str(name)))]


async def agree_at_once(town: Town, name: UnitName) -> None:
    """Its run begins, and has not come to its end."""
    await town.kedge.commands.approve(MONA, name, (await dossier(town, name)).plan.effects, "fine")  # type: ignore[union-attr]
    await asyncio.sleep(1)


async def dossier(town: Town, name: UnitName) -> Dossier:
    found = await town.dossier(str(name))
    assert found is not None
    return found


def test_of_a_commit_that_changes_a_value_and_its_reader_the_reader_is_applied_once_with_the_new_value() -> None:
    """It was applied with the old value first, and with the new one once that was there."""

    async def story(town: Town) -> None:
        await opened(town, page("old"), web=reader())
        await agree(town, DB)
        assert [len(await ran(town, name)) for name in (DB, WEB)] == [1, 1]
        town.push(database("db.other"), page("new"))
        await asyncio.sleep(30)
        waits = "waits for shop/db: 1 to update; waits for 1 approval: every plan of this unit needs approval"
        assert (await town.web()).shown.why == f"1 to update; {waits}"
        await agree(town, DB)
        (_, changed), (_, applied) = await ran(town, DB), await ran(town, WEB)
        assert changed[1] <= applied[0]
        (config,) = [thing.body for ref, thing in town.cluster.things.items() if ref.name == "a"]
        assert config["spec"]["url"] == "new http://db.other:80"

    in_town(story)


def test_who_is_asked_for_by_a_person_does_not_wait_for_values_to_come() -> None:
    async def story(town: Town) -> None:
        await opened(town, page("old"), web=reader())
        await agree(town, DB)
        town.push(database("db.other"), page("new"))
        await asyncio.sleep(30)
        await town.kedge.commands.sync(MONA, WEB, "it burns")
        await asyncio.sleep(30)
        assert (await town.web()).runs == 2

    in_town(story)


def test_a_value_that_moves_while_its_reader_is_compared_is_not_applied_as_it_was() -> None:
    """The unit that it is from had come to its end when that was asked for: the reader was applied with the old one."""

    async def story(town: Town) -> None:
        slow: Any = file("Deployment", "db", seconds=20, n=1)
        rollout = (slow[0].replace("apps/web", "apps/db"), slow[1])
        await opened(town, page("old"), web=reader())
        await agree(town, DB)
        town.push(database("db.other"), rollout, page("old"))
        await asyncio.sleep(1)
        await agree_at_once(town, DB)

        async def slowly(what: str) -> None:
            await asyncio.sleep(40 if what == "compare" else 0)

        town.kedge.target.before = slowly
        town.push(database("db.other"), rollout, page("new"))
        await asyncio.sleep(200)
        assert len(await ran(town, DB)) == 2
        seen = [line for line in town.story if "ConfigMap web/a" in line]
        (config,) = [thing.body for ref, thing in town.cluster.things.items() if ref.name == "a"]
        assert (len(seen), config["spec"]["url"]) == (2, "new http://db.other:80")

    in_town(story)


def test_a_value_that_can_not_be_read_after_a_run_is_waited_for_and_read_soon() -> None:
    """The one of before stood for it until something else happened to the unit, hours later at times."""

    async def story(town: Town) -> None:
        await opened(town, page("old"), web=reader())
        await agree(town, DB)
        refused: list[float] = []

        async def refuses(what: str) -> None:
            if what == "outputs" and len(refused) < 3:
                refused.append(town.clock.now())
                raise Unavailable("too many requests")

        town.push(database("db.other"), page("new"))
        await asyncio.sleep(5)
        town.kedge.target.before = refuses
        await agree(town, DB)
        assert (await town.web()).runs == 1
        await asyncio.sleep(200)
        (config,) = [thing.body for ref, thing in town.cluster.things.items() if ref.name == "a"]
        assert (len(refused), config["spec"]["url"]) == (3, "new http://db.other:80")
        assert (await town.web()).runs == 2

    in_town(story)


def test_a_unit_that_is_declared_to_read_what_is_not_there_yet_is_not_what_git_wants_of_it() -> None:
    """Until its own turn had seen that, units that come after it went on."""

    async def story(town: Town) -> None:
        await town.open(page("old"))
        await asyncio.sleep(30)
        doors, before = town.kedge.doors(town.store), await town.web()
        assert await abreast(doors, before)
        assert not await abreast(doors, replace(before, unit=reader()))

    in_town(story)


def test_a_value_that_stays_as_it_is_lets_its_reader_go_on() -> None:
    """Its upstream was changed, and puts out the same: nothing tells the reader of a new value."""

    async def story(town: Town) -> None:
        await opened(town, page("old"), web=reader())
        await agree(town, DB)
        name, data = file("ConfigMap", "more")
        town.push(database("db.local"), (name.replace("apps/web", "apps/db"), data), page("new"))
        await asyncio.sleep(30)
        assert (await town.web()).runs == 1
        await agree(town, DB)
        assert (await town.web()).runs == 2

    in_town(story)


def test_a_reader_waits_for_what_its_values_are_made_of() -> None:
    """shop/web reads shop/api, which reads shop/db: where the first and the last change, the one between is not left
    out because nothing of it has moved yet."""

    async def story(town: Town) -> None:
        api = file("ConfigMap", "api", endpoint="api at ${host}")
        middle = reader(name=API, outputs=(OutputField("endpoint", "ConfigMap/api", "spec.endpoint"),))
        web = reader(after=())
        web = unit(inputs=(Input("host", API, "endpoint"),), render=web.render)
        await town.live()
        upstream = unit(DB, outputs=(OutputField("endpoint", "ConfigMap/db", "spec.endpoint"),))
        town.source.commit(dict([database("one"), (api[0].replace("apps/web", "apps/api"), api[1]), page("old")]))
        await town.enlist({"shop/web": web, "shop/api": middle, "shop/db": upstream})
        await asyncio.sleep(60)
        assert [len(await ran(town, name)) for name in (DB, API, WEB)] == [1, 1, 1]
        town.push(database("two"), (api[0].replace("apps/web", "apps/api"), api[1]), page("new"))
        await asyncio.sleep(300)
        assert [len(await ran(town, name)) for name in (DB, API, WEB)] == [2, 2, 2]

    in_town(story)


def test_a_reader_goes_on_at_once_when_the_change_at_the_top_of_its_chain_is_through_and_nothing_between_moved() -> (
    None
):
    """shop/web reads shop/api, which reads shop/db: the latter puts out what it did, and nobody rang shop/web."""

    async def story(town: Town) -> None:
        api = file("ConfigMap", "api", endpoint="api at ${host}")
        middle = reader(name=API, outputs=(OutputField("endpoint", "ConfigMap/api", "spec.endpoint"),))
        web = unit(inputs=(Input("host", API, "endpoint"),), render=middle.render)
        upstream = unit(DB, approve=ASK, outputs=(OutputField("endpoint", "ConfigMap/db", "spec.endpoint"),))
        await town.live()
        town.source.commit(dict([database("one"), (api[0].replace("apps/web", "apps/api"), api[1]), page("old")]))
        await town.enlist({"shop/web": web, "shop/api": middle, "shop/db": upstream})
        await asyncio.sleep(30)
        await agree(town, DB)
        assert [len(await ran(town, name)) for name in (DB, API, WEB)] == [1, 1, 1]
        name, data = file("ConfigMap", "more")
        more = (name.replace("apps/web", "apps/db"), data)
        town.push(database("one"), more, (api[0].replace("apps/web", "apps/api"), api[1]), page("new"))
        await asyncio.sleep(30)
        assert "waits for shop/db: 1 to create; waits for 1 approval" in (await town.web()).shown.why
        await agree(town, DB)
        (_, changed), (_, applied) = await ran(town, DB), await ran(town, WEB)
        assert applied[0] - changed[1] < 1.0
        assert len(await ran(town, API)) == 1

    in_town(story)


def test_of_a_commit_that_changes_two_the_one_that_comes_after_is_applied_after_the_other() -> None:
    """Both were looked at at once: the first was still what it had been before the commit, and taken for there."""

    async def story(town: Town) -> None:
        def both(number: int) -> list[tuple[str, bytes]]:
            slow: Any = file("Deployment", "db", seconds=20, n=number)
            return [file("ConfigMap", "a", n=number), (slow[0].replace("apps/web", "apps/db"), slow[1])]

        await town.live()
        town.source.commit(dict(both(1)))
        await town.enlist({"shop/web": unit(after=(DB,)), "shop/db": unit(DB)})
        await asyncio.sleep(120)
        town.push(*both(2))
        await asyncio.sleep(120)
        (_, first), (_, second) = await ran(town, DB), await ran(town, WEB)
        assert first[1] <= second[0]

    in_town(story)
