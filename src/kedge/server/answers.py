"""The envelopes around views: what each path answers, as OpenAPI describes it.

Handlers answer bytes that orjson wrote from these dataclasses; they are given to FastAPI as response models only for
the description, since validating what we wrote ourselves would cost a hot list most of its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson
from fastapi import Response

from kedge.model.event import Event
from kedge.model.plan import Plan
from kedge.model.restoration import Restoration
from kedge.server import views

_OPTIONS = orjson.OPT_NON_STR_KEYS


def answer(value: object, status: int = 200) -> Response:
    """A dataclass (or anything orjson knows) as a JSON answer."""
    return Response(orjson.dumps(value, option=_OPTIONS), status, media_type="application/json")


@dataclass(frozen=True, slots=True)
class Units:
    """`counts` holds, for the same filter, the number of units by health and by sync, `problems` what is wrong with
    roots and sources: what no unit can tell of. Both only on a first page."""

    items: tuple[views.UnitLine, ...]
    next: str
    total: int
    counts: dict[str, int] = field(default_factory=dict)
    problems: tuple[views.ProblemView, ...] = ()
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class OneUnit:
    """`problems` are those of its declaration and of its source: what is shown is as of the last good read."""

    unit: views.UnitView
    problems: tuple[views.ProblemView, ...] = ()
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """`plan` is null where nothing is to be done or waited for; `fresh` says whether it was made for this request.

    `live` is the commit that is in force now, "" before the first run. `approved` is the plan that the newest approval
    (by `approvedBy`) was of, where that is not of this plan.
    """

    unit: str
    plan: Plan | None
    fresh: bool
    live: str
    approved: Plan | None = None
    approvedBy: str = ""
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class ObjectView:
    """One object of a unit as the watch sees it. `managed` is false for objects that others made from ours."""

    group: str
    kind: str
    namespace: str
    name: str
    exists: bool
    status: str
    message: str
    managed: bool
    wave: int
    hook: str
    terminating: bool
    finalizers: tuple[str, ...]
    key: str = ""


@dataclass(frozen=True, slots=True)
class ChildView:
    """An object that the cluster made from one of the unit's: `owner` is the `key` of what it hangs from, an object or
    another child, which always stands before it."""

    group: str
    kind: str
    namespace: str
    name: str
    key: str
    owner: str
    status: str
    message: str
    terminating: bool


@dataclass(frozen=True, slots=True)
class Objects:
    """`children` were asked for, or are none; `notes` are sentences on what could not be looked at."""

    unit: str
    items: tuple[ObjectView, ...]
    children: tuple[ChildView, ...] = ()
    notes: tuple[str, ...] = ()
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Runs:
    """Newest first; `next` is the `before` of the next page, 0 on the last."""

    unit: str
    items: tuple[views.RunView, ...]
    next: int
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class OneRun:
    unit: str
    run: views.RunView
    plan: Plan | None
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Events:
    """`next` is the `before` (newest first) or `after` (oldest first) of the next page, 0 on the last."""

    items: tuple[Event, ...]
    next: int
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Sources:
    items: tuple[views.SourceView, ...]
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Secrets:
    """Names alone."""

    items: tuple[str, ...]
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class SecretDone:
    name: str
    did: str
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Roots:
    items: tuple[views.RootView, ...]
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class ClusterView:
    """`fresh` is when its watches told something last, null while it is not watched; `age` in seconds.

    `reason` says why it is of no use just now, "" while nothing is known to be wrong, and `reasonAge` since how many
    seconds. `server` is "" for the cluster that Kedge was started with, or runs in."""

    name: str
    fresh: float | None
    age: float | None
    units: int
    server: str = ""
    reason: str = ""
    reasonAge: float | None = None


@dataclass(frozen=True, slots=True)
class Clusters:
    items: tuple[ClusterView, ...]
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Trace:
    """From an object back to who wrote it. `revision` is the commit whose effects are live; `via` are the objects
    between it and the unit, upwards: the last is the unit's own."""

    object: str
    cluster: str
    unit: str
    revision: views.RevisionView | None
    run: views.RunView | None
    source: str
    via: tuple[str, ...] = ()
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class ClusterEventView:
    """What Kubernetes says of an object of a unit, or of a child. `kind` is Normal or Warning; times epoch seconds."""

    object: str
    kind: str
    reason: str
    message: str
    source: str
    count: int
    first: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class ClusterEvents:
    """Newest last; `notes` are sentences on what could not be looked at."""

    unit: str
    items: tuple[ClusterEventView, ...]
    notes: tuple[str, ...] = ()
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class ActionView:
    """`does` is the end of “it will …”; `hindrance` says why it can not be done now, "" when it can."""

    object: str
    action: str
    does: str
    hindrance: str


@dataclass(frozen=True, slots=True)
class Actions:
    """What people can do to a unit's objects beside Git."""

    unit: str
    items: tuple[ActionView, ...]
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class TouchedView:
    """`follows` is a sentence on what comes of it."""

    object: str
    follows: str


@dataclass(frozen=True, slots=True)
class Touched:
    """What was restarted or scaled, or with `dryRun` would be."""

    unit: str
    items: tuple[TouchedView, ...]
    dryRun: bool
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Wished:
    """A command was taken: the unit as it stands now, before the road acts on it. `problems` are those of its
    declaration and of its source: a sync applies what is known, which may not be the newest."""

    unit: views.UnitView
    did: str
    problems: tuple[views.ProblemView, ...] = ()
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rollback would do. `effects` is what the rollback itself may be bound to, `live` the commit in force."""

    unit: str
    pin: views.PinView
    plan: Plan
    effects: str
    live: str
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Restored:
    """What a commit has to put back: see `kedge.model.restoration`."""

    unit: str
    restoration: Restoration
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Version:
    version: str
    schemaVersion: str = views.SCHEMA


@dataclass(frozen=True, slots=True)
class Probe:
    status: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many (repository, ref) are asked about because of a push."""

    checked: int
