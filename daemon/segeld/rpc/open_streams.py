"""How many streams of one kind are open: each may cost about 4 MB if its client stops reading."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from segeld.model.faults import Fault, Reason


class OpenStreams:
    """Counts them in, over all and for each caller."""

    def __init__(self, maximum: int, per_caller: int, advice: str, gauge: Gauge) -> None:
        """:param advice: what a caller that has too many may do instead, as a sentence."""
        self._maximum = maximum
        self._per_caller = per_caller
        self._advice = advice
        self._gauge = gauge
        self._by_caller: Counter[str] = Counter()

    @contextmanager
    def enter(self, caller: str) -> Iterator[None]:
        """:raises Fault: QUEUE_FULL or CALLER_QUOTA."""
        if self._by_caller.total() >= self._maximum:
            raise Fault(Reason.QUEUE_FULL, "Too many streams are open; try again.")
        if self._by_caller[caller] >= self._per_caller:
            raise Fault(
                Reason.CALLER_QUOTA,
                f"{caller} has {self._per_caller} streams open, which is the limit. {self._advice}",
                caller=caller,
                maximum=str(self._per_caller),
            )
        self._by_caller[caller] += 1
        self._gauge.inc()
        try:
            yield
        finally:
            self._gauge.dec()
            self._by_caller[caller] -= 1
            if not self._by_caller[caller]:
                del self._by_caller[caller]
