"""How fast and how much at once a caller may ask for signatures: a bucket for each, with the clock passed in."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from segeld.model.counts import counted, fitting
from segeld.model.faults import Fault, Reason
from segeld.policy import Policy
from segeld.policy.rules import Rate

_LATER: Final = 0.2
"""Seconds after which some of what waits is likely done."""


class Bucket:
    """Fills with `per_second` up to `burst`. A batch that is larger than the bucket goes when it is full, and leaves it
    in debt: so the average holds whatever the size of batches.
    """

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._level = float(rate.burst)
        self._at = now

    def take(self, count: int, rate: Rate, now: float) -> float:
        """0 if they were taken; else the seconds until they can be.

        :param rate: the one that holds now; what was taken under another stays taken.
        """
        self._level += max(0.0, now - self._at) * self._rate.per_second
        self._level = min(self._level, float(rate.burst))
        self._at, self._rate = now, rate
        missing = min(count, rate.burst) - self._level
        if missing > 1e-9:
            return missing / rate.per_second
        self._level -= count
        return 0.0


class Rates:
    """`entered` for each batch of Sign and SignStream. Jobs are not counted: fairness paces them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def entered(self, policy: Policy, caller: str, count: int) -> Iterator[None]:
        """Holds a place for `count` inputs.

        :raises Fault: CALLER_QUOTA, RATE_LIMITED.
        """
        most = policy.at_once(caller)
        if most is not None and self._waiting[caller] + count > most:
            raise _too_much(caller, self._waiting[caller], most)
        self._take(policy.rate(caller), caller, count)
        self._waiting[caller] += count
        try:
            yield
        finally:
            self._waiting[caller] -= count
            if not self._waiting[caller]:
                del self._waiting[caller]

    def _take(self, rate: Rate | None, caller: str, count: int) -> None:
        if rate is None:
            self._buckets.pop(caller, None)
            return
        now = self._clock()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = Bucket(rate, now)
        wait = bucket.take(count, rate, now)
        if wait:
            raise Fault(
                Reason.RATE_LIMITED,
                f"{caller} may ask for {rate.per_second:g} {fitting(rate.per_second, 'signature')} a second, {rate.burst} after a quiet time. Try again "
                f"in {wait:.3g} s, or make a job of it.",
                retry_after=wait,
                caller=caller,
                rate=f"{rate.per_second:g}",
                burst=str(rate.burst),
            )


def _too_much(caller: str, waiting: int, most: int) -> Fault:
    return Fault(
        Reason.CALLER_QUOTA,
        f"{counted(waiting, 'input')} of {caller} {fitting(waiting, 'waits', 'wait')}; the policy allows {most} at once. Send fewer at once.",
        retry_after=_LATER,
        caller=caller,
        maximum=str(most),
    )
