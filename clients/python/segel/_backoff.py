"""How long to wait before trying again."""

import random


class Backoff:
    """Doubles from `first` to `longest` seconds; each delay is drawn from the upper half, so that clients part."""

    def __init__(self, first: float = 0.1, longest: float = 2.0) -> None:
        self._first = first
        self._longest = longest
        self._tries = 0

    def next(self, at_least: float = 0.0) -> float:
        """Seconds to wait now; `at_least` what the other side asked for."""
        ceiling = min(self._longest, self._first * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return max(at_least, 0.0) + ceiling * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret is made of it

    def reset(self) -> None:
        """It worked: begin anew."""
        self._tries = 0
