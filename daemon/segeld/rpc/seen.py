"""Which certificates principals came with since the daemon was started. In memory, bounded."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from segeld.rpc.identity import Certificate

IN_USE: Final = 3600.0
"""Seconds after which a certificate that nobody came with again is not in use, if another one is."""
MAX_EACH: Final = 16
"""Certificates of one principal: it may have several hosts."""


class Seen:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_name: dict[str, dict[bytes, tuple[Certificate, float]]] = {}
        """By fingerprint, the one that was seen last at the end."""

    def note(self, name: str, certificate: Certificate) -> bool:
        """Somebody came; whether with another certificate than before."""
        theirs = self._by_name.setdefault(name, {})
        known = theirs.pop(certificate.fingerprint, None) is not None
        theirs[certificate.fingerprint] = (certificate, self._clock())
        if len(theirs) > MAX_EACH:
            del theirs[next(iter(theirs))]
        return not known

    def last(self, name: str) -> Certificate | None:
        theirs = self._by_name.get(name)
        return next(reversed(theirs.values()))[0] if theirs else None

    def in_use(self) -> Iterator[tuple[str, Certificate]]:
        """Of each principal, by name: the last, and what else they came with within the hour."""
        now = self._clock()
        for name, theirs in sorted(self._by_name.items()):
            last = next(reversed(theirs))
            for fingerprint, (certificate, at) in theirs.items():
                if fingerprint == last or now - at < IN_USE:
                    yield name, certificate
