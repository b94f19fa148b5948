"""Judges every move of a pure run by an account of its own: what was done, and what the watch has shown since."""

from __future__ import annotations

from collections.abc import Mapping

from tests.simulation.scene import GATED, Scene

from kedge.engine.advance import SICK_GRACE, Apply, Fail, Finish, Look, Move, Pause
from kedge.model.change import Act
from kedge.model.operation import Did, Operation, Outcome, Result, Sight
from kedge.model.plan import DeletePolicy, Phase, Plan, Step, StepKind
from kedge.model.ref import Ref

CLEAN = "clean:"
BASES = ("Namespace", "CustomResourceDefinition")


class Broken(AssertionError):
    """An invariant of runs does not hold."""


def demand(true: bool, rule: str, about: object = "") -> None:
    if not true:
        raise Broken(f"{rule}: {about}" if about else rule)


class Judge:
    """`account` says of each step: working, clearing, well or failed. Steps that are not in it are still to do."""

    def __init__(self, scene: Scene, plan: Plan, run: Operation) -> None:
        self.scene, self.plan, self.id = scene, plan, run.id
        self.timeout = run.deadline - run.started
        self.last = run.started + 2 * self.timeout
        self.steps = {step.key: step for step in plan.steps}
        self.main = [step for step in plan.steps if step.phase is not Phase.SYNC_FAIL]
        self.account: dict[str, str] = {}
        self.since: dict[str, float] = {}
        self.uids: dict[str, str] = {}
        self.troubled = False

    def moved(self, run: Operation, move: Move, looked: bool) -> None:
        match move:
            case Apply(steps):
                self._applies(run, steps)
            case Look(refs):
                demand(not looked and bool(refs), "R9 it looks once, at something")
                demand(set(refs) <= {step.ref for step in self.plan.steps}, "R9 it looks at its own objects", refs)
            case Pause(_, until):
                demand(looked, "R9 nobody waits without having looked")
                demand(self._waits(), "R9 nobody waits for what has been seen to be well", self.account)
                demand(self.scene.now < until <= self.last, "R6 a pause ends within the deadline", until)
                demand(bool(run.failing) or until <= run.deadline, "R6 a run that goes well has one deadline", until)
            case Fail(why):
                late = self.scene.now >= run.deadline and self._waits()
                justified = self.troubled or late or "failed" in self.account.values()
                demand(bool(why) and justified and not run.failing, "R8 a run fails once, for a reason", why)
            case Finish(result, message):
                self._finishes(run, result, message)

    def _waits(self) -> bool:
        return any(state in ("working", "clearing") for state in self.account.values())

    def _applies(self, run: Operation, steps: tuple[Step, ...]) -> None:
        demand(bool(steps), "R7 an apply does something")
        known = {outcome.step for outcome in run.outcomes}
        for step in steps:
            demand(step.key not in known, "R4 nothing is done again whose outcome is known", step.key)
            if step.key.startswith(CLEAN):
                self._cleans(run, step)
            elif run.failing:
                demand(step.phase is Phase.SYNC_FAIL, "R5 a failing run only runs its SyncFail hooks", step.key)
            else:
                demand(step.phase is not Phase.SYNC_FAIL, "R5 SyncFail hooks are of failing runs", step.key)
                self._in_order(step)

    def _in_order(self, step: Step) -> None:
        place = (step.phase.rank, step.wave)
        for other in self.main:
            state, theirs = self.account.get(other.key), (other.phase.rank, other.wave)
            if theirs < place:
                rule = (
                    "R3 nothing is pruned before what is applied is well" if step.phase is Phase.PRUNE else "R1 waves"
                )
                demand(state == "well", f"{rule}: before {step.key}", f"{other.key} is {state}")
            elif theirs == place and other.rank < step.rank:
                base = other.ref.kind in BASES or other.rank < 0
                passed = ("well",) if base else ("well", "working")
                demand(state in passed, f"R1 kinds: before {step.key}", f"{other.key} is {state}")

    def _cleans(self, run: Operation, step: Step) -> None:
        hook = self.steps[step.key.removeprefix(CLEAN)]
        state = self.account.get(hook.key)
        wanted = DeletePolicy.SUCCEEDED if state == "well" else DeletePolicy.FAILED
        demand(state in ("well", "failed"), "R2 no hook's object goes before the hook is done", hook.key)
        demand(wanted in hook.policies or self.plan.removal, "R2 hooks' objects go as their policy says", hook.key)
        if not run.failing:
            open_steps = [other.key for other in self.main if self.account.get(other.key) != "well"]
            demand(not open_steps, "R2 cleaning up comes last", open_steps)

    def _finishes(self, run: Operation, result: Result, message: str) -> None:
        demand(bool(message), "R8 an end says something")
        if result is Result.FAILED:
            demand(bool(run.failing), "R8 a run fails for a reason")
            late = self.scene.now >= self.last
            todo = [s.key for s in self.plan.steps if s.phase is Phase.SYNC_FAIL and s.key not in self.account]
            demand(late or not todo, "R5 every SyncFail hook is run", todo)
            return
        demand(not run.failing, "R8 what failed has not succeeded")
        left = [step.key for step in self.main if self.account.get(step.key) != "well"]
        demand(not left, "R8 what succeeded has done everything", left)
        late = self.scene.now >= run.deadline
        for step in self.main:
            wants = DeletePolicy.SUCCEEDED in step.policies or self.plan.removal
            if step.kind is StepKind.HOOK and step.act is not Act.DELETE and wants:
                state = self.account.get(CLEAN + step.key)
                demand(
                    state == "well" or (not self.plan.removal and (late or state == "failed")), "R2 cleaned", step.key
                )

    def acted(self, step: Step, outcome: Outcome | None) -> None:
        """What came of an act, None where nobody knows."""
        self.account.pop(step.key, None)
        if step.kind is StepKind.HOOK and step.act is not Act.DELETE:
            demand(self.scene.made.get((self.id, step.key), 0) <= 1, "R2 a hook runs once", step.key)
        if outcome is None:
            return
        states = {Did.FAILED: "failed", Did.KEPT: "well", Did.CLEARING: "clearing"}
        self.steps.setdefault(step.key, step)
        self.account[step.key] = states.get(outcome.did, "working")
        self.since[step.key], self.uids[step.key] = outcome.at, outcome.uid

    def saw(self, sights: Mapping[Ref, Sight]) -> None:
        for key, state in list(self.account.items()):
            sight, step = sights.get(self.steps[key].ref), self.steps[key]
            if sight is None or state in ("well", "failed"):
                continue
            gone = not sight.exists or (self.uids[key] != "" and sight.uid != self.uids[key])
            if state == "clearing" and gone:
                del self.account[key]
            elif state == "working":
                self.account[key] = self._state(step, sight, gone)

    def _state(self, step: Step, sight: Sight, gone: bool) -> str:
        hook = step.kind is StepKind.HOOK
        if step.act is Act.DELETE:
            return "well" if gone else "working"
        if not sight.exists:
            return "working"
        if not sight.gated or sight.status == "Healthy" or (sight.status == "Suspended" and not hook):
            return "well"
        ripe = hook or self.scene.now >= self.since[step.key] + SICK_GRACE
        return "failed" if sight.status == "Degraded" and ripe else "working"

    def crashed(self, run: Operation) -> None:
        """What is on record is all that is known."""
        words = {Did.CLEARING: "clearing", Did.SETTLED: "well", Did.KEPT: "well", Did.FAILED: "failed"}
        done = [key for key, state in self.account.items() if state in ("well", "failed")]
        self.account = {outcome.step: words.get(outcome.did, "working") for outcome in run.outcomes}
        for key in done:
            step = self.steps[key]
            if step.kind is StepKind.HOOK and step.act is not Act.DELETE and (self.id, key) in self.scene.made:
                thing = self.scene.thing(step.ref)
                stands = thing is not None and (thing.run, thing.phase, thing.gone) == (self.id, step.phase, None)
                known = self.account.get(key) in ("well", "failed")
                demand(known or stands, "R2 what a hook did is on record before its object goes", key)

    def superseded(self) -> None:
        """Whoever gives a run up has looked: a hook that is neither well nor sick in the world is at work."""
        at_work = []
        for step in self.plan.steps:
            thing = self.scene.thing(step.ref)
            if (self.id, step.key) in self.scene.made and thing is not None and thing.run == self.id:
                status = thing.after if thing.well <= self.scene.now else thing.before
                done = self.account.get(step.key) in ("well", "failed") or status in ("Healthy", "Degraded")
                at_work += [] if done or step.ref.kind not in GATED else [step.key]
        demand(not at_work, "R2 no run is given up while a hook is at work", at_work)
