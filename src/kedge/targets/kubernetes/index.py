"""The watch index of one cluster: the only holder of "live".

One watch per kind in use, filtered by the server on Kedge's shard label, so its cost follows what Kedge manages.
Whoever listens is rung at once: `drift` when an object's fields or existence moved, `health` when its state did, and
`words` when the same state is told otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from kedge.kube.client import Client
from kedge.kube.watch import Interest, Watcher, WatchEvent, What
from kedge.model.errors import Denied, KedgeError, Unavailable
from kedge.model.health import Status
from kedge.model.ref import Ref
from kedge.spawn import Spawner
from kedge.targets.kubernetes import marks
from kedge.targets.kubernetes.judging import PLAIN, Judging
from kedge.targets.kubernetes.slot import Slot, newer, ref_of, slot_of

PATIENCE = 20.0
"""Seconds that a first snapshot may take before whoever needs it is told to come back."""

MOST_SLOTS = 200_000
MOST_BYTES = 512 * 1024 * 1024
TOO_MUCH = 300.0
"""Seconds until a cluster that showed more than that is looked at again."""

Key = tuple[str, str, str]
Ring = Callable[[Slot, str], None]


@dataclass(slots=True)
class Watching:
    """One watch. `fresh`: monotonic seconds; `error`: why it sees nothing now; `seen`: what a snapshot told so far."""

    key: Key
    watcher: Watcher
    synced: bool = False
    fresh: float | None = None
    error: KedgeError | None = None
    seen: set[Ref] | None = None
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def news(self, seconds: float) -> None:
        """Waits until the watch is synced or has failed (again), or the time is up."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return

    def wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class Index:
    """Slots by ref, and the watches that keep them true. `ring(slot, what)` is called from the watches' tasks."""

    def __init__(self, cluster: str, client: Client, spawner: Spawner, ring: Ring, judging: Judging = PLAIN) -> None:
        self._cluster = cluster
        self._client = client
        self._clock = client.clock
        self._spawner = spawner
        self._ring = ring
        self.judging = judging
        self._slots: dict[Ref, Slot] = {}
        self._messages: dict[Ref, str] = {}
        self._watches: dict[Key, Watching] = {}
        self._writing: dict[Ref, int] = {}
        self._expected: dict[Ref, Slot | None] = {}
        self._narrow: set[tuple[str, str]] = set()
        self._arrived: dict[str, set[Ref]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._size = 0
        self._closed = False
        self.changed: Callable[[Slot], None] = _nobody

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, ref: Ref) -> Slot | None:
        return self._slots.get(ref)

    def message(self, slot: Slot) -> str:
        """What an unhealthy object says of itself now, and what its Pods said when they were last asked."""
        words, own = self._messages.get(slot.ref, ""), slot.health.message
        return f"{own}; {words}" if own and words else words or own

    def slots(self) -> Iterable[Slot]:
        return self._slots.values()

    def strays(self, owner: str, expected: Collection[Ref]) -> dict[Ref, str]:
        """Uids of what watches showed as this owner's, and applied by Kedge, that is not `expected` there. What is
        expected once is not looked at again: this costs nothing where nothing came unasked."""
        arrived = self._arrived.get(owner)
        if arrived is None:
            return {}
        arrived.difference_update(expected)
        found = {ref: slot for ref in sorted(arrived) if (slot := self._slots.get(ref)) and slot.owner == owner}
        arrived.intersection_update(found)
        if not arrived:
            del self._arrived[owner]
        return {ref: slot.uid for ref, slot in found.items() if not slot.terminating}

    def watching(self, ref: Ref) -> Watching | None:
        """The watch that sees a ref, or None."""
        return self._watches.get(self._key(ref.group, ref.kind, ref.namespace))

    def sees(self, ref: Ref, since: float) -> bool:
        """Whether the index shows what the cluster holds (of labelled objects) as of `since` (monotonic) or later."""
        watch = self.watching(ref)
        return watch is not None and watch.synced and watch.fresh is not None and watch.fresh >= since

    def fresh(self, kinds: Collection[tuple[str, str]] = ()) -> float | None:
        """Up to when (epoch seconds) the watches of all of these kinds are current, None where one sees nothing. Of no
        kind in particular: when any watch told something last."""
        watches = [watch for watch in self._watches.values() if not kinds or watch.key[:2] in kinds]
        times = [watch.fresh for watch in watches if watch.synced and watch.fresh is not None]
        blind = len(times) < len(watches) or {watch.key[:2] for watch in watches} != set(kinds)
        if not times or (kinds and blind):
            return None
        # Ages are counted by the clock that never jumps, and told by the one that people read.
        at = min(times) if kinds else max(times)
        return self._clock.now() - (self._clock.monotonic() - at)

    # -- watching -----------------------------------------------------------------------------------------------------

    async def ready(self, refs: Iterable[Ref]) -> None:
        """Watch the kinds of `refs`, and wait for the first snapshot of each.

        Raises Denied where watching is not permitted, Unavailable when the server fails one more time, or after
        PATIENCE for all of them together."""
        deadline = self._clock.monotonic() + PATIENCE
        for place in [place for place, watch in self.start(refs).items() if not watch.synced]:
            await self._ready(*place, deadline)

    def start(self, refs: Iterable[Ref]) -> dict[Key, Watching]:
        """Begin to watch the kinds of `refs`, without waiting. The watches by group, kind and namespace."""
        places = dict.fromkeys([(ref.group, ref.kind, ref.namespace) for ref in refs])
        return {place: self._watch(*place) for place in places}

    def nudge(self) -> None:
        """Have every watch that sees nothing try again now."""
        for watch in self._watches.values():
            if watch.error is not None:
                watch.watcher.nudge()

    def close(self) -> None:
        """End every watch. Whoever still waits for one is told so, and nothing is watched any more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for watch in self._watches.values():
            watch.synced, watch.error = False, self._given_up()
            watch.wake()

    def _given_up(self) -> Unavailable:
        return Unavailable(
            f"{self._cluster}: how this cluster is reached has changed; it is asked again", retry_after=1
        )

    async def _ready(self, group: str, kind: str, namespace: str, deadline: float) -> None:
        tried = False
        while not (watch := self._watch(group, kind, namespace)).synced:
            if isinstance(watch.error, Denied):
                if watch.key[2] or not namespace:
                    raise watch.error
                self._narrow_down(watch)
                continue
            left = deadline - self._clock.monotonic()
            if left <= 0 or (watch.error is not None and tried):
                why = f": {watch.error}" if watch.error else f" within {PATIENCE:.0f} s"
                raise Unavailable(f"{self._cluster}: {kind} can not be watched{why}")
            if watch.error is not None:
                watch.watcher.nudge()
            tried = True
            await watch.news(left)

    def _narrow_down(self, watch: Watching) -> None:
        """Watch a kind in the namespaces in use, and do not ask for all of them again."""
        self._narrow.add(watch.key[:2])
        del self._watches[watch.key]
        if watch.task is not None:
            watch.task.cancel()

    def _watch(self, group: str, kind: str, namespace: str) -> Watching:
        """The watch over all namespaces, or over one where only that is permitted."""
        key = self._key(group, kind, namespace)
        watch = self._watches.get(key)
        if watch is None:
            watcher = Watcher(self._client, Interest(group, kind, key[2], marks.SHARD))
            watch = self._watches[key] = Watching(key, watcher)
            if self._closed:
                watch.error = self._given_up()
                return watch
            name = f"watch {self._cluster} {kind} {key[2]}".strip()
            watch.task = self._spawner.start(self._follow(watch), name)
            self._tasks.append(watch.task)
        return watch

    def _key(self, group: str, kind: str, namespace: str) -> Key:
        return group, kind, namespace if (group, kind) in self._narrow else ""

    async def _follow(self, watch: Watching) -> None:
        while True:
            async with aclosing(watch.watcher.events()) as events:
                async for event in events:
                    self._take(watch, event)
                    if len(self._slots) > MOST_SLOTS or self._size > MOST_BYTES:
                        break
            self._overwhelmed(watch)
            await self._clock.sleep(TOO_MUCH)

    def _overwhelmed(self, watch: Watching) -> None:
        """More than can be kept: a kind that is not all seen is not seen at all, and asked about instead."""
        most = f"{MOST_SLOTS} objects or {MOST_BYTES >> 20} MiB"
        watch.error = Unavailable(f"{self._cluster}: it shows more than {most}, and {watch.key[1]} is not watched")
        watch.seen = None
        self._forget(watch)
        watch.watcher = Watcher(self._client, Interest(*watch.key, marks.SHARD))
        watch.wake()

    def _forget(self, watch: Watching) -> None:
        """Nothing that it showed is known any more."""
        group, kind, namespace = watch.key
        watch.synced = False
        for ref in [ref for ref in self._slots if ref.group == group and ref.kind == kind]:
            if namespace in ("", ref.namespace):
                self._size -= len(self._slots.pop(ref).body)
                self._messages.pop(ref, None)

    def _take(self, watch: Watching, event: WatchEvent) -> None:
        if event.what is What.LOST:
            watch.error = event.error
            watch.wake()
            return
        if event.what is What.BEGAN:
            watch.seen = set()
            if event.anew:
                self._forget(watch)
            return
        if event.what in (What.ADDED, What.MODIFIED):
            ref = self._put(event.object)
            if watch.seen is not None:
                watch.seen.add(ref)
        elif event.what is What.DELETED:
            self._gone(ref_of(event.object), str((event.object.get("metadata") or {}).get("resourceVersion") or ""))
        elif event.what is What.SYNCED:
            self._sweep(watch)
        if watch.seen is None:
            watch.fresh = max(watch.fresh or 0.0, event.at)
            watch.error = None

    def _sweep(self, watch: Watching) -> None:
        """After a snapshot: what it did not mention is gone, unless we ourselves wrote it meanwhile."""
        group, kind, namespace = watch.key
        seen, watch.seen, watch.synced = watch.seen or set(), None, True
        for ref in [ref for ref in self._slots if ref.group == group and ref.kind == kind]:
            if ref not in seen and namespace in ("", ref.namespace):
                self._gone(ref, "")
        watch.wake()

    # -- keeping ------------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, ref: Ref) -> Iterator[None]:
        """While Kedge itself writes an object, its change is no drift, and its state no news: whoever writes looks at
        it afterwards. What else happened is told at the end."""
        self._writing[ref] = self._writing.get(ref, 0) + 1
        self._expected.setdefault(ref, self._slots.get(ref))
        try:
            yield
        finally:
            self._writing[ref] -= 1
            if not self._writing[ref]:
                del self._writing[ref]
                self._settle(self._expected.pop(ref), self._slots.get(ref))

    def _settle(self, expected: Slot | None, found: Slot | None) -> None:
        slot = found or expected
        if slot is not None and _identity(expected) != _identity(found):
            self._tell(slot, "drift")
        elif found is not None and expected is not None and _state(expected) != _state(found):
            self._tell(found, "health")

    def learn(self, obj: Mapping[str, Any]) -> Slot:
        """Take the answer to a write of our own: the watch will tell the same a little later, or something newer."""
        ref = ref_of(obj)
        held = self._slots.get(ref)
        told = held if held is not None and _shows(held, obj.get("metadata") or {}) else None
        slot = told or self._slot_of(ref, obj)
        if slot.ref in self._writing:
            self._expected[slot.ref] = slot
        if told is not None or (held is not None and not newer(slot.version, held.version)):
            return slot
        for watch in self._watches.values():
            if watch.key[:2] == slot.ref.group_kind:
                if watch.seen is not None:
                    watch.seen.add(slot.ref)
                if watch.error is not None:
                    watch.watcher.nudge()
        self._keep(slot)
        return slot

    def explain(self, ref: Ref, message: str) -> None:
        """Keep what Pods say about an object, without its own words; rings when that is news."""
        slot = self._slots.get(ref)
        if slot is None or self._messages.get(ref, "") == message:
            return
        if message:
            self._messages[ref] = message
        else:
            self._messages.pop(ref, None)
        self._tell(slot, "words")

    def rejudge(self, slot: Slot) -> None:
        """Judge an object again: some states turn bad by time alone, others by a new rule."""
        health, gated = self.judging.judged(slot.object(), self._clock.now(), self._reports(slot.ref))
        if (health, gated) != (slot.health, slot.gated) and self._slots.get(slot.ref) is slot:
            found = self._slots[slot.ref] = replace(slot, health=health, gated=gated)
            self._tell(slot, "health" if _state(found) != _state(slot) else "words")

    def _slot_of(self, ref: Ref, obj: Mapping[str, Any]) -> Slot:
        return slot_of(ref, obj, self._clock.now(), self.judging, self._reports(ref))

    def _reports(self, ref: Ref) -> bool:
        """Whether a kind has a status of its own; as long as it is not known, it may."""
        seen = self._client.discovery.seen
        kind = seen.find(ref.group, ref.kind) if seen is not None else None
        return kind is None or kind.reports

    def _put(self, obj: Mapping[str, Any]) -> Ref:
        ref = ref_of(obj)
        old = self._slots.get(ref)
        if old is not None and _is_old_news(old, obj.get("metadata") or {}):
            return ref
        slot = self._slot_of(ref, obj)
        if marks.is_copy(obj) or not slot.owner:
            if old is not None:
                self._gone(slot.ref, slot.version)
            return slot.ref
        self._keep(slot)
        if old is None and not slot.hook and marks.applied_here(obj):
            self._arrived.setdefault(slot.owner, set()).add(slot.ref)
        if old is not None and old.owner != slot.owner:
            self._tell(old, "drift")
        if old is None or (old.uid, old.fingerprint, old.owner) != (slot.uid, slot.fingerprint, slot.owner):
            self._tell(slot, "drift")
        if old is None or _state(old) != _state(slot):
            self._tell(slot, "health")
        elif old.health != slot.health:
            self._tell(slot, "words")
        return slot.ref

    def _keep(self, slot: Slot) -> None:
        before = self._slots.get(slot.ref)
        self._size += len(slot.body) - (len(before.body) if before is not None else 0)
        self._slots[slot.ref] = slot
        if slot.health.status.value in ("Healthy", "Suspended"):
            self._messages.pop(slot.ref, None)
        self.changed(slot)

    def _gone(self, ref: Ref, version: str) -> None:
        slot = self._slots.get(ref)
        if slot is None or (version and not newer(version, slot.version)):
            return
        del self._slots[ref]
        self._size -= len(slot.body)
        self._messages.pop(ref, None)
        self._tell(slot, "drift")

    def _tell(self, slot: Slot, what: str) -> None:
        """Hooks have no drift: they come and go by plan, and only their state is of interest."""
        if slot.ref in self._writing:
            return
        self._ring(slot, "health" if what == "drift" and slot.hook else what)


def _identity(slot: Slot | None) -> tuple[str, str] | None:
    return None if slot is None else (slot.uid, slot.fingerprint)


def _state(slot: Slot) -> tuple[Status, bool, str, bool]:
    """What a run waits for, and a unit's health follows from; the rest of it is words."""
    return slot.health.status, slot.gated, slot.operation, slot.terminating


def _is_old_news(slot: Slot, metadata: Mapping[str, Any]) -> bool:
    """Whether a watch tells what `slot` already shows, or what was before: most often the echo of our own write, which
    is a third of all that a watch tells while a fleet changes."""
    version, uid = _version(metadata)
    return slot.uid == uid and (_shows(slot, metadata) or not newer(version, slot.version))


def _shows(slot: Slot, metadata: Mapping[str, Any]) -> bool:
    """Whether `slot` is of this very version."""
    return (slot.version, slot.uid) == _version(metadata) and slot.version != "" and bool(slot.owner)


def _version(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Resource version and uid."""
    return str(metadata.get("resourceVersion") or ""), str(metadata.get("uid") or "")


def _nobody(slot: Slot) -> None:
    return None
