"""The request id of a job: made of what is signed and how, so that whoever submits the same again makes no second job."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from segel.cli.digest_lines import Named
from segel.cli.failures import UsageError

_PREFIX: Final = "segel-job-"


class RequestId:
    """SHA-256 over how it is signed, and each item with its id. A contract: yesterday's jobs are known by it."""

    def __init__(self, key: str, algorithm: str, ecdsa: str, salt: bytes = b"") -> None:
        """:param salt: makes another name of the same items."""
        how = (key.encode(), algorithm.encode(), ecdsa.encode(), salt)
        self._state = hashlib.sha256(b"".join(len(word).to_bytes(4, "big") + word for word in how))
        self._begun = self._state.copy()
        self.count = 0

    @property
    def name(self) -> str:
        return _PREFIX + self._state.hexdigest()

    def take(self, items: Iterable[Named]) -> Iterator[Named]:
        """The same items, which count from now on."""
        update = self._state.update
        for name, data in items:
            marked = name.encode()
            update(b"%c%b%b%b" % (len(marked), marked, len(data).to_bytes(4, "big"), data))
            self.count += 1
            yield name, data

    def take_all(self, items: Iterable[Named]) -> None:
        for _ in self.take(items):
            pass

    def again(self, items: Iterable[Named]) -> Iterator[Named]:
        """The items once more.

        :raises UsageError: at their end, if they are others by now.
        """
        before, self._state, self.count = self.name, self._begun.copy(), 0
        yield from self.take(items)
        if self.name != before:
            raise UsageError("the digests changed while they were read; nothing is signed")
