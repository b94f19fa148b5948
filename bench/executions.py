"""What an execution costs over the bare commands of the tool: a stack of 100 resources, planned and applied.

Both do the same: init, plan, show and apply against a local state, one after the other. Bare, the commands are
started by this process; the other way an execution is begun, its end waited for and its result read, with a plan that
is applied in the folder of its execution. They take turns; told is the fastest of each, which other work on the machine
disturbs least, and the median.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.build_parts import OPENTOFU

from bench._machine import sized
from kedge import process
from kedge.clock import SystemClock, SystemEntropy
from kedge.executions.local import LocalExec
from kedge.executions.tools import Tools
from kedge.model.execution import BundleFile, Ending, Execution, Task, Tool

RESOURCES = sized("BENCH_RESOURCES", 100, 20)
TURNS = sized("BENCH_TURNS", 20, 3)
CODE = f"""
terraform {{
  backend "local" {{
    path = "STATE"
  }}
}}
resource "terraform_data" "one" {{
  count = {RESOURCES}
  input = "value ${{count.index}}"
}}
"""


@dataclass(frozen=True)
class Bare:
    """The tool's own commands, in a folder."""

    program: Path
    work: Path
    env: Mapping[str, str]

    async def call(self, *words: str) -> bytes:
        done = await process.run([str(self.program), *words], env=self.env, cwd=str(self.work), timeout=120)
        if done.code:
            raise SystemExit(f"{words[0]} failed: {done.stderr}{done.stdout.decode()}")
        return done.stdout

    async def plan(self) -> None:
        await self.call("init", "-input=false", "-no-color")
        await self.call("plan", "-input=false", "-no-color", "-json", "-lock=false", "-out=plan.bin")
        await self.call("show", "-json", "plan.bin")
        await self.call("output", "-json")

    async def apply(self) -> None:
        await self.call("apply", "-input=false", "-no-color", "-json", "plan.bin")
        await self.call("output", "-json")


class Ours:
    """Executions, one at a time."""

    def __init__(self, root: Path, program: Path, tool: Tool) -> None:
        self.exec = LocalExec(root, Tools("", [program.parent]), SystemClock(), SystemEntropy())
        self.exec.subscribe(lambda _, id: self.over.set())
        self.over = asyncio.Event()
        self.tool = tool
        self.planned: Execution | None = None
        self.number = 0

    async def run(self, execution: Execution) -> bytes:
        self.over.clear()
        await self.exec.start(execution)
        await self.over.wait()
        report = self.exec.report(execution.id)
        if report is None or report.ending is not Ending.SUCCEEDED:
            raise SystemExit(f"an execution failed: {report}")
        return (await self.exec.result(execution.id)).plan

    async def plan(self, code: str) -> tuple[Execution, bytes]:
        self.number += 1
        files = (BundleFile("main.tf", code.encode()),)
        execution = Execution(f"plan{self.number}", "bench/one", Task.PLAN, self.tool, "", "", files)
        return execution, await self.run(execution)

    async def apply(self, planned: Execution, plan: bytes) -> None:
        apply = replace(planned, id=f"apply{self.number}", task=Task.APPLY, plan=plan, planned=planned.id)
        await self.run(apply)
        for id in (apply.id, planned.id):
            await self.exec.forget(id)


def programs() -> list[tuple[Tool, Path]]:
    found = [(Tool.OPENTOFU, OPENTOFU.program)] if OPENTOFU.program.exists() else []
    terraform = shutil.which("terraform")
    return [*found, *([(Tool.TERRAFORM, Path(terraform))] if terraform else [])]


async def bare_turn(root: Path, program: Path) -> tuple[float, float]:
    work = Path(tempfile.mkdtemp(dir=root))
    (work / "main.tf").write_text(CODE.replace("STATE", str(work / "state")))
    config = root / "config"
    config.write_text("disable_checkpoint = true\n")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(work), "TF_CLI_CONFIG_FILE": str(config), "CHECKPOINT_DISABLE": "1"}
    bare = Bare(program, work, env)
    started = time.perf_counter()
    await bare.plan()
    middle = time.perf_counter()
    await bare.apply()
    return middle - started, time.perf_counter() - middle


async def our_turn(root: Path, ours: Ours) -> tuple[float, float]:
    state = Path(tempfile.mkdtemp(dir=root)) / "state"
    started = time.perf_counter()
    planned, plan = await ours.plan(CODE.replace("STATE", str(state)))
    middle = time.perf_counter()
    await ours.apply(planned, plan)
    return middle - started, time.perf_counter() - middle


async def measure(root: Path, tool: Tool, program: Path) -> None:
    ours = Ours(root / "executions", program, tool)
    await ours.exec.adopt()
    pairs = [(await bare_turn(root, program), await our_turn(root, ours)) for _ in range(TURNS + 1)][1:]
    await ours.exec.close()
    for number, what in enumerate(("plan", "apply")):
        tell(f"{tool.value:<10} {what:<6}", [pair[0][number] for pair in pairs], [pair[1][number] for pair in pairs])
    tell(f"{tool.value:<10} both  ", [sum(pair[0]) for pair in pairs], [sum(pair[1]) for pair in pairs])


def tell(what: str, bare: Sequence[float], ours: Sequence[float]) -> None:
    lines = []
    kinds: tuple[tuple[str, Callable[[Sequence[float]], float]], ...] = (
        ("fastest", min),
        ("median", statistics.median),
    )
    for name, of in kinds:
        lines.append(
            f"{name} {of(bare) * 1000:5.0f} → {of(ours) * 1000:5.0f} ms ({100 * (of(ours) / of(bare) - 1):+.0f} %)"
        )
    print(f"{what} bare → execution: {', '.join(lines)}")


def main() -> None:
    found = programs()
    if not found:
        print("neither OpenTofu nor Terraform is here: run `make parts`")
    for tool, program in found:
        with tempfile.TemporaryDirectory(prefix="kedge-bench-") as folder:
            asyncio.run(measure(Path(folder), tool, program))


if __name__ == "__main__":
    main()
