"""Watches: each takes the changes it asked for as JSON lines; whoever serves them decides when to write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from kedge.sandbox.kinds import Kind
from kedge.sandbox.selectors import Selection
from kedge.sandbox.store import Happening, Stored
from kedge.sandbox.wire import Object

Render = Callable[[Stored], bytes]
BACKLOG, BACKLOG_BYTES = 20_000, 64 * 1024 * 1024


@dataclass(slots=True, eq=False)
class Watch:
    """One open watch. ``take`` empties it; ``subscribe`` is called whenever something is there to take, or it
    closed."""

    kind: Kind
    namespace: str | None
    selection: Selection
    render: Render
    mark: Callable[[Object], Object]
    bookmarks: bool = False
    deadline: float | None = None
    next_bookmark: float = 0.0
    closed: bool = False
    _lines_left: int | None = None
    _bytes: int = 0
    _lines: deque[bytes] = field(default_factory=deque)
    _wake: Callable[[], None] | None = None
    _leave: Callable[[Watch], None] | None = None

    def take(self) -> list[bytes]:
        """The lines that came since the last call, each with its newline."""
        lines = list(self._lines)
        self._lines.clear()
        self._bytes = 0
        return lines

    def events(self) -> list[Object]:
        """``take``, parsed: dicts with ``type`` and ``object``."""
        return [orjson.loads(line) for line in self.take()]

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Calls ``wake()`` on every new line and at the end; at once when there is something already."""
        self._wake = wake
        if self._lines or self.closed:
            wake()

    def close(self) -> None:
        """Ends the watch; what it holds can still be taken."""
        if not self.closed:
            self.closed = True
            if self._leave:
                self._leave(self)
            if self._wake:
                self._wake()

    def cut(self, after: int) -> None:
        """Ends it after so many lines, counted with those that wait already; none of these is lost."""
        self._lines_left = after - len(self._lines)
        if self._lines_left <= 0:
            self.close()

    def send(self, line: bytes) -> None:
        """Appends one line; a reader too far behind is cut off, as the API server does."""
        if self.closed:
            return
        self._lines.append(line)
        self._bytes += len(line)
        if self._lines_left is not None:
            self._lines_left -= 1
        behind = len(self._lines) > BACKLOG or self._bytes > BACKLOG_BYTES
        if behind or (self._lines_left is not None and self._lines_left <= 0):
            self.close()
        elif self._wake:
            self._wake()

    def offer(self, happening: Happening) -> None:
        """Turns a change into what this watcher sees: entering the selection is ADDED, leaving it DELETED."""
        if self.namespace is not None and happening.place.namespace != self.namespace:
            return
        was = happening.old is not None and self.selection.takes(happening.old.obj)
        now = happening.new is not None and self.selection.takes(happening.new.obj)
        if now and happening.new is not None:
            self.send(line_of(b"MODIFIED" if was else b"ADDED", self.render(happening.new)))
        elif was and happening.last is not None:
            self.send(line_of(b"DELETED", self.render(happening.last)))
        elif was and happening.old is not None:
            self.send(line_of(b"DELETED", self.render(_restamped(happening.old, happening.rv))))

    def bookmark(self, rv: int, initial_end: bool = False) -> None:
        """Tells how far the watch has come (and, after initial events, that they are complete)."""
        meta: Object = {"resourceVersion": str(rv)}
        if initial_end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        self.send(line_of(b"BOOKMARK", orjson.dumps(self.mark(meta))))

    def fail(self, status: Object) -> None:
        """An ERROR event, then the end."""
        self.send(line_of(b"ERROR", orjson.dumps(status)))
        self.close()


def line_of(type_: bytes, raw: bytes) -> bytes:
    return b'{"type":"' + type_ + b'","object":' + raw + b"}\n"


def _restamped(stored: Stored, rv: int) -> Stored:
    return Stored({**stored.obj, "metadata": {**stored.meta, "resourceVersion": str(rv)}}, rv)


@dataclass(slots=True)
class Watches:
    """All open watches, found by resource and, where a selector names one, by label."""

    by_resource: dict[str, dict[tuple[str, str] | None, dict[int, Watch]]] = field(default_factory=dict)

    def add(self, watch: Watch) -> None:
        bucket = self.by_resource.setdefault(watch.kind.key, {}).setdefault(watch.selection.anchor, {})
        bucket[id(watch)] = watch
        watch._leave = self.drop

    def drop(self, watch: Watch) -> None:
        buckets = self.by_resource.get(watch.kind.key, {})
        bucket = buckets.get(watch.selection.anchor, {})
        bucket.pop(id(watch), None)
        if not bucket:
            buckets.pop(watch.selection.anchor, None)

    def all(self) -> list[Watch]:
        return [
            watch for buckets in self.by_resource.values() for bucket in buckets.values() for watch in bucket.values()
        ]

    def publish(self, happening: Happening) -> None:
        """Offers a change to every watch whose index says it might care."""
        buckets = self.by_resource.get(happening.place.key)
        if not buckets:
            return
        anchors: dict[Any, None] = {None: None}
        for stored in (happening.old, happening.new):
            if stored is not None:
                anchors.update(dict.fromkeys((stored.meta.get("labels") or {}).items()))
        for anchor in anchors:
            for watch in list(buckets.get(anchor, {}).values()):
                watch.offer(happening)
