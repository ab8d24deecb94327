"""How long to go on trying, and when trying again is of no use."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from segel._backoff import Backoff
from segel._status import RETRIED_CODES
from segel.errors import ConnectionFailed, SegelError

_FIRST_TRIES: Final = 3

ON_WAIT: Final[ContextVar[Callable[[SegelError | None], object] | None]] = ContextVar(
    "segel_on_wait", default=None
)
"""Told before each pause why there is one, and None when it went on after that. For programs that people look at."""


def worth_repeating(error: SegelError) -> bool:
    """Whether the same thing may be sent again after `error.retry_after`."""
    return error.code in RETRIED_CODES and error.retry_after is not None


class Patience:
    """Ends `budget` seconds after it began, or after `renew`. Belongs to one thing that is tried."""

    def __init__(self, budget: float) -> None:
        self._budget = budget
        self._now = asyncio.get_running_loop().time
        self._deadline = self._now() + budget
        self._backoff = Backoff()
        self._tries = 0
        self._waited = False

    @property
    def left(self) -> float:
        """Seconds, never quite none."""
        return max(self._deadline - self._now(), 0.001)

    def renew(self) -> None:
        """It went on: begin anew."""
        self._deadline = self._now() + self._budget
        self._backoff.reset()
        self._tries = 0

    def went_on(self) -> None:
        """What was tried has an answer."""
        if self._waited:
            self._waited = False
            _tell(None)

    async def wait(self, failure: SegelError, *, reached: bool) -> None:
        """Returns when it may be tried again.

        :param reached: whether the daemon had been reached before this attempt; if not, a failure to connect is final.
        :raises SegelError: the failure, if trying again is of no use or the time is up.
        """
        self._tries += 1
        patient = reached or not isinstance(failure, ConnectionFailed)
        if failure.reason == "CONNECTION_BROKE":
            # Nothing seems to stand in the way, but that may be wrong: not to be tried for long.
            patient = patient or self._tries < _FIRST_TRIES
        delay = self._backoff.next(failure.retry_after or 0.0)
        if not (patient and worth_repeating(failure) and self._now() + delay < self._deadline):
            raise failure
        self._waited = True
        _tell(failure)
        await asyncio.sleep(delay)


def _tell(failure: SegelError | None) -> None:
    told = ON_WAIT.get()
    if told is not None:
        told(failure)
