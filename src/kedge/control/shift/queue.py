"""The due queue: which unit's turn is next. A plain data structure; the clock is a parameter.

A unit is in it at most once. A bell that rings during a unit's turn gives it one more turn afterwards, so nothing is
lost and nothing runs twice at once. Units that people wait for go before sweeps; within a lane it is first come,
first served, with the projects of each cluster taking turns. However many turns a cluster takes that does not get on,
there is room for the others: it may have no more than `SHARE` times what is still free.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict, deque
from enum import IntEnum

SHARE = 3
"""Of n places one cluster alone gets three quarters, two that hang three sevenths each; something is always free."""

Group = tuple[str, str]
"""A cluster ("" while not known) and a project in it."""


class Lane(IntEnum):
    """Lower is served first."""

    INTERACTIVE = 0
    CHANGE = 1
    SWEEP = 2


class DueQueue:
    """`ring` makes a unit due now, `later` at a time; `take` hands out the next one until `done`."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, OrderedDict[Group, deque[str]]] = {lane: OrderedDict() for lane in Lane}
        self._waits: dict[str, tuple[Lane, Group]] = {}
        self._cluster_of: dict[str, str] = {}
        self._busy: dict[str, str] = {}
        self._load: dict[str, int] = {}
        self._again: dict[str, Lane] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._at: dict[str, tuple[float, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._waits)

    @property
    def busy(self) -> int:
        return len(self._busy)

    def place(self, unit: str, cluster: str) -> None:
        """Where the unit's turns are spent; counts from its next bell on."""
        self._cluster_of[unit] = cluster

    def ring(self, unit: str, lane: Lane = Lane.CHANGE) -> None:
        if unit in self._busy:
            self._again[unit] = min(lane, self._again.get(unit, lane))
            return
        waiting = self._waits.get(unit)
        if waiting is not None and waiting[0] <= lane:
            return
        if waiting is not None:
            self._leave(unit, *waiting)
        group = (self._cluster_of.get(unit, ""), unit.partition("/")[0])
        self._waits[unit] = lane, group
        self._lanes[lane].setdefault(group, deque()).append(unit)

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

    def wake_all(self) -> None:
        """Ring every unit that waits for a time, whenever that is."""
        self.wake(math.inf)

    def take(self, places: int = 1_000_000) -> tuple[str, Lane] | None:
        """The next unit and the lane it came by; it is busy until `done`. None while all of `places` are taken, or
        whatever waits is of clusters that have their share."""
        free = places - len(self._busy)
        for lane, groups in self._lanes.items():
            group = next((group for group in groups if self._load.get(group[0], 0) < SHARE * free), None)
            if group is not None:
                unit = groups[group][0]
                self._leave(unit, lane, group)
                if group in groups:
                    groups.move_to_end(group)
                del self._waits[unit]
                self._at.pop(unit, None)
                self._busy[unit] = group[0]
                self._load[group[0]] = self._load.get(group[0], 0) + 1
                return unit, lane
        return None

    def done(self, unit: str) -> None:
        cluster = self._busy.pop(unit, None)
        if cluster is not None:
            self._load[cluster] -= 1
            if not self._load[cluster]:
                del self._load[cluster]
        lane = self._again.pop(unit, None)
        if lane is not None:
            self.ring(unit, lane)

    def forget(self, unit: str) -> None:
        """The unit is gone: no timer, no further turn."""
        self._at.pop(unit, None)
        self._cluster_of.pop(unit, None)

    def _leave(self, unit: str, lane: Lane, group: Group) -> None:
        units = self._lanes[lane][group]
        units.remove(unit)
        if not units:
            del self._lanes[lane][group]
