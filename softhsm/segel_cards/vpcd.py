"""The card's end of the virtual reader: it connects to vpcd, and its connection is its presence in the reader.

Each message has its length, two octets, before it. One of a single octet is about power; others are commands.
"""

import contextlib
import socket
import threading
from typing import Final

from segel_cards.faults import Faults, Removed

PORT: Final = 36963
"""Of vpcd, in the rig's own network namespace: it listens everywhere and asks for no password."""

_OFF, _ON, _RESET, _ATR = 0, 1, 2, 4
_ANSWER_TO_RESET: Final = bytes.fromhex("3BDA18FF81B1FE751F030031C573C001400090000C")


class Reader:
    """A slot with or without the card in it."""

    def __init__(self, card: Faults) -> None:
        self._card: Final = card
        self._lock: Final = threading.Lock()
        self._connection: socket.socket | None = None

    @property
    def inserted(self) -> bool:
        return self._connection is not None

    def insert(self) -> None:
        """:raises OSError: if the reader does not take it."""
        with self._lock:
            if self._connection is not None:
                return
            connection = socket.create_connection(("127.0.0.1", PORT), timeout=5.0)
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        self._card.reset()
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def remove(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: socket.socket) -> None:
        try:
            while True:
                message = _receive(connection, int.from_bytes(_receive(connection, 2), "big"))
                answer = self._power(message[0]) if len(message) == 1 else self._card.answer(message)
                if answer is not None:
                    connection.sendall(len(answer).to_bytes(2, "big") + answer)
        except (OSError, EOFError, Removed):
            pass
        finally:
            connection.close()
            with self._lock:
                if self._connection is connection:
                    self._connection = None
            self._card.reset()

    def _power(self, code: int) -> bytes | None:
        if code == _ATR:
            return _ANSWER_TO_RESET
        if code in (_OFF, _ON, _RESET):
            self._card.reset()
        return None


def _receive(connection: socket.socket, count: int) -> bytes:
    """:raises EOFError: at the end."""
    data = b""
    while len(data) < count:
        # vpcd sends the length and the rest apart and waits for the first to be acknowledged: 40 ms without this.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data
