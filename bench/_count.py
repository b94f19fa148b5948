"""Counts what a house does at its doors: which units were read, rendered and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from kedge.house import House

Door = Callable[..., Awaitable[Any]]
WHAT = ("fetches", "loads", "renders", "writes")


class Counted:
    """From its making until `end`. `doors` is how often each door was used; `units` is for whom.

    A write is a record of a unit, a head that moved, a root that was read, or an event of no unit.
    """

    def __init__(self, house: House) -> None:
        self.doors: Counter[str] = Counter()
        self.units: Counter[str] = Counter()
        self._tapped: list[tuple[object, str]] = []
        doors = house.doors
        self._tap(doors.store, "load", "loads", lambda name: str(name))
        self._tap(doors.store, "record", "writes", lambda record: str(record.dossier.name))
        for method in ("set_head", "enlist", "note"):
            self._tap(doors.store, method, "writes", lambda *given: "")
        self._tap(doors.renderer, "render", "renders", lambda snapshot, unit: str(unit.name))
        self._tap(doors.source, "fetch", "fetches", lambda *key: "")

    def end(self) -> None:
        for owner, method in self._tapped:
            delattr(owner, method)
        self._tapped.clear()

    def _tap(self, owner: object, method: str, what: str, whose: Callable[..., str]) -> None:
        door: Door = getattr(owner, method)

        async def counting(*given: Any, **more: Any) -> Any:
            self.doors[what] += 1
            if unit := whose(*given):
                self.units[unit] += 1
            return await door(*given, **more)

        setattr(owner, method, counting)
        self._tapped.append((owner, method))

    def __str__(self) -> str:
        return ", ".join(f"{self.doors[what]:,} {what}" for what in WHAT)
