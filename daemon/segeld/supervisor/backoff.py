"""How long to wait before the next try: doubled each time, with jitter, and forgotten after a good while."""

import random
import time
from typing import Final

_FIRST: Final = 0.05
_LONGEST: Final = 10.0
_FORGIVEN_AFTER: Final = 30.0


class Backoff:
    """Seconds of pause for one thing that is tried again and again."""

    def __init__(self) -> None:
        self._next = _FIRST
        self._since = time.monotonic()

    def started(self) -> None:
        """A try begins now."""
        self._since = time.monotonic()

    def pause(self) -> float:
        """The try that began last has ended: how long to wait before the next."""
        if time.monotonic() - self._since > _FORGIVEN_AFTER:
            self._next = _FIRST
        pause, self._next = self._next, min(self._next * 2, _LONGEST)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret
