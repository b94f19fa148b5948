"""`kedge.ports.StateStore` over SQL. What is bulky is packed and unpacked in a thread of its own, so that neither the
loop nor the writer waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kedge.model.state import StateChange, StateFacts, StateGrant, StateLine, StateText, StateVersion
from kedge.store import stating
from kedge.store.session import Session
from kedge.store.stating import Decide
from kedge.store.vault import Vault
from kedge.store.writer import Lane

T = TypeVar("T")

BULKY = 128 * 1024
"""Bytes from which on a state is worth the way to another thread."""


@dataclass(frozen=True, slots=True)
class SqlStateStore:
    """`look` reads on the calling loop, `bulk` in a thread, `writes` is the one writer."""

    vault: Vault
    look: Callable[[Callable[[Session], object]], object]
    bulk: Lane
    writes: Lane

    async def facts(self, unit: str, execution: str = "") -> StateFacts:
        return self._look(lambda session: stating.facts(session, unit, execution))

    async def granted(self, execution: str) -> StateGrant | None:
        return self._look(lambda session: stating.granted(session, execution))

    async def turn(self, unit: str, execution: str, decide: Decide, text: StateText | None = None) -> StateChange:
        packed = None
        if text is not None:
            given = text
            packed = await self.beside(lambda: stating.pack(self.vault, unit, given), len(text.content))
        return await self.writes.do(lambda session: stating.turn(session, (unit, execution), decide, packed))

    async def head(self, unit: str) -> tuple[StateVersion, StateText] | None:
        def read(session: Session) -> tuple[StateVersion, StateText] | None:
            newest = stating.facts(session, unit, "").there
            text = stating.head(session, self.vault, newest) if newest is not None else None
            return (newest, text) if newest is not None and text is not None else None

        return self._look(read)

    async def content(self, unit: str, number: int) -> bytes | None:
        size = self._look(lambda session: stating.size(session, unit, number))
        if size is None:
            return None
        if size < BULKY:
            return self._look(lambda session: stating.content(session, self.vault, unit, number))
        return await self.bulk.do(lambda session: stating.content(session, self.vault, unit, number))

    async def versions(self, unit: str, before: int = 0, limit: int = 50) -> Sequence[StateVersion]:
        return await self.bulk.do(lambda session: stating.versions(session, unit, before, limit))

    async def everything(self) -> Sequence[StateLine]:
        return await self.bulk.do(stating.everything)

    async def beside(self, job: Callable[[], T], size: int) -> T:
        if size < BULKY:
            return job()
        return await self.bulk.do(lambda session: job())

    def _look(self, work: Callable[[Session], T]) -> T:
        return self.look(work)  # type: ignore[return-value]
