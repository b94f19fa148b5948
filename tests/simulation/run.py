"""One seed: a history with faults, then calm, then everything has to be as Git says and stay so without a write."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from hashlib import sha256

from tests.simulation.history import PEOPLE, History
from tests.simulation.loop import BEGIN, VirtualLoop, simulate
from tests.simulation.world import CLUSTERS, Broken, World

from kedge.model.errors import KedgeError
from kedge.model.ref import UnitName
from kedge.model.unit import Unit

CALM_TURNS = 120
"""Minutes of calm within which everything has to be as Git says."""


@dataclass(frozen=True, slots=True)
class Story:
    """What came of a seed, in `seconds` of its own time. `trace` is the digest of every line."""

    seed: int | str
    lines: tuple[str, ...]
    lives: int
    runs: int
    writes: int
    seconds: float

    @property
    def trace(self) -> str:
        return sha256("\n".join(self.lines).encode()).hexdigest()


class Failed(AssertionError):
    """A seed that does not hold, with its story and how to run it again."""


def run(seed: int | str, actions: int = 25) -> Story:
    """Raises Failed with the story."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    world = World(seed, loop, CLUSTERS)
    try:
        simulate(_history(world, seed, actions), loop)
        world.check()
    except AssertionError as error:
        tail = "\n".join(world.story[-60:])
        raise Failed(
            f"seed {seed}: {error}\n{tail}\n"
            f"again: python -m tests.simulation.soak --seed {seed} --actions {actions} --story"
        ) from error
    finally:
        asyncio.set_event_loop(None)
    return Story(seed, tuple(world.story), world.lives, world.witness.begun, world.witness.writes, loop.time() - BEGIN)


async def _history(world: World, seed: int | str, actions: int) -> None:
    history = History(world, seed)
    await world.live()
    await history.begin()
    world.chaos.level = history.random.choice((0.0, 0.3, 1.0, 2.0))
    world.tell(f"weather {world.chaos.level}")
    for _ in range(actions):
        await history.act()
        await history.pause()
        world.check()
    await calm(world, history)
    await still(world)
    if world.house is not None:
        await world.house.close()


async def calm(world: World, history: History) -> None:
    """The faults stop, Git is mended, and people agree to whatever they are asked: it has to come to rest."""
    world.tell("calm")
    world.chaos.level, world.chaos.disk_full, world.chaos.crash_at = 0.0, False, None
    world.source.unreachable = False
    world.recover()
    await world.revive()
    _mend(world)
    declared = {name: replace(unit, after=_only(unit, world)) for name, unit in world.units.items()}
    await world.enlist(declared)
    why = ""
    for _ in range(CALM_TURNS):
        await _agree(world, history)
        await asyncio.sleep(60.0)
        world.check()
        why = await unsettled(world)
        if not why:
            world.tell("settled")
            return
    raise Broken(f"I10 no rest after {CALM_TURNS} calm minutes: {why}")


def _only(unit: Unit, world: World) -> tuple[UnitName, ...]:
    return tuple(name for name in unit.after if str(name) in world.units)


def _mend(world: World) -> None:
    """A last commit in which nothing is broken and nothing falls ill."""
    files = {}
    for path, data in world.source.files().items():
        try:
            body = json.loads(data)
        except ValueError:
            continue
        if "spec" in body:
            body["spec"] = {**body["spec"], "sick": False, "seconds": min(30, body["spec"].get("seconds", 0))}
        files[path] = json.dumps(body).encode()
    for unit in world.units.values():
        plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "last"}, "spec": {"n": 0}}
        files[f"{unit.source.path}/last.json"] = json.dumps(plain).encode()
    world.source.commit(files, time=world.clock.now())


async def _agree(world: World, history: History) -> None:
    """People end what holds a unit, and agree to what waits."""
    assert world.house is not None
    for name in sorted(world.store.dossiers):
        dossier = world.store.dossiers[name]
        unit = UnitName.parse(name)
        try:
            if dossier.suspended or dossier.pin is not None:
                await world.house.commands.resume(PEOPLE[0], unit, "calm")
            for person in PEOPLE[:2]:
                if dossier.plan is not None and dossier.plan.needs is not None and dossier.operation is None:
                    await history.approve_one(unit, person)
            gave_up = dossier.trouble is not None and dossier.trouble.again is None
            if (
                dossier.operation is None
                and (gave_up or not dossier.unit.sync.auto or dossier.unit.sync.heal == "never")
                and (dossier.plan is not None or gave_up)
            ):
                await world.house.commands.sync(PEOPLE[0], unit, "calm")
        except KedgeError as error:
            world.tell(f"person: {error}")


async def unsettled(world: World) -> str:
    """What is not yet as Git says, "" when all is."""
    head = world.source.heads["main"]
    for name, unit in sorted(world.units.items()):
        dossier = world.store.dossiers.get(name)
        if dossier is None:
            return f"{name} is not known"
        if dossier.operation is not None or dossier.shown.sync != "Synced":
            return f"{name} is {dossier.shown.sync}: {dossier.shown.why}"
        why = world.differs(unit, head)
        if why:
            return f"{name} says Synced, but {why}"
    gone = sorted(set(world.store.dossiers) - set(world.units))
    return f"{gone[0]} left Git and is still there: {world.store.dossiers[gone[0]].shown.why}" if gone else ""


async def still(world: World) -> None:
    """Over a whole resync: no write, no run; and what is on record is what is live."""
    writes, begun = world.witness.writes, world.witness.begun
    await asyncio.sleep(7 * 3600.0)
    world.check()
    if (world.witness.writes, world.witness.begun) != (writes, begun):
        raise Broken(f"I10 {world.witness.writes - writes} writes and {world.witness.begun - begun} runs while at rest")
    why = await unsettled(world)
    if why:
        raise Broken(f"I10 after a resync {why}")
    for name, dossier in world.store.dossiers.items():
        last = dossier.last
        if last is not None and last.result == "Succeeded" and dossier.rendering is not None:
            kept = await world.store.rendered(dossier.rendering.rendered)
            if last.rendered != dossier.rendering.rendered and kept is None and dossier.plan is not None:
                raise Broken(
                    f"I9 {name}: the record names {last.rendered[:12]}, live is {dossier.rendering.rendered[:12]}"
                )
