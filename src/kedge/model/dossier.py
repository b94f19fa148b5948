"""Everything remembered of one unit, read in one query a turn."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kedge.model.health import Health, Status
from kedge.model.operation import Cause, Operation, Overruled, Owned
from kedge.model.output import Published
from kedge.model.plan import Plan
from kedge.model.ref import UnitName
from kedge.model.source import Read, Revision
from kedge.model.unit import Unit


class Sync(StrEnum):
    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes to effects. `changes` are the effects of the single changes that were shown, `holes` what was not
    known of them yet, `plan` the id of the plan that was shown."""

    effects: str
    changes: tuple[str, ...]
    person: str
    groups: tuple[str, ...]
    reason: str
    at: float
    break_glass: bool = False
    holes: tuple[str, ...] = ()
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for; the road acts on it at its next turn and then forgets it."""

    cause: Cause
    actor: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Pin:
    """A rollback: the unit's declaration, revision and rendered set as they were at run `run`.

    `expires` is epoch seconds; an expired pin alerts and holds, it never rolls forward by itself.
    """

    actor: str
    reason: str
    at: float
    expires: float
    run: int
    unit: Unit
    revision: Revision | None
    rendered: str


@dataclass(frozen=True, slots=True)
class Rendering:
    """The last render: from which commit and spec, what it read, and the digest of the placed set. A `guessed` set is
    placed again each time: see `Desired`."""

    revision: Revision
    spec: str
    reads: tuple[Read, ...]
    digest: str
    rendered: str
    renderer: str = ""
    notes: tuple[str, ...] = ()
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure being retried. `key` names what failed (plan and effects), `attempts` how often, `text` why."""

    key: str
    text: str
    attempts: int
    at: float
    again: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reader sees first: sync, health and the why sentence.

    `applied`: not Synced, and yet all that Git states is applied. What is left is in others' hands: a field that the
    cluster overrules, an object that left Git and that a finalizer holds. `cosmetic` are a stack's resources
    that others have changed in ways that the code says nothing of, `warned` what its
    tool and its own checks say of it. `put_off`: as in `Comparison`."""

    sync: Sync = Sync.UNKNOWN
    health: Health = Health(Status.UNKNOWN)
    why: str = ""
    drifted: tuple[str, ...] = ()
    applied: bool = False
    cosmetic: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    put_off: float = 0.0


@dataclass(frozen=True, slots=True)
class Home:
    """Which cluster it is that objects are in: where its API was met, and the cluster's own identity (the uid of its
    namespace kube-system), "" where that may not be read. Both are "" where nobody can tell. Of a stack both say where
    its state is."""

    server: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Dossier:
    """`version` guards optimistic writes. `head` is the newest known commit of the unit's source.

    `removed` is the time at which its declaration left Git, or None. `plan` is the newest plan, pending or running;
    `applied` the revision whose effects are live; `cluster`, `home` and `namespace` where the inventory is; `verified`
    when sync was last really judged and `due` when to come back (epoch seconds). `heals` are the times of recent
    repairs, `overruled` what the cluster makes otherwise than Git states, `outputs` what other units may read,
    `followers` the units that left Git with it and come after it: they go first.
    """

    name: UnitName
    unit: Unit
    version: int = 0
    head: Revision | None = None
    rendering: Rendering | None = None
    inventory: tuple[Owned, ...] = ()
    cluster: str = ""
    operation: Operation | None = None
    last: Operation | None = None
    plan: Plan | None = None
    approvals: tuple[Approval, ...] = ()
    wish: Wish | None = None
    pin: Pin | None = None
    suspended: str = ""
    removed: float | None = None
    applied: Revision | None = None
    trouble: Trouble | None = None
    heals: tuple[float, ...] = ()
    shown: Shown = Shown()
    verified: float | None = None
    due: float | None = None
    runs: int = 0
    home: Home = Home()
    namespace: str = ""
    overruled: tuple[Overruled, ...] = ()
    outputs: tuple[Published, ...] = ()
    followers: tuple[UnitName, ...] = ()
