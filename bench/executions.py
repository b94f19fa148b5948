"""What an execution costs over the bare commands of the tool: a stack of 100 resources, planned and applied.

Both do the same: init, plan, show and apply against a local state, one after the other. Bare, the commands are
started by this process; the other way an execution is begun, its end waited for and its result read, with a plan that
is applied in the folder of its execution. They take turns. Told are processor seconds of everything that took part (the
tool, the runner, the controller), which other work on the machine disturbs least, and the time that passed, as medians.
So that they can be counted, runners are forked by this process; the one that is ready for it otherwise costs the same.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.build_parts import OPENTOFU

from bench._machine import sized
from kedge import process
from kedge.clock import SystemClock, SystemEntropy
from kedge.executions.folder import Folder
from kedge.executions.local import LocalExec
from kedge.executions.ready import become
from kedge.executions.starter import Starter
from kedge.executions.tools import Tools
from kedge.model.execution import BundleFile, Ending, Execution, Task, Tool

RESOURCES = sized("BENCH_RESOURCES", 100, 20)
TURNS = sized("BENCH_TURNS", 11, 3)
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
class Spent:
    """Seconds that passed, and seconds of processors."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Spent:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in usages))

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.wall - other.wall, self.cpu - other.cpu)

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.cpu + other.cpu)


class Counted(Starter):
    """Forks runners itself: what they have used is known when they have ended."""

    def warm_up(self) -> None: ...

    def start(self, folder: Folder) -> int:
        pid = os.fork()
        if not pid:
            os._exit(become(str(folder.path)))
        return pid


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
        self.exec._starter = Counted()
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


async def bare_turn(root: Path, program: Path) -> tuple[Spent, Spent]:
    work = Path(tempfile.mkdtemp(dir=root))
    (work / "main.tf").write_text(CODE.replace("STATE", str(work / "state")))
    config = root / "config"
    config.write_text("disable_checkpoint = true\n")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(work), "TF_CLI_CONFIG_FILE": str(config), "CHECKPOINT_DISABLE": "1"}
    bare = Bare(program, work, env)
    started = Spent.now()
    await bare.plan()
    middle = Spent.now()
    await bare.apply()
    return middle - started, Spent.now() - middle


async def our_turn(root: Path, ours: Ours) -> tuple[Spent, Spent]:
    state = Path(tempfile.mkdtemp(dir=root)) / "state"
    started = Spent.now()
    planned, plan = await ours.plan(CODE.replace("STATE", str(state)))
    middle = Spent.now()
    await ours.apply(planned, plan)
    return middle - started, Spent.now() - middle


async def measure(root: Path, tool: Tool, program: Path) -> None:
    ours = Ours(root / "executions", program, tool)
    await ours.exec.adopt()
    pairs = [(await bare_turn(root, program), await our_turn(root, ours)) for _ in range(TURNS + 1)][1:]
    await ours.exec.close()
    for number, what in enumerate(("plan", "apply")):
        tell(f"{tool.value:<10} {what:<6}", [pair[0][number] for pair in pairs], [pair[1][number] for pair in pairs])
    tell(
        f"{tool.value:<10} both  ",
        [pair[0][0] + pair[0][1] for pair in pairs],
        [pair[1][0] + pair[1][1] for pair in pairs],
    )


def tell(what: str, bare: Sequence[Spent], ours: Sequence[Spent]) -> None:
    lines = []
    for name in ("cpu", "wall"):
        theirs, own = (statistics.median(getattr(one, name) for one in all) * 1000 for all in (bare, ours))
        lines.append(f"{name} {theirs:5.0f} → {own:5.0f} ms ({100 * (own / theirs - 1):+.0f} %)")
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
