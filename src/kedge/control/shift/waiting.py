"""Who waits for what another unit's turn brings about: rung then, and not before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

from kedge.control.road.doors import Turn
from kedge.engine.delivery import settled, under_way

Awaited = tuple[Literal["settled", "let go", "spoke", "arrived"], str]
"""What a unit waits for: that another one is synced and healthy, that it lets go of an object, that it puts out
something else, that nothing of it is left to be applied."""


class Waiting:
    """Turns tell here when they begin and what they have ended with."""

    def __init__(self) -> None:
        self._waiters: defaultdict[Awaited, dict[str, None]] = defaultdict(dict)
        self._came: dict[Awaited, int] = {}
        self._moment = 0
        self._under_way = 0

    def begin(self) -> int:
        """A turn begins: the moment, for `end`."""
        self._under_way += 1
        return self._moment

    def end(self, unit: str, turn: Turn | None, began: int) -> list[str]:
        """Units that now have to be looked at; `turn` None: it came to nothing. What a unit waits for may have come
        about while its own turn was under way, before anybody knew that it waits: then it is among them itself."""
        self._under_way -= 1
        rung = [] if turn is None else [*self._rung(unit, turn), *self._too_late(unit, turn, began)]
        if not self._under_way:
            self._came.clear()
        return rung

    def for_objects_of(self, unit: str) -> list[str]:
        """Units that wait for it to let go of an object: they say how it stands with it."""
        return list(self._waiters.get(("let go", unit), ()))

    def _rung(self, unit: str, turn: Turn) -> Iterator[str]:
        for what in _brought(unit, turn):
            self._moment += 1
            self._came[what] = self._moment
            yield from self._waiters.pop(what, {})

    def _too_late(self, unit: str, turn: Turn, began: int) -> Iterator[str]:
        awaited = list(_awaited(turn))
        for what in awaited:
            self._waiters[what][unit] = None
        if any(self._came.get(what, 0) > began for what in awaited):
            yield unit


def _brought(unit: str, turn: Turn) -> Iterator[Awaited]:
    if turn.let_go:
        yield "let go", unit
    if turn.dossier is not None and settled(turn.dossier):
        yield "settled", unit
    if turn.dossier is not None and not under_way(turn.dossier):
        yield "arrived", unit
    if turn.spoke:
        yield "spoke", unit


def _awaited(turn: Turn) -> Iterator[Awaited]:
    if turn.dossier is None:
        return
    for upstream in turn.dossier.unit.after:
        yield "settled", str(upstream)
    for given in turn.dossier.unit.inputs:
        yield "spoke", str(given.unit)
        if turn.dossier.plan is not None:
            yield "arrived", str(given.unit)
    if turn.mover:
        yield "arrived", turn.mover
    for follower in turn.dossier.followers:
        yield "let go", str(follower)
    if turn.dossier.plan is not None:
        for claimant in turn.dossier.plan.claimants:
            yield "let go", claimant
