"""How old a verification may grow before it is an alarm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kedge.engine.vigilance import Lateness, Limits, View, Word, late, lateness
from kedge.model.dossier import Sync
from kedge.model.health import Ailment

NOW = 1_000_000.0
LIMITS = Limits(unit=64_800.0, cluster=300.0)
HOUR = 3600.0


def word(sync: Sync = Sync.SYNCED, verified: float | None = NOW - 48 * HOUR) -> Word:
    return Word("prod", sync, verified)


def view(fresh: float | None = None, ailing: float | None = None) -> View:
    """`fresh` and `ailing` in seconds ago."""
    ailment = Ailment("no answer", NOW - ailing) if ailing is not None else None
    return View("prod", NOW, NOW - fresh if fresh is not None else None, ailment)


def test_a_current_watch_verifies_a_synced_unit_however_long_ago_its_last_turn_was() -> None:
    assert late(word(), view(fresh=60), LIMITS) == ""


def test_minutes_of_silence_of_a_watch_are_too_many() -> None:
    assert late(word(), view(fresh=300), LIMITS) == ""
    said = late(word(), view(fresh=301), LIMITS)
    assert said == (
        "not verified since 1970-01-12 13:41:39Z: the watches of cluster prod have told nothing since "
        "1970-01-12 13:41:39Z"
    )


def test_a_cluster_in_trouble_for_minutes_is_named_with_its_reason() -> None:
    assert late(word(), view(fresh=200, ailing=301), LIMITS) == ""  # seen since: another request went wrong
    assert late(word(), view(ailing=299), Limits(unit=72 * HOUR, cluster=300)) == ""
    assert late(word(), view(ailing=301), Limits(unit=72 * HOUR, cluster=300)).endswith(": cluster prod: no answer")


def test_where_nothing_may_be_watched_the_sweeps_count() -> None:
    assert late(word(verified=NOW - 17 * HOUR), view(), LIMITS) == ""
    said = late(word(verified=NOW - 19 * HOUR), view(), LIMITS)
    assert said.endswith("no look at it has come to an end, and it is not watched")


def test_a_unit_that_can_not_be_looked_at_is_late_though_its_clusters_watches_are_current() -> None:
    assert late(word(Sync.UNKNOWN, NOW - 19 * HOUR), view(fresh=1), LIMITS)


@pytest.mark.parametrize(("fresh", "expected"), [(60, False), (301, True)])
def test_a_unit_that_is_known_to_differ_is_late_only_when_its_cluster_is_silent(fresh: int, expected: bool) -> None:
    assert bool(late(word(Sync.OUT_OF_SYNC), view(fresh=fresh), LIMITS)) is expected


def test_what_was_never_verified_says_never_and_is_no_alarm() -> None:
    assert late(word(Sync.UNKNOWN, None), view(ailing=900), LIMITS) == ""


def test_the_oldest_verification_is_of_the_units_that_are_not_known_to_differ() -> None:
    words = {
        "shop/web": word(),
        "shop/held": word(Sync.OUT_OF_SYNC, NOW - 99 * HOUR),
        "shop/lost": word(Sync.UNKNOWN, NOW - 19 * HOUR),
        "shop/elsewhere": Word("gone", Sync.SYNCED, 0.0),
    }
    found = lateness(words, {("prod", frozenset()): view(fresh=60)}, LIMITS)
    assert (list(found.late), found.oldest) == (["shop/lost"], 19 * HOUR)
    assert lateness({}, {}, LIMITS) == Lateness()


def test_a_unit_is_late_by_the_watches_of_its_own_kinds() -> None:
    """One dead aggregated API made every unit of the cluster stale."""
    kinds = frozenset({("example.com", "Thing")})
    words = {"shop/web": word(), "shop/thing": replace(word(), kinds=kinds)}
    dead = replace(view(fresh=400), heard=NOW - 5)
    found = lateness(words, {("prod", frozenset()): view(fresh=5), ("prod", kinds): dead}, LIMITS)
    assert list(found.late) == ["shop/thing"]
    assert ": a watch that sees its objects of cluster prod has told nothing since " in found.late["shop/thing"]


def test_a_stack_is_late_after_its_own_time_not_after_that_of_the_sweeps() -> None:
    hourly, weekly = replace(word(), limit=4 * HOUR), replace(word(), limit=600 * HOUR)
    assert late(replace(hourly, verified=NOW - 4 * HOUR), view(), LIMITS) == ""
    assert late(replace(hourly, verified=NOW - 5 * HOUR), view(), LIMITS)
    assert late(weekly, view(), LIMITS) == ""


def test_of_a_stack_that_is_not_looked_at_for_others_are_the_alarm_says_so() -> None:
    """That no look had come to an end sounded like a fault of its own."""
    waits = replace(word(verified=NOW - 5 * HOUR), limit=4 * HOUR, put_off=NOW + HOUR)
    assert late(waits, view(), LIMITS).endswith(
        "a look for drift is put off until 1970-01-12 14:46:40Z, for looks take half of the time at most"
    )
    assert late(replace(waits, put_off=NOW - HOUR), view(), LIMITS).endswith("and it is not watched")
