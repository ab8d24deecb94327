"""What a token failed at twice, so that it is not asked again for a while: pure, the clock is passed in.

A module may answer a certain algorithm with an error that costs the worker. Whoever orders that again and again
would otherwise keep the token from everybody else.
"""

from dataclasses import dataclass
from typing import Final

from segeld.model.algorithm import Algorithm
from segeld.model.names import KeyName, TokenName

PAUSE: Final = 600.0
"""Seconds within which the second failure counts, and for which nothing is asked after it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """All that C_SignInit sees: what fails there does not depend on the input."""

    token: TokenName
    key: KeyName
    algorithm: Algorithm


class Breaker:
    """Opens at the second failure in a row."""

    def __init__(self) -> None:
        self._failed: dict[Asked, float] = {}
        self._open: dict[Asked, float] = {}

    def failed(self, asked: Asked, *, proved: float, now: float) -> bool:
        """A worker had to be ended for it; true if it is not to be asked any more.

        :param proved: when that worker was last known to work. If that was before the first failure, both may have
            one cause that is none of the order's: a network HSM that was restarted fails all sessions it had.
        """
        before = self._failed.get(asked)
        if before is None or now - before > PAUSE:
            self._failed[asked] = now
            return False
        if proved <= before:
            return False
        del self._failed[asked]
        self._open[asked] = now + PAUSE
        return True

    def worked(self, asked: Asked) -> None:
        self._failed.pop(asked, None)

    def pause(self, asked: Asked, now: float) -> float:
        """Seconds for which it is not asked; 0 if it may be."""
        until = self._open.get(asked)
        if until is None:
            return 0.0
        if now >= until:
            del self._open[asked]
            return 0.0
        return until - now
