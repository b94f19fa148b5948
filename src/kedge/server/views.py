"""What readers are shown: allow-listed views of stored values, as JSON writes them.

Times are epoch seconds. Declared values and manifests' bodies are left out, since they may hold secrets; what a plan
shows of fields is masked where it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from kedge.engine.delivery import drift_due
from kedge.engine.vigilance import last_verified
from kedge.model.declaration import ApproveSection, SyncSection, TargetSection
from kedge.model.dossier import Approval, Dossier, Shown, Sync
from kedge.model.enlistment import Head, RootState
from kedge.model.fleet import UnitRow
from kedge.model.operation import Operation, Outcome
from kedge.model.origin import spoken
from kedge.model.output import Published
from kedge.model.plan import Needs, Plan
from kedge.model.source import Revision, SourceSpec

SCHEMA = "kedge.dev/v1"
"""`schemaVersion` of every answer: it changes when a field is taken away or means something else."""


@dataclass(frozen=True, slots=True)
class RevisionView:
    repository: str
    ref: str
    commit: str
    author: str
    subject: str
    time: float
    version: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """One run. `waiting` says what it waits for now, `failing` is its first failure; `before` and `after` are digests
    of rendered sets."""

    id: str
    number: int
    cause: str
    actor: str
    reason: str
    revision: RevisionView | None
    started: float
    finished: float | None
    result: str
    message: str
    waiting: str
    failing: str
    plan: str
    effects: str
    before: str
    after: str
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanSummary:
    id: str
    effects: str
    summary: str
    changes: int
    needs: Needs | None
    blocked: tuple[str, ...]
    removal: bool
    madeAt: float
    holes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalView:
    person: str
    effects: str
    reason: str
    at: float
    breakGlass: bool


@dataclass(frozen=True, slots=True)
class PinView:
    run: int
    actor: str
    reason: str
    at: float
    expires: float
    commit: str


@dataclass(frozen=True, slots=True)
class TroubleView:
    text: str
    attempts: int
    at: float
    again: float | None


@dataclass(frozen=True, slots=True)
class UnitLine:
    """One row of the fleet. `lastVerified` is when desired and live were last known to be equal, `verifiedAge` that
    many seconds ago; both null where nobody ever could say. `late` is why that is too long ago, "" while it is not."""

    name: str
    project: str
    sync: str
    health: str
    why: str
    cluster: str
    namespace: str
    repository: str
    path: str
    commit: str
    author: str
    subject: str
    lastVerified: float | None
    verifiedAge: float | None
    late: str
    changed: float
    waiting: str
    pinned: bool
    suspended: bool
    version: int


@dataclass(frozen=True, slots=True)
class ToolView:
    """What plans and applies a stack. `every` is in seconds, `drift` when drift is looked for next (epoch seconds),
    None before the first plan; `putOff`: it is due before that, and others are looked at."""

    name: str
    version: str
    workspace: str
    planAs: str
    applyAs: str
    every: float
    drift: float | None
    putOff: bool


def _tool(dossier: Dossier, now: float) -> ToolView | None:
    tool, due = dossier.unit.tool, drift_due(dossier, now)
    if tool is None:
        return None
    off = due is not None and due <= now < dossier.shown.put_off
    at = dossier.shown.put_off if off else due
    return ToolView(tool.name, tool.version, tool.workspace, tool.plan_as, tool.apply_as, tool.every, at, off)


def _put_out(output: Published) -> str:
    """A value as JSON text; of a sensitive one, the beginning of its stamp, which moves with it and tells nothing."""
    return f"++++++++ ({output.stamp[:8]})" if output.sensitive else output.value


@dataclass(frozen=True, slots=True)
class UnitView:
    """One unit: what is declared, what is live, what is going on. `applied`: Synced, or not for what others make of it.
    `late` is why its verification is too old; `cosmetic` are resources that were changed outside, of no effect on what
    is declared, `warned` what a stack's tool and its own checks say. `turnDue`: somebody asked for something, and what
    is shown is from before it."""

    name: str
    project: str
    environment: str
    labels: dict[str, str]
    root: str
    declaredAt: str
    source: SourceSpec
    target: TargetSection
    tool: ToolView | None
    inputs: dict[str, str]
    outputs: dict[str, str]
    renderer: str
    notes: tuple[str, ...]
    syncPolicy: SyncSection
    approvePolicy: ApproveSection
    onRemove: str
    after: tuple[str, ...]
    sync: str
    health: str
    healthMessage: str
    why: str
    applied: bool
    drifted: tuple[str, ...]
    cosmetic: tuple[str, ...]
    warned: tuple[str, ...]
    lastVerified: float | None
    verifiedAge: float | None
    late: str
    head: RevisionView | None
    live: RevisionView | None
    run: RunView | None
    lastRun: RunView | None
    plan: PlanSummary | None
    approvals: tuple[ApprovalView, ...]
    pin: PinView | None
    suspended: str
    removed: float | None
    trouble: TroubleView | None
    objects: int
    runs: int
    turnDue: bool
    version: int


@dataclass(frozen=True, slots=True)
class SourceView:
    """A (repository, ref) and the newest commit known of it; `age` is seconds since it was last asked, `answeredAge`
    since it last answered (None: not since the server started)."""

    repository: str
    ref: str
    revision: RevisionView | None
    checked: float
    age: float
    problem: str
    answered: float | None = None
    answeredAge: float | None = None


@dataclass(frozen=True, slots=True)
class ProblemView:
    text: str
    where: str
    hint: str


@dataclass(frozen=True, slots=True)
class RootView:
    name: str
    revision: RevisionView | None
    complete: bool
    at: float
    problems: tuple[ProblemView, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """What is known of a unit beside what is written down: up to when the watches of what it is made of are current
    (`fresh`), when a turn last found it as Git states (`proved`), and why that is too long ago (`late`, "" while it is
    not)."""

    fresh: float | None = None
    proved: float | None = None
    late: str = ""


def verified_at(written: float | None, sync: Sync, known: Verification) -> float | None:
    """When desired and live were last known to be equal, in epoch seconds. What is known in the process comes before
    what was written down: a clock that jumped since is taken into account there."""
    return last_verified(known.proved if known.proved is not None else written, sync, known.fresh)


def age(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(0.0, now - moment)


def public_url(url: str) -> str:
    """A repository's address without a user or password that somebody wrote into it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(unreadable address)"
    if "@" not in parts.netloc or (parts.password is None and parts.scheme == "ssh"):
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def revision(given: Revision | None) -> RevisionView | None:
    if given is None:
        return None
    return RevisionView(
        public_url(given.repository),
        spoken(given.ref),
        given.known,
        given.author,
        given.subject,
        given.time,
        given.version,
        given.digest,
    )


