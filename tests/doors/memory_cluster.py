"""A cluster in memory: objects with owners and uids, slow rollouts, finalizers, and hands that are not ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from kedge.model.operation import Sight
from kedge.model.ref import Ref

UNIT = "kedge.dev/unit"
ROLLING = ("Deployment", "Job")


@dataclass(slots=True)
class Thing:
    """One live object. `owner` is the unit its annotation names, `operation` the run a hook belongs to. A body is
    replaced, never changed: its fingerprint is worked out once."""

    ref: Ref
    uid: str
    body: dict[str, Any]
    ready_at: float
    sick: bool = False
    operation: str = ""
    terminating: bool = False
    finalizers: tuple[str, ...] = ()
    printed: tuple[dict[str, Any] | None, str] = (None, "")

    @property
    def owner(self) -> str:
        return str((self.body["metadata"].get("annotations") or {}).get(UNIT, ""))

    @property
    def fingerprint(self) -> str:
        if self.printed[0] is not self.body:
            text = f"{self.uid} {json.dumps(self.body, sort_keys=True)}"
            self.printed = (self.body, sha256(text.encode()).hexdigest()[:16])
        return self.printed[1]

    def sight(self, now: float) -> Sight:
        gated = self.ref.kind in ROLLING
        status = "Healthy"
        if gated and now < self.ready_at:
            status = "Progressing"
        elif gated and self.sick:
            status = "Degraded"
        return Sight(
            self.ref,
            True,
            status,
            "" if status == "Healthy" else f"is {status.lower()}",
            self.fingerprint,
            self.uid,
            self.operation,
            self.terminating,
            self.finalizers,
            gated,
        )


@dataclass(frozen=True, slots=True)
class Write:
    """What reached the cluster: `act` is create, update, delete or gone; `hand` is kedge or another manager.

    `unit` and `operation` are those on whose behalf Kedge acted; `thing` is the object before a deletion, else after.
    """

    act: str
    ref: Ref
    hand: str
    thing: Thing
    unit: str = ""
    operation: str = ""
    cluster: str = ""


@dataclass(slots=True)
class MemoryCluster:
    """`rollout(ref)` says how many seconds an object takes to be ready, and whether it ends up sick.

    `later(seconds, call)` is the loop's timer. Watchers hear of every change; the witness of every write.
    """

    now: Callable[[], float]
    later: Callable[[float, Callable[[], None]], object]
    rollout: Callable[[Ref, Mapping[str, Any]], tuple[float, bool]] = lambda ref, body: (0.0, False)
    linger: Callable[[Ref], float] = lambda ref: 0.0
    things: dict[Ref, Thing] = field(default_factory=dict)
    watchers: list[Callable[[Ref], None]] = field(default_factory=list)
    witness: Callable[[Write], None] = lambda write: None
    count: int = 0
    name: str = ""

    def apply(self, ref: Ref, body: dict[str, Any], hand: str, unit: str = "", operation: str = "") -> Thing:
        thing = self.things.get(ref)
        if thing is None:
            self.count += 1
            thing = Thing(ref, f"uid{self.name}-{self.count}", body, self.now(), operation=operation)
            self.things[ref] = thing
            act = "create"
        elif thing.body == body and thing.operation == operation:
            return thing
        else:
            act = "update"
        thing.body = body
        seconds, thing.sick = self.rollout(ref, body)
        thing.ready_at = self.now() + seconds
        if seconds:
            self.later(seconds, lambda: self.changed(ref))
        self.witness(Write(act, ref, hand, thing, unit, operation, self.name))
        self.changed(ref)
        return thing

    def delete(self, ref: Ref, hand: str, unit: str = "", operation: str = "") -> None:
        thing = self.things[ref]
        if thing.terminating:
            return
        self.witness(Write("delete", ref, hand, thing, unit, operation, self.name))
        thing.terminating = True
        seconds = self.linger(ref)
        if seconds:
            thing.finalizers = ("example.com/slow",)
            self.later(seconds, lambda: self._gone(thing))
            self.changed(ref)
        else:
            self._gone(thing)

    def _gone(self, thing: Thing) -> None:
        if self.things.get(thing.ref) is thing:
            del self.things[thing.ref]
            self.witness(Write("gone", thing.ref, "cluster", thing, cluster=self.name))
            self.changed(thing.ref)

    def changed(self, ref: Ref) -> None:
        for watcher in list(self.watchers):
            watcher(ref)
