"""Rounds: who is asked for news, and what becomes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from tests.doors.town import Town, file, in_town, unit

from kedge.clock import SystemClock, SystemEntropy
from kedge.control.shift.rounds import POLL, Rounds
from kedge.model.dossier import Sync
from kedge.model.enlistment import Head
from kedge.model.origin import Assembly, Part, of_assembly, spoken
from kedge.model.source import Revision
from kedge.spawn import Spawner


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


class Parts:
    """Answers whatever it is asked, and remembers what that was."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.commits: dict[str, str] = {}

    async def fetch(self, repository: str, ref: str) -> Revision:
        self.asked.append(spoken(ref))
        return Revision(repository, ref, self.commits.get(ref, "a" * 40))

    def changed(self, before: Revision, after: Revision) -> None:
        return None

    def descends(self, before: Revision, after: Revision) -> bool:
        return True


class Shelf:
    async def set_head(self, head: Head, events: object = ()) -> None:
        return None

    async def forget_head(self, repository: str, ref: str) -> None:
        return None


def test_what_is_put_together_is_not_asked_again_until_a_part_has_moved() -> None:
    async def story() -> None:
        source, rung = Parts(), []
        doors: Any = SimpleNamespace(source=source, store=Shelf(), clock=SystemClock(), entropy=SystemEntropy())

        async def moved(revision: Revision, changed: object) -> bool:
            return True

        rounds = Rounds(doors, Any, rung.append, moved)  # type: ignore[arg-type]
        one, other = ("https://h/main", "main"), ("https://h/values", "values")
        whole = (one[0], of_assembly(Assembly("main", "web", (Part("v", *other),))))
        rounds.add(whole)
        assert set(rounds.asked()) == set()
        for key in (whole, one, other, whole):
            await rounds.check(key)
        stops = rounds._stops
        assert stops[whole].due > stops[one].due + 5 * POLL
        assert not stops[whole].hinted
        source.commits["values"] = "b" * 40
        await rounds.check(other)
        assert stops[whole].hinted
        await rounds.check(whole)
        assert not stops[whole].hinted
        checked, answered = rounds.asked()[whole]
        assert checked == min(stops[key].checked for key in (one, other))
        assert answered is not None

    asyncio.run(story())


def test_a_source_that_no_unit_uses_any_more_is_not_asked_any_more() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(120)
        old = unit()
        await town.enlist({"shop/web": replace(old, source=replace(old.source, ref="next"), digest="moved")})
        await asyncio.sleep(180)
        assert [ref for _, ref in town.kedge.rounds.asked()] == ["next"]
        assert [head.ref for head in await town.store.heads()] == ["next"]
        await town.enlist({"shop/web": replace(old, digest="back")})
        await asyncio.sleep(180)
        assert [ref for _, ref in town.kedge.rounds.asked()] == ["main"]
        assert (await town.web()).shown.sync is Sync.SYNCED

    in_town(story)


def test_a_unit_whose_source_has_not_been_asked_yet_is_no_trouble() -> None:
    async def story(town: Town) -> None:
        await town.open(file("ConfigMap", "a"))
        await asyncio.sleep(60)
        assert town.standing() == ["ConfigMap a"]
        assert "unit.trouble" not in {event.kind for event in town.store.told}

    in_town(story)


def test_a_source_that_a_root_is_read_from_is_asked_though_no_unit_uses_it() -> None:
    async def story() -> None:
        source = Parts()
        doors: Any = SimpleNamespace(source=source, store=Shelf(), clock=SystemClock(), entropy=SystemEntropy())

        async def moved(revision: Revision, changed: object) -> bool:
            return True

        spawner = Spawner(lambda name, error: None)
        rounds = Rounds(doors, spawner, lambda unit: None, moved, kept=lambda: [("https://h/root", "main")])
        rounds.add(("https://h/root", "main"))
        rounds.add(("https://h/left", "main"))
        spawner.start(rounds.run(), "rounds")
        await asyncio.sleep(0.05)
        assert source.asked == ["main"]
        assert list(rounds.asked()) == [("https://h/root", "main")]
        await spawner.close()

    asyncio.run(story())
