"""Values ↔ stored text: JSON of the model's dataclasses through msgspec, read back strictly.

Raises Invalid for a value that JSON cannot hold (lone surrogates, endless nesting) and Unavailable for stored text that
does not read back: the database was damaged or edited.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import fields, replace
from functools import cache
from hashlib import sha256
from operator import attrgetter
from typing import Any, TypeVar, cast

import msgspec

from kedge.model.dossier import Dossier, Rendering
from kedge.model.errors import Invalid, Unavailable
from kedge.model.event import Event
from kedge.model.manifest import Manifest
from kedge.model.source import Read

T = TypeVar("T")

_UNSTORABLE = (UnicodeEncodeError, OverflowError, RecursionError)
_ENCODER = msgspec.json.Encoder()
_SORTED = msgspec.json.Encoder(order="sorted")
_PACKER = msgspec.msgpack.Encoder()
_UNPACKER = msgspec.msgpack.Decoder(tuple[Manifest, ...])


def _fields_of(kind: Any) -> Callable[[Any], dict[str, Any]]:
    """A dataclass's fields by name, in their order: as JSON they are what the value itself is."""
    names = [field.name for field in fields(kind)]
    values = attrgetter(*names)
    return lambda value: dict(zip(names, values(value), strict=True))


_DOSSIER, _RENDERING = _fields_of(Dossier), _fields_of(Rendering)


class _Path(msgspec.Struct, frozen=True):
    """A read of which only the path matters."""

    path: str


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def encode(value: object, what: str) -> str:
    """`what` names the value for the error."""
    try:
        return _ENCODER.encode(value).decode()
    except _UNSTORABLE as error:
        raise Invalid(f"{what} cannot be stored: {error}", hint="remove what JSON cannot hold from it") from error


def decode(text: str, kind: type[T], what: str) -> T:
    try:
        value: T = _decoder(cast(Hashable, kind)).decode(text)
    except msgspec.DecodeError as error:
        raise Unavailable(
            f"the stored {what} does not read back: {error}", hint="restore the database from a backup"
        ) from error
    return value


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def encode_dossier(dossier: Dossier) -> tuple[str, str]:
    """Body and reads: the dossier without its plan, which stands in a table of its own, and what its rendering read.

    Fields are left out of a mapping, not of a copy: making that took longer than encoding it."""
    rendering, reads = dossier.rendering, ""
    body = _DOSSIER(dossier)
    if rendering is not None:
        reads = encode(rendering.reads, f"what {dossier.name} read")
        body["rendering"] = _RENDERING(rendering) | {"reads": ()}
    return encode(body | {"plan": None}, str(dossier.name)), reads


def decode_dossier(body: str, reads: str) -> Dossier:
    """Without the plan."""
    dossier = decode(body, Dossier, "dossier")
    if dossier.rendering is None or not reads:
        return dossier
    asked = decode(reads, tuple[Read, ...], "reads")
    return replace(dossier, rendering=replace(dossier.rendering, reads=asked))


def paths_of(reads: str) -> tuple[str, ...]:
    """The distinct paths of stored reads, ordered; `("",)` (the whole repository) while nothing was rendered."""
    if not reads:
        return ("",)
    return tuple(sorted({read.path for read in decode(reads, list[_Path], "reads")}))


def encode_event(event: Event) -> str:
    """The canonical payload that the chain covers: sorted keys, without the place that the sealer gives."""
    placed = event.id or event.chain
    try:
        return _SORTED.encode(replace(event, id=0, chain="") if placed else event).decode()
    except _UNSTORABLE as error:
        raise Invalid(f"event {event.kind} cannot be stored: {error}") from error


def decode_event(number: int, payload: str, chain: str) -> Event:
    return replace(decode(payload, Event, f"event {number}"), id=number, chain=chain)


def pack(manifests: tuple[Manifest, ...]) -> bytes:
    """A rendered set as msgpack: bodies stay bytes, which compress better than base64."""
    try:
        return _PACKER.encode(manifests)
    except _UNSTORABLE as error:
        raise Invalid(f"the rendered set cannot be stored: {error}") from error


def unpack(data: bytes) -> tuple[Manifest, ...]:
    try:
        return _UNPACKER.decode(data)
    except msgspec.DecodeError as error:
        raise Unavailable(f"a stored rendered set does not read back: {error}") from error
