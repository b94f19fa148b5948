"""When a window is open that people declared in their own clock's time. Pure: the moment is a parameter.

A window opens on each of its days when the clock of its zone first shows `from`, and closes when that clock next
shows `to`: of the same day, or of the next where `to` is not after `from`. So one across midnight belongs to the day on
which it opens, and one night a year is an hour longer, another one an hour shorter. What the change to summer time
skips whole does not open on that day; what the clock shows twice in autumn opens once, and is over with its first `to`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kedge.model.declaration import Day, WindowSection
from kedge.model.errors import Invalid

_AHEAD = 15
"""Days that are looked at: a window of one day a week that summer time skips opens a week later."""
_DAY = 86_400.0

Span = tuple[float, float]
"""From when (epoch seconds), and up to when."""


def is_open(windows: Sequence[WindowSection], at: float) -> bool:
    """Whether one is open; without any, always."""
    return not windows or any(start <= at < end for start, end in _spans(windows, at))


def from_then_on(windows: Sequence[WindowSection], at: float, spread: float) -> float:
    """`at`, or where none is open then, a moment in the first half of the next one: `spread`, in [0, 1), says which, so
    that all who wait for it do not begin at once."""
    if is_open(windows, at):
        return at
    start, end = min((span for span in _spans(windows, at) if span[0] > at), default=(at + _AHEAD * _DAY, 0.0))
    return start + max(0.0, end - start) * spread / 2


def longest_pause(windows: Sequence[WindowSection], at: float) -> float:
    """Seconds in which none is open, at most, in the days after `at`."""
    longest, over = 0.0, at
    for start, end in sorted(_spans(windows, at)):
        longest, over = max(longest, start - over), max(over, end)
    return longest


def _spans(windows: Sequence[WindowSection], at: float) -> Iterator[Span]:
    """All of them from the day before `at` on."""
    for window in windows:
        zone, days = zone_of(window.zone), {_DAYS.index(day) for day in window.days or tuple(Day)}
        opens, closes = time.fromisoformat(window.from_), time.fromisoformat(window.to)
        today = datetime.fromtimestamp(at, UTC).astimezone(zone).date()
        for number in range(-2, _AHEAD):
            day = today + timedelta(days=number)
            if day.weekday() not in days:
                continue
            last = day if closes > opens else day + timedelta(days=1)
            start = datetime.combine(day, opens, zone).timestamp()
            end = datetime.combine(last, closes, zone).timestamp()
            if start < end:
                yield start, end


_DAYS = tuple(Day)


def zone_of(name: str) -> ZoneInfo:
    """Raises Invalid for a zone that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            f"“{name[:60]}” is no time zone that this machine knows",
            hint="write one such as Europe/Berlin or UTC; the machine needs the time zone database (tzdata)",
        ) from None
