"""Server-side apply's field management, as a blocking client of the native worker.

The sandbox is handed one of these; it does not import it. Answers are remembered by content, for a simulation asks the
same things again and again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Protocol

import orjson

from kedge.model.errors import Unavailable
from kedge.process import Pipes
from kedge.renderers.frames import Decoder, Frame, FrameKind, Garbled, encode
from kedge.renderers.worker import confined

_MEMORY = 2 << 30
_DEADLINE = 10.0
_LIMITS = {"object": 32 << 20, "total": 64 << 20, "objects": 1, "file": 0, "read": 0}


@dataclass(frozen=True, slots=True)
class Managed:
    """What became of an object: its canonical JSON and whether that differs from the live one (also in its owners),
    or the `status` (a Kubernetes Status: conflicts are 409 with one cause for each field) that refuses it."""

    body: bytes = b""
    changed: bool = False
    status: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as to fields. `now` is RFC 3339 and stamps what changes. `reset` are paths that the request can not
    set, such as ("status",). `schema` is the openAPIV3Schema of a custom kind, as JSON."""

    manager: str
    force: bool = False
    subresource: str = ""
    now: str = ""
    reset: tuple[tuple[str, ...], ...] = ()
    schema: bytes = b""


_TEXT = {"type": "string"}
_COUNT = {"type": "integer"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_METADATA = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"), _TEXT),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _TEXT),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), _COUNT),
        **dict.fromkeys(("labels", "annotations"), _TEXTS),
        "finalizers": {"type": "array", "items": _TEXT, "x-kubernetes-list-type": "set"},
        "managedFields": {"type": "array", "items": _FREE, "x-kubernetes-list-type": "atomic"},
        "ownerReferences": {
            "type": "array",
            "items": {**_FREE, "x-kubernetes-map-type": "atomic"},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
        },
    },
}
"""How the API server merges the metadata of every kind (ObjectMeta of its published API types)."""


@lru_cache(maxsize=512)
def whole_schema(schema: bytes) -> bytes:
    """A custom kind's openAPIV3Schema with what each object has besides: metadata, apiVersion and kind."""
    model = orjson.loads(schema)
    common = {"metadata": _METADATA, "apiVersion": _TEXT, "kind": _TEXT}
    return orjson.dumps({**model, "properties": {**(model.get("properties") or {}), **common}})


class Talk(Protocol):
    """A child as this client meets it (`kedge.process.Pipes`)."""

    def write(self, data: bytes) -> None: ...

    def read(self, timeout: float) -> bytes: ...

    def close(self) -> None: ...


class FieldManager:
    """`apply` and `update` as the API server does them. One request at a time; not for threads."""

    def __init__(self, program: str, *, remember: int = 4096) -> None:
        self._program = program
        self._remember = remember
        self._answers: OrderedDict[bytes, Managed] = OrderedDict()
        self._child: Talk | None = None
        self._decoder = Decoder()
        self._number = 0
        self._closed = False

    def apply(self, live: bytes | None, applied: bytes, ask: Ask) -> Managed:
        """Server-side apply of a configuration to the live object (None: there is none). Bodies are JSON."""
        return self._remembered("apply", live or b"", applied, ask)

    def update(self, live: bytes | None, new: bytes, ask: Ask) -> Managed:
        """The new object with its owners, after a create, update or patch by `ask.manager`."""
        return self._remembered("update", live or b"", new, ask)

    def close(self) -> None:
        """End the child. Later calls raise Unavailable: none may start another that nobody ends."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _remembered(self, op: str, live: bytes, other: bytes, ask: Ask) -> Managed:
        options = {
            "live": len(live),
            "manager": ask.manager,
            "force": ask.force,
            "subresource": ask.subresource,
            "now": ask.now,
            "reset": ask.reset,
            "schema": orjson.Fragment(whole_schema(ask.schema) if ask.schema else b"null"),
        }
        header = orjson.dumps({"op": op, "options": options, "limits": _LIMITS})
        key = sha256(header + b"\0" + live + b"\0" + other).digest()
        known = self._answers.get(key)
        if known is None:
            known = self._answers[key] = self._ask(header, live + other)
            while len(self._answers) > self._remember:
                self._answers.popitem(last=False)
        else:
            self._answers.move_to_end(key)
        return known

    def _ask(self, header: bytes, raw: bytes) -> Managed:
        """One request, once more on a fresh child when the old one has gone. Raises Unavailable after that."""
        if self._closed:
            raise Unavailable("field management has ended with its sandbox")
        try:
            return self._converse(header, raw)
        except (Unavailable, Garbled):
            self._drop()
        try:
            return self._converse(header, raw)
        except (Unavailable, Garbled) as error:
            self._drop()
            raise Unavailable(f"field management is not to be had: {error}") from error

    def _converse(self, header: bytes, raw: bytes) -> Managed:
        if self._child is None:
            self._child, self._decoder = self._start(), Decoder()
            self._next(self._child)
        self._number += 1
        frame = Frame(self._number, FrameKind.REQUEST, orjson.loads(header), raw)
        self._child.write(encode(frame))
        answer = self._next(self._child)
        if answer.request != self._number:
            raise Garbled(f"an answer to request {answer.request} instead of {self._number}")
        return _managed(answer)

    def _start(self) -> Talk:
        return Pipes([self._program], env=confined(_MEMORY), memory=_MEMORY)

    def _next(self, child: Talk) -> Frame:
        while True:
            for frame in self._decoder.feed(child.read(_DEADLINE)):
                return frame


def _managed(answer: Frame) -> Managed:
    if answer.kind is FrameKind.ERROR:
        return Managed(status=_failure(str(answer.header["error"]["what"])))
    if answer.kind is not FrameKind.DONE:
        raise Garbled(f"a frame of type {answer.kind.name} where none is expected")
    result: Mapping[str, Any] = answer.header["result"]
    if result.get("status"):
        return Managed(status=result["status"])
    return Managed(answer.raw, bool(result["changed"]))


def _failure(message: str) -> dict[str, Any]:
    """As the API server reports what its field management could not do."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": 500}


def conflicts_of(status: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """(field, sentence) for each conflict of a 409 Status."""
    causes = (status.get("details") or {}).get("causes") or ()
    return [(cause.get("field", ""), cause.get("message", "")) for cause in causes]
