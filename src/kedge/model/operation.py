"""An operation (run): the only record that moves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kedge.model.ref import Ref, UnitName
from kedge.model.source import Revision


class Cause(StrEnum):
    COMMIT = "commit"
    DRIFT = "drift"
    SYNC = "sync"
    ROLLBACK = "rollback"
    RESUME = "resume"
    REMOVAL = "removal"
    RETRY = "retry"


class Result(StrEnum):
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"
    CANCELLED = "Cancelled"


class Did(StrEnum):
    """What came of one step."""

    APPLIED = "applied"
    DELETED = "deleted"
    CLEARING = "clearing"
    SETTLED = "settled"
    FAILED = "failed"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one step, at time `at`. `name` is the name that was given to a generated object, `overruled` the
    paths at which the target made it otherwise than asked, `lasting` says that another try of a FAILED step would end
    the same. `sick`: it looked Degraded when it was last waited for, which may pass."""

    step: str
    did: Did
    message: str = ""
    name: str = ""
    fingerprint: str = ""
    uid: str = ""
    at: float = 0.0
    overruled: str = ""
    lasting: bool = False
    sick: bool = False


@dataclass(frozen=True, slots=True)
class Overruled:
    """An object that the target made otherwise than Git states, at `paths`: another apply would not change that."""

    ref: Ref
    paths: str

    def __str__(self) -> str:
        return f"{self.ref}: the cluster makes {self.paths} otherwise than Git states (an admission webhook or policy)"


@dataclass(frozen=True, slots=True)
class Operation:
    """`number` counts runs of the unit from 1. Times are epoch seconds. `waiting` says what it waits for just now.

    `failing` is the sentence of the first failure: from then on only SyncFail hooks run. `deadline` and the times of
    outcomes are in the run's own time: from `started`, the seconds that somebody was at work on it. `spent` are those
    that were known when it was written down.
    """

    id: str
    unit: UnitName
    number: int
    cause: Cause
    actor: str
    reason: str
    plan: str
    revision: Revision | None
    rendered: str
    effects: str
    started: float
    deadline: float
    outcomes: tuple[Outcome, ...] = ()
    waiting: str = ""
    failing: str = ""
    finished: float | None = None
    result: Result | None = None
    message: str = ""
    before: str = ""
    spent: float = 0.0

    @property
    def open(self) -> bool:
        return self.result is None

    def outcome(self, step: str) -> Outcome | None:
        return next((outcome for outcome in self.outcomes if outcome.step == step), None)

    def by_step(self) -> dict[str, Outcome]:
        """Key of a step → its outcome: for whoever asks about all of them."""
        return {outcome.step: outcome for outcome in reversed(self.outcomes)}


@dataclass(frozen=True, slots=True)
class Owned:
    """One object of a unit's inventory: written before the act. `digest` and `fingerprint` are "" until verified.

    `hook` is the generateName prefix or the name of the hook that made it, "" for ordinary objects.
    """

    ref: Ref
    digest: str = ""
    fingerprint: str = ""
    uid: str = ""
    hook: str = ""
    wave: int = 0


@dataclass(frozen=True, slots=True)
class Sight:
    """One object as the watch sees it now. `operation` is the run that a hook object says it belongs to; `warned` is
    what a stack's tool and its own checks said in that run."""

    ref: Ref
    exists: bool
    status: str = "Missing"
    message: str = ""
    fingerprint: str = ""
    uid: str = ""
    operation: str = ""
    terminating: bool = False
    finalizers: tuple[str, ...] = ()
    gated: bool = True
    warned: tuple[str, ...] = ()
