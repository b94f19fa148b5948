"""One seed: a history with faults, then calm, then everything has to be as Git says and stay so without a write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from tests.simulation.history import PEOPLE, History
from tests.simulation.loop import BEGIN, VirtualLoop, simulate
from tests.simulation.world import CLUSTERS, Broken, World

from kedge.model.dossier import Dossier
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


@dataclass(frozen=True, slots=True)
class Stage:
    """What a seed is lived in. `word` is how `soak` is told of it."""

    world: Callable[[int | str, VirtualLoop], World]
    history: Callable[[World, int | str], History]
    word: str = ""


APPLICATIONS = Stage(lambda seed, loop: World(seed, loop, CLUSTERS), History)


def run(seed: int | str, actions: int = 25, stage: Stage = APPLICATIONS) -> Story:
    """Raises Failed with the story."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    world = stage.world(seed, loop)
    try:
        simulate(_history(world, stage.history(world, seed), actions), loop)
        world.check()
    except Exception as error:
        tail = "\n".join(world.story[-60:])
        raise Failed(
            f"seed {seed}: {_told(error)}\n{tail}\n"
            f"again: python -m tests.simulation.soak {stage.word}--seed {seed} --actions {actions} --story"
        ) from error
    finally:
        asyncio.set_event_loop(None)
    return Story(seed, tuple(world.story), world.lives, world.witness.begun, world.witness.writes, loop.time() - BEGIN)


def _told(error: Exception) -> str:
    """What broke: an invariant, or else the house by a bug that came as far as a person."""
    return str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"


async def _history(world: World, history: History, actions: int) -> None:
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
    history.mend()
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
                and (gave_up or not dossier.unit.sync.auto or dossier.unit.sync.heal == "never" or _harmless(dossier))
                and (dossier.plan is not None or gave_up)
            ):
                await world.house.commands.sync(PEOPLE[0], unit, "calm")
        except KedgeError as error:
            world.tell(f"person: {error}")


def _harmless(dossier: Dossier) -> bool:
    """Whether it repairs nothing by itself that deletes or replaces."""
    return dossier.unit.tool is not None and dossier.unit.tool.harmless


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
    gone = sorted(name for name in set(world.store.dossiers) - set(world.units) if not world.excused(name))
    return f"{gone[0]} left Git and is still there: {world.store.dossiers[gone[0]].shown.why}" if gone else ""


async def still(world: World) -> None:
    """Over a whole resync: no write, no run; and what is on record is what is live."""
    before = world.effort()
    await asyncio.sleep(7 * 3600.0)
    world.check()
    if world.effort() != before:
        raise Broken(f"I10 writes and runs were {before}, and at rest they become {world.effort()}")
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
