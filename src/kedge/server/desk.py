"""What the server is given: one value, filled by `compose`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from kedge.control.road.commands import Commands
from kedge.control.states.backend import StateBackend
from kedge.dialects.webhooks import Push
from kedge.model.dossier import Dossier
from kedge.model.health import Ailment
from kedge.model.operation import Sight
from kedge.model.person import Person
from kedge.model.ref import Ref
from kedge.ports import Clock, Errands, Store


@dataclass(frozen=True, slots=True)
class Desk:
    """Doors and callbacks of the HTTP server.

    `fresh` answers, for a cluster, the time (epoch seconds) at which its watches told something last, None while it is
    not watched; `current`, for a unit and its cluster, up to when the watches of its own kinds are current, None where
    it is not all watched; `ailment` what is wrong with a cluster. `look` sees a unit's objects as the watch does.
    `push` takes a verified webhook and answers how many (repository, ref) are asked about. `tokens` maps the sha256
    (hex) of a bearer token to its person.
    `webhook_secret` "" turns webhooks off. `vitals` are gauges for `/metrics`; names that end in `_total` are counters.
    `asked` says of each (repository, ref) when it was last asked, and when it last answered (None: not since the
    start).
    `verified` answers for a unit when a turn last found it as Git states, written down or not; `late` why that is too
    long ago, "" while it is not. `ailments` are those of every cluster that units live in.
    `secret_moved` is told the name of a secret that was kept or deleted.
    `states` is the built-in state backend, `errands` what executions elsewhere ask, None where there are none.
    `follow` takes a listener that is told a unit and its version (0: it is gone) after each of its turns.
    """

    store: Store
    commands: Commands
    clock: Clock
    fresh: Callable[[str], float | None]
    current: Callable[[str, str], float | None]
    look: Callable[[Dossier], Awaitable[Mapping[Ref, Sight]]]
    push: Callable[[Push], Awaitable[int]]
    tokens: Mapping[str, Person] = field(repr=False)
    webhook_secret: str = field(repr=False)
    vitals: Callable[[], Mapping[str, float]]
    follow: Callable[[Callable[[str, int], None]], None]
    ailment: Callable[[str], Ailment | None] = lambda cluster: None
    asked: Callable[[], Mapping[tuple[str, str], tuple[float, float | None]]] = dict
    verified: Callable[[str], float | None] = lambda unit: None
    late: Callable[[str], str] = lambda unit: ""
    ailments: Callable[[], Mapping[str, Ailment | None]] = dict
    secret_moved: Callable[[str], None] = lambda name: None
    states: StateBackend | None = None
    errands: Errands | None = None
