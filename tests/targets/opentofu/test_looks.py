"""Two hundred stacks that are due in the same hour, in virtual time."""

from __future__ import annotations

import heapq

import pytest

from kedge.targets.opentofu.looks import Agenda

HOUR = 3600.0


def told(stacks: int, took: float, places: int, hours: float = 8.0) -> tuple[dict[str, list[float]], int]:
    """When each stack was looked at, and how many turns that took; each is due an hour after its last look."""
    agenda, found = Agenda(), {f"shop/s{number}": [] for number in range(stacks)}
    rings = [(0.0, number, unit) for number, unit in enumerate(found)]
    ends: list[tuple[float, int, str]] = []
    serial, turns = stacks, 0
    while rings or ends:
        if ends and (not rings or ends[0][0] <= rings[0][0]):
            now, _, unit = heapq.heappop(ends)
            heapq.heappush(rings, (now + HOUR, serial := serial + 1, unit))
            if after := agenda.ended(unit, now):
                heapq.heappush(rings, (now, serial := serial + 1, after))
            continue
        now, _, unit = heapq.heappop(rings)
        if now >= hours * HOUR:
            break
        due = not found[unit] or now >= found[unit][-1] + HOUR
        if not due or agenda.going(unit):
            continue
        turns += 1
        if until := agenda.put_off(unit, places, now):
            heapq.heappush(rings, (until, serial := serial + 1, unit))
            continue
        found[unit].append(now)
        agenda.begun(unit, now)
        heapq.heappush(ends, (now + took, serial := serial + 1, unit))
    return found, turns


@pytest.mark.parametrize(("took", "places"), [(5.0, 1), (60.0, 1), (60.0, 4), (0.3, 1)])
def test_looks_take_half_of_the_time_of_their_places_at_most_and_everybody_has_a_turn(took: float, places: int) -> None:
    found, turns = told(200, took, places)
    begun = sorted(at for times in found.values() for at in times)
    for hour in range(8):
        looks = sum(hour * HOUR <= at < (hour + 1) * HOUR for at in begun)
        assert looks * took <= places * (HOUR / 2 + took), "an hour's budget"
    counts = [len(times) for times in found.values()]
    assert max(counts) - min(counts) <= 1, "nobody is looked at twice before everybody was"
    assert turns <= 4 * len(begun) + 400, "whoever waits does not ask all the time"


def test_stacks_whose_plans_take_five_seconds_are_all_looked_at_every_hour() -> None:
    found, _ = told(200, 5.0, 1)
    assert min(len(times) for times in found.values()) >= 5


def test_what_was_removed_while_it_waited_holds_nobody_up() -> None:
    agenda = Agenda()
    agenda.begun("shop/a", 0.0)
    agenda.put_off("shop/gone", 1, 0.0)
    agenda.put_off("shop/b", 1, 0.0)
    assert agenda.ended("shop/a", 200.0) == "", "neither has come back when it was told to"
    assert agenda.put_off("shop/b", 1, 200.0) == 400.0
    assert agenda.put_off("shop/b", 1, 400.0) == 0.0
