"""The state backend against OpenTofu and Terraform themselves: what they do when it refuses, goes away or is slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.doors.iac import HOLDING, PLAIN, TOOLS, Said, Stack, ended, found, kill
from tests.doors.statefiles import run_of, statefile
from tests.server.driver import Fakes
from tests.store.opening import opened

from kedge.clock import SystemClock
from kedge.control.states.backend import StateBackend
from kedge.engine import states
from kedge.engine.states import Will
from kedge.model.errors import Conflict
from kedge.model.output import Output
from kedge.model.state import Origin
from kedge.server.app import build
from kedge.server.serve import Serving, listen
from kedge.spawn import Spawner
from kedge.store.sql import SqlStore

DB = "shop/db"


@dataclass
class Served:
    """The real server over the real store, which can be taken away and come back at the same address."""

    store: SqlStore
    backend: StateBackend
    spawner: Spawner
    program: Path
    folder: Path
    port: int = 0
    running: list[tuple[Serving, asyncio.Task[None]]] = field(default_factory=list)

    def up(self) -> None:
        place = listen("127.0.0.1", self.port)
        self.port = place.getsockname()[1]
        fakes = Fakes()
        fakes.states = self.backend
        serving = Serving(build(fakes.desk()), place)
        self.running.append((serving, self.spawner.start(serving.run(), "server")))

    async def down(self) -> None:
        serving, task = self.running.pop()
        serving.stop()
        await asyncio.gather(task, return_exceptions=True)

    async def stack(self, code: str, execution: str, unit: str = DB, *, write: bool = True) -> Stack:
        access = await self.backend.grant(unit, execution, write=write)
        stack = Stack(self.program, self.folder / execution, access)
        stack.declare(code)
        await stack.init()
        return stack

    async def break_lock(self) -> None:
        held = (await self.backend.store.facts(DB)).lock
        assert held is not None
        will = Will("mona", "it hangs", 1.0, force=True)
        await self.backend.store.turn(
            DB, held.execution, lambda facts: states.break_lock(facts, held.id, will, dead=False)
        )

    async def serial(self, unit: str = DB) -> int:
        head = await self.backend.head(unit)
        return head.serial if head is not None else 0


@pytest.fixture(params=TOOLS)
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    program = found(request.param)
    if program is None:
        pytest.skip(f"there is no {request.param} here: OpenTofu is built by `make parts`, Terraform is the machine's")
    clock, store, ports = SystemClock(), opened(tmp_path / "kedge.db"), list[int]()
    backend = StateBackend(store.states, await store.installation(), clock, lambda: f"http://127.0.0.1:{ports[0]}")
    world = Served(store, backend, Spawner(lambda name, error: None), program, tmp_path / "stacks")
    world.up()
    ports.append(world.port)
    yield world
    while world.running:
        await world.down()
    await world.spawner.close()
    await store.close()


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not there():
            await asyncio.sleep(0.02)


async def applying(stack: Stack, process: asyncio.subprocess.Process) -> None:
    await until(lambda: (stack.folder / "began").exists() or process.returncode is not None)
    assert process.returncode is None


async def test_a_stack_is_planned_applied_read_and_destroyed(served: Served) -> None:
    stack = await served.stack(PLAIN, "run-1")
    said = await stack.apply()
    assert said.code == 0, said.text
    head = await served.backend.head(DB)
    assert head is not None
    assert head.outputs == (
        Output("password", '"hunter2-canary"', True),
        Output("size", '"small 0"'),
    )
    assert head.resources == ("terraform_data.main[0]", "terraform_data.main[1]", "terraform_data.secret")
    assert (await stack.run("plan", "-detailed-exitcode", "-no-color")).code == 0
    assert (await stack.run("output", "-raw", "size")).text == "small 0"
    assert (await stack.run("apply", "-destroy", "-auto-approve", "-no-color")).code == 0
    head = await served.backend.head(DB)
    assert head is not None
    assert head.resources == ()
    assert (await served.backend.store.facts(DB)).lock is None


async def test_while_one_applies_another_is_told_so_and_a_plan_without_a_lock_goes_on(served: Served) -> None:
    stack = await served.stack(HOLDING, "run-1")
    async with stack.started("apply", "-auto-approve", "-no-color") as process:
        await applying(stack, process)
        second = await (await served.stack(PLAIN, "run-2")).apply()
        assert second.code == 1
        assert "already locked" in second.text
        reader = await served.stack(PLAIN, "run-3", write=False)
        assert (await reader.run("plan", "-lock=false", "-no-color")).code == 0
        stack.hold.touch()
        assert (await ended(process)).code == 0
    assert await served.serial() > 0


async def test_a_run_whose_lock_was_broken_can_not_write_over_what_came_after_it(served: Served) -> None:
    stack = await served.stack(HOLDING, "run-1")
    async with stack.started("apply", "-auto-approve", "-no-color") as process:
        await applying(stack, process)
        await served.break_lock()
        other = await served.stack(PLAIN, "run-2")
        said = await other.apply()
        assert said.code == 0, said.text
        newest = await served.backend.read(DB)
        stack.hold.touch()
        fenced = await ended(process)
    assert fenced.code == 1
    assert stack.errored.exists()
    assert await served.backend.read(DB) == newest
    with pytest.raises(Conflict):
        await served.backend.bring_home(DB, "run-1", stack.errored.read_bytes())
    assert (await stack.apply()).code == 1
    assert await served.backend.read(DB) == newest


async def test_what_it_could_not_write_is_brought_home_while_nobody_else_has(served: Served) -> None:
    stack = await served.stack(HOLDING, "run-1")
    async with stack.started("apply", "-auto-approve", "-no-color") as process:
        await applying(stack, process)
        await served.break_lock()
        stack.hold.touch()
        assert (await ended(process)).code == 1
    assert await served.serial() == 0
    await served.backend.bring_home(DB, "run-1", stack.errored.read_bytes())
    again = await served.stack(HOLDING, "run-2")
    assert (await again.run("plan", "-detailed-exitcode", "-no-color")).code == 0


@pytest.mark.parametrize("first", [True, False], ids=["a first apply", "a later one"])
async def test_the_backend_is_down_in_the_middle_of_an_apply(served: Served, first: bool) -> None:
    if not first:
        assert (await (await served.stack(PLAIN, "run-0")).apply()).code == 0
    stack = await served.stack(HOLDING, "run-1")
    async with stack.started("apply", "-auto-approve", "-no-color") as process:
        await applying(stack, process)
        await served.down()
        stack.hold.touch()
        said = await ended(process)
    assert said.code == 1
    assert stack.errored.exists()
    assert stack.access is not None
    assert stack.access.token not in said.text
    served.up()
    assert (await served.stack(PLAIN, "run-2")).program
    await served.backend.revoke("run-1")
    await served.backend.bring_home(DB, "run-1", stack.errored.read_bytes())
    newest = (await served.backend.store.facts(DB)).newest
    assert newest is not None
    assert (newest.origin, newest.resources) == (Origin.BROUGHT_HOME, 2)
    await served.backend.bring_home(DB, "run-1", stack.errored.read_bytes())
    assert (await served.backend.store.facts(DB)).newest == newest
    again = await served.stack(HOLDING, "run-3")
    assert (await again.run("plan", "-detailed-exitcode", "-no-color")).code == 0


async def test_a_tool_that_was_killed_leaves_its_lock_until_it_is_known_to_be_over(served: Served) -> None:
    stack = await served.stack(HOLDING, "run-1")
    async with stack.started("apply", "-auto-approve", "-no-color") as process:
        await applying(stack, process)
        kill(process)
        await process.wait()
    other = await served.stack(PLAIN, "run-2")
    assert (await other.apply()).code == 1
    await served.backend.revoke("run-1")
    assert (await other.apply()).code == 0
    broken = [event for event in await served.store.events() if event.kind == "state.lock-broken"]
    assert [event.unit for event in broken] == [DB]


async def test_two_stacks_at_once(served: Served) -> None:
    one, two = await served.stack(PLAIN, "run-1"), await served.stack(PLAIN, "run-2", "shop/db@prod")
    said: list[Said] = await asyncio.gather(one.apply("-var", "size=one"), two.apply("-var", "size=two"))
    assert [each.code for each in said] == [0, 0]
    heads = [await served.backend.head(unit) for unit in (DB, "shop/db@prod")]
    assert [head.outputs[1].value for head in heads if head is not None] == ['"one 0"', '"two 0"']


async def test_a_token_that_is_over_opens_nothing_and_is_not_printed(served: Served) -> None:
    stack = await served.stack(PLAIN, "run-1")
    await served.backend.revoke("run-1")
    said = await stack.run("plan", "-no-color")
    assert said.code == 1
    assert stack.access is not None
    assert stack.access.token not in said.text


async def test_the_tools_own_unlock_breaks_no_lock_of_another_run(served: Served) -> None:
    holder = run_of(served.backend)
    await (await holder.granted()).lock()
    other = await served.stack(PLAIN, "run-2")
    said = await other.run("force-unlock", "-force", "-no-color", holder.id)
    assert said.code == 1
    assert (await served.backend.store.facts(DB)).lock is not None


async def test_the_tools_own_push_keeps_the_rules(served: Served) -> None:
    holder = run_of(served.backend)
    await (await holder.granted()).applied(statefile(5))
    other = await served.stack(PLAIN, "run-2")
    (other.folder / "old.tfstate").write_bytes(statefile(4))
    (other.folder / "new.tfstate").write_bytes(statefile(6))
    assert (await other.run("state", "push", "-force", "old.tfstate")).code == 1
    assert (await other.run("state", "push", "new.tfstate")).code == 0
    assert await served.serial() >= 6


@pytest.mark.slow
async def test_a_state_of_twenty_megabytes(served: Served) -> None:
    large = 'resource "terraform_data" "large" {\n  count = 10\n  input = file("large.txt")\n}\n'
    stack = await served.stack(PLAIN + large, "run-1")
    (stack.folder / "large.txt").write_text("".join(f"{n:06}-{'x' * 93}" for n in range(11_000)))
    said = await stack.apply()
    assert said.code == 0, said.text[-2000:]
    newest = (await served.backend.store.facts(DB)).newest
    assert newest is not None
    assert newest.size > 20_000_000
    assert (await stack.run("plan", "-detailed-exitcode", "-no-color")).code == 0
