"""The due queue: which unit's turn is next. A plain data structure; the clock is a parameter.

A unit is in it at most once. A bell that rings during a unit's turn gives it one more turn afterwards, so nothing is
lost and nothing runs twice at once. Units that people wait for go before sweeps; within a lane it is first come,
first served, with projects taking turns.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from enum import IntEnum


class Lane(IntEnum):
    """Lower is served first."""

    INTERACTIVE = 0
    CHANGE = 1
    SWEEP = 2


class DueQueue:
    """`ring` makes a unit due now, `later` at a time; `take` hands out the next one until `done`."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, OrderedDict[str, deque[str]]] = {lane: OrderedDict() for lane in Lane}
        self._lane_of: dict[str, Lane] = {}
        self._busy: set[str] = set()
        self._again: dict[str, Lane] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._at: dict[str, tuple[float, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._lane_of)

    @property
    def busy(self) -> int:
        return len(self._busy)

    def ring(self, unit: str, lane: Lane = Lane.CHANGE) -> None:
        if unit in self._busy:
            self._again[unit] = min(lane, self._again.get(unit, lane))
            return
        waiting = self._lane_of.get(unit)
        if waiting is not None and waiting <= lane:
            return
        if waiting is not None:
            self._leave(waiting, unit)
        self._lane_of[unit] = lane
        self._lanes[lane].setdefault(_project(unit), deque()).append(unit)

    def later(self, unit: str, at: float) -> None:
        """Be due at `at`; the earliest of several times counts."""
        if unit in self._at and self._at[unit][0] <= at:
            return
        self._count += 1
        self._at[unit] = (at, self._count)
        heapq.heappush(self._heap, (at, self._count, unit))

    def next_time(self) -> float | None:
        """When the next timer rings, or None."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def wake(self, now: float) -> None:
        """Ring every unit whose time has come."""
        while (at := self.next_time()) is not None and at <= now:
            _, _, unit = heapq.heappop(self._heap)
            del self._at[unit]
            self.ring(unit)

    def take(self) -> tuple[str, Lane] | None:
        """The next unit and the lane it came by; it is busy until `done`."""
        for lane, projects in self._lanes.items():
            if projects:
                project, units = next(iter(projects.items()))
                unit = units.popleft()
                projects.move_to_end(project)
                if not units:
                    del projects[project]
                del self._lane_of[unit]
                self._at.pop(unit, None)
                self._busy.add(unit)
                return unit, lane
        return None

    def done(self, unit: str) -> None:
        self._busy.discard(unit)
        lane = self._again.pop(unit, None)
        if lane is not None:
            self.ring(unit, lane)

    def forget(self, unit: str) -> None:
        """The unit is gone: no timer, no further turn."""
        self._at.pop(unit, None)

    def _leave(self, lane: Lane, unit: str) -> None:
        units = self._lanes[lane][_project(unit)]
        units.remove(unit)
        if not units:
            del self._lanes[lane][_project(unit)]


def _project(unit: str) -> str:
    return unit.partition("/")[0]
