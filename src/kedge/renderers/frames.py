"""The frames that the native worker is spoken to in (`native/frames.go` is the other half). Pure.

A frame is: u32 length of the rest, u32 request, u8 type, u32 header length, JSON header, raw bytes; big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import orjson

MAX_FRAME = 128 << 20
"""Bytes. A longer frame means that the two halves do not understand each other."""

MAX_HEADER = 32 << 20
"""Bytes of a header that is read: it is taken apart in one go, while everything else waits."""

_PREFIX = struct.Struct(">IIBI")
_REST = 9


class FrameKind(IntEnum):
    HELLO = 1
    REQUEST = 2
    ASK = 3
    ANSWER = 4
    OBJECT = 5
    DONE = 6
    ERROR = 7


class Garbled(Exception):
    """Bytes that are no frame. The process that sent them is of no more use."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`header` is a JSON object, `raw` whatever belongs to it."""

    request: int
    kind: FrameKind
    header: dict[str, Any]
    raw: bytes = b""


def encode(frame: Frame) -> bytes:
    """A frame as bytes. Raises Garbled when it is longer than a frame may be."""
    header = orjson.dumps(frame.header)
    length = _REST + len(header) + len(frame.raw)
    if length > MAX_FRAME:
        raise Garbled(f"a frame of {length} bytes")
    return _PREFIX.pack(length, frame.request, frame.kind, len(header)) + header + frame.raw


class Decoder:
    """Bytes in any portions, whole frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes. Raises Garbled for bytes that can not be one."""
        self._buffer += data
        while len(self._buffer) >= _PREFIX.size:
            length, request, kind, header_length = _PREFIX.unpack_from(self._buffer)
            if length > MAX_FRAME or length < _REST + header_length or header_length > MAX_HEADER:
                raise Garbled(f"a frame of {length} bytes with a header of {header_length}")
            if len(self._buffer) < 4 + length:
                return
            split = _PREFIX.size + header_length
            header, raw = bytes(self._buffer[_PREFIX.size : split]), bytes(self._buffer[split : 4 + length])
            del self._buffer[: 4 + length]
            yield Frame(request, _kind(kind), _header(header), raw)


def _kind(number: int) -> FrameKind:
    try:
        return FrameKind(number)
    except ValueError as error:
        raise Garbled(f"a frame of the unknown type {number}") from error


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Garbled(f"a header that is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise Garbled("a header that is not a JSON object")
    return header
