"""The little world of pure runs: objects that become well, fall ill or linger, and plans that are drawn for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from tests.builders import change, draft, hook, waved

from kedge.engine.hooks import is_hook
from kedge.engine.plan import make_plan, named, unsettled
from kedge.model.change import Act
from kedge.model.errors import Conflict, Unavailable
from kedge.model.manifest import Manifest
from kedge.model.operation import Did, Operation, Outcome, Owned, Sight
from kedge.model.plan import DeletePolicy, Plan, Step, StepKind
from kedge.model.ref import Ref

NEVER = float("inf")
KINDS = ("ConfigMap", "Service", "Deployment", "Rocket", "Namespace", "CustomResourceDefinition")
PHASES = ("PreSync", "Sync", "PostSync", "SyncFail", "PreSync,PostSync", "PreSync,Sync", "PreDelete", "PostDelete")
POLICIES = ("", "HookSucceeded", "HookFailed", "BeforeHookCreation", "HookSucceeded,HookFailed")
GATED = ("Deployment", "Rocket", "CustomResourceDefinition", "Job")


@dataclass(slots=True)
class Thing:
    """One object: well from `well` on (epoch seconds), then and before that it looks `sick` or `slow`; gone at `gone`.

    `run` and `phase` are of the hook that made it.
    """

    uid: str
    digest: str
    well: float
    before: str = "Progressing"
    after: str = "Healthy"
    gone: float | None = None
    run: str = ""
    phase: str = ""
    keep: bool = False


class Scene:
    """`rough` is the chance of a fault at each act. `made` counts how often a hook's object was made in a run."""

    def __init__(self, seed: int | str) -> None:
        self.random = Random(f"scene {seed}")
        self.rough = self.random.choice((0.0, 0.05, 0.2, 0.5))
        self.ill = self.random.choice((0.0, 0.05, 0.3))
        self.now = 1.0
        self.things: dict[Ref, Thing] = {}
        self.shown: dict[Ref, Sight] = {}
        self.made: dict[tuple[str, str], int] = {}
        self._uids = 0

    def thing(self, ref: Ref) -> Thing | None:
        """What is there now: whoever is gone by now is gone."""
        found = self.things.get(ref)
        if found is not None and found.gone is not None and found.gone <= self.now:
            del self.things[ref]
            return None
        return found

    def next_event(self) -> float:
        """When something will happen by itself."""
        times = [time for thing in self.things.values() for time in (thing.well, thing.gone) if time is not None]
        return min((time for time in times if time > self.now), default=NEVER)

    def look(self, refs: tuple[Ref, ...]) -> dict[Ref, Sight]:
        """What the watch shows: now and then what it showed last, if nobody of ours wrote since."""
        seen = {}
        for ref in refs:
            stale = self.shown.get(ref)
            seen[ref] = stale if stale is not None and self.random.random() < 0.1 else self._sight(ref)
            self.shown[ref] = seen[ref]
        return seen

    def _sight(self, ref: Ref) -> Sight:
        thing = self.thing(ref)
        if thing is None:
            return Sight(ref, exists=False)
        status = thing.after if thing.well <= self.now else thing.before
        held = ("example.com/held",) if thing.gone == NEVER else ()
        gated = ref.kind in GATED
        more = {"uid": thing.uid, "operation": thing.run, "fingerprint": thing.digest}
        return Sight(ref, True, status, "", terminating=thing.gone is not None, finalizers=held, gated=gated, **more)

    def act(self, run: Operation, step: Step) -> Outcome:
        """Do one step, or fail at it; raises Unavailable where nobody hears what came of it, Conflict as the target."""
        if self.random.random() < self.rough:
            raise Unavailable("connection refused")
        if self.random.random() < self.ill / 4:
            return Outcome(step.key, Did.FAILED, "refused", at=self.now)
        outcome = self._delete(step) if step.act is Act.DELETE else self._put(run, step)
        self.shown.pop(step.ref, None)
        if self.random.random() < self.rough:
            raise Unavailable("connection reset")
        return replace(outcome, at=self.now)

    def _delete(self, step: Step) -> Outcome:
        thing = self.thing(step.ref)
        if thing is None:
            return Outcome(step.key, Did.DELETED)
        if step.uid and thing.uid != step.uid:
            raise Conflict(f"{step.ref} was made anew")
        if thing.keep:
            return Outcome(step.key, Did.KEPT)
        return Outcome(step.key, Did.DELETED, uid=self._end(thing))

    def _put(self, run: Operation, step: Step) -> Outcome:
        thing = self.thing(step.ref)
        if step.kind is StepKind.HOOK and thing is not None:
            if (thing.run, thing.phase) == (run.id, step.phase):
                return Outcome(step.key, Did.APPLIED, uid=thing.uid)
            if thing.gone is None and DeletePolicy.BEFORE_CREATION not in step.policies:
                return Outcome(step.key, Did.FAILED, "still there from an earlier run")
            return Outcome(step.key, Did.CLEARING, uid=self._end(thing))
        if step.act is Act.REPLACE and thing is not None and thing.uid == step.uid:
            return Outcome(step.key, Did.CLEARING, uid=self._end(thing))
        if thing is None:
            self._uids += 1
            thing = self.things[step.ref] = Thing(f"u{self._uids}", "", self.now)
        if step.kind is StepKind.HOOK:
            thing.run, thing.phase = run.id, step.phase
            self.made[run.id, step.key] = self.made.get((run.id, step.key), 0) + 1
        if thing.digest != step.manifest:
            self._fate(thing)
        thing.digest = step.manifest
        return Outcome(step.key, Did.APPLIED, uid=thing.uid, fingerprint=step.manifest)

    def _end(self, thing: Thing) -> str:
        if thing.gone is None:
            thing.gone = self.now + self.random.choice((0.0, 0.0, 0.0, 3.0, 40.0, 40.0 if not self.ill else NEVER))
        return thing.uid

    def _fate(self, thing: Thing) -> None:
        chance = self.random
        thing.before, thing.after = chance.choice(("Progressing", "Progressing", "Missing")), "Healthy"
        thing.well = self.now + chance.choice((0.0, 0.0, 1.0, 20.0, 90.0))
        if chance.random() < 0.1:
            thing.before, thing.well = "Degraded", self.now + 4.0
        if chance.random() < 0.1:
            thing.after = "Suspended"
        if chance.random() < self.ill:
            thing.after = chance.choice(("Degraded", "Progressing", "Unknown"))


