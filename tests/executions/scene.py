"""What the tests of executions stand on: stacks of nothing but `terraform_data`, and waiting for an end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kedge.clock import SystemClock, SystemEntropy
from kedge.executions.local import LocalExec, Supply
from kedge.executions.tools import Tools
from kedge.model.execution import BundleFile, Execution, Report, StateAccess, Task, Tool, Yield
from kedge.ports import Seal

STACK = """
variable "size" {
  type    = string
  default = "small"
}
resource "terraform_data" "one" {
  input = var.size
}
output "size" {
  value = terraform_data.one.output
}
"""
PATIENT = 60.0
"""Seconds that a test waits for anything."""


def waiting(gate: Path) -> str:
    """A command that ends once the file is there; or after ten minutes, so that nothing is left of a test for ever."""
    return f"for i in $(seq 6000); do test -e {gate} && break; sleep 0.1; done"


def slow(gate: Path) -> str:
    """A stack whose apply is at work until the file `gate` is there."""
    return f"""
resource "terraform_data" "slow" {{
  provisioner "local-exec" {{
    command = "{waiting(gate)}"
  }}
}}
"""


@dataclass
class Scene:
    """A folder of executions, and a program that executes them."""

    root: Path
    program: Path
    tool: Tool
    supply: Supply = Supply()
    seal: Seal | None = None
    exec: LocalExec = field(init=False)
    rung: list[tuple[str, str]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def open(self) -> None:
        """Begin, or begin again after `leave`."""
        tools = Tools("", [self.program.parent])
        self.exec = LocalExec(self.root, tools, SystemClock(), SystemEntropy(), self.supply, self.seal)
        self.exec.subscribe(self._ring)
        await self.exec.adopt()

    async def leave(self) -> None:
        await self.exec.close()

    def _ring(self, unit: str, id: str) -> None:
        self.rung.append((unit, id))
        self.news.set()

    def execution(
        self, files: Mapping[str, str | bytes], state: StateAccess | None = None, folder: str = "infra/db", **more: Any
    ) -> Execution:
        """A plan of a stack whose files are given by their path from its folder."""
        prefix = f"{folder}/" if folder else ""
        bundle = tuple(
            BundleFile(f"{prefix}{path}", text.encode() if isinstance(text, str) else text)
            for path, text in files.items()
        )
        plain = Execution(f"e{next(self.numbers)}", "shop/db", Task.PLAN, self.tool, "", folder, bundle, state=state)
        return replace(plain, **more)

    async def until_ended(self, id: str) -> Report:
        async with asyncio.timeout(PATIENT):
            while (report := self.exec.report(id)) is None or report.ending is None:
                self.news.clear()
                await self.news.wait()
        return report

    async def run(self, execution: Execution) -> tuple[Report, Yield]:
        await self.exec.start(execution)
        return await self.until_ended(execution.id), await self.exec.result(execution.id)

    async def applied(self, planned: Execution, plan: bytes, **more: Any) -> tuple[Report, Yield]:
        return await self.run(self.applying(planned, plan, **more))

    def applying(self, planned: Execution, plan: bytes, **more: Any) -> Execution:
        ours = {"id": f"e{next(self.numbers)}", "task": Task.APPLY, "plan": plan, "planned": planned.id}
        return replace(planned, **{**ours, **more})

    async def until_told(self, id: str, text: str) -> None:
        """Until one of its lines holds the text."""
        async with asyncio.timeout(PATIENT):
            async for line in self.exec.follow(id):
                if text in line:
                    return
        raise AssertionError(f"{id} ended without saying “{text}”: {self.exec.report(id)}")

    def lines(self, id: str) -> str:
        return (self.root / id / "lines").read_text()
