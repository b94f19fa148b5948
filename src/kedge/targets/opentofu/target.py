"""Stacks as a target: `compare` is a saved plan, `act` an apply of that very plan, `look` what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256

from kedge.engine.statefile import read_state
from kedge.model.errors import Awaited, Conflict, Invalid, Planning, Unavailable
from kedge.model.execution import Ending, Report, Task
from kedge.model.manifest import Desired, Manifest
from kedge.model.operation import Did, Outcome, Sight
from kedge.model.output import Output, OutputPlace, StateHead
from kedge.model.pair import Comparison, Known, Scope
from kedge.model.plan import Step
from kedge.model.ref import Ref, stack_ref
from kedge.ports import Clock, Entropy, Exec, States
from kedge.targets.opentofu.bundle import Bundle, Means, bundle_of, execution_of
from kedge.targets.opentofu.live import StackLive
from kedge.targets.opentofu.looks import Agenda
from kedge.targets.opentofu.shown import Shown, outputs_of, shown_of, warnings_of

LASTS = 3600.0
"""Seconds in which a saved plan is good for what it was made for. Afterwards the world may have moved: a new one."""
AGAIN = 60.0
"""Seconds until a plan that failed is made again, twice as many after each more, up to an hour."""
_LONGEST_PAUSE = 3600.0
_LOOKED_AFTER = 30.0
"""Seconds after which a unit whose execution is at work is looked at without having been rung."""
_KEPT = 4
_UNMANAGED = "none"

Environment = Callable[[str], Awaitable[Mapping[str, str]]]


@dataclass(slots=True)
class _Plans:
    """What is known of one stack's plans: the newest, of which key it is, and how many failed in a row. Those that
    somebody asks for beside the stack's own turns are told apart: neither takes the other's place."""

    key: str = ""
    id: str = ""
    failed: int = 0
    shown: Shown | None = None
    artifact: str = ""


class OpenTofuTarget:
    """What `kedge.ports.Target` asks of stacks. `environment(name)` answers the variables of a Credential."""

    def __init__(self, exec: Exec, states: States, clock: Clock, entropy: Entropy, environment: Environment) -> None:
        self._exec, self._states, self._clock, self._entropy = exec, states, clock, entropy
        self._environment = environment
        self._plans: dict[tuple[str, bool], _Plans] = {}
        self._closed: set[str] = set()
        self._cut: dict[str, str] = {}
        self._applied: dict[str, float] = {}
        self._rings: list[Callable[[str, Ref, str], None]] = []
        self._agenda = Agenda()
        for report in exec.reports():  # an apply uses its plan up
            plans = _Plans(_key_in(report.id), report.id) if report.task.plans else _Plans()
            self._plans[report.unit, False] = plans
            if report.task is Task.APPLY:  # one that failed, perhaps: it is looked into before the next plan
                self._cut[report.unit] = "" if report.ending is Ending.SUCCEEDED else report.id
                self._applied[report.unit] = report.finished or 0.0
        exec.subscribe(self._ended)
        self._live = StackLive(exec, states)

    @property
    def live(self) -> StackLive:
        return self._live

    def subscribe(self, ring: Callable[[str, Ref, str], None]) -> None:
        self._rings.append(ring)

    def _ended(self, unit: str, id: str) -> None:
        after = self._agenda.ended(id, self._clock.now())
        for name in dict.fromkeys(name for name in (unit, after) if name):
            for ring in self._rings:
                ring(name, stack_ref(name), "health")

    async def compare(self, scope: Scope, desired: Desired, known: Sequence[Known], extra: Sequence[Ref]) -> Comparison:
        """Raises Awaited while the plan is being made, Unavailable when it failed."""
        ref, manifest = stack_ref(scope.unit), _own(scope, desired)
        if manifest is None:
            return Comparison(())
        going = ref in extra
        head = await self._states.head(scope.unit)
        print_ = _fingerprint(head)
        await self._refuse_cut(scope.unit, head)
        task = Task.DESTROY if going else Task.PLAN
        key = sha256(f"{scope.unit} {manifest.digest} {print_} {task}".encode()).hexdigest()[:20]
        settled = not going and Known(ref, manifest.digest, print_) in known
        scope, put_off = self._budgeted(replace(scope, drift=scope.drift and settled), key)
        if settled and not scope.since and not scope.held and not self._unread(scope, key):
            same, warned = (Known(ref, manifest.digest, print_),), self._unlooked(scope, key)
            return Comparison((), (ref,), same, warned=warned, put_off=put_off)
        if going and not bundle_of(manifest).backend and head is None:
            return Comparison(())
        report = await self._planned(scope, manifest, task, key)
        plans = self._plans.get(_place(scope))
        if plans is None or plans.id != report.id:
            plans = _Plans(id=report.id)  # meanwhile it was applied, or somebody asked for another one
        if plans.shown is None:
            made = await self._exec.result(report.id)
            plans.shown = shown_of(made.shown, None if going else manifest, report.problems)
            plans.artifact = f"{report.id}:{sha256(made.plan).hexdigest()}"
        fingerprints = (Known(ref, manifest.digest, print_),)
        return Comparison(
            plans.shown.pairs,
            (),
            fingerprints,
            artifact=plans.artifact,
            made=report.finished or 0.0,
            cosmetic=plans.shown.cosmetic,
            warned=plans.shown.warned,
        )

    def _budgeted(self, scope: Scope, key: str) -> tuple[Scope, float]:
        """Without the wish to look for drift where that has to wait, and until when it has. What was found already, and
        waits for somebody, is kept up with at once, and what has begun goes on."""
        if not scope.drift:
            if not scope.aside:
                self._agenda.leave(scope.unit)
            return scope, 0.0
        plans = self._plans.get(_place(scope))
        report = self._exec.report(plans.id) if plans is not None and plans.key == key else None
        if scope.held or (report is not None and report.started >= scope.since):
            self._agenda.leave(scope.unit)
            return scope, 0.0
        until = self._agenda.put_off(scope.unit, self._exec.looks, self._clock.now())
        return (replace(scope, since=0.0, drift=False), until) if until else (scope, 0.0)

    async def _refuse_cut(self, unit: str, head: StateHead | None) -> None:
        """Raises Invalid while a state that could not be read is all that tells what an apply has made: a plan would
        make it again. It is over when somebody has given the stack another state, or has removed that file."""
        id = self._cut.get(unit, "")
        report = self._exec.report(id) if id else None
        if report is None or report.ending is None:
            return
        mended = head is not None and head.at > (report.finished or 0.0)
        why = "" if mended else _unreadable((await self._exec.result(id)).errored)
        if not why:
            if self._cut.get(unit) == id:
                self._cut[unit] = ""
            return
        raise Invalid(
            f"what the apply {id} has made is not on record: {why}",
            hint=f"mend executions/{id}/errored.tfstate in the data directory and give it to kedge state push {unit}; "
            "once that file is removed, Kedge goes on from the state that it has",
        )

    def _unread(self, scope: Scope, key: str) -> bool:
        """Whether a plan was begun that nobody has read yet: a window that closes meanwhile does not make it void."""
        plans = self._plans.get(_place(scope))
        if plans is None or plans.key != key or plans.shown is not None:
            return False
        report = self._exec.report(plans.id)
        ending = report.ending if report is not None else Ending.LOST
        return ending is None or (ending is Ending.SUCCEEDED and not self._outlived(report))

    def _unlooked(self, scope: Scope, key: str) -> tuple[str, ...]:
        """That drift was looked for in vain, where that is not tried again before its next time has come."""
        plans = self._plans.get(_place(scope))
        report = self._exec.report(plans.id) if plans is not None and plans.key == key else None
        if report is None or report.ending not in (Ending.FAILED, Ending.LOST):
            return ()
        return (f"drift was looked for in vain: {_failure('plan', report)}",)

    def _outlived(self, report: Report | None) -> bool:
        return report is None or self._clock.now() - (report.finished or 0.0) > LASTS

    async def _planned(self, scope: Scope, manifest: Manifest, task: Task, key: str) -> Report:
        """The report of a plan that succeeded and still counts."""
        plans = self._plans.setdefault(_place(scope), _Plans())
        other = self._plans.get((scope.unit, not scope.aside))
        if plans.key != key and other is not None and other.key == key and not self._agenda.going(other.id):
            plans = self._plans[_place(scope)] = replace(other)
        report = self._exec.report(plans.id) if plans.id else None
        stale = report is None or plans.key != key or report.started < max(scope.since, self._last_apply(scope.unit))
        if report is not None and stale and report.ending is None:
            await self._exec.stop(report.id, "superseded by a newer wish")
        if report is None or stale or report.ending is Ending.STOPPED:
            report = await self._plan(scope, manifest, task, key)
        if report.ending is None:
            raise Planning(_at_work(report), retry_after=_LOOKED_AFTER)
        await self._close(report)
        now = self._clock.now()
        if report.ending is Ending.SUCCEEDED:
            if self._outlived(report):
                raise Planning(_at_work(await self._plan(scope, manifest, task, key)), retry_after=_LOOKED_AFTER)
            plans.failed = 0
            return report
        again = (report.finished or 0.0) + min(_LONGEST_PAUSE, AGAIN * 2.0**plans.failed)
        if (report.finished or 0.0) <= now < again:  # else the clock was set back
            raise Unavailable(_failure("plan", report), retry_after=again - now)
        report = await self._plan(scope, manifest, task, key, plans.failed + 1)
        raise Planning(_at_work(report), retry_after=_LOOKED_AFTER)

    def _last_apply(self, unit: str) -> float:
        """When the last one was over: a plan that was begun before saw what it does half done, whatever the state says.
        One of a time to come was before the clock was set back."""
        at = self._applied.get(unit, 0.0)
        return at if at <= self._clock.now() else 0.0

    async def _plan(self, scope: Scope, manifest: Manifest, task: Task, key: str, failed: int = 0) -> Report:
        id = f"{task}-{key}-{self._entropy.token(4)}"
        await self._begin(scope, bundle_of(manifest), id, task)
        self._plans[_place(scope)] = _Plans(key, id, failed)
        await self._tidy(scope.unit)
        return self._known(id)

    def _known(self, id: str) -> Report:
        report = self._exec.report(id)
        if report is None:
            raise Unavailable(f"the execution {id} is not on record")
        return report

    async def _begin(
        self, scope: Scope, bundle: Bundle, id: str, task: Task, planned: tuple[str, bytes] = ("", b"")
    ) -> None:
        tool = scope.tool
        name = "" if tool is None else tool.apply_as if task is Task.APPLY else tool.plan_as
        state = None if bundle.backend else await self._states.grant(scope.unit, id, write=task is Task.APPLY)
        means = Means(
            environment=await self._environment(name) if name else {},
            secrets=await self._secrets(bundle),
            state=state,
            timeout=scope.timeout,
        )
        execution = replace(execution_of(bundle, id, scope.unit, task, means), drift=scope.drift)
        await self._exec.start(replace(execution, planned=planned[0], plan=planned[1]))
        if scope.drift and self._known(id).ending is None:
            self._agenda.begun(id, self._clock.now())

    async def _secrets(self, bundle: Bundle) -> dict[str, str]:
        found = {}
        for wanted in bundle.secrets:
            outputs = {output.name: output for output in await self._outputs(str(wanted.unit))}
            if wanted.output not in outputs:
                raise Awaited(f"waits for {wanted.unit}.{wanted.output}")
            found[wanted.name] = outputs[wanted.output].value
        return found

    async def _tidy(self, unit: str) -> None:
        """Forget the oldest ended executions of a stack, but for the last few, what may still be applied, and the one
        that tells what the stack puts out."""
        keep = {plans.id for aside in (False, True) if (plans := self._plans.get((unit, aside))) is not None}
        if (last := self._last_good(unit)) is not None:
            keep.add(last.id)
        ended = [report for report in self._exec.reports() if report.unit == unit and report.ending is not None]
        for report in ended[:-_KEPT]:
            if report.id not in keep:
                with suppress(Conflict):  # it is applied just now, or has what is nowhere else
                    await self._exec.forget(report.id)
                    self._closed.discard(report.id)

    async def act(self, scope: Scope, step: Step, manifest: Manifest | None) -> Outcome:
        """Begin the apply, or find that it was begun before; its end is for `look` to tell."""
        id = f"apply-{scope.operation}"
        if self._exec.report(id) is None:
            if manifest is None:
                raise Invalid(f"step {step.key} has no manifest: the rendered set of its plan is not at hand")
            planned, _, digest = step.artifact.partition(":")
            try:
                plan = (await self._exec.result(planned)).plan
            except Unavailable:
                return Outcome(step.key, Did.FAILED, "the saved plan is not kept any more: it is made anew")
            if sha256(plan).hexdigest() != digest:
                return Outcome(
                    step.key, Did.FAILED, "the saved plan is not the one that was judged: nothing was applied"
                )
            await self._begin(scope, bundle_of(manifest), id, Task.APPLY, (planned, plan))
            for aside in (False, True):
                self._plans.pop((scope.unit, aside), None)
        return Outcome(step.key, Did.APPLIED, uid=id)

    async def look(self, scope: Scope, refs: Sequence[Ref]) -> Mapping[Ref, Sight]:
        head = await self._states.head(scope.unit)
        report = self._exec.report(f"apply-{scope.operation}") if scope.operation else None
        if report is not None and report.ending is not None:
            await self._close(report)
            head = await self._states.head(scope.unit)
        fingerprint = _left(report, head) if report is not None else _fingerprint(head)
        return {ref: _sight(scope, ref, report, fingerprint) for ref in refs}

    async def _close(self, report: Report) -> None:
        """An execution is over: bring home what it could not send, and end its token and its lock."""
        if report.id in self._closed:
            return
        if report.task is Task.APPLY:
            errored = (await self._exec.result(report.id)).errored
            if errored:
                # Where the state has moved on without it, it is kept beside it, on record, for a person to compare:
                # waiting would never make it fit.
                with suppress(Conflict):
                    try:
                        await self._states.bring_home(report.unit, report.id, errored)
                    except Invalid:
                        if not _unreadable(errored):
                            raise
                        self._cut[report.unit] = report.id
        await self._states.revoke(report.id)
        self._closed.add(report.id)
        if report.task is Task.APPLY:
            self._applied[report.unit] = self._clock.now()

    async def stop(self, scope: Scope, why: str) -> None:
        await self._exec.stop(f"apply-{scope.operation}", why)

    async def outputs(self, scope: Scope, places: Sequence[OutputPlace]) -> tuple[Output, ...]:
        return await self._outputs(scope.unit)

    async def _outputs(self, unit: str) -> tuple[Output, ...]:
        """What a stack puts out, values in clear. Raises Unavailable."""
        head = await self._states.head(unit)
        if head is not None:
            return head.outputs
        last = self._last_good(unit)
        if last is None:
            raise Unavailable(f"no execution of {unit} is kept that tells what it puts out")
        return outputs_of((await self._exec.result(last.id)).outputs)

    def _last_good(self, unit: str) -> Report | None:
        """Plans and applies alike end by asking a backend of the code's own for its outputs."""
        ended = [report for report in self._exec.reports() if report.unit == unit]
        good = [report for report in ended if report.ending is Ending.SUCCEEDED]
        return max(good, key=lambda report: report.finished or 0.0, default=None)


