"""The world with stacks in it: a cloud, a tool that works while houses come and go, states, and hands that may fail."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.doors import tiny_iac
from tests.doors.memory_states import memory_states
from tests.doors.memory_tool import Job, MemoryTool, Runner
from tests.doors.tiny_iac import MAIN, Cloud, Given, Refused, State, code_of
from tests.doors.tiny_renderer import TinyRenderer
from tests.simulation.chaos import Chaos
from tests.simulation.house import House
from tests.simulation.loop import VirtualLoop
from tests.simulation.stack_witness import SECRET, StackWitness
from tests.simulation.world import World

from kedge.engine.inputs import filled, missing
from kedge.engine.outputs import at_path
from kedge.model.dossier import Dossier
from kedge.model.errors import Invalid, Unavailable
from kedge.model.execution import Ending
from kedge.model.manifest import Desired
from kedge.model.output import Published
from kedge.model.unit import Unit
from kedge.ports import Snapshot, Target
from kedge.targets.every import EveryTarget
from kedge.targets.opentofu import OpenTofuTarget

PATIENCE = 120.0
"""Seconds for which the tool asks a state backend again that does not answer."""
SLOWLY = ("start", "stop", "forget", "result", "head", "grant", "revoke", "bring_home")
REPEATED = ("start", "grant", "revoke", "bring_home", "forget")
"""Calls that may be done although nobody hears of it."""


class MortalRenderer(TinyRenderer):
    """Its workers may die."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos

    async def render(self, snapshot: Snapshot, unit: Unit) -> Desired:
        await self._chaos.worker()
        return await super().render(snapshot, unit)


