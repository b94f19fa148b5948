"""The vigil: says aloud what would otherwise only not happen.

A unit whose verification grows too old, and a cluster that is in trouble, are each told once when it begins and once
when it is over, whatever number of tries lies between. What the units' turns left behind is kept here, so that a look
costs no read of the store.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from kedge.control.road.doors import Doors
from kedge.engine.delivery import unverified_for
from kedge.engine.vigilance import Kinds, Lateness, Limits, Place, View, Word, lateness
from kedge.model.dossier import Dossier, Sync
from kedge.model.errors import Unavailable
from kedge.model.event import Event
from kedge.model.fleet import UnitRow
from kedge.model.health import Ailment
from kedge.model.person import AUTOMATION

LOOK = 15.0
"""Seconds between two looks at what has grown old."""

SWEEPS = 3
"""Sweeps that may pass without a verification, where no watch verifies."""

QUIET = 300.0
"""Seconds in which a cluster must have told something: a server sends a bookmark a minute."""

GRACE = 15.0
"""Seconds that something is wrong with a cluster before it is told: a restart of its API server is no news."""

RECALLED = 500
"""Newest events that a start looks through for what was told and has not been taken back."""

LATE, VERIFIED = "unit.unverified", "unit.verified"
TROUBLE, WELL = "cluster.trouble", "cluster.well"


class Vigil:
    """`sweep` is the period of the slow sweep in seconds."""

    def __init__(self, doors: Doors, sweep: float) -> None:
        self._doors = doors
        self._sweep = sweep
        self._words: dict[str, Word] = {}
        self._kinds: dict[Kinds, Kinds] = {}
        self._told_units: dict[str, float] = {}
        self._told_clusters: dict[str, float] = {}
        self._ill: dict[str, None] = {}
        self.lateness = Lateness()

    def place(self, row: UnitRow) -> None:
        """What the store tells of a unit at a start."""
        self._words[row.name] = Word(row.cluster, row.sync, self._steady(row.verified), row.verified)

    def seen(self, unit: str, dossier: Dossier | None) -> None:
        """What a turn left behind; None: the unit is gone."""
        if dossier is None:
            self._words.pop(unit, None)
            return
        before, recorded = self._words.get(unit), dossier.verified
        known = before.verified if before is not None else None
        # What is on record is news once: after the clock has jumped, it would seem to be of another time.
        if before is None or before.recorded != recorded:
            known = max((at for at in (known, self._steady(recorded)) if at is not None), default=None)
        kinds = frozenset(entry.ref.group_kind for entry in dossier.inventory if not entry.hook)
        kinds = self._kinds.setdefault(kinds, kinds)
        limit = unverified_for(dossier.unit, self._doors.clock.now(), SWEEPS)
        cluster, shown = dossier.unit.target.cluster, dossier.shown
        self._words[unit] = Word(cluster, shown.sync, known, recorded, kinds, limit, shown.put_off)

    def proved(self, unit: str) -> None:
        """A turn found the unit as Git states. It is written down only where that is news, and remembered here."""
        word = self._words.get(unit)
        if word is not None:
            self._words[unit] = replace(word, verified=self._doors.clock.monotonic())

    def verified(self, unit: str) -> float | None:
        """When a turn last found the unit as Git states (epoch seconds), as far as it is known."""
        word = self._words.get(unit)
        return word.verified + self._ahead() if word is not None and word.verified is not None else None

    def current(self, unit: str, cluster: str) -> float | None:
        """Up to when (epoch seconds) the watches of what the unit is made of are current, None where it is not all
        watched."""
        word = self._words.get(unit)
        return self._doors.target.fresh(cluster, word.kinds if word is not None else ())

    def late(self, unit: str) -> str:
        """Why a unit's verification is too old, "" while it is not; as of the last look."""
        return self.lateness.late.get(unit, "")

    def ailments(self) -> dict[str, Ailment | None]:
        """Cluster → what is wrong with it now, of all that units live in."""
        names = sorted({word.cluster for word in self._words.values()})
        return {name: self._doors.target.ailment(name) for name in names}

    def vitals(self) -> dict[str, float]:
        """Gauges for `/metrics`."""
        ailing = sum(ailment is not None for ailment in self.ailments().values())
        return {
            "units_unverified": float(len(self.lateness.late)),
            "oldest_verification_seconds": self.lateness.oldest,
            "clusters_in_trouble": float(ailing),
        }

    async def recall(self) -> None:
        """Take up what was told before the start and has not been taken back since. Raises Unavailable."""
        for event in reversed(await self._doors.store.latest(limit=RECALLED)):
            at = self._steady(event.time) or 0.0
            if event.kind == LATE:
                self._told_units[event.unit] = at
            elif event.kind == VERIFIED:
                self._told_units.pop(event.unit, None)
            elif event.kind == TROUBLE:
                self._told_clusters[event.after] = at
            elif event.kind == WELL:
                self._told_clusters.pop(event.before, None)

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            await self._doors.clock.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        """Find out what is late or in trouble now, and tell what has begun and what is over."""
        views = self._views()
        clusters = {view.cluster: view for view in views.values()}
        self.lateness = lateness(self._words, views, Limits(SWEEPS * self._sweep, QUIET))
        self._ill.update(dict.fromkeys(name for name, view in clusters.items() if view.ailment is not None))
        begun, over = self._troubles(clusters)
        late, seen_again = self._late(views)
        events = (*begun.values(), *over.values(), *late.values(), *seen_again.values())
        try:
            if events:
                await self._doors.store.note(events)
        except Unavailable:
            return  # nothing is remembered as told: the next look tells it
        now = self._doors.clock.monotonic()
        self._told_clusters = _kept(self._told_clusters, begun, over, clusters, now)
        self._told_units = _kept(self._told_units, late, seen_again, self._words, now)

    def _ahead(self) -> float:
        """How far the wall clock is before the monotonic one just now. What is remembered is in the latter's seconds: a
        jump of the former makes nothing older or younger."""
        return self._doors.clock.now() - self._doors.clock.monotonic()

    def _steady(self, at: float | None) -> float | None:
        """A time on record in monotonic seconds; nothing on record is of a time to come."""
        return None if at is None else min(at - self._ahead(), self._doors.clock.monotonic())

    def _views(self) -> dict[Place, View]:
        """Trouble that was told before a restart did not begin with it."""
        now, ahead, target, ailments = self._doors.clock.now(), self._ahead(), self._doors.target, self.ailments()
        for name, ailment in ailments.items():
            if ailment is not None and name in self._told_clusters:
                ailments[name] = replace(ailment, since=min(ailment.since, self._told_clusters[name] + ahead))
        heard = {name: target.fresh(name) for name in ailments}
        places = dict.fromkeys(word.place for word in self._words.values())
        return {
            (name, kinds): View(name, now, target.fresh(name, kinds), ailments[name], ahead, heard[name])
            for name, kinds in places
        }

    def _troubles(self, views: Mapping[str, View]) -> tuple[dict[str, Event], dict[str, Event]]:
        """What has begun of clusters and what is over. Trouble is over with an answer, not when it changes its name."""
        begun, over = {}, {}
        for name, view in views.items():
            told, ailment = self._told_clusters.get(name), view.ailment
            if ailment is not None and told is None and view.now - ailment.since >= GRACE:
                message = f"cluster {name}: {ailment.reason}"
                begun[name] = Event(TROUBLE, view.now, AUTOMATION.name, message=message, after=name)
            elif ailment is None and told is not None and (name in self._ill or _after(view, view.heard, told)):
                span = _span(view.now - view.ahead - told)
                message = f"cluster {name} answers again, {span} after its trouble was told"
                over[name] = Event(WELL, view.now, AUTOMATION.name, message=message, before=name)
        return begun, over

    def _late(self, views: Mapping[Place, View]) -> tuple[dict[str, Event], dict[str, Event]]:
        """What has become late, and what has been seen since that was told: not to be late any more is not enough."""
        begun, over = {}, {}
        for unit, sentence in self.lateness.late.items():
            if unit not in self._told_units:
                now = views[self._words[unit].place].now
                begun[unit] = Event(LATE, now, AUTOMATION.name, unit, message=sentence)
        for unit, told in self._told_units.items():
            word = self._words.get(unit)
            if word is None or unit in self.lateness.late:
                continue
            view = views[word.place]
            watched = word.sync is not Sync.UNKNOWN and _after(view, view.fresh, told)
            if watched or (word.verified is not None and word.verified >= told):
                text = "it is verified again" if word.sync is Sync.SYNCED else "it is looked at again"
                over[unit] = Event(VERIFIED, view.now, AUTOMATION.name, unit, message=text)
        return begun, over


def _after(view: View, at: float | None, told: float) -> bool:
    """Whether something was seen (epoch seconds) since it was told (monotonic seconds)."""
    return at is not None and at - view.ahead >= told


def _kept(
    told: Mapping[str, float], begun: Collection[str], over: Collection[str], there: Collection[str], now: float
) -> dict[str, float]:
    """What stays told, of what is still there."""
    standing = {name: at for name, at in told.items() if name not in over and name in there}
    return {**standing, **dict.fromkeys(begun, now)}


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
