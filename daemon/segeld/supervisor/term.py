"""The present activation's term: at its end the token is deactivated, as by an officer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from segeld.audit.acts import Acts
from segeld.model.activation import NO_LIMITS, Limits, Reserved
from segeld.model.names import TokenName
from segeld.supervisor.allowance import Allowance

_log: Final = structlog.get_logger(__name__)


class Term:
    """`begin` with each activation, `end` with each deactivation; in between chunks reserve what they may sign."""

    def __init__(self, name: TokenName, deactivate: Callable[[], Awaitable[None]], acts: Acts) -> None:
        """:param deactivate: forgets the PIN; workers finish what they hold."""
        self._name = name
        self._deactivate = deactivate
        self._acts = acts
        self._allowance = Allowance(NO_LIMITS, 0.0)
        self._number = 0
        """Of the allowance."""
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self.why = ""
        """Why the last one ended by itself; empty while one runs, and if an officer ended it."""

    @property
    def until(self) -> float | None:
        """Seconds since the epoch."""
        until = self._allowance.until
        return None if until is None else time.time() + until - time.monotonic()

    @property
    def left(self) -> int | None:
        return self._allowance.left

    def begin(self, limits: Limits) -> None:
        self._allowance, self.why = Allowance(limits, time.monotonic()), ""
        self._number += 1
        self._set_timer()

    def recall(self, who: str) -> None:
        """An earlier run of the daemon began one with limits, which ended with it."""
        self.why = f"{who} set limits for its last activation, so it is not logged in again by itself."

    def narrow(self, limits: Limits) -> None:
        """The token is active, and an officer gave limits: they tighten those that there are."""
        self._allowance.narrow(limits, time.monotonic())
        self._set_timer()
        self._look()

    def end(self) -> None:
        """An officer ended it, or it did not come about."""
        self.why = ""
        self._clear()

    def _clear(self) -> None:
        self._allowance = Allowance(NO_LIMITS, 0.0)
        self._number += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reserve(self, most: int) -> Reserved:
        # While it is being ended, workers only finish what they hold.
        count = 0 if self.why else self._allowance.reserve(most, time.monotonic())
        return Reserved(count, self._number)

    def give_back(self, reserved: Reserved, *, made: int) -> bool:
        if reserved.activation != self._number:
            return False  # it was over before this: nothing of it widens another
        others = self._allowance.give_back(reserved.count, made=made)
        self._look()
        return others

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._allowance.until is not None:
            seconds = max(0.0, self._allowance.until - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        if self.why or not (why := self._allowance.over(time.monotonic())):
            return
        self.why = why
        self._clear()
        _log.warning("activation ended", token=str(self._name), why=why)
        self._acts.later("token deactivated", subject=str(self._name), why=why)
        self._ending = asyncio.create_task(self._end(), name=f"{self._name} deactivation")

    async def _end(self) -> None:
        try:
            await self._deactivate()
        except Exception:  # noqa: BLE001 - the keeper could not be told: it forgets the PIN with its own end
            _log.exception("a token could not be deactivated in order", token=str(self._name))