class Fused:
    """A door of one life: the house may die before and after each call, and a call may take its time, or fail."""

    def __init__(self, inner: Any, world: StackWorld, house: House) -> None:
        self._inner, self._world, self._house = inner, world, house

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return functools.partial(self._call, name, method) if name in SLOWLY else method

    async def _call(self, name: str, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        chaos, dead = self._world.chaos, lambda: self._house.dead
        await chaos.point(f"before {name}", dead)
        if chaos.luck(0.02):
            chaos.tell(f"{name} is refused")
            raise Unavailable(f"{name}: it does not answer")
        if chaos.luck(0.1):
            await asyncio.sleep(chaos.random.choice((0.01, 1.0, 20.0)))
            await chaos.point(f"amid {name}", dead)
        done = await method(*args, **more)
        await chaos.point(f"after {name}", dead)
        if name in REPEATED and chaos.luck(0.03):
            chaos.tell(f"lost reply {name}")
            raise Unavailable(f"{name}: connection reset")
        return done

    def subscribe(self, ring: Callable[[str, str], None]) -> None:
        """A ring may be lost: it costs time, never correctness."""
        chaos = self._world.chaos
        self._inner.subscribe(lambda unit, id: None if chaos.luck(0.1) else ring(unit, id))


@dataclass
class Fate:
    """`memory_tool.Hands`: how long things take, what fails, and what kills."""

    world: StackWorld
    slow: dict[str, bool] = field(default_factory=dict)

    async def go_on(self, job: Job, what: str) -> None:
        chaos = self.world.chaos
        self.world.came_to(f"{job.execution.task} {what}")
        calm = (0.5, 2.0) if chaos.level else (1.0, 3.0)
        rough = (0.0, 0.5, 3.0, 3.0, 20.0, 70.0)
        await job.wait(chaos.random.choice(rough if chaos.luck(0.7) else calm))
        if chaos.luck(0.03):
            self.world.tell(f"killed {job.execution.id} at {what}")
            job.kill()
            await job.wait(0.0)
        if chaos.luck(0.03) and what != "written" and what != "unlocked":
            self.world.tell(f"{job.execution.id} fails at {what}")
            raise Refused("the provider does not answer")

    async def call(self, job: Job, what: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The backend is a part of the house: while that is dead, nobody answers."""
        began, chaos = self.world.loop.time(), self.world.chaos
        while True:
            up = self.world.house is not None and not self.world.house.dead
            if chaos.luck(0.05):
                await job.wait(chaos.random.choice((0.2, 5.0)))
            if job.killed:
                await job.wait(0.0)
            if up and not chaos.disk_full and not chaos.luck(0.05):
                answer = await ask()
                if not chaos.luck(0.03):
                    return answer
                self.world.tell(f"lost reply {what} {job.execution.id}")
            if self.world.loop.time() - began >= (5.0 if job.asked else PATIENCE):
                raise Unavailable(f"{what}: no answer for long")
            await asyncio.sleep(5.0)
            if job.killed:
                await job.wait(0.0)

    def made(self, job: Job, shown: dict[str, Any], state: State) -> None:
        self.world.witness.planned(job, shown, state)

    def applies(self, job: Job, saved: dict[str, Any], state: State) -> None:
        self.world.witness.applies(job, saved, state)

    def snaps(self, job: Job) -> bool:
        return self.world.chaos.luck(0.3)


class StackWorld(World):
    """`amid_run`: who does something at which of the points that runs come to (counted from now, of this name)."""

    witness: StackWitness

    def __init__(self, seed: int | str, loop: VirtualLoop) -> None:
        super().__init__(seed, loop)
        self.renderer = MortalRenderer(self.chaos)
        self.cloud = Cloud(told=self._changed, secret=SECRET)
        self.states = replace(memory_states(self.clock, self.installation), over=self._over)
        self.runner = Runner(self.states, self.cloud, Fate(self))
        self.exec = MemoryTool(self.clock, self._work)
        self.people: list[asyncio.Task[None]] = []
        self.amid_run: tuple[int, Callable[[], Awaitable[None]], str] | None = None

    def make_witness(self) -> StackWitness:
        return StackWitness(self)

    def _over(self, execution: str) -> bool:
        report = self.exec.report(execution)
        return report is not None and report.ending is not None

    async def _work(self, job: Job) -> Any:
        execution, good = job.execution, False
        self.tell(f"tool: begins {execution.id} of {execution.unit}{' (drift)' if execution.drift else ''}")
        self.witness.begins(job)
        try:
            answer = await self.runner.work(job)
            good = answer.ending is Ending.SUCCEEDED
        finally:
            self.witness.over(job, good)
        self.tell(f"tool: {execution.id} {answer.ending}: {'; '.join(answer.problems)[:90]}")
        return answer

    def came_to(self, what: str) -> None:
        """A run comes to a point: who waits for that acts now, beside it."""
        if self.amid_run is None:
            return
        left, person, point = self.amid_run
        if point in what:
            self.amid_run = (left - 1, person, point) if left > 1 else None
            if left == 1:
                self.tell(f"amid a run, {what}:")
                task = self.loop.create_task(person())
                task.add_done_callback(self._acted)
                self.people.append(task)

    def _acted(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.bug("a person", error)

    def recover(self) -> None:
        super().recover()
        self.amid_run = None

    def _changed(self, act: str, thing: tiny_iac.Thing, execution: str) -> None:
        self.tell(f"cloud: {execution or 'another hand'} {act} {thing.address} {thing.id} of {thing.unit}")
        self.witness.clouded(act, thing, execution)

    def make_target(self, house: House) -> Target:
        exec_, states = Fused(self.exec, self, house), Fused(self.states, self, house)
        stacks = OpenTofuTarget(exec_, states, self.clock, self.entropy, _no_environment)
        return EveryTarget(super().make_target(house), stacks)

    def _die(self) -> None:
        super()._die()
        self.exec.house_is_gone()

    def stack_state(self, unit: str) -> State:
        """The newest state."""
        kept = self.states.store._inline(unit)
        return tiny_iac.state_of(kept[-1][1].content if kept else None)

    def excused(self, name: str) -> bool:
        """To destroy a stack takes the secrets that it was made with; they went with the unit that they are from."""
        why = self.store.dossiers[name].shown.why
        unit, _, output = why.removeprefix("waits for ").rpartition(".")
        return why.startswith("waits for ") and output == "token" and output not in self.stack_state(unit).outputs

    def effort(self) -> tuple[int, ...]:
        begun = sum(1 for execution in self.exec.begun if not execution.drift)
        return (*super().effort(), begun)

    def published(self, unit: Unit) -> dict[str, Published]:
        """What the units that it reads put out by now, by the input's name, as the store has it."""
        known = {}
        for given in unit.inputs:
            upstream = self.store.dossiers.get(str(given.unit))
            outputs = {output.name: output for output in (upstream.outputs if upstream is not None else ())}
            if given.output in outputs:
                known[given.name] = outputs[given.output]
        return known

    def filled(self, unit: Unit, data: bytes) -> bytes:
        known = self.published(unit)
        if missing(unit, known):
            return data
        render = filled(unit, known).render
        for name, value in (render.substitute.variables if render.substitute is not None else {}).items():
            data = data.replace(f"${{{name}}}".encode(), str(value).encode())
        return data

    def given(self, unit: Unit, commit: str) -> Given | None:
        """What the tool would be given of a stack at a commit, with the values that are there now; None where it does
        not render, or a value is not there."""
        known = self.published(unit)
        if unit.tool is None or missing(unit, known):
            return None
        text = self.source.commits[commit].files.get(f"{unit.source.path}/{MAIN}")
        try:
            code = code_of(text or b"")
            tool = filled(unit, known).tool
        except (TypeError, ValueError, Invalid):
            return None
        assert tool is not None
        variables = json.loads(tool.variables)
        secret = {given.name for given in tool.secrets}
        marked = [name for name, value in variables.items() if isinstance(value, dict)]
        for wanted in tool.secrets:
            value = self.stack_state(str(wanted.unit)).outputs.get(wanted.output, {}).get("value")
            variables = {n: value if v == {"$input": wanted.name} else v for n, v in variables.items()}
        return Given(code, variables, tuple(marked) if secret else ())

    def would_do(self, unit: Unit, commit: str, *, cloud: bool = True) -> dict[str, Any] | str:
        """What a plan of a stack would say now, or why there is none. Without the cloud: against its state alone."""
        given, state = self.given(unit, commit), self.stack_state(str(unit.name))
        if given is None:
            return f"{commit[:7]} does not render"
        world = self.cloud
        if not cloud:
            things = {r["id"]: tiny_iac.Thing(r["id"], "", "", dict(r)) for r in state.resources.values()}
            world = Cloud(things)
        try:
            return tiny_iac.planned(given, state, world)
        except Refused as error:
            return str(error)

    def left_to_do(self, unit: Unit, commit: str) -> str:
        """What of a stack is as a commit says neither by its state nor by the cloud: a run may have died before it
        could write the state, and the cloud may have been changed since it was looked at."""
        by_state, by_cloud = (self.would_do(unit, commit, cloud=cloud) for cloud in (False, True))
        if isinstance(by_state, str) or isinstance(by_cloud, str):
            return f"{by_state if isinstance(by_state, str) else by_cloud}"
        told = {address: act for address, act, _ in tiny_iac.deeds(by_cloud)}
        return "; ".join(f"{act} {address}" for address, act, _ in tiny_iac.deeds(by_state) if address in told)

    def known_head(self, unit: Unit) -> str | None:
        """The newest commit that the house has heard of."""
        head = self.store.known_heads.get((unit.source.repository, unit.source.ref))
        return head.revision.commit if head is not None and head.revision is not None else None

    def lacks(self, unit: Unit, commit: str) -> str:
        """What of an application is not there as a commit says, "" for nothing."""
        wanted, cluster = self.wanted(unit, commit), self.clusters[unit.target.cluster]
        if wanted is None:
            return f"{commit[:7]} does not render"
        there = {ref: thing.body for ref, thing in cluster.things.items() if not thing.terminating}
        return "; ".join(f"{ref} is not as {commit[:7]} says" for ref in wanted if there.get(ref) != wanted[ref])

    def put_out(self, dossier: Dossier, output: str) -> str | None:
        """What a unit puts out now, as text: a stack by its state, an application as it was last published."""
        if dossier.unit.tool is not None:
            found = self.stack_state(str(dossier.name)).outputs.get(output)
            return str(found["value"]) if found is not None else None
        known = next((each for each in dossier.outputs if each.name == output), None)
        return str(json.loads(known.value)) if known is not None else None

    def expected(self, dossier: Dossier, output: str) -> str | None:
        """What a unit is going to put out once what Git says of it is applied; None where nobody can tell."""
        head = self.known_head(dossier.unit)
        if head is None or dossier.pin is not None or dossier.removed is not None:
            return None
        if dossier.unit.tool is None:
            place = next((each for each in dossier.unit.outputs if each.name == output), None)
            bodies = (self.wanted(dossier.unit, head) or {}).items()
            kind, _, name = (place.object if place is not None else "").partition("/")
            found = [
                at_path(body, place.path) for ref, body in bodies if place and (ref.kind, ref.name) == (kind, name)
            ]
            return str(found[0]) if found and found[0] is not None else None
        shown = self.would_do(dossier.unit, head, cloud=False)
        change = {} if isinstance(shown, str) else shown["output_changes"].get(output, {})
        return str(change["after"]) if change and not change["after_unknown"] and change["after"] is not None else None

    def differs(self, unit: Unit, commit: str) -> str:
        if unit.tool is None:
            return self.compared(unit, commit)
        shown = self.would_do(unit, commit)
        if isinstance(shown, str):
            return shown
        found = tiny_iac.deeds(shown)
        return f"{found[0][1]} {found[0][0]} is to be done" if found else self._unwell(str(unit.name))

    def _unwell(self, name: str) -> str:
        """What should not be left of a stack at rest."""
        if name in self.states.store.locks:
            return f"the state of {name} is locked"
        published = {output.name: output.value for output in self.store.dossiers[name].outputs if not output.sensitive}
        there = {n: json.dumps(o["value"]) for n, o in self.stack_state(name).outputs.items() if not o.get("sensitive")}
        return "" if published == there else f"{name} puts out {there}, and is known to put out {published}"


async def _no_environment(name: str) -> Mapping[str, str]:
    return {}
