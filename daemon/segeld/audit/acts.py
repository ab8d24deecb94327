"""Recording what is done beside signing: by officers, by callers, by the daemon itself."""

import asyncio
import time
from typing import Final, Protocol

import structlog

from segeld.audit.leaf import Act, AnyLeaf
from segeld.model.faults import Fault

_log: Final = structlog.get_logger(__name__)


class Recorder(Protocol):
    """What keeps leaves."""

    async def record(self, leaf: AnyLeaf) -> int: ...


class Acts:
    """`note` before something is done that must not be done unrecorded, `later` for what has happened anyway."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._noting: set[asyncio.Task[None]] = set()

    async def note(self, what: str, *, who: str = "", subject: str = "", **facts: str) -> None:
        """Returns when it is durable.

        :raises Fault: if it cannot be recorded; then nothing must be done either.
        """
        try:
            await self._recorder.record(Act(int(time.time() * 1000), what, who, subject, facts))
        except Fault as fault:
            text = f"Nothing was done, as it cannot be recorded: {fault.text}"
            raise Fault(fault.reason, text, retry_after=fault.retry_after) from fault

    def later(self, what: str, *, who: str = "", subject: str = "", **facts: str) -> None:
        """Records what has happened, without waiting for it; a failure is logged."""
        task = asyncio.create_task(self._note(what, who, subject, facts))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _note(self, what: str, who: str, subject: str, facts: dict[str, str]) -> None:
        try:
            await self.note(what, who=who, subject=subject, **facts)
        except Fault as fault:
            _log.error("not recorded", what=what, subject=subject, why=fault.text)
        except Exception as error:  # noqa: BLE001 - nobody waits for it who could be told
            _log.error("not recorded", what=what, subject=subject, exc_info=error)

    async def drained(self) -> None:
        """Returns when everything that was to be recorded is, or has failed."""
        while self._noting:
            await asyncio.wait(self._noting)
