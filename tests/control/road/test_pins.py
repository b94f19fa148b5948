"""A pin holds until its time, tells once that it is over, and never rolls forward by itself."""

from __future__ import annotations

import asyncio

from tests.doors.town import WEB, Town, file, in_town, unit

from kedge.model.declaration import ApproveSection, When
from kedge.model.person import Person

MONA = Person("mona")


async def pinned(town: Town, seconds: float) -> None:
    await town.open(file("ConfigMap", "a"))
    await asyncio.sleep(5)
    town.push(file("ConfigMap", "a"), file("ConfigMap", "b"))
    await asyncio.sleep(5)
    assert town.standing() == ["ConfigMap a", "ConfigMap b"]
    await town.kedge.commands.rollback(MONA, WEB, "1", "b is bad", lasting=seconds)
    await asyncio.sleep(5)
    assert town.standing() == ["ConfigMap a"]


def test_a_pin_that_expires_says_so_at_that_time_and_once() -> None:
    async def story(town: Town) -> None:
        await pinned(town, 3600)
        assert (await town.web()).shown.why.startswith("pinned to run 1")
        await asyncio.sleep(3605)
        assert "expired" in (await town.web()).shown.why
        await asyncio.sleep(24 * 3600)
        assert town.standing() == ["ConfigMap a"]
        told = [event for event in town.store.told if event.kind == "unit.pin-expired"]
        assert [event.message for event in told] == ["the pin of mona to run 1 expired: resume or roll back again"]

    in_town(story)


def test_a_pin_that_expired_still_ends_with_resume() -> None:
    async def story(town: Town) -> None:
        await pinned(town, 60)
        await asyncio.sleep(120)
        await town.kedge.commands.resume(MONA, WEB, "b is good after all")
        await asyncio.sleep(5)
        assert town.standing() == ["ConfigMap a", "ConfigMap b"]
        assert (await town.web()).shown.why == ""

    in_town(story)


def test_what_a_person_asked_for_is_owed_until_the_turn_after_it() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        asked = await town.kedge.commands.suspend(MONA, WEB, "a quiet night")
        assert asked.due == town.clock.now()
        await asyncio.sleep(5)
        assert (await town.web()).due is None

    in_town(story)


def test_going_back_is_no_way_around_a_rule_that_was_tightened_since() -> None:
    # The pin froze the older declaration with its older rule: it went back at once, and nobody was asked.
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(5)
        town.push(file("ConfigMap", "a"), file("ConfigMap", "b"))
        await asyncio.sleep(5)
        await town.enlist({"shop/web": unit(approve=ApproveSection(When.ALWAYS))})
        await asyncio.sleep(5)
        await town.kedge.commands.rollback(MONA, WEB, "1", "b is bad")
        await asyncio.sleep(5)
        assert town.standing() == ["ConfigMap a", "ConfigMap b"]
        assert "waits for 1 approval" in (await town.web()).shown.why

    in_town(story)
