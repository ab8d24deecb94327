"""All workers of one token together: kept away from it for a while, or replaced one after another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from segeld.config.schema import Token
from segeld.model.token_state import Stage
from segeld.supervisor.news import News
from segeld.supervisor.slot import WorkerSlot
from segeld.supervisor.worker_handle import WorkerHandle


class Crew:
    def __init__(self, slots: Sequence[WorkerSlot], news: News, config: Token) -> None:
        timeouts = config.timeouts
        self._slots: Final = slots
        self._news: Final = news
        self._patience: Final = 2 * timeouts.start + timeouts.login + timeouts.operation
        self.halted = False
        """No worker is started."""

    @asynccontextmanager
    async def away(self, why: str) -> AsyncIterator[None]:
        """Within it no process of the daemon has the token open, but the one that is at work on it."""
        self.halted = True
        try:
            self.kill(why)
            # One that is just being started is not known yet: it is ended as soon as it is.
            while any(slot.worker is not None or slot.status.stage is not Stage.DOWN for slot in self._slots):
                await self._news.next(*(slot.worker.ended for slot in self._slots if slot.worker is not None))
                self.kill(why)
            yield
        finally:
            self.halted = False
            for slot in self._slots:
                slot.forgive()
            self._news.tell()

    def kill(self, why: str) -> None:
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.retire()  # nobody is to blame
                slot.worker.kill(why)

    async def refresh(self) -> None:
        """Ends those that are not logged in: what they have read of the token is from before its PIN was changed."""
        for slot in self._slots:
            worker = slot.worker
            if worker is not None and slot.status.stage is not Stage.READY:
                worker.retire()
                worker.kill("the token's PIN is another now")
                await worker.ended.wait()

    def ready(self) -> WorkerHandle | None:
        """One that can sign."""
        for slot in self._slots:
            worker = slot.worker
            if worker is not None and slot.status.stage is Stage.READY and not worker.leaving.is_set():
                return worker
        return None

    async def replace(self) -> None:
        """Each in turn finishes what it holds, and a fresh one comes in its place: it sees the objects as they are now.

        One that does not come back in time keeps nobody waiting: whichever comes later is a fresh one too. So are those that
        come in the place of such as are only being started: they may have loaded the module before.
        """
        for slot in self._slots:
            if slot.worker is not None and slot.status.stage is not Stage.READY:
                slot.worker.retire()  # not killed: it may be in its login
        for slot in self._slots:
            worker = slot.worker
            if worker is None or slot.status.stage is not Stage.READY:
                continue
            worker.retire()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await self._news.until(partial(_has_ended, slot, worker))
                    slot.forgive()  # it ended because it was to: the next one need not wait
                    self._news.tell()
                    await self._news.until(partial(_has_other, slot, worker))


def _has_ended(slot: WorkerSlot, worker: WorkerHandle) -> bool:
    return slot.worker is not worker and (slot.worker is not None or slot.status.stage is Stage.DOWN)


def _has_other(slot: WorkerSlot, worker: WorkerHandle) -> bool:
    return slot.worker is not worker and slot.status.stage is Stage.READY
