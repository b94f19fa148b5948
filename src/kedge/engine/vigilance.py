"""How old a verification may grow before it is an alarm. `lastVerified` is a fact; this says when it is too old a one.

A watch that is current verifies a Synced unit all the time, and a bookmark a minute says so: minutes of silence are
many. Where no watch may be had, the sweep's dry runs are all there is: a few missed sweeps are many. A stack is looked
at in its own time, and a few of its own periods are many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kedge.model.dossier import Sync
from kedge.model.health import Ailment


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `unit`: since a unit was verified last; `cluster`: since anything was seen of its cluster."""

    unit: float
    cluster: float


Kinds = frozenset[tuple[str, str]]
"""(group, kind) of what a unit is made of."""

Place = tuple[str, Kinds]
"""A cluster, and what is looked at in it."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a unit's last turn left behind: where it lives, how it stood, and when it was last found as Git states, in
    monotonic seconds. `recorded` is what was on record of the latter then (epoch seconds), `kinds` what it is made of,
    `limit` how old its verification may grow where it has a period of its own, as a stack has (seconds). `put_off`:
    until when (epoch seconds) the budget of looks has it wait, 0.0 where it does not.
    """

    cluster: str
    sync: Sync
    verified: float | None
    recorded: float | None = None
    kinds: Kinds = frozenset()
    limit: float | None = None
    put_off: float = 0.0

    @property
    def place(self) -> Place:
        return self.cluster, self.kinds


@dataclass(frozen=True, slots=True)
class View:
    """What is known of a place at a moment (`now`): how current its watches are, and what is wrong with the cluster.

    Times are epoch seconds; `ahead` is how far they are before the monotonic ones of words. `heard`: when any watch of
    the cluster told something."""

    cluster: str
    now: float
    fresh: float | None = None
    ailment: Ailment | None = None
    ahead: float = 0.0
    heard: float | None = None


@dataclass(frozen=True, slots=True)
class Lateness:
    """`late`: unit → the sentence that says since when it is not verified, and why. `oldest`: seconds since the
    verification that is longest ago, of the units that are not known to differ."""

    late: Mapping[str, str] = field(default_factory=dict)
    oldest: float = 0.0


def last_verified(verified: float | None, sync: Sync, fresh: float | None) -> float | None:
    """When desired and live were last known to be equal: a recorded look, or, while Synced, the watch's freshness
    (a watch that is current and rang nothing has seen no change)."""
    known = [moment for moment in (verified, fresh if sync is Sync.SYNCED else None) if moment is not None]
    return max(known) if known else None


def silent(view: View, limits: Limits) -> bool:
    """Whether nothing has been seen of a place for longer than allowed."""
    ailing = view.ailment is not None and view.now - view.ailment.since > limits.cluster
    return ailing or (view.fresh is not None and view.now - view.fresh > limits.cluster)


def late(word: Word, view: View, limits: Limits) -> str:
    """Why nobody can say that a unit is as it was last shown; "" while somebody can.

    A unit that is known to differ from Git is not late: it says that it differs, for as long as its cluster is seen."""
    quiet = silent(view, limits)
    at = _seen(word, view)
    if at is None or (word.sync is Sync.OUT_OF_SYNC and not quiet):
        return ""
    if view.now - at <= (limits.cluster if quiet else limits.unit if word.limit is None else word.limit):
        return ""
    if not quiet and word.put_off > view.now:
        return f"not verified since {_moment(at)}: {_put_off(word)}"
    return f"not verified since {_moment(at)}: {_why(view, quiet, limits)}"


def lateness(words: Mapping[str, Word], views: Mapping[Place, View], limits: Limits) -> Lateness:
    """Of all units at once; those of a place without a view are left out."""
    found: dict[str, str] = {}
    oldest = 0.0
    for unit, word in words.items():
        view = views.get(word.place)
        if view is None:
            continue
        if sentence := late(word, view, limits):
            found[unit] = sentence
        at = _seen(word, view)
        if at is not None and word.sync is not Sync.OUT_OF_SYNC:
            oldest = max(oldest, view.now - at)
    return Lateness(found, oldest)


def _seen(word: Word, view: View) -> float | None:
    found = word.verified + view.ahead if word.verified is not None else None
    return last_verified(found, word.sync, view.fresh)


def _put_off(word: Word) -> str:
    return f"a look for drift is put off until {_moment(word.put_off)}, for looks take half of the time at most"


def _why(view: View, quiet: bool, limits: Limits) -> str:
    if view.ailment is not None:
        return f"cluster {view.cluster}: {view.ailment.reason}"
    if quiet and view.fresh is not None:
        one = view.heard is not None and view.now - view.heard <= limits.cluster
        which = "a watch that sees its objects" if one else "the watches"
        return f"{which} of cluster {view.cluster} {'has' if one else 'have'} told nothing since {_moment(view.fresh)}"
    return "no look at it has come to an end, and it is not watched"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
