"""What pcscd sees in its reader, asked through its own library: so that `insert` and `remove` end when it is so."""

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from segel_cards.errors import CardError

_PRESENT, _STATE_EMPTY = 0x20, 0x10
_SCOPE_SYSTEM: Final = 2
_PAUSE_SECONDS: Final = 0.02


class _ReaderState(ctypes.Structure):
    _fields_ = (
        ("reader", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
        ("current", ctypes.c_ulong),
        ("event", ctypes.c_ulong),
        ("length", ctypes.c_ulong),
        ("answer", ctypes.c_ubyte * 33),
    )


class Presence:
    """One connection to pcscd."""

    def __init__(self, socket_path: Path, reader: str) -> None:
        """Waits until pcscd answers.

        :raises CardError: if it does not.
        """
        os.environ["PCSCLITE_CSOCK_NAME"] = str(socket_path)
        self._library: Final = ctypes.CDLL("libpcsclite.so.1")
        self._context: Final = ctypes.c_long()
        self._reader: Final = f"{reader} 00 00".encode()
        self._until(lambda: self._establish() == 0, "pcscd does not answer")

    def wait(self, *, present: bool) -> None:
        """:raises CardError: if pcscd does not see it within ten seconds."""
        what = "does not see the card" if present else "still sees the card"
        self._until(lambda: self._seen() is present, f"pcscd {what}")

    def _establish(self) -> int:
        return int(
            self._library.SCardEstablishContext(
                ctypes.c_ulong(_SCOPE_SYSTEM), None, None, ctypes.byref(self._context)
            )
        )

    def _seen(self) -> bool | None:
        state = _ReaderState(reader=self._reader)
        failed = self._library.SCardGetStatusChange(
            self._context, ctypes.c_ulong(0), ctypes.byref(state), ctypes.c_ulong(1)
        )
        if failed or not state.event & (_PRESENT | _STATE_EMPTY):
            return None
        return bool(state.event & _PRESENT)

    def _until(self, done: Callable[[], bool], trouble: str) -> None:
        deadline = time.monotonic() + 10.0
        while not done():
            if time.monotonic() > deadline:
                raise CardError(f"{trouble} after ten seconds")
            time.sleep(_PAUSE_SECONDS)