def drawn(scene: Scene, owned: tuple[Owned, ...], before: tuple[Plan, Operation] | None, number: int) -> Plan:
    """A plan for the scene as it is: objects of both unchanged and new waves, hooks, replacements and prunes."""
    chance = scene.random
    removal = bool(owned) and chance.random() < 0.12
    wishes = () if removal else tuple(_ordinary(chance, number) for _ in range(chance.randint(0, 6)))
    hooks = tuple(_hook(chance, index, number) for index in range(chance.choice((0, 0, 1, 2, 3))))
    desired = {wish.ref: wish for wish in (*wishes, *hooks) if wish.ref.name}
    manifests = (*desired.values(), *(wish for wish in hooks if not wish.ref.name))
    changes = [change(ref, act) for ref, wish in desired.items() if not is_hook(wish) if (act := _due(scene, wish))]
    changes += [change(entry.ref, Act.DELETE) for entry in owned if not entry.hook and entry.ref not in desired]
    plan = make_plan(
        draft(
            *manifests,
            changes=tuple(changes),
            inventory=owned,
            uids={ref: thing.uid for ref in list(scene.things) if (thing := scene.thing(ref)) is not None},
            unsettled=unsettled(*before) if before is not None else {},
            removal=removal,
            run_hooks=chance.random() < 0.3,
        )
    )
    return named(plan, f"{number:016x}")


def _due(scene: Scene, wish: Manifest) -> Act | None:
    thing = scene.thing(wish.ref)
    if thing is None:
        return Act.CREATE
    if thing.digest == wish.digest:
        return None
    return scene.random.choice((Act.UPDATE, Act.UPDATE, Act.REPLACE))


def _ordinary(chance: Random, number: int) -> Manifest:
    kind = chance.choice(KINDS)
    wave, version = chance.choice((-2, 0, 0, 0, 1, 3)), chance.choice((0, 0, number))
    if kind == "CustomResourceDefinition":
        return waved(kind, "rockets.space", wave, group="", names={"kind": "Rocket"}, version=version)
    return waved(kind, "web" if kind == "Namespace" else chance.choice("abcd"), wave, version=version)


def _hook(chance: Random, index: int, number: int) -> Manifest:
    phase, policy, wave = chance.choice(PHASES), chance.choice(POLICIES), chance.choice((-1, 0, 0, 2))
    if chance.random() < 0.2:
        return hook(phase, "", wave=wave, policy=policy, generate_name=f"job{index}-")
    return hook(phase, f"job{index}", wave=wave, policy=policy, version=chance.choice((0, number)))
