"""What can be made to go wrong, and the card's answer with it."""

import threading
import time
from typing import Final

from segel_cards.apdu import word
from segel_cards.piv import VERIFIES, PivCard

ANY, VERIFY, SIGN = "any", "verify", "sign"
"""What `mute` keeps back: every answer, those to a VERIFY with a PIN, or those to a signature."""


class Removed(Exception):
    """The card is pulled out in the middle of a command."""


class Faults:
    """The card through which all commands go. Commands come on one thread; the rest is called from any."""

    def __init__(self, card: PivCard) -> None:
        self._card: Final = card
        self._changed: Final = threading.Condition()
        self._muted: str | None = None
        self._delay = 0.0
        self._refusals: tuple[int, int] = (0, 0)
        self._wrong = 0
        self._drop = False
        self.commands = 0
        self.held = 0

    def reset(self) -> None:
        """Power is gone, or back."""
        self._card.reset()

    def answer(self, frame: bytes) -> bytes:
        """:raises Removed: instead of an answer."""
        self.commands += 1
        signs = self._card.slot_of(frame) is not None
        answer = self._signature(frame) if signs else self._card.answer(frame)
        self._hold({ANY, SIGN if signs else VERIFY if _verifies(frame) else ANY})
        return answer

    def delay(self, seconds: float) -> None:
        """Every signature takes so much longer."""
        self._delay = seconds

    def refuse(self, status: int, count: int) -> None:
        """The next signatures are answered with this status word."""
        self._refusals = (status, count)

    def corrupt(self, count: int) -> None:
        """The next signatures are wrong."""
        self._wrong = count

    def drop(self) -> None:
        """The card is pulled out in the middle of the next signature."""
        self._drop = True

    def mute(self, what: str) -> None:
        """Commands are done, and their answers kept back until `unmute`."""
        with self._changed:
            self._muted = what

    def unmute(self) -> None:
        with self._changed:
            self._muted = None
            self._changed.notify_all()

    def wait_held(self, count: int, seconds: float) -> bool:
        """Waits until so many answers are kept back."""
        with self._changed:
            return self._changed.wait_for(lambda: self.held >= count, seconds)

    def _signature(self, frame: bytes) -> bytes:
        time.sleep(self._delay)
        if self._drop:
            self._drop = False
            raise Removed
        status, count = self._refusals
        if count:
            self._refusals = (status, count - 1)
            return word(status)
        answer = self._card.answer(frame)
        if self._wrong and len(answer) > 2:
            self._wrong -= 1
            at = len(answer) - 3
            answer = answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]
        return answer

    def _hold(self, kinds: set[str]) -> None:
        with self._changed:
            if self._muted not in kinds:
                return
            self.held += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._muted not in kinds)
            self.held -= 1
            self._changed.notify_all()


def _verifies(frame: bytes) -> bool:
    return len(frame) > 5 and frame[1] == VERIFIES
