"""What would change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kedge.model.pair import Along
from kedge.model.ref import Ref


class Act(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    """Of a stack: its state lets go of it, and it stays as it is."""


class FieldAct(StrEnum):
    GAIN = "gain"
    CHANGE = "change"
    LOSE = "lose"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field. `before` and `after` are JSON text, masked where secret and cut at 2,000 characters for views."""

    path: str
    act: FieldAct
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Hidden:
    """A difference that is not shown as a change, and the rule that hides it."""

    path: str
    rule: str


@dataclass(frozen=True, slots=True)
class Change:
    """One object's change. `effect` is the keyed digest of what would be gained, changed or lost, real values included.

    `why` is a reason beside the fields (presumed, replaced, adopted …); `adopts` names the other owner;
    `rejection` is the API server's refusal: such a change can not be applied. `awaits` says what somebody else has to
    bring before it can be (a kind's definition). `along` is what a deletion takes with it; `alone` is its effect once
    nothing goes along any more, "" where that is the same.
    """

    ref: Ref
    act: Act
    fields: tuple[FieldChange, ...] = ()
    hidden: tuple[Hidden, ...] = ()
    effect: str = ""
    why: str = ""
    adopts: str = ""
    drift: bool = False
    rejection: str = ""
    generated: bool = False
    awaits: str = ""
    along: Along | None = None
    alone: str = ""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """A judgement of a check over a plan or a rendered set. Errors block the plan."""

    severity: Severity
    rule: str
    text: str
    ref: Ref | None = None