def _place(scope: Scope) -> tuple[str, bool]:
    return scope.unit, scope.aside


def _own(scope: Scope, desired: Desired) -> Manifest | None:
    ref = stack_ref(scope.unit)
    return next((manifest for manifest in desired.manifests if manifest.ref == ref), None)


def _fingerprint(head: StateHead | None) -> str:
    return head.digest if head is not None else _UNMANAGED


def _left(report: Report, head: StateHead | None) -> str:
    """The fingerprint of what an apply has left; where somebody has given the stack another state since then, one that
    nothing has."""
    return _fingerprint(head) if head is None or head.execution == report.id else f"left by {report.id}"


def _key_in(id: str) -> str:
    return id.split("-")[1] if id.count("-") == 2 else ""


def _at_work(report: Report) -> str:
    doing = "the plan is being made" if report.task.plans else "the apply is at work"
    return f"{doing}: {report.told}" if report.told else doing


def _failure(what: str, report: Report) -> str:
    if report.ending is Ending.LOST:
        return f"the {what} was killed before it ended"
    told = "; ".join(report.problems[:3]) or report.told or "it said nothing"
    return f"the {what} {'was interrupted' if report.ending is Ending.STOPPED else 'failed'}: {told}"


def _unreadable(errored: bytes) -> str:
    """Why a state that an apply left behind can not be read, "" where it can, or there is none: a disk that is full
    cuts it short."""
    try:
        if errored:
            read_state(errored, b"", nameless=True)
    except Invalid as error:
        return f"the state that it left behind ({len(errored)} bytes) was cut short or damaged: {error}"
    return ""


def _sight(scope: Scope, ref: Ref, report: Report | None, fingerprint: str) -> Sight:
    if report is None:
        exists = fingerprint != _UNMANAGED or not scope.operation
        return Sight(ref, exists, "Healthy" if exists else "Missing", fingerprint=fingerprint)
    sight = Sight(ref, True, "Healthy", fingerprint=fingerprint, uid=report.id, operation=scope.operation)
    if report.ending is None:
        return replace(sight, status="Progressing", message=_at_work(report))
    if report.ending is Ending.SUCCEEDED:
        return replace(sight, warned=warnings_of(report.problems))
    return replace(sight, status="Degraded", message=_failure("apply", report))
