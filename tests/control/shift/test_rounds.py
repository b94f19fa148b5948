"""Rounds: who is asked for news, and what becomes of it."""

from __future__ import annotations

import asyncio

from tests.doors.town import Town, file, in_town

from kedge.model.dossier import Sync


def test_a_unit_whose_first_turn_failed_is_still_told_of_news() -> None:
    async def story(town: Town) -> None:
        town.source.unreachable = True
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(30)
        town.source.unreachable = False
        await asyncio.sleep(120)
        assert town.standing() == ["ConfigMap a"]

    in_town(story)


def test_a_full_disk_loses_no_news() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        town.chaos.disk_full = True
        town.push(file("ConfigMap", "a"), file("ConfigMap", "b"))
        await asyncio.sleep(300)
        assert town.standing() == ["ConfigMap a"]
        town.chaos.disk_full = False
        await asyncio.sleep(120)
        assert town.standing() == ["ConfigMap a", "ConfigMap b"]

    in_town(story)


def test_any_number_of_hints_cost_one_look_a_second() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(10)
        before = town.source.fetches
        for _ in range(300):
            town.kedge.rounds.hint(lambda repository: True, "refs/heads/main")
            await asyncio.sleep(0.01)
        await asyncio.sleep(2)
        assert town.source.fetches - before <= 5

    in_town(story)


def test_a_rewritten_branch_is_told_and_followed() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        town.source.commit(dict([file("ConfigMap", "a"), file("ConfigMap", "b")]), parent="")
        await asyncio.sleep(120)
        assert "source.rewritten" in {event.kind for event in town.store.told}
        assert town.standing() == ["ConfigMap a", "ConfigMap b"]

    in_town(story)


def test_an_unreachable_repository_is_told_once_and_the_unit_stays_as_it_is() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        town.source.unreachable = True
        await asyncio.sleep(6 * 3600)
        assert [event.kind for event in town.store.told].count("source.trouble") == 1
        assert (await town.web()).shown.sync is Sync.SYNCED

    in_town(story)


def test_a_clock_that_is_set_back_does_not_end_the_asking_for_news() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        town.clock.jump(-3600.0)
        town.source.commit(dict([file("ConfigMap", "a"), file("ConfigMap", "b")]), time=town.clock.now())
        await asyncio.sleep(120)
        assert town.standing() == ["ConfigMap a", "ConfigMap b"]

    in_town(story)


def test_it_is_known_when_a_source_was_asked_and_when_it_last_answered() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(120)
        ((checked, answered),) = town.kedge.rounds.asked().values()
        assert answered is not None
        assert answered >= checked
        town.source.unreachable = True
        await asyncio.sleep(600)
        ((later, still),) = town.kedge.rounds.asked().values()
        assert later > checked + 400
        assert still is not None
        assert later - still > 400

    in_town(story)
