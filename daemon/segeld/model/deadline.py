"""Deadlines travel as data: a point on the machine's monotonic clock, the same in every process of one boot."""

import time
from dataclasses import dataclass
from typing import Final, Self

MONOTONIC_NS: Final = time.monotonic_ns


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """After `at` (CLOCK_MONOTONIC, nanoseconds) nobody wants the answer any more."""

    at: int

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(MONOTONIC_NS() + int(seconds * 1e9))

    def remaining(self) -> float:
        """Seconds left; negative when passed."""
        return (self.at - MONOTONIC_NS()) / 1e9

    def passed(self) -> bool:
        return MONOTONIC_NS() >= self.at
