"""Whether the daemon takes new calls, and whether those it took are done: the first phase of stopping."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from segeld.model.faults import Fault, Reason

RETRY_AFTER = 5.0
"""Seconds after which a daemon that was restarted is likely back."""


def stopping() -> Fault:
    return Fault(
        Reason.DAEMON_STOPPING, "the daemon is shutting down and takes no new work", retry_after=RETRY_AFTER
    )


class Gate:
    """Counts calls in. Once closed it stays closed, and `drained` is set when the last call has left."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self.drained = asyncio.Event()
        self.drained.set()
        self._inside = 0

    def close(self) -> None:
        self.closing.set()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """:raises Fault: DAEMON_STOPPING."""
        if self.closing.is_set():
            raise stopping()
        self._inside += 1
        self.drained.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self.drained.set()
