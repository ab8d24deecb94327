"""The PIN for one signature more: a signing thread asks the keeper for it, the reader brings the answer."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from segeld.ipc.pin_wire import Denied, FromWorker, Login, LoginEnded, unwrap
from segeld.ipc.pin_wire import Reaffirm as Request
from segeld.ipc.worker_wire import Exit
from segeld.model.secret import Pin
from segeld.worker.channel import Closed
from segeld.worker.requests import Violation
from segeld.worker.tokens import Token

Reaffirm = Callable[[], LoginEnded | None]
"""Logs in for the signature that is begun; None if the keeper gave no PIN."""


@dataclass(frozen=True, slots=True)
class _Given:
    pin: Pin
    by_officer: bool
    open_attempt: bool


class Reaffirmer:
    """`ask` is called by the one signing thread there is then, the rest by the reader."""

    def __init__(self, tell_keeper: Callable[[FromWorker], None]) -> None:
        self._tell: Final = tell_keeper
        self._answers: Final[queue.SimpleQueue[_Given | None]] = queue.SimpleQueue()
        self._lock: Final = threading.Lock()
        self._asked = False
        self._closed = False

    def ask(self, token: Token) -> LoginEnded | None:
        """One C_Login for one signature, told to the keeper before the signature is made."""
        with self._lock:
            if self._closed:
                return None
            self._asked = True
        try:
            self._tell(Request())
            given = self._answers.get()
            if given is None:
                return None
            with given.pin as pin:
                ended = token.reaffirm(pin, by_officer=given.by_officer, open_attempt=given.open_attempt)
            self._tell(ended)
        except Closed:
            return None
        return ended

    def answered(self, frame: Login | Denied) -> None:
        """:raises Violation: if nothing was asked.
        :raises ValueError: if the PIN is none.
        """
        with self._lock:
            if not self._asked:
                raise Violation(Exit.OUT_OF_PLACE, f"{type(frame).__name__} that was not asked for")
            self._asked = False
        if isinstance(frame, Denied):
            self._answers.put(None)
        else:
            self._answers.put(_Given(unwrap(frame.pin), frame.by_officer, frame.open_attempt))

    def close(self) -> None:
        """The keeper is gone."""
        with self._lock:
            self._closed = True
            if self._asked:
                self._asked = False
                self._answers.put(None)
