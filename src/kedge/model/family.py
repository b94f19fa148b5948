"""What hangs from a unit's objects in the cluster, and what an object hangs from: fetched when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kedge.model.operation import Sight
from kedge.model.ref import Ref


@dataclass(frozen=True, slots=True)
class Child:
    """An object that the cluster made from one of a unit's. `owner` is the object it hangs from: managed, or a child
    itself. `status` and `message` are its health, as a unit's objects have it."""

    ref: Ref
    owner: Ref
    uid: str = ""
    status: str = ""
    message: str = ""
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """A unit's objects as they are (`sights`) and their children, each below its owner and in order.

    `notes` are sentences on what could not be looked at, or was left out."""

    sights: Mapping[Ref, Sight] = field(default_factory=dict)
    children: tuple[Child, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lineage:
    """An object (the first of `chain`) and what it hangs from, upwards. `manager` says who manages the topmost one,
    for where no unit does: `Helm (release web/web)`, `kubectl`, `nobody`."""

    chain: tuple[Ref, ...]
    manager: str = ""


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """What Kubernetes says of an object. `kind` is Normal or Warning; times are epoch seconds, None where unknown."""

    ref: Ref
    kind: str
    reason: str
    message: str
    source: str
    count: int
    first: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class ClusterEvents:
    """Newest last. `notes` are sentences on what could not be looked at."""

    items: tuple[ClusterEvent, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogWish:
    """Which lines of which Pods. `object` is `[KIND/]NAME` of one object of the unit or a child, `container` a name; ""
    is all of them. `since` in seconds back; `tail` the last so many lines of each container, None for every line."""

    object: str = ""
    container: str = ""
    follow: bool = False
    previous: bool = False
    since: float | None = None
    tail: int | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a container. With `note`, it is not the container's but ours: why there are no lines. An empty note
    says only that whoever reads is still attended to."""

    pod: str
    container: str
    text: str
    note: bool = False
