"""States of stacks: versions, locks, and who was given access; what is known of one, and what is to become of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from kedge.model.errors import Conflict
from kedge.model.event import Event
from kedge.model.output import Output

LARGEST_STATE = 32 * 1024 * 1024
"""Bytes of one state, as the tool writes it."""


class Origin(StrEnum):
    """How a version came to be."""

    WRITTEN = "written"
    BROUGHT_HOME = "brought home"
    PUSHED = "pushed"
    ROLLED_BACK = "rolled back"
    LEFT = "left behind"
    """What a run could not send, and what the state had moved on without: kept beside the others, never the newest."""
    DELETED = "deleted"
    """An empty version: there is no state from here on, until one is written anew."""


@dataclass(frozen=True, slots=True)
class StateVersion:
    """One version of a unit's state. `number` counts the unit's versions from 1, `serial` is the tool's own.

    `digest` is keyed: a state may hold secrets that could be guessed. `size` is in bytes, `resources` a number of
    managed ones. Either `execution` wrote it, or the person `actor` for `reason`."""

    unit: str
    number: int
    serial: int
    lineage: str
    digest: str
    size: int
    resources: int
    at: float
    origin: Origin
    execution: str = ""
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StateLock:
    """`id` is the tool's; `who` and `operation` are what it says of itself, `info` its whole word (JSON).

    `base` is the number of the newest version when it was taken."""

    unit: str
    id: str
    execution: str
    who: str
    operation: str
    since: float
    base: int
    info: str = field(default="{}", repr=False)


@dataclass(frozen=True, slots=True)
class StateGrant:
    """What one execution may do with one unit's state. `token` is the sha256 of its token, in hex.

    `base` is the number of the newest version when it last took the lock, None before. `barred` says why it may not
    write any more: its lock was broken. `ended` is when it was proven to be over."""

    execution: str
    unit: str
    token: str = field(repr=False)
    writes: bool
    at: float
    base: int | None = None
    barred: str = ""
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class StateFacts:
    """All that a decision about one unit's state needs. `newest` may be a deleted one; `grant` is the asker's. `last`
    is the highest number that a version has."""

    unit: str
    newest: StateVersion | None = None
    lock: StateLock | None = None
    grant: StateGrant | None = None
    last: int = 0

    @property
    def there(self) -> StateVersion | None:
        """The newest version, None where there is no state."""
        return None if self.newest is None or self.newest.origin is Origin.DELETED else self.newest


@dataclass(frozen=True, slots=True)
class StateChange:
    """What is to become of them, in one write: a new version or none, and the lock and the grant as they are then."""

    lock: StateLock | None
    grant: StateGrant | None = None
    version: StateVersion | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class StateText:
    """A state as it was read: what it says of itself, without the resources' attributes.

    `resources` are the addresses of managed resources, in order; `content` the bytes as they came."""

    serial: int
    lineage: str
    digest: str
    outputs: tuple[Output, ...] = ()
    resources: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class StateLine:
    """One unit's state, as a list of all tells it."""

    newest: StateVersion
    lock: StateLock | None


class Locked(Conflict):
    """Somebody else holds the lock."""

    def __init__(self, text: str, lock: StateLock, hint: str = "") -> None:
        super().__init__(text, hint=hint)
        self.lock = lock
