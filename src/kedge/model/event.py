"""Events: the append-only record for audit and history."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Who did what to which unit, why, at which commit, and what was before and after. Never holds a secret.

    `id` and `chain` are "" or 0 until the sealer has given the event its place; `kind` is dotted
    (`operation.finished`).
    `before` and `after` are short JSON-able texts (digests, revisions, states).
    """

    kind: str
    time: float
    actor: str
    unit: str = ""
    reason: str = ""
    commit: str = ""
    before: str = ""
    after: str = ""
    message: str = ""
    operation: str = ""
    id: int = 0
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Witness:
    """The head of an installation's event chain, to be kept elsewhere: it shows whether the log was rewritten since."""

    installation: str
    id: int
    chain: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """`sound` events in a row from the first; `broken` is the id of the first that is not as it was, 0 for none."""

    sound: int
    broken: int = 0
    why: str = ""
