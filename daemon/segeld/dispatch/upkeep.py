"""What must be done from time to time: jobs past their deadline end, results that were kept long enough go."""

import asyncio
import time
from typing import Final

import structlog

from segeld.dispatch.jobboard import JobBoard
from segeld.dispatch.jobnews import JobNews
from segeld.dispatch.metrics import JobMetrics
from segeld.jobqueue.store import JobStore
from segeld.model.faults import Fault

EVERY: Final = 2.0
"""Seconds between two rounds."""

_log: Final = structlog.get_logger(__name__)


class Upkeep:
    """`run` goes on until it is cancelled; a store that fails is asked again in the next round."""

    def __init__(self, store: JobStore, board: JobBoard, news: JobNews, metrics: JobMetrics) -> None:
        self._store = store
        self._board = board
        self._news = news
        self._metrics = metrics
        self._warned: set[int] = set()

    async def run(self) -> None:
        while True:
            try:
                await self._round()
            except Fault as fault:
                _log.warning("upkeep has to wait", why=fault.text)
            await asyncio.sleep(EVERY)

    async def _round(self) -> None:
        done = await self._store.tidy(time.time())
        for job in done.ended:
            _log.info("job ended", job=str(job.name), caller=job.spec.caller, state=job.state, why=job.reason)
            self._board.changed(job)
            self._news.tell(job)
        for job in done.removed:
            unread = job.signed + job.failed - job.read
            self._warned.discard(job.id)
            if unread > 0:
                self._metrics.removed_unread(unread)
                _log.warning(
                    "results removed that nobody read",
                    job=str(job.name),
                    caller=job.spec.caller,
                    unread=unread,
                )
        for job in done.unread:
            if job.id not in self._warned:
                self._warned.add(job.id)
                _log.warning(
                    "results that nobody read will be removed soon",
                    job=str(job.name),
                    caller=job.spec.caller,
                    hours=round(((job.expires or 0) - time.time()) / 3600, 1),
                )
        self._metrics.show(unfinished=len(self._board), unread=len(done.unread))
