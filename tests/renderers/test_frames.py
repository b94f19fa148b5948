"""The codec of frames."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.renderers.frames import Decoder, Frame, FrameKind, Garbled, encode

frames = st.builds(
    Frame,
    st.integers(0, 2**32 - 1),
    st.sampled_from(FrameKind),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.binary(max_size=40),
)


@given(st.lists(frames, max_size=4), st.integers(1, 13))
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(sent: list[Frame], step: int) -> None:
    data = b"".join(map(encode, sent))
    decoder = Decoder()
    got = [frame for at in range(0, len(data), step) for frame in decoder.feed(data[at : at + step])]
    assert got == sent


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">IIBI", 2**31, 1, 1, 2) + b"{}",
        struct.pack(">IIBI", 11, 1, 1, 3) + b"{}",
        struct.pack(">IIBI", 11, 1, 99, 2) + b"{}",
        struct.pack(">IIBI", 11, 1, 1, 2) + b"[]",
        struct.pack(">IIBI", 11, 1, 1, 2) + b"{x",
    ],
    ids=["longer than any frame", "header longer than its frame", "unknown type", "no object", "no json"],
)
def test_bytes_that_are_no_frame_are_refused(data: bytes) -> None:
    with pytest.raises(Garbled):
        list(Decoder().feed(data))


def test_a_frame_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(Garbled):
        encode(Frame(1, FrameKind.REQUEST, {}, bytes(128 << 20)))
