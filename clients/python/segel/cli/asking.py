"""Asks the daemon for signatures on behalf of a command: says when it is silent, and names keys as people do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from segel.cli.failures import naming
from segel.cli.output import Output

if TYPE_CHECKING:
    import asyncio

    from segel import Algorithm, Key, Signer

SILENCE: Final = 3.0
"""Seconds without any answer after which people are told what is waited for."""


class Asking:
    """Everything that one command asks.

    :ivar asked: the key as it was named.
    """

    def __init__(self, output: Output, asked: str, silence: float = SILENCE) -> None:
        self.asked: Final = asked
        self._output = output
        self._silence = silence
        self._open = 0
        self._timer: asyncio.TimerHandle | None = None
        self._said = False

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """Around one question. Any answer, also to another question, shows that the daemon is there."""
        self._open += 1
        if self._timer is None:
            self._start()
        try:
            with naming(self.asked):
                yield
        finally:
            self._open -= 1
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._open:
                self._start()

    def _start(self) -> None:
        if not self._said:
            import asyncio  # takes a tenth of the time that a command needs to begin

            self._timer = asyncio.get_running_loop().call_later(self._silence, self._say)

    def _say(self) -> None:
        self._said = True
        self._output.note("waiting for the daemon …")


class AskedSigner:
    """A signer whose questions are watched."""

    def __init__(self, signer: "Signer", asking: Asking) -> None:
        self._signer = signer
        self.asking: Final = asking

    @property
    def key(self) -> "Key":
        return self._signer.key

    @property
    def algorithm(self) -> "Algorithm":
        return self._signer.algorithm

    async def sign_digest(self, digest: bytes) -> bytes:
        with self.asking.daemon():
            return await self._signer.sign_digest(digest)

    async def sign_message(self, message: bytes) -> bytes:
        with self.asking.daemon():
            return await self._signer.sign_message(message)
