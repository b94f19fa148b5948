"""One seed of pure runs: plans are drawn for a little world and carried out by `advance`, through faults and crashes.

The driver does what `control/road/perform.py` does, without doors: it acts, looks, writes down, and may die anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.builders import operation
from tests.simulation.judge import Broken, Judge, demand
from tests.simulation.scene import Scene, drawn

from kedge.control.road import perform
from kedge.engine import advance as engine
from kedge.engine import inventory
from kedge.engine.advance import Apply, Fail, Finish, Look, Move, Pause
from kedge.model.errors import KedgeError
from kedge.model.operation import Operation, Outcome, Owned, Result
from kedge.model.plan import Plan, Step
from kedge.store import codec

RETRY = 30.0


class Failed(AssertionError):
    """A seed that does not hold, with its story and how to run it again."""


@dataclass(slots=True)
class Ended:
    """What came of a seed."""

    lines: list[str]
    runs: int = 0
    moves: int = 0
    crashes: int = 0
    superseded: int = 0
    succeeded: int = 0


def run_pure(seed: int | str) -> Ended:
    """A few runs, one after another, over one world. Raises Failed with the story."""
    story = Ended([])
    try:
        _live(Scene(seed), story)
    except Broken as error:
        tail = "\n".join(story.lines[-60:])
        again = f"python -m tests.simulation.soak --pure --seed {seed} --story"
        raise Failed(f"seed {seed}: {error}\n{tail}\nagain: {again}") from error
    return story


def _live(scene: Scene, story: Ended) -> None:
    owned: tuple[Owned, ...] = ()
    before: tuple[Plan, Operation] | None = None
    for number in range(1, scene.random.choice((2, 3, 5))):
        plan = drawn(scene, owned, before, number)
        if plan.empty:
            continue
        owned = inventory.before(owned, plan)
        started = operation(plan, id=f"{number:016x}", number=number, started=scene.now, deadline=scene.now + 600.0)
        story.lines.append(f"run {number}: {', '.join(step.key for step in plan.steps)}")
        ended = Run(scene, story, plan, started).live()
        owned = inventory.after(owned, plan, ended)
        lost = {ref for ref in list(scene.things) if scene.thing(ref)} - inventory.refs(owned)
        lost = {ref for ref in lost if not scene.things[ref].keep}
        demand(not lost, "R10 what was made and stands is in the inventory", sorted(map(str, lost)))
        before = (plan, ended)
        scene.now += scene.random.choice((0.0, 5.0, 300.0))


class Run:
    """`run` is what this life knows, `record` what the next one would find."""

    def __init__(self, scene: Scene, story: Ended, plan: Plan, run: Operation) -> None:
        self.scene, self.story, self.plan, self.run = scene, story, plan, run
        self.record = codec.encode(run, "operation")
        self.judge = Judge(scene, plan, run)
        self.turns = 0
        story.runs += 1

    def live(self) -> Operation:
        """Turn after turn until its end, which comes within the deadline and a bounded number of turns."""
        while True:
            self.turns += 1
            demand(self.turns < 400, "R7 a run ends within a bounded number of turns")
            demand(self.scene.now <= self.judge.last + 2 * RETRY, "R6 a run ends by its deadline")
            if self.turns > 1 and self._superseded():
                self.story.superseded += 1
                return replace(self.run, result=Result.SUPERSEDED)
            ended = self._turn()
            if ended is not None:
                self._tell(f"{ended.result}: {ended.message}")
                self.story.succeeded += ended.result is Result.SUCCEEDED
                return replace(self.run, result=ended.result, message=ended.message)

    def _superseded(self) -> bool:
        if self.scene.random.random() > 0.03:
            return False
        refs = engine.unheard(self.run, self.plan)
        if not engine.interruptible(self.run, self.plan, {ref: self.scene._sight(ref) for ref in refs}):
            return False
        self._tell("superseded")
        self.judge.superseded()
        return True

    def _turn(self) -> Finish | None:
        """Until it ends, pauses, stumbles or dies."""
        looked = False
        for _ in range(6 * len(self.plan.steps) + 10):
            move = self._move(looked)
            looked = isinstance(move, Look)
            match move:
                case Look(refs):
                    sights = self.scene.look(refs)
                    self.judge.saw(sights)
                    self.run = engine.observe(self.run, self.plan, sights, self.scene.now)
                case Apply(steps):
                    if not self._apply(steps):
                        return None
                case Fail(why):
                    self.run = replace(self.run, failing=why)
                    self._tell(f"fails: {why}")
                case Pause(_, until):
                    self._write_down()
                    self.scene.now = min(until, self._next())
                    return None
                case Finish():
                    return move
            if self.scene.random.random() < self.scene.rough / 5:
                self._die()
                return None
        raise Broken("R7 a turn makes a bounded number of moves")

    def _move(self, looked: bool) -> Move:
        """What comes next: the same for whoever reads the operation from the record."""
        self.story.moves += 1
        move = engine.advance(self.run, self.plan, self.scene.now, looked=looked)
        read = codec.decode(codec.encode(self.run, "operation"), Operation, "operation")
        again = engine.advance(read, self.plan, self.scene.now, looked=looked)
        demand(again == move, "R11 the record says all that is needed", f"{move} and then {again}")
        self._tell(_brief(move))
        self.judge.moved(self.run, move, looked)
        return move

    def _apply(self, steps: tuple[Step, ...]) -> bool:
        """Whether the turn goes on."""
        if engine.takes_a_witness(self.run, self.plan, steps):
            self._write_down()
        error: KedgeError | None = None
        for step in steps:
            outcome: Outcome | None = None
            try:
                outcome = self.scene.act(self.run, step)
                self.run = replace(self.run, outcomes=(*self.run.outcomes, outcome))
            except KedgeError as raised:
                error = error or raised
                self._tell(f"{step.key}: {raised}")
            self.judge.acted(step, outcome)
        if error is None:
            return True
        why = perform._hopeless(self.run, steps, error, self.scene.now)
        if why:
            self.judge.troubled = True
            self.run = replace(self.run, failing=why)
            return True
        self._write_down()
        self.scene.now += RETRY
        return False

    def _next(self) -> float:
        """When an event rings, or none does."""
        self.scene.shown.clear()
        return max(self.scene.now + 0.5, self.scene.next_event())

    def _write_down(self) -> None:
        self.record = codec.encode(self.run, "operation")

    def _die(self) -> None:
        self.story.crashes += 1
        self._tell("CRASH")
        self.run = codec.decode(self.record, Operation, "operation")
        self.judge.crashed(self.run)

    def _tell(self, line: str) -> None:
        self.story.lines.append(f"{self.scene.now:8.1f} {line}")


def _brief(move: Move) -> str:
    if isinstance(move, Apply):
        return "apply " + ", ".join(f"{step.act} {step.key}" for step in move.steps)
    return str(move)
