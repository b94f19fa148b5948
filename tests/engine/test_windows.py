"""Windows in people's own time: across midnight, and on the two nights a year on which the clock jumps."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from kedge.engine.windows import from_then_on, is_open, longest_pause, zone_of
from kedge.model.declaration import Day, WindowSection
from kedge.model.errors import Invalid

BERLIN = "Europe/Berlin"
NIGHTS = WindowSection((Day.MONDAY, Day.TUESDAY, Day.WEDNESDAY, Day.THURSDAY, Day.FRIDAY), "22:00", "06:00", BERLIN)
HOUR = 3600.0
ZONES = ["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo"]

times = some.times().map(lambda time: f"{time.hour:02}:{time.minute:02}")
windows = some.builds(
    WindowSection,
    some.lists(some.sampled_from(Day), max_size=3, unique=True).map(tuple),
    times,
    times,
    some.sampled_from(ZONES),
)
moments = some.integers(1_262_304_000, 2_145_916_800).map(float)  # 2010 to 2037


def at(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def test_without_a_window_it_is_always_open():
    assert is_open((), 0.0)
    assert from_then_on((), 5.0, 0.5) == 5.0
    assert longest_pause((), 5.0) == 0.0


def test_a_window_across_midnight_belongs_to_the_day_on_which_it_opens():
    friday_night, saturday, sunday_night = at("2026-11-28T05:59"), at("2026-11-28T06:00"), at("2026-11-29T23:00")
    assert is_open([NIGHTS], friday_night)
    assert not is_open([NIGHTS], saturday)
    assert not is_open([NIGHTS], sunday_night)
    assert not is_open([NIGHTS], at("2026-11-30T05:00")), "the night to Monday is Sunday's"
    assert is_open([NIGHTS], at("2026-11-30T22:00"))


def test_who_waits_for_a_window_begins_in_its_first_half():
    monday = at("2026-11-30T22:00")
    assert from_then_on([NIGHTS], at("2026-11-28T12:00"), 0.0) == monday
    assert from_then_on([NIGHTS], at("2026-11-28T12:00"), 0.5) == monday + 2 * HOUR


def test_a_whole_day_and_the_weekend():
    weekend = WindowSection((Day.SATURDAY, Day.SUNDAY), zone=BERLIN)
    assert is_open([weekend], at("2026-11-28T00:00"))
    assert is_open([weekend], at("2026-11-29T23:59"))
    assert not is_open([weekend], at("2026-11-30T00:00"))
    assert longest_pause([weekend], at("2026-11-30T00:00")) == 5 * 24 * HOUR


def test_the_night_is_an_hour_longer_in_autumn_and_an_hour_shorter_in_spring():
    every_night = WindowSection(from_="22:00", to="06:00", zone=BERLIN)
    for day, hours in (("2026-10-24", 9), ("2026-03-28", 7), ("2026-11-24", 8)):
        begins = at(f"{day}T22:00")
        assert not is_open([every_night], begins - 1)
        assert is_open([every_night], begins)
        assert is_open([every_night], begins + hours * HOUR - 1)
        assert not is_open([every_night], begins + hours * HOUR)


def test_what_summer_time_skips_does_not_open_and_what_winter_time_repeats_opens_once():
    short = WindowSection(from_="02:00", to="03:00", zone=BERLIN)
    skipped = at("2026-03-29T01:59:59") + 1
    assert not any(is_open([short], skipped + minute * 60) for minute in range(-60, 120))
    twice = WindowSection(from_="02:30", to="02:45", zone=BERLIN)
    first, second = at("2026-10-25T02:30", fold=0), at("2026-10-25T02:30", fold=1)
    assert second - first == HOUR
    assert is_open([twice], first)
    assert not is_open([twice], second)


@given(windows, moments, some.floats(0, 1, exclude_max=True))
def test_who_waits_never_begins_too_early_nor_outside_nor_later_than_need_be(window, now, spread):
    begins = from_then_on([window], now, spread)
    assert begins >= now
    assert is_open([window], begins)
    if is_open([window], now):
        assert begins == now
    first = from_then_on([window], now, 0.0)
    assert now <= first <= begins
    assert not any(is_open([window], moment) for moment in _between(now, first))
    assert first - now <= longest_pause([window], now)


def _between(start: float, end: float) -> list[float]:
    """Moments before `end`, the last of them a second before."""
    return [start + (end - start) * part / 50 for part in range(50) if end > start] + (
        [end - 1] if end - 1 > start else []
    )


@given(windows, moments)
def test_on_a_day_without_a_jump_it_is_open_when_the_clock_shows_a_time_within(window, now):
    zone = ZoneInfo(window.zone)
    here = datetime.fromtimestamp(now, zone)
    near = [here + timedelta(hours=hours) for hours in range(-48, 49, 6)]
    assume(len({datetime.fromtimestamp(moment.timestamp(), zone).utcoffset() for moment in near}) == 1)
    shown, opens, closes = f"{here:%H:%M}", window.from_, window.to
    days = {list(Day).index(day) for day in window.days or tuple(Day)}
    today, yesterday = here.weekday() in days, (here.weekday() - 1) % 7 in days
    if opens < closes:
        assert is_open([window], now) == (today and opens <= shown < closes)
    else:
        assert is_open([window], now) == ((today and shown >= opens) or (yesterday and shown < closes))


@given(some.lists(windows, min_size=1, max_size=4), moments)
def test_of_several_windows_any_is_enough(several, now):
    assert is_open(several, now) == any(is_open([one], now) for one in several)


@pytest.mark.parametrize("name", ["Europe/Berlín", "../../etc/passwd", "/etc/passwd", "America", "", "x" * 300])
def test_what_is_no_zone_is_refused(name):
    with pytest.raises(Invalid, match="no time zone"):
        zone_of(name)
