"""The state of one sandbox: its kinds, its objects, its watches, its clock. Everything else is functions over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from uuid import UUID

from kedge.sandbox.fields import Fields
from kedge.sandbox.kinds import Kind, built_in
from kedge.sandbox.store import Happening, Place, Store, Stored
from kedge.sandbox.watching import Watches
from kedge.sandbox.wire import Object

LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # what generated names and hashes are spelled with: no words come of them
TURN = 500


@dataclass(frozen=True, slots=True)
class Options:
    """How the sandbox behaves. Times are seconds of the clock that was handed in.

    ``start`` is how long a pod needs to become ready, ``work`` how long a Job's pod runs, ``bookmark`` how often a
    watch that wants bookmarks gets one, ``keep`` how many changes per resource are remembered for watches, ``grace``
    how long a deleted pod lingers, ``deadline`` caps ``progressDeadlineSeconds`` so that a failing rollout shows early,
    ``object_limit`` how many bytes of JSON a stored custom object may have, ``pods`` how many pods controllers make in
    all: a billion replicas are a wish like any other.
    """

    start: float = 0.3
    work: float = 0.5
    grace: float = 0.2
    bookmark: float = 60.0
    keep: int = 4096
    body_limit: int = 3 * 1024 * 1024
    object_limit: int = 1536 * 1024
    deadline: float = 600.0
    pods: int = 10_000
    version: str = "v1.35.0"
    controllers: bool = True


@dataclass(slots=True)
class Cluster:
    """What the handlers and controllers work on."""

    now: Callable[[], float]
    entropy: Callable[[int], str]
    options: Options
    store: Store
    fields: Fields
    watches: Watches = field(default_factory=Watches)
    served: dict[tuple[str, str, str], Kind] = field(default_factory=dict)
    stored_as: dict[str, Kind] = field(default_factory=dict)
    due: dict[Place, float] = field(default_factory=dict)
    queue: list[tuple[float, int, Place]] = field(default_factory=list)
    instants: dict[str, float] = field(default_factory=dict)
    turn: int = 0
    pages: dict[str, tuple[float, int, list[Stored]]] = field(default_factory=dict)
    addresses: dict[str, Place] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in built_in():
            self.serve(kind)
        self.store.listeners += [self.watches.publish, self.observe]

    def serve(self, kind: Kind) -> None:
        """Serves one kind in one version from now on."""
        self.served[kind.group, kind.version, kind.plural] = kind
        if kind.storage:
            self.stored_as[kind.key] = kind

    def unserve(self, key: str) -> None:
        """Stops serving every version of a resource."""
        self.served = {place: kind for place, kind in self.served.items() if kind.key != key}
        self.stored_as.pop(key, None)

    def brought(self, group: str) -> bool:
        """Whether a group has kinds that came with the server."""
        return any(kind.group == group and not kind.custom for kind in self.served.values())

    def kinds(self) -> Iterator[Kind]:
        """Every served kind, once per version."""
        yield from self.served.values()

    def stamp(self) -> str:
        """The time now as RFC 3339, whole seconds."""
        return rfc3339(self.now())

    def uid(self) -> str:
        return str(UUID(self.entropy(16), version=4))

    def suffix(self, size: int = 5) -> str:
        """Random letters as generated names end in."""
        return "".join(LETTERS[byte % len(LETTERS)] for byte in bytes.fromhex(self.entropy(size)))

    def wake(self, place: Place, delay: float = 0.0) -> None:
        """Asks the controllers to look at an object, now or later; an earlier request stands."""
        when = self.now() + delay
        if when < self.due.get(place, when + 1):
            self.due[place] = when
            self.turn += 1
            heappush(self.queue, (when, self.turn, place))

    def ready(self) -> list[Place]:
        """Takes places whose time has come, in order: so many that a turn stays short."""
        found: list[Place] = []
        now = self.now()
        while self.queue and self.queue[0][0] <= now and len(found) < TURN:
            when, _, place = heappop(self.queue)
            if self.due.get(place) == when:
                del self.due[place]
                found.append(place)
        return found

    def write(self, stored: Stored, key: str, **parts: object) -> Stored:
        """A controller's write: replaces top-level parts of an object; what is equal already is not written."""
        if all(stored.obj.get(name) == value for name, value in parts.items()):
            return stored
        made: Object = {**stored.obj, **parts}
        made["metadata"] = dict(made["metadata"])
        return self.store.put(key, made)

    def observe(self, happening: Happening) -> None:
        """Keeps the index of service addresses."""
        if happening.place.key != "services.":  # others have no addresses
            return
        if happening.new is None and happening.old is not None:
            self.addresses.pop(happening.old.obj.get("spec", {}).get("clusterIP", ""), None)
        elif happening.new is not None:
            self.addresses[happening.new.obj.get("spec", {}).get("clusterIP", "")] = happening.place


LAST_SECOND = 253_402_300_799


def rfc3339(seconds: float) -> str:
    """Whole seconds; what lies beyond the year 9999 is shown as its last second."""
    return datetime.fromtimestamp(min(int(seconds), LAST_SECOND), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_of(text: str) -> float:
    """Seconds of an RFC 3339 time; 0.0 for an empty one."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0