def run(given: Operation | None, *, outcomes: bool = False) -> RunView | None:
    """`outcomes` adds what came of each step."""
    if given is None:
        return None
    return RunView(
        id=given.id,
        number=given.number,
        cause=given.cause.value,
        actor=given.actor,
        reason=given.reason,
        revision=revision(given.revision),
        started=given.started,
        finished=given.finished,
        result=given.result.value if given.result is not None else "",
        message=given.message,
        waiting=given.waiting,
        failing=given.failing,
        plan=given.plan,
        effects=given.effects,
        before=given.before,
        after=given.rendered,
        outcomes=given.outcomes if outcomes else (),
    )


def summary(plan: Plan | None) -> PlanSummary | None:
    if plan is None:
        return None
    return PlanSummary(
        plan.id,
        plan.effects,
        plan.summary(),
        len(plan.changes),
        plan.needs,
        plan.blocked,
        plan.removal,
        plan.made_at,
        plan.holes,
    )


def line(row: UnitRow, known: Verification, now: float) -> UnitLine:
    verified = verified_at(row.verified, row.sync, known)
    return UnitLine(
        name=row.name,
        project=row.project,
        sync=row.sync.value,
        health=row.health.value,
        why=row.why,
        cluster=row.cluster,
        namespace=row.namespace,
        repository=public_url(row.repository),
        path=row.path,
        commit=row.commit,
        author=row.author,
        subject=row.subject,
        lastVerified=verified,
        verifiedAge=age(verified, now),
        late=known.late,
        changed=row.changed,
        waiting=row.waiting,
        pinned=row.pinned,
        suspended=row.suspended,
        version=row.version,
    )


