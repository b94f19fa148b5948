"""A stack's plans: when one is made, for whom, and which of them counts. The tool is pretended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, cast

import pytest
from tests.doors.memory_exec import Answer, MemoryExec
from tests.doors.memory_states import memory_states

from kedge.clock import SystemEntropy
from kedge.engine import states
from kedge.engine.states import Will
from kedge.model.change import Act
from kedge.model.errors import Invalid, Planning, Unavailable
from kedge.model.execution import Ending, Execution, Tool, Yield
from kedge.model.installation import Installation
from kedge.model.manifest import Desired, Manifest
from kedge.model.pair import Comparison, Scope
from kedge.model.plan import Phase, Step, StepKind
from kedge.model.ref import stack_ref
from kedge.model.unit import StackTool
from kedge.targets.opentofu import OpenTofuTarget

UNIT = "shop/net"
SCOPE = Scope("installation", UNIT, "", "", tool=StackTool(Tool.OPENTOFU))


@dataclass
class _Clock:
    time: float = 1_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


async def _nothing(name: str) -> Mapping[str, str]:
    return {}


def shown(**parts: Any) -> Answer:
    return Answer(left=Yield(plan=b"plan", shown=json.dumps(parts).encode()))


@dataclass
class Stage:
    """One stack, and a tool that works until it is told what has come of it."""

    clock: _Clock = field(default_factory=_Clock)
    content: str = "one"

    def __post_init__(self) -> None:
        self.exec = MemoryExec(self.clock, lambda _: None)
        self.states = memory_states(self.clock, Installation("id", b"k" * 32, "k"))
        self.open()

    def open(self) -> None:
        self.target = OpenTofuTarget(self.exec, self.states, self.clock, SystemEntropy(), _nothing)

    @property
    def desired(self) -> Desired:
        spec = {"tool": "opentofu", "version": "", "variables": {}, "variableFiles": []}
        body = json.dumps({"spec": spec, "facts": {}, "folder": "infra", "files": []}).encode()
        return Desired((Manifest(stack_ref(UNIT), "kedge.dev/v1alpha1", body, self.content),), self.content)

    async def compared(self, scope: Scope, known: Comparison | None = None) -> Comparison:
        return await self.target.compare(scope, self.desired, known.fingerprints if known else (), ())

    async def begun(self, scope: Scope, known: Comparison | None = None) -> Execution:
        with pytest.raises(Planning):
            await self.compared(scope, known)
        return self.exec.begun[-1]

    def artifact(self) -> str:
        """The newest plan, as a step names it."""
        return f"{self.exec.begun[-1].id}:{sha256(b'plan').hexdigest()}"

    async def verified(self) -> Comparison:
        """The stack as its first plan found it: nothing to do."""
        one = await self.begun(SCOPE)
        self.exec.end(one.id, shown())
        return await self.compared(SCOPE)

    async def looked(self, known: Comparison, unit: str = UNIT) -> Comparison:
        """What comes of a turn in which drift is due."""
        return await self.compared(replace(SCOPE, unit=unit, since=self.clock.now(), drift=True), known)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_what_was_verified_costs_no_plan_until_drift_is_due(stage: Stage) -> None:
    known = await stage.verified()
    assert (await stage.compared(SCOPE, known)).unchanged == (stack_ref(UNIT),)
    due = replace(SCOPE, since=stage.clock.now() + 60, drift=True)
    stage.clock.time += 61
    assert (await stage.begun(due, known)).drift
    assert len(stage.exec.begun) == 2


async def test_a_plan_of_something_new_is_not_one_of_drift_though_that_is_due_as_well(stage: Stage) -> None:
    known = await stage.verified()
    stage.clock.time += 61
    stage.content = "two"
    assert not (await stage.begun(replace(SCOPE, since=stage.clock.now(), drift=True), known)).drift


async def test_a_window_that_closes_over_a_plan_does_not_make_it_void(stage: Stage) -> None:
    known = await stage.verified()
    stage.clock.time += 61
    looked = await stage.begun(replace(SCOPE, since=stage.clock.now(), drift=True), known)
    await stage.begun(SCOPE, known)
    stage.exec.end(looked.id, shown(resource_drift=[], resource_changes=[]))
    assert (await stage.compared(SCOPE, known)).made == stage.clock.now()
    assert not (await stage.compared(SCOPE, known)).made, "what was read once is known"
    assert len(stage.exec.begun) == 2


async def test_a_plan_of_drift_that_failed_or_made_way_is_not_made_again_once_the_window_is_closed(
    stage: Stage,
) -> None:
    known = await stage.verified()
    for ending in (Ending.FAILED, Ending.STOPPED):
        stage.clock.time += 3700
        looked = await stage.begun(replace(SCOPE, since=stage.clock.now(), drift=True), known)
        stage.exec.end(looked.id, Answer(ending, problems=("no such key",)))
        found = await stage.compared(SCOPE, known)
        assert found.unchanged == (stack_ref(UNIT),)
        # That it failed was told until the window closed, and nowhere afterwards.
        told = ("drift was looked for in vain: the plan failed: no such key",)
        assert found.warned == (told if ending is Ending.FAILED else ())


async def test_a_plan_of_drift_that_made_way_is_made_again_while_drift_is_due(stage: Stage) -> None:
    known = await stage.verified()
    stage.clock.time += 61
    due = replace(SCOPE, since=stage.clock.now(), drift=True)
    looked = await stage.begun(due, known)
    stage.exec.end(looked.id, Answer(Ending.STOPPED))
    again = await stage.begun(due, known)
    assert (again.drift, again.id != looked.id) == (True, True)


async def test_drift_that_waits_stays_in_sight_whoever_looks(stage: Stage) -> None:
    """An approval of it looks at the stack: it was taken for verified, and the repair had to wait for the next plan."""
    known = await stage.verified()
    stage.clock.time += 61
    looked = await stage.begun(replace(SCOPE, since=stage.clock.now(), drift=True), known)
    entry = {"address": "aws_iam_role.a", "type": "aws_iam_role", "mode": "managed", "change": {"actions": ["create"]}}
    stage.exec.end(looked.id, shown(resource_changes=[entry]))
    assert (await stage.compared(replace(SCOPE, held=True), known)).pairs
    again = await stage.compared(replace(SCOPE, held=True), known)
    assert [pair.ref.name for pair in again.pairs] == ["aws_iam_role.a"]
    assert len(stage.exec.begun) == 2


async def test_who_asks_for_a_sync_is_not_kept_waiting_by_a_plan_of_drift(stage: Stage) -> None:
    known = await stage.verified()
    stage.clock.time += 61
    looked = await stage.begun(replace(SCOPE, since=stage.clock.now(), drift=True), known)
    stage.clock.time += 1
    asked = await stage.begun(replace(SCOPE, since=stage.clock.now()), known)
    assert (asked.drift, asked.id != looked.id) == (False, True)
    stopped = stage.exec.report(looked.id)
    assert stopped is not None
    assert stopped.ending is Ending.STOPPED


async def test_a_plan_that_was_made_before_a_restart_is_read_after_it(stage: Stage) -> None:
    known = await stage.verified()
    stage.clock.time += 61
    looked = await stage.begun(replace(SCOPE, since=stage.clock.now(), drift=True), known)
    stage.exec.house_is_gone()
    stage.open()
    stage.exec.end(looked.id, shown(resource_drift=[]))
    assert (await stage.compared(SCOPE, known)).made == stage.clock.now()


async def test_cosmetic_drift_is_told_beside_an_empty_plan(stage: Stage) -> None:
    drift = [{"address": "aws_iam_role.a", "change": {"actions": ["update"]}}]
    one = await stage.begun(SCOPE)
    stage.exec.end(one.id, shown(resource_drift=drift))
    found = await stage.compared(SCOPE)
    assert (found.pairs, found.cosmetic) == ((), ("aws_iam_role.a",))


RUN = replace(SCOPE, operation="run1")


async def test_what_an_apply_warns_of_is_told_when_it_is_over(stage: Stage) -> None:
    """A check of the code's own that only fails after it was told with the next plan, up to an hour later."""
    await stage.verified()
    step = Step("apply", StepKind.ARTIFACT, Act.UPDATE, stack_ref(UNIT), Phase.SYNC, artifact=stage.artifact())
    await stage.target.act(RUN, step, stage.desired.manifests[0])
    told = ("warning: main.tf line 9: Check block assertion failed: it answers 503",) * 2
    stage.exec.end("apply-run1", Answer(problems=told))
    sight = (await stage.target.look(RUN, [stack_ref(UNIT)]))[stack_ref(UNIT)]
    assert sight.warned == ("main.tf line 9: Check block assertion failed: it answers 503",)
    assert (await stage.target.look(SCOPE, [stack_ref(UNIT)]))[stack_ref(UNIT)].warned == ()


