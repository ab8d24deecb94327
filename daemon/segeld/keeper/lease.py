"""The login lease of one token: which PIN is held, who waits for it, and which were refused. Without I/O."""

import hashlib
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.secret import Pin

OPEN_ATTEMPTS_ALLOWED: Final = 1
"""A worker that died during C_Login leaves open whether a try was spent; one more is risked by itself."""

_OPEN: Final = frozenset({None, LoginOutcome.REMOVED})
"""Nobody knows whether a try was spent."""
_SPENT: Final = frozenset({LoginOutcome.REFUSED, LoginOutcome.EXPIRED})

_KEY: Final = secrets.token_bytes(32)


@dataclass(slots=True)
class Lease:
    """One token's. Attempts are one at a time; a PIN that the token refused is never given out again."""

    pin: Pin | None = None
    by_officer: bool = False
    waiting: deque[int] = field(default_factory=deque)
    """Workers, in the order in which they asked."""
    lent_to: int | None = None
    open_attempts: int = 0
    _on_trial: Pin | None = None
    """What `lent_to` was given: the outcome is about this PIN, even if another is held by now."""
    _refused: set[bytes] = field(default_factory=set)

    def hold(self, pin: Pin, *, by_officer: bool) -> bool:
        """Takes a PIN; False (and the PIN wiped) if this very PIN was refused before."""
        if self._refused and _fingerprint(pin) in self._refused:
            pin.wipe()
            return False
        self._drop()
        self.pin, self.by_officer, self.open_attempts = pin, by_officer, 0
        return True

    def forget(self, *, refused_too: bool) -> None:
        self._drop()
        if refused_too:
            self._refused.clear()

    def next_worker(self) -> int | None:
        """The worker that gets the PIN now, if one may."""
        if self.lent_to is not None or self.pin is None or not self.waiting:
            return None
        self.lent_to, self._on_trial = self.waiting.popleft(), self.pin
        return self.lent_to

    def ended(self, outcome: LoginOutcome | None, ckr: int = 0) -> None:
        """The attempt of `lent_to` is over; None if its worker died before it could tell.

        :param ckr: C_Login's answer; with LOCKED, 0 if only a flag said so and C_Login was not called.
        """
        tried, self.lent_to, self._on_trial = self._on_trial, None, None
        assert tried is not None, "nothing was lent"
        good = outcome is LoginOutcome.OK
        if outcome in _OPEN:
            self.open_attempts += 1
            good = self.open_attempts <= OPEN_ATTEMPTS_ALLOWED
        elif outcome in _SPENT or (outcome is LoginOutcome.LOCKED and ckr):
            self._refused.add(_fingerprint(tried))
        if tried is not self.pin:
            tried.wipe()  # it was exchanged meanwhile: this outcome says nothing about the new one,
            if self.pin is not None and self._refused and _fingerprint(self.pin) in self._refused:
                self._drop()  # unless the new one is the same
            return
        self.by_officer = False
        if outcome is LoginOutcome.OK:
            self.open_attempts = 0
        if not good:
            self._drop()

    def _drop(self) -> None:
        if self.pin is not None and self.pin is not self._on_trial:
            self.pin.wipe()
        self.pin = None


def _fingerprint(pin: Pin) -> bytes:
    """Keyed and slow: what leaks from this process's memory later is no shortcut to a short PIN."""
    with pin.view() as view:
        return hashlib.scrypt(view, salt=_KEY, n=2**14, r=8, p=1)
