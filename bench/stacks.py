"""Stacks: a plan of 2,000 resources from its JSON to what is shown, and one changed stack of 200 in one repository.

The first is beside `json.loads` of the same bytes: processor time, and the most memory that Python held meanwhile, each
in a pass of its own. Of the second is told how many executions there were after a commit that changes one stack, and
after one in a module that two of them call.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.build_parts import OPENTOFU

from bench._cluster import cluster
from bench._fleet import Repository, Running, quiet, running
from bench._machine import sized
from kedge.cli.views.plan import text
from kedge.engine.diff import diff
from kedge.engine.effects import effects
from kedge.engine.plan import Draft, make_plan
from kedge.executions.local import LocalExec
from kedge.model.declaration import TargetSection
from kedge.model.execution import Execution, Tool
from kedge.model.manifest import Desired, Manifest
from kedge.model.ref import UnitName, stack_ref
from kedge.model.source import SourceSpec
from kedge.model.unit import StackTool, Unit
from kedge.targets.opentofu.shown import shown_of

RESOURCES = sized("BENCH_RESOURCES", 2_000, 200)
STACKS = sized("BENCH_STACKS", 200, 6)
TURNS = sized("BENCH_TURNS", 9, 3)
KEY = b"a key of a benchmark"
DECLARED = """apiVersion: kedge.dev/v1alpha1
kind: Stack
metadata: {{name: {0}, project: default}}
spec:
  source: {{path: apps/{0}}}
"""
CODE = 'variable "round" {{ default = "{1}" }}\nresource "terraform_data" "one" {{ input = var.round }}\n'
CALL = 'module "shared" { source = "../../shared" }\n'
SHARED = 'resource "terraform_data" "shared" {{ input = "{}" }}\n'


def resource(number: int) -> dict[str, Any]:
    """A change as providers make them: a third is created, a third changed, a third stays."""
    tags = {f"tag-{name}": f"value {number} of {name}" for name in range(8)}
    rules = [{"from": port, "to": port + number, "cidr": ["10.0.0.0/8"], "note": None} for port in range(6)]
    after = {"name": f"r{number}", "tags": tags, "rules": rules, "password": f"secret {number}", "size": number}
    before = {**after, "size": number + 1, "password": "older"}
    kind = ("create", "update", "no-op")[number % 3]
    change = {
        "actions": [kind],
        "before": {"create": None, "update": before, "no-op": after}[kind],
        "after": after,
        "after_unknown": {"id": True, "arn": True} if kind == "create" else {},
        "before_sensitive": {"password": True, "rules": [{} for _ in rules], "tags": {}},
        "after_sensitive": {"password": True, "rules": [{} for _ in rules], "tags": {}},
    }
    address = f'module.m["{number % 20}"].aws_thing.r{number}'
    return {"address": address, "mode": "managed", "type": "aws_thing", "name": f"r{number}", "change": change}


def shown(raw: bytes) -> str:
    """What people see of a plan, from what the tool says of it."""
    tool = StackTool(Tool.OPENTOFU)
    unit = Unit(UnitName("bench", "one"), "admin", SourceSpec("", ""), TargetSection(""), tool=tool)
    manifest = Manifest(stack_ref(unit.name), "kedge.dev/v1alpha1", b"{}", "d")
    changes = tuple(change for pair in shown_of(raw, manifest).pairs if (change := diff(pair, KEY)) is not None)
    return text(make_plan(Draft(unit, None, Desired((manifest,), "d"), changes, effects(changes), ())))


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of a processor (a median), and MiB that Python held at most."""
    times = []
    for _ in range(TURNS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return statistics.median(times) * 1000, peak / 2**20


def plans() -> None:
    changes = [resource(number) for number in range(RESOURCES)]
    raw = json.dumps({"format_version": "1.2", "resource_changes": changes, "output_changes": {}}).encode()
    bare, ours = spent(lambda: json.loads(raw)), spent(lambda: shown(raw))
    print(
        f"a plan of {RESOURCES:,} resources, {len(raw) / 2**20:.1f} MiB of JSON, {len(shown(raw)):,} characters shown"
    )
    for name, found in (("json.loads", bare), ("shown", ours)):
        print(f"   {name:<11} {found[0]:6.0f} ms of a processor, {found[1]:5.1f} MiB at most")
    print(f"   {ours[0] / bare[0]:.1f} times the time, {ours[1] / bare[1]:.1f} times the memory")


class Begun:
    """Counts the executions that are begun, by unit."""

    def __init__(self) -> None:
        self.units: list[str] = []
        self.exec: LocalExec | None = None
        start = LocalExec.start

        async def counting(exec: LocalExec, execution: Execution) -> None:
            self.exec = exec
            self.units.append(execution.unit)
            await start(exec, execution)

        LocalExec.start = counting  # type: ignore[method-assign]

    @property
    def at_work(self) -> bool:
        return self.exec is not None and any(report.ending is None for report in self.exec.reports())


def declare(repository: Repository) -> None:
    folder = repository.folder
    (folder / ".kedge").mkdir()
    (folder / "shared").mkdir()
    (folder / "shared/main.tf").write_text(SHARED.format(0))
    for name in repository.names():
        (folder / f".kedge/{name}.yaml").write_text(DECLARED.format(name))
        repository._write(name, 0, repository.files)
    for name in repository.names()[:2]:
        (folder / f"apps/{name}/shared.tf").write_text(CALL)


async def rest(live: Running, begun: Begun, count: int) -> None:
    """Until so many executions were begun, and nothing is left to do."""
    told = time.perf_counter()
    while len(begun.units) < count:
        if time.perf_counter() - told > 30:
            told = time.perf_counter()
            print(f"   … {len(begun.units)} of {count} executions", flush=True)
        await asyncio.sleep(0.2)
    while begun.at_work:
        await asyncio.sleep(0.2)
    await quiet(live.house)


async def one_of_many(folder: Path) -> None:
    begun = Begun()
    repository = Repository(folder / "repository", STACKS, {"main.tf": CODE})
    repository.begin()
    async with (
        cluster() as target,
        running(folder / "data", repository, target.access, {"KEDGE_TOOLS": str(OPENTOFU.program.parent)}) as live,
    ):
        declare(repository)
        repository._commit("declare them all")
        started = time.perf_counter()
        await live.push()
        await rest(live, begun, STACKS)
        print(f"{STACKS} stacks: {len(begun.units)} plans in {time.perf_counter() - started:.0f} s")
        repository._write(repository.names()[-1], 1, repository.files)
        await told(live, begun, "one of them changed", 1)
        (repository.folder / "shared/main.tf").write_text(SHARED.format(1))
        await told(live, begun, "a module that two of them call changed", 2)


async def told(live: Running, begun: Begun, what: str, count: int) -> None:
    begun.units.clear()
    live.repository._commit(what)
    started = time.perf_counter()
    await live.push()
    await rest(live, begun, count)
    print(f"   {what}: {len(begun.units)} executions ({', '.join(sorted(begun.units))})")
    print(f"   … the last was shown {time.perf_counter() - started:.1f} s after the push")


def main() -> None:
    plans()
    if not OPENTOFU.program.exists():
        print("OpenTofu is not here: run `make parts`")
        return
    with tempfile.TemporaryDirectory(prefix="kedge-bench-") as folder:
        asyncio.run(one_of_many(Path(folder)))


if __name__ == "__main__":
    main()