async def test_what_somebody_was_shown_while_an_apply_was_at_work_does_not_count_when_it_is_over(stage: Stage) -> None:
    """The apply had failed without a word to the state: its stack was judged by a plan that saw it half done."""
    await stage.verified()
    step = Step("apply", StepKind.ARTIFACT, Act.UPDATE, stack_ref(UNIT), Phase.SYNC, artifact=stage.artifact())
    await stage.target.act(RUN, step, stage.desired.manifests[0])
    stage.clock.time += 1
    looked = await stage.begun(replace(SCOPE, aside=True))
    stage.exec.end(looked.id, shown())
    stage.clock.time += 1
    stage.exec.end("apply-run1", Answer(Ending.LOST))
    await stage.target.look(RUN, [stack_ref(UNIT)])
    assert (await stage.begun(SCOPE)).id != looked.id
    stage.exec.end(stage.exec.begun[-1].id, shown())
    stage.open()
    assert (await stage.compared(SCOPE)).made == stage.clock.now(), "a plan of after it counts, also after a restart"


class _Between:
    """The states, and what somebody does meanwhile whenever an execution's access ends."""

    def __init__(self, inner: Any, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._inner, self._meanwhile = inner, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def revoke(self, execution: str) -> None:
        await self._inner.revoke(execution)
        await self._meanwhile()


async def test_who_looks_while_the_stack_is_applied_is_shown_the_plan_that_was_made_for_them(stage: Stage) -> None:
    """It ended with a KeyError: an apply uses up the plans of those who look, too."""
    drift = [{"address": "aws_iam_role.a", "change": {"actions": ["update"]}}]
    aside = replace(SCOPE, aside=True)
    looked = await stage.begun(aside)
    stage.exec.end(looked.id, shown(resource_drift=drift))
    step = Step("apply", StepKind.ARTIFACT, Act.UPDATE, stack_ref(UNIT), Phase.SYNC, artifact=stage.artifact())

    async def meanwhile() -> None:
        await stage.target.act(RUN, step, stage.desired.manifests[0])

    stage.target._states = cast(Any, _Between(stage.states, meanwhile))
    assert (await stage.compared(aside)).cosmetic == ("aws_iam_role.a",)


MANY = b'{"version": 4, "lineage": "l", "serial": 1, "outputs": {}, "resources": []}'


async def _failed_apply(stage: Stage, errored: bytes) -> None:
    """An apply that ended with a state that it could not send."""
    step = Step("apply", StepKind.ARTIFACT, Act.UPDATE, stack_ref(UNIT), Phase.SYNC, artifact=stage.artifact())
    await stage.target.act(RUN, step, stage.desired.manifests[0])
    apply = stage.exec.begun[-1]
    assert apply.state is not None
    grant = await stage.states.admitted(UNIT, apply.id, apply.state.token)
    assert grant is not None
    await stage.states.lock(grant, b'{"ID": "lock"}')
    stage.exec.end(apply.id, Answer(Ending.FAILED, Yield(errored=errored), ("no space left on device",)))


async def test_a_state_that_a_full_disk_cut_short_is_named_kept_and_ends_the_run(stage: Stage) -> None:
    """It was an error that the run stumbled over for ever; what it had made was made once more by the next plan."""
    await stage.verified()
    await _failed_apply(stage, MANY[:40])
    sight = (await stage.target.look(RUN, [stack_ref(UNIT)]))[stack_ref(UNIT)]
    assert (sight.status, "no space left on device" in sight.message) == ("Degraded", True)
    for _ in range(2):  # whoever was there, and whoever finds it after a restart
        with pytest.raises(
            Invalid, match=r"what the apply apply-run1 has made is not on record.*40 bytes.*cut short"
        ) as why:
            await stage.compared(SCOPE)
        assert "executions/apply-run1/errored.tfstate" in str(why.value)
        assert "kedge state push shop/net" in str(why.value)
        stage.exec.house_is_gone()
        stage.open()
    assert (await stage.exec.result("apply-run1")).errored == MANY[:40]
    stage.clock.time += 1
    await _pushed(stage)
    await stage.begun(SCOPE)


async def test_a_failed_apply_may_be_looked_into_by_several_at_once(stage: Stage) -> None:
    """The turn, and somebody who looks: the second of them met a KeyError."""
    await stage.verified()
    await _failed_apply(stage, b"")
    stage.open()
    told = stage.exec.result

    async def slowly(id: str) -> Yield:
        await asyncio.sleep(0)
        return await told(id)

    stage.exec.result = slowly  # type: ignore[method-assign]
    looks = (stage.compared(scope) for scope in (SCOPE, replace(SCOPE, aside=True)))
    found = await asyncio.gather(*looks, return_exceptions=True)
    assert [one for one in found if isinstance(one, KeyError)] == []


async def _pushed(stage: Stage) -> None:
    text, now = await stage.states.text(MANY), stage.clock.now()
    await stage.states.store.turn(UNIT, "", lambda facts: states.push(facts, text, Will("mona", "mended", now)), text)


async def test_what_could_not_be_sent_and_is_whole_comes_home_and_holds_nobody_up(stage: Stage) -> None:
    await stage.verified()
    await _failed_apply(stage, MANY)
    await stage.target.look(RUN, [stack_ref(UNIT)])
    assert await stage.states.head(UNIT) is not None
    await stage.begun(SCOPE)


async def test_of_a_failed_apply_before_one_that_succeeded_nothing_is_asked_after_a_restart(stage: Stage) -> None:
    await stage.verified()
    await _failed_apply(stage, MANY[:40])
    await stage.target.look(RUN, [stack_ref(UNIT)])
    later = replace(stage.exec.begun[-1], id="apply-run2")
    stage.clock.time += 1
    await stage.exec.start(later)
    stage.exec.end(later.id)
    stage.open()
    assert (await stage.begun(SCOPE)).id != later.id, "a plan is made at once"


async def test_what_a_stack_with_a_backend_of_its_own_puts_out_is_known_however_many_plans_came_after_its_apply(
    stage: Stage,
) -> None:
    """It was forgotten with the apply after four more plans: whoever read it waited for a value that was there."""
    await stage.verified()
    step = Step("apply", StepKind.ARTIFACT, Act.UPDATE, stack_ref(UNIT), Phase.SYNC, artifact=stage.artifact())
    await stage.target.act(RUN, step, stage.desired.manifests[0])
    told = b'{"range": {"value": "10.0.0.0/16", "sensitive": false}}'
    stage.exec.end("apply-run1", Answer(left=Yield(outputs=told)))
    expected = [("range", '"10.0.0.0/16"')]
    for ending in (Ending.SUCCEEDED, Ending.FAILED):
        for _ in range(6):
            stage.clock.time += 7200
            plan = await stage.begun(replace(SCOPE, since=stage.clock.now()))
            stage.exec.end(plan.id, Answer(ending, Yield(plan=b"plan", shown=b"{}", outputs=told)))
            assert [(output.name, output.value) for output in await stage.target.outputs(SCOPE, ())] == expected
    assert len(stage.exec.reports()) < 8


async def test_what_nobody_can_tell_any_more_is_not_taken_for_nothing(stage: Stage) -> None:
    with pytest.raises(Unavailable, match="no execution of shop/net is kept"):
        await stage.target.outputs(SCOPE, ())


async def test_a_look_for_drift_waits_for_as_long_as_the_one_before_it_took_and_says_until_when(stage: Stage) -> None:
    """All that were due were looked at without a pause, and asked the providers all day."""
    stage.exec.looks = 1
    known = await stage.verified()
    stage.clock.time += 61
    with pytest.raises(Planning):
        await stage.looked(known)
    stage.clock.time += 30
    stage.exec.end(stage.exec.begun[-1].id, shown())
    known = await stage.compared(SCOPE, known)
    stage.clock.time += 10
    found = await stage.looked(known)
    assert (found.unchanged, found.put_off) == ((stack_ref(UNIT),), stage.clock.now() + 20)
    assert len(stage.exec.begun) == 2
    stage.clock.time += 20
    with pytest.raises(Planning):
        await stage.looked(known)


async def test_who_waits_to_be_looked_at_is_rung_when_the_one_before_it_is_over(stage: Stage) -> None:
    stage.exec.looks = 1
    known, rung = await stage.verified(), []
    stage.target.subscribe(lambda unit, ref, what: rung.append(unit))
    stage.clock.time += 61
    with pytest.raises(Planning):
        await stage.looked(known)
    stage.target._agenda.put_off("shop/db", 1, stage.clock.now())
    stage.exec.end(stage.exec.begun[-1].id, shown())
    assert rung == [UNIT, "shop/db"]


@pytest.mark.parametrize("of", ["a person", "a commit", "drift that waits"])
async def test_nothing_but_a_look_for_drift_is_put_off(stage: Stage, of: str) -> None:
    stage.exec.looks = 1
    known = await stage.verified()
    stage.clock.time += 61
    stage.target._agenda.begun("another", stage.clock.now())
    assert (await stage.looked(known)).put_off
    scope = replace(SCOPE, since=stage.clock.now(), drift=of != "a person", held=of == "drift that waits")
    if of == "a commit":
        stage.content = "two"
    stage.clock.time += 1
    scope = replace(scope, since=stage.clock.now())
    before = len(stage.exec.begun)
    await stage.begun(scope, known)
    assert len(stage.exec.begun) == before + 1


async def test_whoever_looks_beside_a_look_for_drift_does_not_wait_for_it(stage: Stage) -> None:
    known = await stage.verified()
    stage.clock.time += 61
    look = await stage.begun(replace(SCOPE, since=stage.clock.now(), drift=True), known)
    asked = await stage.begun(replace(SCOPE, since=stage.clock.now(), aside=True), known)
    assert (asked.drift, asked.id != look.id) == (False, True)
    report = stage.exec.report(look.id)
    assert report is not None
    assert report.ending is None, "nor is it given up for that"
