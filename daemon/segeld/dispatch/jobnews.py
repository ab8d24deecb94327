"""Tells whoever watches a job that it changed. Nobody is told more than the last state: a slow watcher costs nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from segeld.model.job import Job
from segeld.model.job_state import FINAL

PAUSE: Final = 0.2
"""Seconds between two changes that a watcher is told of, at least."""


class Watcher:
    """Of one job."""

    def __init__(self) -> None:
        self._latest: Job | None = None
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    def tell(self, job: Job) -> None:
        self._latest = job
        self._changed.set()
        if job.state in FINAL:
            self._ended.set()

    def gone(self) -> None:
        """The job was deleted."""
        self._latest = None
        self._changed.set()
        self._ended.set()

    async def next(self) -> Job | None:
        """The job after its next change, None if it was deleted; later changes within `PAUSE` are taken together, its end is told at once."""
        await self._changed.wait()
        if not self._ended.is_set():
            try:
                async with asyncio.timeout(PAUSE):
                    await self._ended.wait()
            except TimeoutError:
                pass
        self._changed.clear()
        return self._latest


class JobNews:
    def __init__(self) -> None:
        self._watchers: dict[int, set[Watcher]] = {}

    @contextmanager
    def watching(self, job: int) -> Iterator[Watcher]:
        watcher = Watcher()
        self._watchers.setdefault(job, set()).add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[job].discard(watcher)
            if not self._watchers[job]:
                del self._watchers[job]

    def tell(self, job: Job) -> None:
        for watcher in self._watchers.get(job.id, ()):
            watcher.tell(job)

    def gone(self, job: int) -> None:
        for watcher in self._watchers.get(job, ()):
            watcher.gone()