def unit(dossier: Dossier, known: Verification, now: float) -> UnitView:
    declared, shown = dossier.unit, dossier.shown
    verified = verified_at(dossier.verified, shown.sync, known)
    source = SourceSpec(public_url(declared.source.repository), spoken(declared.source.ref), declared.source.path)
    rendering = dossier.rendering
    return UnitView(
        name=str(dossier.name),
        project=dossier.name.project,
        environment=dossier.name.environment,
        labels=dict(declared.labels),
        root=declared.root,
        declaredAt=str(declared.where),
        source=source,
        target=declared.target,
        tool=_tool(dossier, now),
        inputs={given.name: str(given) for given in declared.inputs},
        outputs={output.name: _put_out(output) for output in dossier.outputs},
        renderer=rendering.renderer if rendering is not None else "",
        notes=rendering.notes if rendering is not None else (),
        syncPolicy=declared.sync,
        approvePolicy=declared.approve,
        onRemove=declared.on_remove.value,
        after=tuple(map(str, declared.after)),
        **_shown(shown),
        applied=shown.sync is Sync.SYNCED or shown.applied,
        drifted=shown.drifted,
        cosmetic=shown.cosmetic,
        warned=shown.warned,
        lastVerified=verified,
        verifiedAge=age(verified, now),
        late=known.late,
        head=revision(dossier.head),
        live=revision(dossier.applied),
        run=run(dossier.operation),
        lastRun=run(dossier.last),
        plan=summary(dossier.plan),
        approvals=tuple(map(_approval, dossier.approvals)),
        pin=_pin(dossier),
        suspended=dossier.suspended,
        removed=dossier.removed,
        trouble=_trouble(dossier, now),
        objects=len(dossier.inventory),
        runs=dossier.runs,
        turnDue=dossier.due is not None and dossier.due <= now,
        version=dossier.version,
    )


def _shown(shown: Shown) -> dict[str, str]:
    return {
        "sync": shown.sync.value,
        "health": shown.health.status.value,
        "healthMessage": shown.health.message,
        "why": shown.why,
    }


def _approval(given: Approval) -> ApprovalView:
    return ApprovalView(given.person, given.effects, given.reason, given.at, given.break_glass)


def _pin(dossier: Dossier) -> PinView | None:
    pin = dossier.pin
    if pin is None:
        return None
    commit = pin.revision.known if pin.revision is not None else ""
    return PinView(pin.run, pin.actor, pin.reason, pin.at, pin.expires, commit)


def _trouble(dossier: Dossier, now: float) -> TroubleView | None:
    """A time for the next try that has gone by was kept otherwise: the plan is held, or a run is under way."""
    trouble = dossier.trouble
    if trouble is None:
        return None
    again = trouble.again if trouble.again is not None and trouble.again > now else None
    return TroubleView(trouble.text, trouble.attempts, trouble.at, again)


def source(head: Head, now: float, asked: tuple[float, float | None] | None = None) -> SourceView:
    """`asked` is when it was last asked and last answered; without, the last time that was news."""
    checked, answered = asked or (head.checked, None)
    return SourceView(
        public_url(head.repository),
        spoken(head.ref),
        revision(head.revision),
        checked,
        max(0.0, now - checked),
        head.problem,
        answered,
        age(answered, now),
    )


def root(state: RootState) -> RootView:
    problems = tuple(ProblemView(p.text, str(p.where), p.hint) for p in state.problems)
    return RootView(state.name, revision(state.revision), state.complete, state.at, problems)
