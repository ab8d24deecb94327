"""Publishes what is recorded: copies leaves to the log's files and signs them, every second or every 1,000 leaves.

Signing does not depend on it. A leaf is durable in the database before anybody acts on it; as long as the files cannot
be written, the database keeps the leaves, and `trouble` says why.
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

import structlog

from segeld.audit.guard import LogMeddled
from segeld.audit.identity import OwnLog
from segeld.audit.resume import resume
from segeld.audit.source import LeafSource
from segeld.audit.writer import Writer
from segeld.model.faults import Fault

INTERVAL: Final = 1.0
"""Seconds between checkpoints, at most, while there is something new."""
EVERY: Final = 1_000
"""Leaves between checkpoints, at most."""
_LONGEST_PAUSE: Final = 30.0

_log: Final = structlog.get_logger(__name__)


class Publisher:
    """`start`, then `run` as a task until `aclose`. Whoever records a leaf may say so with `recorded`."""

    def __init__(
        self,
        source: LeafSource,
        log: OwnLog,
        *,
        interval: float = INTERVAL,
        every: int = EVERY,
        on_trouble: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        """:param on_trouble: called with what is wrong when that changes, and with None when it is over."""
        self._source = source
        self._own = log
        self._interval = interval
        self._every = every
        self._on_trouble = on_trouble
        self._writer: Writer | None = None
        self._trimmed = -1
        self._unsure = True
        """Whether a round, or an earlier run, may have left partial files that are damaged or too many."""
        self._behind_since: float | None = None
        self._known = 0
        """Leaves that are recorded, as far as was told."""
        self._enough = asyncio.Event()
        self._stopping = asyncio.Event()
        self._turn = asyncio.Lock()
        self.trouble: str | None = None
        """Why nothing can be published just now; None if all is well."""

    @property
    def size(self) -> int:
        """Leaves that the checkpoint on disk is signed for."""
        return 0 if self._writer is None else self._writer.size

    @property
    def behind(self) -> float:
        """Seconds for which there has been a leaf that is recorded and not published."""
        return 0.0 if self._behind_since is None else time.monotonic() - self._behind_since

    async def start(self) -> None:
        """Takes up the log where it was left; publishes nothing yet.

        :raises LogUnfit: if database and log do not belong together.
        :raises OSError: if the files cannot be read.
        """
        self._writer = await resume(self._own, self._source)

    def recorded(self, index: int) -> None:
        """A leaf with this index is durable. Costs next to nothing."""
        self._known = max(self._known, index + 1)
        if self._behind_since is None:
            self._behind_since = time.monotonic()
        if index + 1 - self.size >= self._every:
            self._enough.set()

    async def run(self) -> None:
        """Publishes until `aclose`."""
        pause = self._interval
        while not self._stopping.is_set():
            if not self.trouble:
                await self._wait(self._enough, pause)
            else:
                await self._wait(self._stopping, pause)  # leaves that come do not make a full disk emptier
            self._enough.clear()
            done = await self._publish()
            pause = self._interval if done else min(pause * 2, _LONGEST_PAUSE)

    async def aclose(self) -> None:
        """Publishes what there is, at once; returns when that has been tried."""
        self._stopping.set()
        self._enough.set()
        if self._writer is not None:
            await self._publish()
            self._writer.close()

    async def publish(self) -> bool:
        """Publishes what there is now; False if that failed, and `trouble` says why."""
        return await self._publish()

    async def _publish(self) -> bool:
        async with self._turn:
            try:
                await self._round()
            except (OSError, Fault) as error:
                self._tell(_words(error))
                return False
            self._tell(None)
            return True

    async def _round(self) -> None:
        writer = self._writer
        assert writer is not None, "start comes first"
        await asyncio.to_thread(writer.check)
        seen = time.monotonic()
        count = await self._source.leaf_count()
        if count > writer.size and self._behind_since is None:
            self._behind_since = seen
        while (first := writer.size) < count or (self._unsure and count):
            leaves = (
                await self._source.leaves(first, min(self._every, count - first)) if first < count else ()
            )
            assert leaves or first == count, "the source lost leaves while it was open"
            self._unsure = True
            await asyncio.to_thread(writer.publish, first, leaves)
            self._unsure = False
            self._behind_since = seen
        if writer.size >= self._known:  # else more was recorded meanwhile
            self._behind_since = None
        await asyncio.to_thread(writer.index)
        if writer.durable > self._trimmed:
            await self._source.trim_leaves(writer.durable)
            self._trimmed = writer.durable

    def _tell(self, trouble: str | None) -> None:
        if trouble == self.trouble:
            return
        self.trouble = trouble
        if trouble is None:
            _log.info("audit published again", size=self.size)
        else:
            _log.error("audit not published", reason=trouble)
        self._on_trouble(trouble)

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass


def _words(error: OSError | Fault) -> str:
    if isinstance(error, Fault):
        return f"The audit log's leaves cannot be read: {error.text}"
    if isinstance(error, LogMeddled):
        return str(error)
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    where = f" {error.filename}" if error.filename else ""
    return f"The audit log's files cannot be written:{where} {why}. Recorded leaves are kept in the database."
