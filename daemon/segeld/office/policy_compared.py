"""The policy's file beside what is in force: compared when somebody asks, and every minute."""

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from segeld.office.policy_kept import Kept

_EVERY: Final = 60.0
"""Seconds between two looks, if nobody asks."""
_PATIENCE: Final = 5.0
_LARGEST: Final = 16 * 1024 * 1024
"""Octets that are read of it: no policy is as long."""

_log: Final = structlog.get_logger(__name__)


class FileCompared:
    """Whether the file is what is in force. `look` before `difference` is read; `run` goes on until it is cancelled."""

    def __init__(self, file: Path, kept: Callable[[], Kept], *, patience: float = _PATIENCE) -> None:
        """:param kept: what is in force.
        :param patience: seconds that a file system may take to tell.
        """
        self._file = file
        self._kept = kept
        self._patience = patience
        self._found: bytes | None = None
        """What is in the file and not in force, as a hash; None if there is no such thing."""
        self._said: bytes | None = None
        self._reading: asyncio.Future[bytes | None] | None = None

    @property
    def difference(self) -> str:
        """That the file is not what is in force, and what to do then; empty if it is, or if there is none."""
        if self._found is None:
            return ""
        file = self._file
        return (
            f"The file {file} differs from the policy in force and has no effect. It is put in force with segelctl "
            f"policy apply {file} and looked at with segelctl policy check {file} before; and it is brought up to "
            f"date with segelctl policy show --output {file} at any time"
        )

    async def look(self) -> None:
        """Compares them as they are now. A file system that does not answer leaves what was known."""
        try:
            async with asyncio.timeout(self._patience):
                if self._reading is not None:  # one that hangs takes one thread, not one for each question
                    await asyncio.wait({self._reading})
                self._reading = asyncio.ensure_future(asyncio.to_thread(_content, self._file))
                content = await asyncio.shield(self._reading)
        except TimeoutError:
            return
        same = content is None or content == self._kept().toml.encode(errors="surrogateescape")
        self._found = None if same else hashlib.sha256(content or b"").digest()

    def say(self) -> None:
        """In the log: once for each change of the file."""
        if self._found not in (None, self._said):
            _log.warning("policy", why=f"{self.difference}.")
        self._said = self._found

    async def run(self, every: float = _EVERY) -> None:
        """:param every: seconds."""
        while True:
            await asyncio.sleep(every)
            await self.look()
            self.say()


def _content(file: Path) -> bytes | None:
    """None if there is no such file, or none that can be read: the record is what counts."""
    try:
        descriptor = os.open(
            file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        )  # a pipe would wait for its writer
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            return opened.read(_LARGEST)
    except OSError:
        return None
    finally:
        os.close(descriptor)
