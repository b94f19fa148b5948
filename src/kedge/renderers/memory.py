"""What was rendered lately, and what failed: an unchanged input is answered without rendering it again.

A render is keyed by what was asked (operation and options) and holds as long as every question it put to its source
would be answered the same. An input that has killed two workers is answered by the same refusal until it changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import orjson

from kedge.model.errors import Invalid
from kedge.model.manifest import Desired
from kedge.model.source import Read
from kedge.ports import Snapshot
from kedge.renderers.questions import Call, still_true

_VARIANTS = 8
"""Results that are kept of one question at different revisions."""

_ENTRY = 512
"""Bytes that an entry is taken to cost beside its bodies."""


@dataclass(frozen=True, slots=True)
class Past:
    """One outcome, the reads it depends on, and how many workers it has cost."""

    reads: tuple[Read, ...]
    outcome: Desired | Invalid | None
    kills: int = 0

    @property
    def size(self) -> int:
        bodies = sum(len(m.body) for m in self.outcome.manifests) if isinstance(self.outcome, Desired) else 0
        return bodies + _ENTRY * (1 + len(self.reads))


def key_of(call: Call) -> str:
    """What is asked, without the contents: those are in the reads."""
    return sha256(
        orjson.dumps([call.op, call.root, call.options, call.after, call.keys], option=orjson.OPT_SORT_KEYS)
    ).hexdigest()


class Memory:
    """Bounded in bytes; the least recently used question goes first."""

    def __init__(self, limit: int = 32 << 20) -> None:
        self._limit = limit
        self._size = 0
        self._by_key: OrderedDict[str, tuple[Past, ...]] = OrderedDict()

    def find(self, key: str, snapshot: Snapshot) -> Past | None:
        """The outcome that still holds in this snapshot."""
        for past in self._by_key.get(key, ()):
            if still_true(snapshot, past.reads):
                self._by_key.move_to_end(key)
                return past
        return None

    def keep(self, key: str, past: Past) -> None:
        """Remember an outcome in place of those with the same reads."""
        others = tuple(p for p in self._by_key.get(key, ()) if p.reads != past.reads)
        self._replace(key, (past, *others[: _VARIANTS - 1]))
        while self._size > self._limit and len(self._by_key) > 1:
            self._replace(next(iter(self._by_key)), ())

    def _replace(self, key: str, pasts: tuple[Past, ...]) -> None:
        self._size -= _total(self._by_key.pop(key, ()))
        if pasts:
            self._by_key[key] = pasts
            self._size += _total(pasts)


def _total(pasts: Iterable[Past]) -> int:
    return sum(past.size for past in pasts)
