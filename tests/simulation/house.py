"""One life of Kedge: composed over the fakes at its doors, and thrown away at a crash."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from tests.simulation.chaos import Chaos

from kedge.control.road.commands import Commands
from kedge.control.road.doors import Doors, RenderedSets
from kedge.control.shift.queue import Lane
from kedge.control.shift.rounds import Rounds
from kedge.control.shift.turns import Turns
from kedge.model.ref import Ref, UnitName
from kedge.spawn import Spawner

SWEEP = 6 * 3600.0
WRITES = ("record", "enlist", "set_head", "forget_head", "note")


async def _unconcerned(revision: object, changed: object) -> bool:
    """No root is read here: the world enlists by itself."""
    return True


class FusedStore:
    """The store behind the points at which a house may die; `recorded` sees what really was written."""

    def __init__(self, inner: Any, chaos: Chaos, dead: Callable[[], bool], recorded: Callable[..., None]) -> None:
        self._inner, self._chaos, self._dead, self._recorded = inner, chaos, dead, recorded

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return functools.partial(self._call, name, method) if asyncio.iscoroutinefunction(method) else method

    async def _call(self, name: str, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        if self._dead():
            await asyncio.get_running_loop().create_future()
        if name not in WRITES:
            return await method(*args, **more)
        await self._chaos.point(f"before {name}", self._dead)
        self._chaos.disk(name)
        done = await method(*args, **more)
        if name == "record":
            self._recorded(args[0], done)
        await self._chaos.point(f"after {name}", self._dead)
        return done


class House:
    """`target` and `store` are this life's own; source, chaos, clock and entropy belong to the world."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.dead = False
        self.store = FusedStore(world.store, world.chaos, lambda: self.dead, world.witness.recorded)
        self.spawner = Spawner(self._bug)
        self.target = world.make_target(self)
        self.units: dict[str, None] = {}

    def _bug(self, name: str, error: BaseException) -> None:
        self.world.bug(name, error)

    def doors(self, store: Any) -> Doors:
        world = self.world
        return Doors(
            world.clock,
            world.entropy,
            store,
            world.source,
            world.renderer,
            self.target,
            world.installation,
            RenderedSets(store, 64 * 1024),
        )

    async def open(self) -> None:
        doors = self.doors(self.store)
        self.turns = Turns(doors, self.spawner, self._seen)
        self.rounds = Rounds(doors, self.spawner, self.turns.ring, _unconcerned)
        self.turns.awaited = self.rounds.awaited
        self.commands = Commands(self.doors(self.world.witnessed_store), self._ring)
        await self.rounds.load(await self.world.store.sources())
        for unit, due in await self.world.store.wakeups():
            self.units[unit] = None
            self.turns.ring(unit)
            if due is not None:
                self.turns.later(unit, due)
        self.target.subscribe(self._rung)
        self.spawner.start(self.turns.run(), "turns")
        self.spawner.start(self.rounds.run(), "rounds")
        self.spawner.start(self._sweep(), "sweep")

    def adopt(self, unit: str) -> None:
        """A root's declarations moved."""
        self.units[unit] = None
        self.turns.ring(unit)

    def _ring(self, name: UnitName, why: str) -> None:
        self.turns.ring(str(name), Lane.INTERACTIVE)

    def _rung(self, unit: str, ref: Ref, what: str) -> None:
        if unit in self.units:
            self.turns.hear(unit, what)

    def _seen(self, unit: str, dossier: Any) -> None:
        if dossier is None:
            self.units.pop(unit, None)
        self.rounds.seen(unit, dossier)

    async def _sweep(self) -> None:
        while True:
            for unit in list(self.units) or [""]:
                await asyncio.sleep(SWEEP / max(1, len(self.units)))
                if unit in self.units:
                    self.turns.ring(unit, Lane.SWEEP)

    async def close(self) -> None:
        self.dead = True
        await self.spawner.close()
        await self.target.close()
