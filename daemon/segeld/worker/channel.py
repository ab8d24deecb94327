"""The worker's two sockets: control, where answers leave from any thread, and the one that brings the PIN."""

import socket
import threading
from collections.abc import Iterator
from typing import Final

from segeld.ipc import pin_wire, worker_wire
from segeld.ipc.framing import FrameReader, decode, encode

_READ: Final = 256 * 1024
_PIN_FRAME: Final = 1024
"""Octets: a PIN has at most 255, a frame at most two of them, and the rest of it is short."""


class Closed(Exception):
    """The other side closed the socket, or is gone."""


class Control:
    """Frames of `worker_wire`. Blocking; `send` may be called from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._socket: Final = _adopt(descriptor)
        self._frames: Final = FrameReader()
        self._sending: Final = threading.Lock()
        self._buffer: Final = bytearray(_READ)

    def fileno(self) -> int:
        return self._socket.fileno()

    def requests(self) -> Iterator[worker_wire.AnyRequest]:
        """What has come, after one read.

        :raises Closed: at the end of the stream.
        :raises FrameError: if it is not a frame, or none that is known.
        """
        count = _receive(self._socket, self._buffer)
        for frame in self._frames.feed(memoryview(self._buffer)[:count]):
            yield decode(worker_wire.REQUESTS, frame)

    def send(self, answer: worker_wire.AnyAnswer) -> None:
        """:raises Closed: if nobody reads any more."""
        frame = encode(answer)
        try:
            with self._sending:
                self._socket.sendall(frame)
        except OSError:
            raise Closed from None


class PinChannel:
    """Frames of `pin_wire`. Every buffer that held a PIN is overwritten before `frames` goes on."""

    def __init__(self, descriptor: int) -> None:
        self._socket: Final = _adopt(descriptor)
        self._frames: Final = FrameReader(limit=_PIN_FRAME, secret=True)

    def fileno(self) -> int:
        return self._socket.fileno()

    def frames(self) -> Iterator[pin_wire.ToWorker]:
        """What has come, after one read. A login is only good until the next step of the iteration.

        :raises Closed: at the end of the stream.
        :raises FrameError: if it is nothing that a keeper says.
        """
        buffer = bytearray(_PIN_FRAME)
        try:
            count = _receive(self._socket, buffer)
            with memoryview(buffer) as view:
                for frame in self._frames.feed(view[:count]):
                    try:
                        yield decode(pin_wire.TO_WORKER, frame)
                    finally:
                        frame[:] = bytes(len(frame))
        finally:
            buffer[:] = bytes(len(buffer))

    def send(self, frame: pin_wire.FromWorker) -> None:
        """:raises Closed: if nobody reads any more."""
        try:
            self._socket.sendall(encode(frame))
        except OSError:
            raise Closed from None

    def close(self) -> None:
        self._socket.close()


def _adopt(descriptor: int) -> socket.socket:
    """An inherited descriptor as a blocking socket that no child of ours inherits."""
    adopted = socket.socket(fileno=descriptor)
    adopted.set_inheritable(False)
    adopted.setblocking(True)
    return adopted


def _receive(source: socket.socket, buffer: bytearray) -> int:
    try:
        count = source.recv_into(buffer)
    except OSError:
        raise Closed from None
    if count == 0:
        raise Closed
    return count
