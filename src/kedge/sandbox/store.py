"""The objects: one dict per (resource, namespace), one growing resource version, a bounded history for watches.

What is stored is never changed in place: a write stores a new object, so readers, pages and watches share it freely.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from kedge.sandbox.wire import Object


class Stored:
    """One version of one object, and its JSON once somebody asked for it."""

    __slots__ = ("_raw", "obj", "rv")

    def __init__(self, obj: Object, rv: int) -> None:
        self.obj = obj
        self.rv = rv
        self._raw: bytes | None = None

    @property
    def raw(self) -> bytes:
        if self._raw is None:
            self._raw = orjson.dumps(self.obj)
        return self._raw

    @property
    def meta(self) -> Object:
        found: Object = self.obj["metadata"]
        return found

    @property
    def uid(self) -> str:
        return str(self.obj["metadata"]["uid"])


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is: the resource's key, its namespace ("" for cluster scope), its name."""

    key: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One change: ``old`` is None for an addition, ``new`` is None for a removal (``last`` is then its final form)."""

    rv: int
    place: Place
    old: Stored | None
    new: Stored | None
    last: Stored | None = None


@dataclass(slots=True)
class Store:
    """All objects. ``keep`` bounds the remembered changes per resource; older watches get 410."""

    keep: int = 2048
    rv: int = 1
    tables: dict[str, dict[str, dict[str, Stored]]] = field(default_factory=dict)
    history: dict[str, deque[Happening]] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)
    floor: int = 0
    listeners: list[Callable[[Happening], None]] = field(default_factory=list)
    children: dict[str, dict[Place, None]] = field(default_factory=dict)
    uids: dict[str, Place] = field(default_factory=dict)
    _orders: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def get(self, key: str, namespace: str, name: str) -> Stored | None:
        return self.tables.get(key, {}).get(namespace, {}).get(name)

    def at(self, place: Place) -> Stored | None:
        return self.get(place.key, place.namespace, place.name)

    def by_uid(self, uid: str) -> Stored | None:
        place = self.uids.get(uid)
        return self.at(place) if place else None

    def scan(self, key: str, namespace: str | None = None) -> Iterator[Stored]:
        """Objects of one resource in key order, of one namespace or (None) of all."""
        table = self.tables.get(key, {})
        for space in sorted(table) if namespace is None else [namespace] if namespace in table else []:
            names = table[space]
            order = self._orders.get((key, space))
            if order is None:
                order = self._orders[key, space] = sorted(names)
            for name in order:
                yield names[name]

    def owned_by(self, uid: str, key: str = "") -> list[Stored]:
        """Objects that name this uid among their owners, in the order they came."""
        places = [place for place in self.children.get(uid, {}) if not key or place.key == key]
        return [stored for place in places if (stored := self.at(place)) is not None]

    def put(self, key: str, obj: Object) -> Stored:
        """Stores a new version of an object; stamps its resource version into ``obj``, which is ours from now on."""
        meta = obj["metadata"]
        place = Place(key, meta.get("namespace", ""), meta["name"])
        self.rv += 1
        meta["resourceVersion"] = str(self.rv)
        stored = Stored(obj, self.rv)
        names = self.tables.setdefault(key, {}).setdefault(place.namespace, {})
        old = names.get(place.name)
        names[place.name] = stored
        if old is None:
            self._orders.pop((key, place.namespace), None)
        self._index(place, old, stored)
        self._tell(Happening(self.rv, place, old, stored))
        return stored

    def remove(self, place: Place) -> Stored:
        """Removes an object; its final form carries the removal's resource version."""
        names = self.tables[place.key][place.namespace]
        old = names.pop(place.name)
        self._orders.pop((place.key, place.namespace), None)
        self.rv += 1
        last = Stored({**old.obj, "metadata": {**old.meta, "resourceVersion": str(self.rv)}}, self.rv)
        self._index(place, old, None)
        self._tell(Happening(self.rv, place, old, None, last))
        return last

    def _index(self, place: Place, old: Stored | None, new: Stored | None) -> None:
        before = _owners(old)
        after = _owners(new)
        for uid in before:
            if uid not in after and uid in self.children:
                self.children[uid].pop(place, None)
                if not self.children[uid]:
                    del self.children[uid]
        for uid in after:
            self.children.setdefault(uid, {})[place] = None
        if new is None and old is not None:
            self.uids.pop(old.uid, None)
        elif new is not None:
            self.uids[new.uid] = place

    def _tell(self, happening: Happening) -> None:
        key = happening.place.key
        past = self.history.setdefault(key, deque())
        past.append(happening)
        if len(past) > self.keep:
            self.floors[key] = past.popleft().rv
        for listener in self.listeners:
            listener(happening)

    def since(self, key: str, rv: int) -> list[Happening] | None:
        """Changes of one resource after ``rv``, or None when they are no longer all remembered."""
        if rv < max(self.floors.get(key, 0), self.floor):
            return None
        found: list[Happening] = []
        for happening in reversed(self.history.get(key, ())):
            if happening.rv <= rv:
                break
            found.append(happening)
        found.reverse()
        return found

    def forget(self) -> None:
        """Drops the history (compaction): every watch from an earlier version gets 410 from now on."""
        self.floor = self.rv
        self.history.clear()

    def save(self) -> Any:
        """The snapshot's plain form."""
        rows = [[key, stored.obj] for key in sorted(self.tables) for stored in self.scan(key)]
        return {"rv": self.rv, "objects": rows}

    def load(self, snapshot: Any) -> None:
        """Takes over a snapshot made by ``save``; the history starts there."""
        self.rv = int(snapshot["rv"])
        for key, obj in snapshot["objects"]:
            meta = obj["metadata"]
            place = Place(key, meta.get("namespace", ""), meta["name"])
            stored = Stored(obj, int(meta["resourceVersion"]))
            self.tables.setdefault(key, {}).setdefault(place.namespace, {})[place.name] = stored
            self._index(place, None, stored)
        self.forget()


def _owners(stored: Stored | None) -> list[str]:
    if stored is None:
        return []
    return [owner["uid"] for owner in stored.meta.get("ownerReferences") or ()]
