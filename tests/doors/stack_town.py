"""A calm little world with stacks in it, for tests of the road: short words for what a test does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tests.doors.memory_source import REPOSITORY
from tests.doors.tiny_iac import MAIN
from tests.doors.town import played
from tests.simulation.house import House
from tests.simulation.stack_world import StackWorld

from kedge.engine import states
from kedge.engine.states import Will
from kedge.model.declaration import ApproveSection, Heal, SyncSection, TargetSection, When
from kedge.model.dossier import Dossier
from kedge.model.execution import Tool
from kedge.model.ref import UnitName
from kedge.model.source import SourceSpec
from kedge.model.unit import StackTool, Unit

DB = UnitName("shop", "db")
UNASKED = ApproveSection(When.NEVER)


def stack(name: UnitName = DB, *, variables: dict[str, Any] | None = None, **more: Any) -> Unit:
    given: dict[str, Any] = {"sync": SyncSection(heal=Heal.NEVER), "approve": UNASKED, **more}
    source = SourceSpec(REPOSITORY, "main", f"infra/{name.name}")
    tool = StackTool(Tool.OPENTOFU, variables=json.dumps(variables or {}))
    return Unit(name, "admin", source, TargetSection(cluster=""), tool=tool, **given)


def code(name: str = "db", outputs: dict[str, Any] | None = None, **resources: dict[str, Any]) -> tuple[str, bytes]:
    """Code of a stack; resources are disks."""
    whole = {
        "variables": {"host": "nobody"},
        "resources": {f"disk.{name}": {"kind": "ssd", **attributes} for name, attributes in resources.items()},
        "outputs": outputs or {},
    }
    return f"infra/{name}/{MAIN}", json.dumps(whole).encode()


class StackTown(StackWorld):
    """`StackWorld` with short words."""

    @property
    def kedge(self) -> House:
        assert self.house is not None
        return self.house

    async def open(self, *files: tuple[str, bytes], units: tuple[Unit, ...] = (stack(),)) -> None:
        """A house at work at a first commit."""
        await self.live()
        self.source.commit(dict(files), time=self.clock.now())
        await self.enlist({str(unit.name): unit for unit in units})
        await asyncio.sleep(120)

    async def push(self, *files: tuple[str, bytes], seconds: float = 120.0) -> None:
        """A commit on top, and time for what it leads to."""
        self.source.commit({**self.source.files(), **dict(files)}, time=self.clock.now())
        self.kedge.rounds.hint(lambda repository: True, "main")
        await asyncio.sleep(seconds)

    async def of(self, name: UnitName = DB) -> Dossier:
        dossier = await self.dossier(str(name))
        assert dossier is not None
        return dossier

    async def at_work(self) -> str:
        """Waits for an apply that holds its lock, and answers its id."""
        for _ in range(600):
            applies = [id for id in self.exec.jobs if id.startswith("apply-") and self.states.store.locks]
            if applies:
                return applies[0]
            await asyncio.sleep(0.5)
        raise AssertionError("nothing is applied")

    async def pushed(self, name: UnitName = DB) -> None:
        """A person gives the stack a state of the same resources under the next serial."""
        state = self.stack_state(str(name))
        state.serial += 1
        text, will = await self.states.text(state.text()), Will("mona", "mended", self.clock.now())
        await self.states.store.turn(str(name), "", lambda facts: states.push(facts, text, will), text)
        self.witness.touched(str(name))


def in_stack_town(program: Callable[[StackTown], Awaitable[None]]) -> None:
    """Run a test in a fresh town with stacks; broken invariants fail it."""
    played(StackTown, program)
