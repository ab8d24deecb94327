"""Where work waits for a session: two queues, urgent and bulk, between the reader and the signing threads.

The reader puts frames down as they come; a thread takes urgent ones first, and between two signatures of a bulk
chunk it looks whether one has come meanwhile. The bench is bounded: when it is full the reader waits, and so
does everybody who writes to it.
"""

import threading
from collections import deque
from typing import Final, Generic, TypeVar

LIMIT: Final = 64
"""Requests of each urgency. The front hands out a few chunks per session, so a full queue is not its normal state."""

T = TypeVar("T")


class Bench(Generic[T]):
    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._bulk: deque[T] = deque()
        self._changed = threading.Condition()
        self.urgent: Final[deque[T]] = deque()
        """Shown so that the signing loop can look at it for the price of a truth test."""

    def put(self, work: T, *, urgent: bool) -> None:
        """Waits while that queue is full."""
        queue = self.urgent if urgent else self._bulk
        with self._changed:
            self._changed.wait_for(lambda: len(queue) < self._limit)
            queue.append(work)
            self._changed.notify_all()

    def take(self) -> T:
        """The next thing to do; waits for one."""
        with self._changed:
            self._changed.wait_for(lambda: self.urgent or self._bulk)
            work = (self.urgent or self._bulk).popleft()
            self._changed.notify_all()
            return work

    def take_urgent(self) -> T | None:
        """An urgent thing if one waits. Another thread may have been faster."""
        with self._changed:
            if not self.urgent:
                return None
            work = self.urgent.popleft()
            self._changed.notify_all()
            return work
