"""A calm little world for tests of the road and the shift: one unit, one repository, virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tests.doors.memory_source import REPOSITORY
from tests.simulation.house import House
from tests.simulation.loop import VirtualLoop, simulate
from tests.simulation.world import World

from kedge.model.declaration import TargetSection
from kedge.model.dossier import Dossier
from kedge.model.ref import Ref, UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import Unit

Place = TypeVar("Place", bound=World)
WEB = UnitName("shop", "web")
VERSIONS = {"Deployment": "apps/v1", "Job": "batch/v1"}


def unit(name: UnitName = WEB, **more: Any) -> Unit:
    path = f"apps/{name.name}"
    return Unit(name, "admin", SourceSpec(REPOSITORY, "main", path), TargetSection("default", name.name), **more)


def file(kind: str, name: str, *, notes: dict[str, str] | None = None, **spec: Any) -> tuple[str, bytes]:
    """One manifest of the unit web, as a file of its folder."""
    meta = {"name": name, **({"annotations": notes} if notes else {})}
    body = {"apiVersion": VERSIONS.get(kind, "v1"), "kind": kind, "metadata": meta, "spec": spec}
    return f"apps/web/{kind}-{name}.json", json.dumps(body).encode()


def ref(kind: str, name: str) -> Ref:
    return Ref(VERSIONS.get(kind, "v1").rpartition("/")[0], kind, "web", name)


class Town(World):
    """`World` with short words for what a test does."""

    @property
    def kedge(self) -> House:
        assert self.house is not None
        return self.house

    def push(self, *files: tuple[str, bytes]) -> str:
        commit = self.source.commit(dict(files), time=self.clock.now()).commit
        self.kedge.rounds.hint(lambda repository: True, "main")
        return commit

    async def web(self) -> Dossier:
        dossier = await self.dossier("shop/web")
        assert dossier is not None
        return dossier

    def standing(self) -> list[str]:
        return sorted(f"{ref.kind} {ref.name}" for ref in self.cluster.things)

    async def open(self, *files: tuple[str, bytes], **rules: Any) -> None:
        """A house at work on shop/web, at a first commit."""
        await self.live()
        self.source.commit(dict(files), time=self.clock.now())
        await self.enlist({"shop/web": unit(**rules)})


def in_town(program: Callable[[Town], Awaitable[None]]) -> None:
    """Run a test in a fresh town; broken invariants fail it."""
    played(Town, program)


def played(make: Callable[[str, VirtualLoop], Place], program: Callable[[Place], Awaitable[None]]) -> None:
    """Run a test in a fresh world in virtual time; broken invariants fail it."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    town = make("town", loop)

    async def whole() -> None:
        await program(town)
        if town.house is not None:
            await town.house.close()

    try:
        simulate(whole(), loop)
        town.check()
    finally:
        asyncio.set_event_loop(None)
