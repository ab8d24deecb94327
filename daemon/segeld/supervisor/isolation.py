"""One token's quarantine: it holds at once, and is written down so that a restart does not lift it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from segeld.model.faults import Fault
from segeld.model.names import TokenName
from segeld.model.quarantine import Quarantine
from segeld.supervisor.token_notes import TokenNotes

_log: Final = structlog.get_logger(__name__)
_BAD_SIGNATURES: Final = 2
_BAD_SIGNATURES_WITHIN: Final = 600.0
_AGAIN: Final = 5.0
"""Seconds until what could not be written is tried again."""
_SLOW: Final = 5.0
"""Seconds that a disk may take before officers are told that it is not written."""


class Isolation:
    """`quarantine` is asked before every login. Whoever begins one ends the token's workers."""

    def __init__(
        self,
        name: TokenName,
        notes: TokenNotes,
        changed: Callable[[], None],
        *,
        again: float = _AGAIN,
        slow: float = _SLOW,
    ) -> None:
        """:param changed: told when it was written down, or could not be."""
        self._name = name
        self._notes = notes
        self._changed = changed
        self._again = again
        self._slow = slow
        self._is_late = False
        self._unwritten: Quarantine | None = None
        self._suspended = False
        """An officer activates it: what is written counts again if nothing comes of that."""
        self._bad_signatures: deque[float] = deque(maxlen=_BAD_SIGNATURES)
        self._turn = asyncio.Lock()
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def quarantine(self) -> Quarantine | None:
        return None if self._suspended else self.quarantine_before

    @property
    def is_written(self) -> bool:
        return self._unwritten is None

    @property
    def is_late(self) -> bool:
        """Whether it should be written by now: that failed, or takes long."""
        return self._is_late and not self.is_written

    @property
    def is_suspended(self) -> bool:
        return self._suspended

    @property
    def quarantine_before(self) -> Quarantine | None:
        """The one that is suspended."""
        return self._unwritten or self._notes.quarantine(self._name)

    def bad_signature(self) -> bool:
        """Whether it is the second within ten minutes."""
        now = time.monotonic()
        self._bad_signatures.append(now)
        first = self._bad_signatures[0]
        return len(self._bad_signatures) == _BAD_SIGNATURES and now - first <= _BAD_SIGNATURES_WITHIN

    def begin(self, quarantine: Quarantine) -> "asyncio.Future[None]":
        """It holds from now on. What is given ends when it was written, or could not be the first time; then it is tried
        again and again.
        """
        _log.critical("token quarantined", token=str(self._name), who=quarantine.by, why=quarantine.why)
        self._unwritten, self._suspended, self._is_late = quarantine, False, False
        tried: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        tried.add_done_callback(_seen)
        task = asyncio.create_task(self._write(quarantine, tried), name=f"{self._name} quarantine")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return tried

    async def _write(self, quarantine: Quarantine, tried: "asyncio.Future[None]") -> None:
        timer = asyncio.get_running_loop().call_later(self._slow, self._late, quarantine)
        try:
            await self._until_written(quarantine, tried)
        finally:
            timer.cancel()

    def _late(self, quarantine: Quarantine) -> None:
        if self._unwritten is quarantine:
            self._is_late = True
            self._changed()

    async def _until_written(self, quarantine: Quarantine, tried: "asyncio.Future[None]") -> None:
        while True:
            async with self._turn:
                if self._unwritten is not quarantine:  # it was released meanwhile, or another one began
                    break
                try:
                    await self._notes.isolate(self._name, quarantine)
                except Fault as fault:
                    _log.error("quarantine not written down", token=str(self._name), why=fault.text)
                    if not tried.done():
                        tried.set_exception(fault)
                        self._late(quarantine)
                else:
                    if self._unwritten is quarantine:
                        self._unwritten = None
                        self._changed()
                    break
            await asyncio.sleep(self._again)
        if not tried.done():
            tried.set_result(None)

    async def end(self, who: str, how: str) -> None:
        """:raises Fault: if it cannot be written: it holds still then."""
        before = self._unwritten
        async with self._turn:
            await self._notes.release(self._name, who, how)
            if self._unwritten is before:  # else another one began meanwhile
                self._unwritten = None
            self._bad_signatures.clear()

    def suspend(self) -> None:
        """An officer activates the token, which lets it log in; `resume` or `end` comes next."""
        self._suspended = True
        self._bad_signatures.clear()

    def resume(self) -> bool:
        """Nothing came of that, or it is over. Gives whether the token is in quarantine now."""
        self._suspended = False
        return self.quarantine is not None

    def stop(self) -> None:
        for task in self._writing:
            task.cancel()


def _seen(tried: "asyncio.Future[None]") -> None:
    """Whoever waited for it was told, or nobody did."""
    if not tried.cancelled():
        tried.exception()
