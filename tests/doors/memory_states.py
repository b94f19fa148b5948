"""The store of states in memory: the same decisions as over the real one, and nothing in between them either."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from kedge.control.states.backend import StateBackend
from kedge.model.errors import Conflict
from kedge.model.event import Event
from kedge.model.installation import Installation
from kedge.model.state import Origin, StateChange, StateFacts, StateGrant, StateLine, StateLock, StateText, StateVersion
from kedge.ports import Clock

T = TypeVar("T")
ADDRESS = "http://127.0.0.1:7420"


class MemoryStateStore:
    """`kedge.ports.StateStore`. `told` are the events, in order."""

    def __init__(self) -> None:
        self.kept: defaultdict[str, list[tuple[StateVersion, StateText]]] = defaultdict(list)
        self.locks: dict[str, StateLock] = {}
        self.grants: dict[str, StateGrant] = {}
        self.told: list[Event] = []

    async def facts(self, unit: str, execution: str = "") -> StateFacts:
        kept = self._inline(unit)
        newest, last = kept[-1][0] if kept else None, self.kept[unit][-1][0].number if self.kept[unit] else 0
        return StateFacts(unit, newest, self.locks.get(unit), self.grants.get(execution), last)

    def _inline(self, unit: str) -> list[tuple[StateVersion, StateText]]:
        return [(version, text) for version, text in self.kept[unit] if version.origin is not Origin.LEFT]

    async def granted(self, execution: str) -> StateGrant | None:
        return self.grants.get(execution)

    async def turn(
        self,
        unit: str,
        execution: str,
        decide: Callable[[StateFacts], StateChange],
        text: StateText | None = None,
    ) -> StateChange:
        change = decide(await self.facts(unit, execution))
        if change.version is not None:
            if text is None or text.digest != change.version.digest:
                raise Conflict(f"the state of {unit} has moved on meanwhile")
            self.kept[unit].append((change.version, text))
        if change.lock is None:
            self.locks.pop(unit, None)
        else:
            self.locks[unit] = change.lock
        if change.grant is not None:
            self.grants[change.grant.execution] = change.grant
        self.told.extend(change.events)
        return change

    async def head(self, unit: str) -> tuple[StateVersion, StateText] | None:
        there = (await self.facts(unit)).there
        return None if there is None else self._inline(unit)[-1]

    async def content(self, unit: str, number: int) -> bytes | None:
        return next((text.content for version, text in self.kept[unit] if version.number == number), None)

    async def versions(self, unit: str, before: int = 0, limit: int = 50) -> Sequence[StateVersion]:
        found = [version for version, _ in self.kept[unit] if not before or version.number < before]
        return found[::-1][:limit]

    async def everything(self) -> Sequence[StateLine]:
        known = ((unit, self._inline(unit)) for unit in sorted(self.kept))
        return [StateLine(kept[-1][0], self.locks.get(unit)) for unit, kept in known if kept]

    async def beside(self, job: Callable[[], T], size: int) -> T:
        return job()


def memory_states(clock: Clock, installation: Installation) -> StateBackend:
    """The state backend for a simulated house; its store is `.store`."""
    return StateBackend(MemoryStateStore(), installation, clock, lambda: ADDRESS)
