"""What people and bad luck do to a world with stacks in it, from a seed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from tests.doors.memory_source import REPOSITORY
from tests.doors.tiny_iac import MAIN
from tests.simulation.history import PEOPLE, History
from tests.simulation.stack_world import StackWorld

from kedge.engine import states
from kedge.engine.states import Will
from kedge.model.declaration import (
    ApproveSection,
    Heal,
    OnRemove,
    SyncSection,
    TargetSection,
    ValueType,
    When,
    WindowSection,
)
from kedge.model.execution import Tool
from kedge.model.ref import UnitName
from kedge.model.rendering import SubstituteSection
from kedge.model.source import SourceSpec
from kedge.model.unit import Input, OutputField, RenderSpec, StackTool, Unit

NAMES = ("shop/net", "shop/db", "shop/web", "shop/dns")
"""In the order in which one may read another, or come after it. shop/web is an application."""
WEB = "shop/web"
READER = "reader.json"
VARIABLES = {"size": "small", "peer": "nobody", "token": "none"}
WORDS = ("red", "blue", "green")


class StackHistory(History):
    """Stacks that read each other, an application among them, and what may happen to all of them. `shown` are effects
    of plans that people have looked at, by unit."""

    world: StackWorld

    def __init__(self, world: StackWorld, seed: int | str) -> None:
        super().__init__(world, seed)
        self.shown: dict[tuple[str, str], None] = {}

    def files_of(self, unit: str) -> str:
        return f"apps/{unit}" if unit == "web" else f"infra/{unit}"

    # -- declarations --------------------------------------------------------------------------------------------------

    def declared(self, name: str, known: list[str]) -> Unit:
        """A unit that may read, or come after, what is known before it."""
        draw, number = self.random, NAMES.index(name)
        before = [other for other in NAMES[:number] if other in known]
        inputs, wired = self.wiring(name, before)
        after = tuple(UnitName.parse(other) for other in before if draw.random() < 0.2)
        unit = Unit(
            UnitName.parse(name),
            "admin",
            SourceSpec(REPOSITORY, "main", self.files_of(name.partition("/")[2])),
            TargetSection("default", "web") if name == WEB else TargetSection(cluster=""),
            sync=SyncSection(
                auto=draw.random() < 0.9,
                heal=Heal.ALWAYS if draw.random() < 0.6 else Heal.NEVER,
                timeout=draw.choice((120.0, 600.0)),
            ),
            approve=draw.choice(
                (
                    ApproveSection(When.NEVER),
                    ApproveSection(),
                    ApproveSection(When.ALWAYS, ("group:sre",), draw.choice((1, 1, 2))),
                )
            ),
            on_remove=draw.choice((OnRemove.KEEP, OnRemove.ASK)),
            after=after,
            digest=str(draw.random()),
            inputs=inputs,
        )
        if name == WEB:
            substitute = SubstituteSection(variables=wired or {"peer": "nobody"})
            outputs = (OutputField("endpoint", "ConfigMap/reader", "spec.address"),)
            return replace(unit, render=RenderSpec(substitute=substitute), outputs=outputs)
        variables = {**({"size": draw.choice(WORDS)} if draw.random() < 0.7 else {}), **wired}
        windows = (WindowSection((), "20:00", "04:00", "UTC"),) if draw.random() < 0.15 else ()
        tool = StackTool(
            Tool.OPENTOFU,
            variables=json.dumps(variables, sort_keys=True, separators=(",", ":")),
            every=draw.choice((1800.0, 3600.0)),
            windows=windows,
            harmless=unit.sync.heal is Heal.ALWAYS and draw.random() < 0.5,
        )
        return replace(unit, tool=tool)

    def wiring(self, name: str, before: list[str]) -> tuple[tuple[Input, ...], dict[str, Any]]:
        """What is read of whom: `endpoint`, or `ident` (known after the apply), and of stacks by stacks a secret."""
        draw = self.random
        inputs: list[Input] = []
        wired: dict[str, Any] = {}
        if before and draw.random() < 0.75:
            upstream = draw.choice(before[-2:])
            output = "ident" if upstream != WEB and draw.random() < 0.2 else "endpoint"
            inputs.append(Input("host", UnitName.parse(upstream), output, ValueType.STRING))
            wired["peer"] = {"$input": "host"}
        stacks = [other for other in before if other != WEB]
        if name != WEB and stacks and draw.random() < 0.35:
            inputs.append(Input("key", UnitName.parse(draw.choice(stacks)), "token", ValueType.STRING))
            wired["token"] = {"$input": "key"}
        return tuple(inputs), wired

    # -- files ---------------------------------------------------------------------------------------------------------

    def code(self, path: str, *, sound: bool = False) -> tuple[str, bytes]:
        """Code of a stack. `sound`: nothing of it is broken, and all that others read is put out."""
        draw, self.count = self.random, self.count + 1
        size = draw.choice(("${var.size}", "${var.size}", *WORDS))
        resources: dict[str, dict[str, Any]] = {}
        if sound or draw.random() < 0.9:
            resources["disk.a"] = {"kind": draw.choice(("ssd", "ssd", "hdd")), "size": size}
        if "disk.a" in resources and draw.random() < 0.5:
            resources["disk.b"] = {"kind": "ssd", "of": "${disk.a.id}", "key": "${var.token}"}
        if draw.random() < 0.4:
            resources["null_resource.c"] = {"trigger": draw.choice(WORDS)}
        if draw.random() < 0.4:
            resources["disk.d"] = {"kind": "ssd", "peer": "${var.peer}"}
        peer = "-${var.peer}" if draw.random() < 0.4 else ""
        outputs: dict[str, Any] = {"endpoint": {"value": f"{draw.choice(WORDS)}-${{var.size}}{peer}"}}
        if "disk.a" in resources:
            outputs["ident"] = {"value": "${disk.a.id}"}
            outputs["token"] = {"value": "${disk.a.secret}", "sensitive": True}
        code = {"variables": VARIABLES, "resources": resources, "outputs": outputs}
        if not sound and draw.random() < 0.05:
            code["broken"] = "there is no such region"
        text = b"{" if not sound and draw.random() < 0.03 else json.dumps(code).encode()
        return f"{path}/{MAIN}", text

    def reader(self) -> tuple[str, bytes]:
        """The object of shop/web that reads a value, and that one is read from."""
        self.count += 1
        address = self.random.choice((*WORDS, "at-${peer}"))
        spec = {"n": self.count, "url": "<${peer}>", "address": address}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "reader"}, "spec": spec}
        return f"apps/web/{READER}", json.dumps(body).encode()

    def draw_file(self, path: str) -> tuple[str, bytes]:
        if path.startswith("infra/"):
            return self.code(path)
        return self.reader() if self.random.random() < 0.5 else super().draw_file(path)

    async def begin(self) -> None:
        known = [name for name in NAMES if self.random.random() < 0.85] or list(NAMES[:2])
        files = dict(self.code(self.files_of(name.partition("/")[2])) for name in NAMES if name != WEB)
        files.update([self.reader(), super().draw_file("apps/web")])
        self.world.source.commit(files, time=self.world.clock.now())
        await self.enlist({name: self.declared(name, known) for name in known})
        self.world.house.rounds.hint(lambda repository: True, "main")
        for _ in range(self.random.choice((0, 4, 6))):
            await asyncio.sleep(20.0)
            for name in known:
                for person in PEOPLE[:2]:
                    await History.approve_one(self, UnitName.parse(name), person)

    async def enlist(self, units: dict[str, Unit]) -> None:
        """A root that names what is not declared is not taken over: whoever read it is wired anew."""
        for name, unit in sorted(units.items()):
            names = [*unit.after, *(given.unit for given in unit.inputs)]
            if any(str(other) not in units for other in names):
                units[name] = self.declared(name, sorted(units))
        await self.world.enlist(units)

    # -- what happens --------------------------------------------------------------------------------------------------

    async def act(self) -> None:
        actions = self.choices()
        chosen = self.random.choices([call for _, call in actions], [weight for weight, _ in actions])[0]
        await chosen()

    def choices(self) -> tuple[tuple[int, Callable[[], Awaitable[None]]], ...]:
        return (
            (9, self.commit),
            (1, self.force_push),
            (2, self.drift),
            (6, self.cloud_drift),
            (12, self.approve),
            (3, self.sync),
            (1, self.suspend),
            (3, self.resume),
            (4, self.rollback),
            (4, self.roots),
            (2, self.look),
            (2, self.kill),
            (2, self.push_state),
            (2, self.fault),
            (2, self.crash),
            (1, self.outage),
            (8, self.amid),
        )

    async def amid(self) -> None:
        """Something happens while a run is at work, at a point that it comes to."""
        anywhere = tuple((weight, call, "") for weight, call in self.choices()[:-1])
        wanted: tuple[tuple[int, Callable[[], Awaitable[None]], str], ...] = (
            *anywhere,
            (7, self.crash, "apply"),
            (7, self.cancel, "apply"),
            (8, self.unlock, "apply before"),
            (6, self.kill, "apply"),
            (8, self.push_state_of_it, "apply begin"),
            (4, self.commit, "apply"),
        )
        _, chosen, point = self.random.choices(wanted, [weight for weight, _, _ in wanted])[0]
        self.world.amid_run = (self.random.choice((1, 1, 1, 2, 4)), chosen, point)

    async def pause(self) -> None:
        for _ in range(self.random.choice((0, 1, 1, 2))):
            await asyncio.sleep(self.random.choice((0.05, 1.0, 3.0, 7.0, 25.0, 70.0, 200.0, 700.0)))
            await self.world.revive()
        # Nobody leaves a full disk, or a repository that does not answer, for as long as everything else may take.
        self.world.chaos.disk_full = self.world.chaos.disk_full and self.random.random() < 0.5
        self.world.source.unreachable = self.world.source.unreachable and self.random.random() < 0.7

    async def approve(self) -> None:
        """Mostly of what waits."""
        dossiers = self.world.store.dossiers
        waiting = [name for name, each in dossiers.items() if each.plan is not None and each.plan.needs is not None]
        name = UnitName.parse(self.random.choice(sorted(waiting))) if waiting else self._some_unit()
        for person in PEOPLE[: self.random.choice((1, 1, 2))]:
            await self.approve_one(name, person)

    async def commit(self) -> None:
        draw, files = self.random, self.world.source.files()
        for _ in range(draw.choice((1, 2, 2, 3))):
            name = draw.choice(NAMES)
            files.update([self.draw_file(self.files_of(name.partition("/")[2]))])
            others = sorted(path for path in files if path.startswith("apps/web/") and not path.endswith(READER))
            if name == WEB and others and draw.random() < 0.3:
                files.pop(draw.choice(others))
        self._push(files)

    async def cloud_drift(self) -> None:
        """Somebody goes to the cloud's console."""
        draw, cloud = self.random, self.world.cloud
        if not cloud.things:
            return
        id = draw.choice(sorted(cloud.things))
        dice = draw.random()
        if dice < 0.3:
            cloud.drop(id)
        elif dice < 0.5:
            cloud.change(id, {"note": draw.choice(WORDS)})
        else:
            cloud.change(id, {draw.choice(("size", "kind")): draw.choice(WORDS)})

    async def roots(self) -> None:
        draw, world = self.random, self.world
        units = dict(world.units)
        dice = draw.random()
        if units and dice < 0.25:
            units.pop(draw.choice(sorted(units)))
        elif units and dice < 0.75:
            name = draw.choice(sorted(units))
            units[name] = self.declared(name, sorted(units))
        else:
            for name in NAMES:
                if name not in units:
                    units[name] = self.declared(name, sorted(units))
        await self.enlist(units)

    async def resume(self) -> None:
        """What is held, where anything is."""
        dossiers = self.world.store.dossiers
        held = sorted(name for name, each in dossiers.items() if each.suspended or each.pin is not None)
        name = UnitName.parse(self.random.choice(held)) if held else self._some_unit()
        await self._ask(f"resume {name}", self._commands.resume(PEOPLE[0], name, "go"))

    async def rollback(self) -> None:
        """Of what has been somewhere else before."""
        dossiers = self.world.store.dossiers
        moved = sorted(name for name, each in dossiers.items() if each.runs > 1)
        name = UnitName.parse(self.random.choice(moved)) if moved else self._some_unit()
        runs = dossiers[str(name)].runs if str(name) in dossiers else 0
        to = str(self.random.randint(1, runs)) if runs > 1 and self.random.random() < 0.6 else ""
        await self._ask(f"rollback {name} to “{to}”", self._commands.rollback(PEOPLE[1], name, to, "worse now"))

    async def look(self) -> None:
        """Somebody asks for a fresh plan, beside the stack's own."""
        name = self._some_unit()
        await self._ask(f"look at {name}", self._commands.plan(name))

    async def kill(self) -> None:
        """The kernel ends a run."""
        jobs = self.world.exec.jobs
        if jobs:
            id = self.random.choice(sorted(jobs))
            self.world.tell(f"killed {id}")
            jobs[id].kill()

    async def push_state(self) -> None:
        """Somebody gives a stack the state that it has, once more: plans of before are stale."""
        kept = sorted(name for name, versions in self.world.states.store.kept.items() if versions)
        if kept:
            name = self.random.choice(kept)
            await self._ask(f"pushes the state of {name}", self._pushed(name))

    async def push_state_of_it(self) -> None:
        """To a stack that is being applied just now, if any is."""
        store = self.world.states.store
        working = sorted({job.unit for job in self.world.exec.jobs.values() if store.kept.get(job.unit)})
        if working:
            name = self.random.choice(working)
            await self._ask(f"pushes the state of {name}", self._pushed(name))

    async def _pushed(self, name: str) -> None:
        state, backend = self.world.stack_state(name), self.world.states
        state.serial += 1
        text, will = await backend.text(state.text()), Will("mona", "mended", self.world.clock.now())
        await backend.store.turn(name, "", lambda facts: states.push(facts, text, will), text)
        self.world.witness.touched(name)
        if self.world.house is not None:
            self.world.house.turns.ring(name)

    async def unlock(self) -> None:
        """Somebody breaks a lock by force, whoever holds it."""
        locks = self.world.states.store.locks
        if locks:
            name = self.random.choice(sorted(locks))
            await self._ask(f"breaks the lock of {name}", self._unlocked(name))

    async def _unlocked(self, name: str) -> None:
        backend, held = self.world.states, self.world.states.store.locks[name]
        will = Will("mona", "it hangs", self.world.clock.now(), force=True)
        await backend.store.turn(
            name, held.execution, lambda facts: states.break_lock(facts, held.id, will, dead=False)
        )

    async def outage(self) -> None:
        """The house goes down, and nobody is there to put it up again for a while."""
        self.world.tell("CRASH: the machine of the house")
        self.world._die()
        await asyncio.sleep(self.random.choice((5.0, 60.0, 200.0)))

    # -- the end -------------------------------------------------------------------------------------------------------

    def mend(self) -> None:
        files = {}
        for path, data in self.world.source.files().items():
            if path.startswith("infra/"):
                continue
            body = json.loads(data)
            if "seconds" in body.get("spec", {}):
                body["spec"] = {**body["spec"], "sick": False, "seconds": min(30, body["spec"]["seconds"])}
            files[path] = json.dumps(body).encode()
        files.update([self.reader()])
        for name in NAMES:
            if name != WEB:
                files.update([self.code(self.files_of(name.partition("/")[2]), sound=True)])
        self.world.source.commit(files, time=self.world.clock.now())
        for name, unit in self.world.units.items():
            if unit.tool is not None and unit.tool.windows:
                self.world.units[name] = replace(unit, tool=replace(unit.tool, windows=()), digest="mended")

    async def approve_one(self, name: UnitName, person: Any) -> None:
        """Now and then of a plan that was shown a while ago."""
        known = sorted({effects for unit, effects in self.shown if unit == str(name)})
        if known and self.world.chaos.level and self.random.random() < 0.2:
            old = self.random.choice(known)
            await self._ask(f"{person.name} approves an old plan of {name}", self._approved(person, name, old))
            return
        await super().approve_one(name, person)
        dossier = self.world.store.dossiers.get(str(name))
        if dossier is not None and dossier.plan is not None:
            self.shown[str(name), dossier.plan.effects] = None

    async def _approved(self, person: Any, name: UnitName, effects: str) -> None:
        await self._commands.approve(person, name, effects, "as it was")
