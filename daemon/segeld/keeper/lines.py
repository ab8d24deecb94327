"""The sockets to workers: one for each that was lent to, open as long as the worker lives."""

import selectors
import socket
from collections.abc import Iterator
from typing import Final

from segeld.ipc import framing, pin_wire

MAX_FRAME: Final = 16 * 1024
_CHUNK: Final = 8 * 1024


class Line:
    """To one worker, which has opened one token."""

    def __init__(self, token: str, worker: int, serial: str, trusted: bool, sock: socket.socket) -> None:
        sock.setblocking(True)
        self.token: Final = token
        self.worker: Final = worker
        self.serial: Final = serial
        """Of the token that it has opened."""
        self.trusted: Final = trusted
        self.sock: Final = sock
        self.logged_in = False
        """It may ask for the PIN again."""
        self._reader: Final = framing.FrameReader(limit=MAX_FRAME)

    def heard(self) -> Iterator[pin_wire.FromWorker]:
        """What has come.

        :raises FrameError: at the end of the stream, and if it is nothing that a worker says.
        :raises OSError: if it is broken.
        """
        data = self.sock.recv(_CHUNK)
        if not data:
            raise framing.FrameError("the worker has gone")
        for frame in self._reader.feed(data):
            yield framing.decode(pin_wire.FROM_WORKER, frame)

    def send(self, frame: bytearray) -> bool:
        """Wipes the frame. Whether it went out: nobody waits for a worker that does not read."""
        try:
            return self.sock.send(frame, socket.MSG_DONTWAIT) == len(frame)
        except OSError:
            return False
        finally:
            frame[:] = bytes(len(frame))


class Lines:
    """All of them, by the worker's number."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector: Final = selector
        self._lines: Final[dict[int, Line]] = {}

    def add(self, line: Line) -> None:
        self._lines[line.worker] = line
        self._selector.register(line.sock, selectors.EVENT_READ, data=line.worker)

    def get(self, worker: int) -> Line | None:
        return self._lines.get(worker)

    def drop(self, line: Line) -> bool:
        """Whether it was there."""
        if self._lines.pop(line.worker, None) is None:
            return False
        self._selector.unregister(line.sock)
        line.sock.close()
        return True

    def close(self) -> None:
        for line in self._lines.values():
            line.sock.close()
