"""Frames survive any cutting of the stream, and nothing too long or foreign gets through."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeld.ipc import framing, worker_wire
from segeld.model.algorithm import EcdsaEncoding


def survey(number: int) -> worker_wire.Survey:
    return worker_wire.Survey(number)


@given(numbers=st.lists(st.integers(0, 2**31), max_size=20), cuts=st.lists(st.integers(1, 40), max_size=60))
def test_frames_come_out_as_they_went_in_wherever_the_stream_is_cut(
    numbers: list[int], cuts: list[int]
) -> None:
    stream = b"".join(bytes(framing.encode(survey(number))) for number in numbers)
    reader = framing.FrameReader()
    seen: list[int] = []
    for size in [*cuts, len(stream)]:
        piece, stream = stream[:size], stream[size:]
        seen += [framing.decode(worker_wire.REQUESTS, frame).id for frame in reader.feed(piece)]
    assert seen == numbers
    assert not reader._buffer


def test_a_frame_over_the_limit_is_refused_by_its_header_alone() -> None:
    reader = framing.FrameReader(limit=100)
    with pytest.raises(framing.FrameError, match="101 octets announced; 100"):
        list(reader.feed((101).to_bytes(4, "big")))


def test_a_frame_over_the_limit_is_not_even_sent() -> None:
    sign = worker_wire.Sign(
        1, bytes(32), 10, EcdsaEncoding.DER, urgent=False, deadlines=(0,), inputs=(bytes(framing.MAX_FRAME),)
    )
    with pytest.raises(framing.FrameError, match="is the limit"):
        framing.encode(sign)


@given(st.binary(max_size=200))
def test_garbage_is_a_frame_error_and_nothing_else(garbage: bytes) -> None:
    try:
        framing.decode(worker_wire.REQUESTS, garbage)
    except framing.FrameError:
        return
    assert isinstance(msgspec.msgpack.decode(garbage), dict)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(framing.FrameError, match="extra"):
        framing.decode(worker_wire.REQUESTS, msgspec.msgpack.encode({"type": "Survey", "id": 1, "extra": 1}))
