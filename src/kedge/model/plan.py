"""A plan: what Kedge would do to one unit, in order, and what that would change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kedge.model.change import Act, Change, Finding
from kedge.model.ref import Ref, UnitName
from kedge.model.source import Revision


class Phase(StrEnum):
    PRE_SYNC = "PreSync"
    SYNC = "Sync"
    POST_SYNC = "PostSync"
    PRUNE = "Prune"
    SYNC_FAIL = "SyncFail"
    PRE_DELETE = "PreDelete"
    POST_DELETE = "PostDelete"

    @property
    def rank(self) -> int:
        return _PHASES.index(self)


_PHASES = [
    Phase.PRE_DELETE,
    Phase.PRE_SYNC,
    Phase.SYNC,
    Phase.POST_SYNC,
    Phase.PRUNE,
    Phase.POST_DELETE,
    Phase.SYNC_FAIL,
]


class StepKind(StrEnum):
    CHANGE = "change"
    HOOK = "hook"
    ARTIFACT = "artifact"
    """A saved plan of a stack, applied whole."""


class DeletePolicy(StrEnum):
    """When a hook's object is deleted; the names are Argo CD's."""

    BEFORE_CREATION = "BeforeHookCreation"
    SUCCEEDED = "HookSucceeded"
    FAILED = "HookFailed"


@dataclass(frozen=True, slots=True)
class Step:
    """One act on one object. `key` is unique in the plan; `manifest` is the manifest's digest, "" for deletions.

    `rank` orders kinds inside a wave; steps of one (phase, wave, rank) may run at once.
    `uid` is the live object's at planning time: a deletion is of that object and no other. `artifact` names the saved
    plan that is applied.
    """

    key: str
    kind: StepKind
    act: Act
    ref: Ref
    phase: Phase
    wave: int = 0
    rank: int = 0
    manifest: str = ""
    policies: tuple[DeletePolicy, ...] = ()
    uid: str = ""
    generate_name: str = ""
    artifact: str = ""

    @property
    def order(self) -> tuple[int, int, int, str]:
        return self.phase.rank, self.wave, self.rank, self.key


@dataclass(frozen=True, slots=True)
class Needs:
    """Whose approval a plan waits for, and why. `reasons` are sentences."""

    reasons: tuple[str, ...]
    by: tuple[str, ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """`id` covers the unit, the rendered set and the effects. `effects` is the digest over all changes' effects.

    `rendered` is the digest of the placed rendered set, whose bytes the store keeps. `blocked` are sentences that
    say why it can not be applied at all; `removal` marks the plan that takes a whole unit away. `claimants` are
    the units that own objects of this plan: it is blocked until they let go. `holes` are the values of other units
    that are not there yet (`shop/db.endpoint`): the plan is shown and can be agreed to, and its set is not kept.
    """

    id: str
    unit: UnitName
    revision: Revision | None
    rendered: str
    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    effects: str
    findings: tuple[Finding, ...] = ()
    needs: Needs | None = None
    blocked: tuple[str, ...] = ()
    removal: bool = False
    made_at: float = 0.0
    claimants: tuple[str, ...] = ()
    holes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Nothing to do. Hooks run only where something changes, or where a person asked for a sync."""
        return not self.changes and not self.steps and not self.holes

    @property
    def whole(self) -> bool:
        """Whether it is applied as one: then an approval is of exactly these effects."""
        return any(step.kind is StepKind.ARTIFACT for step in self.steps)

    @property
    def done_before(self) -> bool:
        """Whether all that Git states is there, and hooks are left of a try that failed."""
        return not (self.changes or self.removal or self.needs or self.blocked or self.whole or self.holes)

    @property
    def drift_only(self) -> bool:
        return bool(self.changes) and all(change.drift for change in self.changes)

    @property
    def harmless(self) -> bool:
        """Whether nothing is deleted, replaced or let go of."""
        return all(change.act in (Act.CREATE, Act.UPDATE) for change in self.changes)

    def summary(self) -> str:
        """For example `2 to create, 1 to update, 1 to delete`."""
        counts = {act: sum(1 for change in self.changes if change.act == act) for act in Act}
        return ", ".join(f"{count} to {act}" for act, count in counts.items() if count) or "nothing to do"
