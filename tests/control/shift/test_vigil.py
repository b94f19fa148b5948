"""The vigil: what grows old and who is in trouble is told once, and once when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests import builders

from kedge.control.shift.vigil import GRACE, QUIET, Vigil
from kedge.model.dossier import Shown, Sync
from kedge.model.errors import Unavailable
from kedge.model.event import Event
from kedge.model.health import Ailment, Health, Status
from kedge.model.operation import Owned
from kedge.model.ref import Ref

HOUR = 3600.0
DAY = 24 * HOUR


@dataclass
class Watchtower:
    """A vigil over fakes: what clusters say, the time, and what was told."""

    time: float = 30 * DAY
    jumped: float = 0.0
    fresh: dict[str, float] = field(default_factory=dict)
    ill: dict[str, Ailment] = field(default_factory=dict)
    told: list[Event] = field(default_factory=list)
    broken: bool = False

    def vigil(self) -> Vigil:
        clock = SimpleNamespace(now=lambda: self.time + self.jumped, monotonic=lambda: self.time)
        target = SimpleNamespace(fresh=self.current, ailment=self.ailing)
        store = SimpleNamespace(note=self.note, latest=self.latest)
        made = Vigil(cast(Any, SimpleNamespace(clock=clock, target=target, store=store)), DAY / 4)
        made.place(cast(Any, SimpleNamespace(name="shop/web", cluster="prod", sync=Sync.SYNCED, verified=self.half)))
        return made

    @property
    def half(self) -> float:
        """Half a day ago."""
        return self.time + self.jumped - DAY / 2

    def current(self, cluster: str, kinds: Collection[tuple[str, str]] = ()) -> float | None:
        """The watches of `prod` of the kind Thing tell what `things` says."""
        found = self.fresh.get("things" if ("example.com", "Thing") in kinds else cluster)
        return found + self.jumped if found is not None else None

    def ailing(self, cluster: str) -> Ailment | None:
        found = self.ill.get(cluster)
        return replace(found, since=found.since + self.jumped) if found is not None else None

    async def note(self, events: tuple[Event, ...]) -> None:
        if self.broken:
            raise Unavailable("the disk is full")
        self.told += events

    async def latest(self, limit: int) -> list[Event]:
        return self.told[::-1][:limit]

    def look(self, vigil: Vigil, *, after: float = 0.0, times: int = 1) -> list[str]:
        """The kinds of what the looks told."""
        before = len(self.told)
        for _ in range(times):
            self.time += after
            asyncio.run(vigil.look())
        return [event.kind for event in self.told[before:]]


@pytest.fixture
def tower() -> Watchtower:
    return Watchtower()


def test_silence_is_told_once_and_so_is_its_end(tower: Watchtower) -> None:
    vigil = tower.vigil()
    tower.fresh["prod"] = tower.time
    assert tower.look(vigil, after=QUIET) == []
    assert tower.look(vigil, after=1) == ["unit.unverified"]
    assert "the watches of cluster prod have told nothing" in tower.told[0].message == vigil.late("shop/web")
    assert tower.look(vigil, after=60, times=20) == []
    assert vigil.vitals()["units_unverified"] == 1
    assert vigil.vitals()["oldest_verification_seconds"] == QUIET + 1 + 20 * 60
    tower.fresh["prod"] = tower.time
    assert tower.look(vigil, times=3) == ["unit.verified"]
    assert (vigil.late("shop/web"), vigil.vitals()["units_unverified"]) == ("", 0)


def test_a_cluster_in_trouble_is_told_once_however_often_it_is_tried(tower: Watchtower) -> None:
    vigil = tower.vigil()
    tower.fresh["prod"] = tower.time
    tower.ill["prod"] = Ailment("no answer", tower.time)
    assert tower.look(vigil, after=GRACE - 1) == []
    assert tower.look(vigil, after=1) == ["cluster.trouble"]
    tower.ill["prod"] = replace(tower.ill["prod"], reason="its certificate has expired")
    assert tower.look(vigil, after=10, times=5) == []
    assert vigil.vitals()["clusters_in_trouble"] == 1
    del tower.ill["prod"]
    assert tower.look(vigil, times=3) == ["cluster.well"]
    assert [event.message for event in tower.told] == [
        "cluster prod: no answer",
        "cluster prod answers again, 50 s after its trouble was told",
    ]


def test_a_restart_of_an_api_server_is_no_news(tower: Watchtower) -> None:
    vigil = tower.vigil()
    tower.ill["prod"] = Ailment("no answer", tower.time)
    assert tower.look(vigil, after=GRACE - 1) == []
    tower.ill.clear()
    assert tower.look(vigil, after=1) == []


def test_a_turn_that_finds_it_as_it_should_be_verifies_without_a_watch_and_without_a_write(tower: Watchtower) -> None:
    vigil = tower.vigil()
    assert tower.look(vigil, after=DAY / 2) == ["unit.unverified"]
    vigil.proved("shop/web")
    assert vigil.verified("shop/web") == tower.time
    assert tower.look(vigil, after=1) == ["unit.verified"]
    # What the store says of it later is older, and takes nothing back.
    vigil.seen("shop/web", builders.dossier(shown=Shown(Sync.SYNCED, Health(Status.HEALTHY)), verified=1.0))
    assert vigil.verified("shop/web") == tower.time - 1


def test_what_was_told_before_a_restart_is_not_told_again_and_ends_only_when_it_is_seen(tower: Watchtower) -> None:
    first = tower.vigil()
    tower.fresh["prod"] = tower.time
    tower.ill["prod"] = Ailment("no answer", tower.time)
    assert tower.look(first, after=QUIET + 1) == ["cluster.trouble", "unit.unverified"]
    tower.ill.clear()
    tower.fresh.clear()
    second = tower.vigil()
    asyncio.run(second.recall())
    assert tower.look(second, after=20) == []  # nothing is known yet: that is no end
    tower.ill["prod"] = Ailment("no answer", tower.time)
    assert tower.look(second, after=400) == []
    tower.ill.clear()
    tower.fresh["prod"] = tower.time
    assert tower.look(second) == ["cluster.well", "unit.verified"]


def test_a_unit_that_is_gone_ends_its_alarm_without_a_word(tower: Watchtower) -> None:
    vigil = tower.vigil()
    assert tower.look(vigil, after=DAY / 2) == ["unit.unverified"]
    vigil.seen("shop/web", None)
    assert tower.look(vigil, after=60, times=2) == []
    assert vigil.verified("shop/web") is None


def test_what_the_store_did_not_take_is_told_at_the_next_look(tower: Watchtower) -> None:
    vigil = tower.vigil()
    tower.broken = True
    assert tower.look(vigil, after=DAY / 2, times=2) == []
    tower.broken = False
    assert tower.look(vigil, times=2) == ["unit.unverified"]


@pytest.mark.parametrize("jump", [-DAY, -HOUR, HOUR, DAY])
def test_a_clock_that_jumps_makes_nothing_late_and_hides_nothing(tower: Watchtower, jump: float) -> None:
    """A day forward made every unit late at once; an hour back kept an alarm silent for that hour."""
    vigil = tower.vigil()
    tower.fresh["prod"] = tower.time
    assert tower.look(vigil, after=10) == []
    tower.jumped += jump
    for _ in range(2):
        assert tower.look(vigil, after=10) == []
    assert tower.look(vigil, after=QUIET) == ["unit.unverified"]
    tower.ill["prod"] = Ailment("no answer", tower.time)
    tower.jumped -= jump
    assert tower.look(vigil, after=GRACE - 1) == []
    assert tower.look(vigil, after=1) == ["cluster.trouble"]
    tower.jumped += jump
    assert tower.look(vigil, after=1, times=3) == []
    tower.ill.clear()
    tower.fresh["prod"] = tower.time
    assert tower.look(vigil, times=3) == ["cluster.well", "unit.verified"]
    assert tower.told[-2].message == "cluster prod answers again, 3 s after its trouble was told"


@pytest.mark.parametrize("jump", [-DAY, -HOUR, HOUR, DAY])
def test_what_is_on_record_is_news_once_whatever_the_clock_does(tower: Watchtower, jump: float) -> None:
    vigil = tower.vigil()
    dossier = builders.dossier(shown=Shown(Sync.SYNCED, Health(Status.HEALTHY)), verified=tower.time)
    vigil.seen("shop/web", dossier)
    tower.time += 600
    tower.jumped += jump
    vigil.seen("shop/web", dossier)
    assert vigil.verified("shop/web") == tower.time + jump - 600
    vigil.seen("shop/web", replace(dossier, verified=tower.time + jump))
    assert vigil.verified("shop/web") == tower.time + jump


def test_a_verification_that_is_recorded_for_a_time_to_come_is_taken_for_one_of_now(tower: Watchtower) -> None:
    vigil = tower.vigil()
    row = SimpleNamespace(name="shop/web", cluster="prod", sync=Sync.SYNCED, verified=tower.time + DAY)
    vigil.place(cast(Any, row))
    assert vigil.verified("shop/web") == tower.time


def test_a_unit_is_late_when_a_watch_of_its_own_kinds_is_silent_and_its_neighbours_are_not(tower: Watchtower) -> None:
    vigil = tower.vigil()
    thing = Owned(Ref("example.com", "Thing", "web", "one"))
    synced = Shown(Sync.SYNCED, Health(Status.HEALTHY))
    vigil.seen("shop/thing", builders.dossier(shown=synced, verified=tower.time, inventory=(thing,)))
    tower.fresh |= {"prod": tower.time, "things": tower.time}
    assert tower.look(vigil, after=QUIET) == []
    tower.fresh["prod"] = tower.time
    assert tower.look(vigil, after=1) == ["unit.unverified"]
    assert (bool(vigil.late("shop/thing")), vigil.late("shop/web")) == (True, "")
    assert vigil.current("shop/web", "prod") == tower.time - 1
    assert vigil.current("shop/thing", "prod") == tower.time - 1 - QUIET
