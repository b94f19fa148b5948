"""A clock that stands still, randomness from a seed, and short ways to a store and what goes into it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.builders import unit

from kedge.model.dossier import Dossier
from kedge.model.enlistment import Enlistment, RootState
from kedge.model.event import Event
from kedge.model.record import Record
from kedge.model.ref import UnitName
from kedge.model.unit import Unit
from kedge.store.sql import Opening, SqlStore, open_store

KEY = b"k" * 32
FULL = "database or disk is full"


class StillClock:
    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class SeededEntropy:
    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def token(self, size: int = 16) -> str:
        return self._random.randbytes(size).hex()

    def uniform(self) -> float:
        return self._random.random()


class FullDisk:
    """A `fail` hook: while `points` names one, writing there meets a full disk."""

    def __init__(self, *points: str) -> None:
        self.points = set(points)
        self.seen: list[str] = []

    def __call__(self, point: str) -> None:
        self.seen.append(point)
        if point in self.points:
            raise sqlite3.OperationalError(FULL)


def opened(path: Path | str, *, fail: Callable[[str], None] | None = None, **more: Any) -> SqlStore:
    more = {"key": KEY, "clock": StillClock(), "entropy": SeededEntropy(), **more}
    if fail is not None:
        more["fail"] = fail
    return open_store(Opening(path, **more))


def named(name: str, **more: Any) -> Unit:
    return replace(unit(**more), name=UnitName("shop", name))


def fresh(name: str = "web", **more: Any) -> Dossier:
    declared = more.pop("unit", None) or named(name)
    return Dossier(declared.name, declared, **more)


def event(kind: str = "unit.noted", on: str = "shop/web", **more: Any) -> Event:
    return Event(kind, 1.0, "mona", on, **more)


def wrote(dossier: Dossier, *events: Event, **more: Any) -> Record:
    return Record(dossier, events, **more)


def reading(*units: Unit, root: str = "admin", complete: bool = True, at: float = 5.0, **more: Any) -> Enlistment:
    return Enlistment(RootState(root, None, complete, (), at), units, **more)
