"""Whether the daemon takes new calls, and whether those it took are done: the first phase of stopping."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from segeld.config.schema import Limits
from segeld.model.counts import counted
from segeld.model.faults import Fault, Reason

MAX_OCTETS: Final = 256 * 1024 * 1024
"""Octets of requests being served at once; 256 of the largest."""

RETRY_AFTER: Final = 5.0
"""Seconds after which a daemon that was restarted is likely back."""


def stopping() -> Fault:
    return Fault(
        Reason.DAEMON_STOPPING,
        "The daemon is shutting down and takes no new work; try again.",
        retry_after=RETRY_AFTER,
    )


class Gate:
    """Counts calls in. Once closed it stays closed, and `drained` is set when the last call has left."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.closing = asyncio.Event()
        self.drained = asyncio.Event()
        self.drained.set()
        self._inside: Counter[str] = Counter()
        self._octets = 0

    def close(self) -> None:
        self.closing.set()

    @contextmanager
    def enter(self, caller: str, octets: int) -> Iterator[None]:
        """:raises Fault: DAEMON_STOPPING, QUEUE_FULL, CALLER_QUOTA."""
        if self.closing.is_set():
            raise stopping()
        self._check(caller, octets)
        self._inside[caller] += 1
        self._octets += octets
        self.drained.clear()
        try:
            yield
        finally:
            self._octets -= octets
            self._inside[caller] -= 1
            if not self._inside[caller]:
                del self._inside[caller]
            if not self._inside:
                self.drained.set()

    def _check(self, caller: str, octets: int) -> None:
        if self._inside[caller] >= self._limits.max_calls_per_caller:
            raise Fault(
                Reason.CALLER_QUOTA,
                f"{caller} has {counted(self._inside[caller], 'call')} open, which is the limit. Put more into one call.",
                caller=caller,
                maximum=str(self._limits.max_calls_per_caller),
            )
        if self._inside.total() >= self._limits.max_calls or self._octets + octets > MAX_OCTETS:
            raise Fault(Reason.QUEUE_FULL, "Too many calls are open; try again.")
