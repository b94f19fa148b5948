"""Bodies in the Kubernetes protobuf encoding, which kubectl's typed commands send: read into the JSON form, never
written."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from kedge.sandbox.kinds import built_in
from kedge.sandbox.types import Type, built_in_types
from kedge.sandbox.wire import Object

MAGIC = b"k8s\0"
DEPTH = 40
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Unreadable(ValueError):
    """Bytes that are no such message."""


@cache
def numbers() -> dict[str, dict[int, str]]:
    """numbers.txt: type → number → field."""
    found: dict[str, dict[int, str]] = {}
    for line in files("kedge.sandbox").joinpath("numbers.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, *pairs = line.split(" ")
            found[name] = {int(number): field for number, _, field in (pair.partition("=") for pair in pairs if pair)}
    return found


@cache
def _types_by_kind() -> dict[tuple[str, str], str]:
    return {(kind.api_version, kind.kind): kind.type for kind in built_in()}


def read(body: bytes) -> Object:
    """The object in an enveloped body. Raises Unreadable. Kinds without a field table come out with their kind
    alone."""
    envelope: dict[int, bytes] = {
        number: value for number, value in _fields(body[len(MAGIC) :]) if isinstance(value, bytes)
    }
    named = {number: value.decode() for number, value in _fields(envelope.get(1, b"")) if isinstance(value, bytes)}
    api_version, kind = named.get(1, ""), named.get(2, "")
    type_ = "meta.v1.DeleteOptions" if kind == "DeleteOptions" else _types_by_kind().get((api_version, kind), "")
    found = _message(type_, envelope.get(2, b""), DEPTH) if type_ else {}
    return {**found, "apiVersion": api_version, "kind": kind}


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        wire = tag & 7
        if wire == VARINT:
            value, at = _varint(raw, at)
            yield tag >> 3, value
        elif wire in (BYTES, FIXED64, FIXED32):
            size, at = _varint(raw, at) if wire == BYTES else (8 if wire == FIXED64 else 4, at)
            if at + size > len(raw):
                raise Unreadable("a field is longer than its message")
            yield tag >> 3, raw[at : at + size]
            at += size
        else:
            raise Unreadable(f"wire type {wire} is not used")


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise Unreadable("a number does not end")


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _message(type_: str, raw: bytes, depth: int, owner: str = "") -> Object:
    """One message as JSON. ``owner`` is the type whose fields an inlined part fills."""
    if depth <= 0:
        raise Unreadable("nested too deeply")
    table, known = numbers().get(type_, {}), built_in_types().fields.get(owner or type_, {})
    made: Object = {}
    for number, value in _fields(raw):
        name = table.get(number)
        if name is None:
            continue
        if name.startswith("+"):
            if isinstance(value, bytes):
                made.update(_message(name[1:], value, depth - 1, owner or type_))
            continue
        field = known.get(name.removesuffix("*"))
        if field is not None:
            _put(made, name.removesuffix("*"), field, value, (name.endswith("*"), depth))
    return made


def _put(made: Object, name: str, field: Type, value: int | bytes, how: tuple[bool, int]) -> None:
    binary, depth = how
    if field.shape == "list" and field.element is not None:
        made.setdefault(name, []).append(_value(field.element, value, name, binary, depth))
    elif field.shape == "map" and field.element is not None and isinstance(value, bytes):
        entry = dict(_fields(value))
        key, inner = entry.get(1, b""), entry.get(2, b"")
        if isinstance(key, bytes):
            made.setdefault(name, {})[key.decode()] = _value(field.element, inner, name, binary, depth)
    else:
        found = _value(field, value, name, binary, depth)
        if found not in ("", None):
            made[name] = found


def _value(field: Type, value: int | bytes, name: str, binary: bool, depth: int) -> Any:
    if field.shape == "object" and isinstance(value, bytes):
        return _message(field.of, value, depth - 1)
    if isinstance(value, int):
        return bool(value) if field.of == "boolean" else _signed(value)
    if binary:
        return base64.b64encode(value).decode()
    if field.of in ("string", "time"):
        return _time(value) if field.of == "time" else value.decode()
    inner = dict(_fields(value))
    if field.of == "quantity":
        text = inner.get(1, b"0")
        return text.decode() if isinstance(text, bytes) else "0"
    if field.of == "intstr":
        text = inner.get(3, b"")
        return text.decode() if inner.get(1) and isinstance(text, bytes) else _signed(int(inner.get(2, 0)))
    if field.of == "any":
        text = inner.get(1, b"null")
        return orjson.loads(text) if isinstance(text, bytes) and text else None
    raise Unreadable(f"{name} is not expected to be {field.of}")


def _time(value: bytes) -> str:
    seconds = dict(_fields(value)).get(1)
    if not isinstance(seconds, int):
        return ""
    return datetime.fromtimestamp(_signed(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
