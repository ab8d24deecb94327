"""Frames: four octets of length, big-endian, then one msgpack value. Without I/O, so every process can use it."""

import struct
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

MAX_FRAME: Final = 2 * 1024 * 1024
"""Octets of one frame; above what the front takes in one RPC message (1 MiB)."""

_HEADER: Final = struct.Struct(">I")
_ENCODER: Final = msgspec.msgpack.Encoder()

T = TypeVar("T")


class FrameError(Exception):
    """The other side broke the framing: too long, not msgpack, or not a type that is expected here.

    There is no way to go on after it: the reader ends.
    """


def encode(message: msgspec.Struct) -> bytearray:
    """One frame, ready to send.

    :raises FrameError: if it would be longer than `MAX_FRAME`.
    """
    frame = bytearray(_HEADER.size)
    _ENCODER.encode_into(message, frame, _HEADER.size)
    length = len(frame) - _HEADER.size
    if length > MAX_FRAME:
        raise FrameError(f"a frame of {length} octets; {MAX_FRAME} is the limit")
    _HEADER.pack_into(frame, 0, length)
    return frame


class FrameReader:
    """Cuts a stream of octets into frames.

    With `secret=True` what was read is overwritten as it is consumed: for channels that carry a PIN.
    """

    def __init__(self, *, limit: int = MAX_FRAME, secret: bool = False) -> None:
        self._limit = limit
        self._secret = secret
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[bytearray]:
        """Takes what was received, gives each frame that is complete.

        :raises FrameError: as soon as a header announces more than the limit.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> bytearray | None:
        if len(self._buffer) < _HEADER.size:
            return None
        (length,) = _HEADER.unpack_from(self._buffer)
        if length > self._limit:
            raise FrameError(f"a frame of {length} octets announced; {self._limit} is the limit")
        end = _HEADER.size + length
        if len(self._buffer) < end:
            return None
        frame = self._buffer[_HEADER.size : end]
        if self._secret:
            self._buffer[:end] = bytes(end)
        del self._buffer[:end]
        return frame


def decode(decoder: msgspec.msgpack.Decoder[T], frame: bytes | bytearray | memoryview) -> T:
    """Reads one frame's payload.

    :raises FrameError: if it is not one of the decoder's types.
    """
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, ValueError) as error:
        raise FrameError(f"a frame that is not expected here: {error}") from None
