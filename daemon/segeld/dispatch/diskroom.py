"""Room on the disk: work is taken only while what was accepted can also be signed and recorded."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from segeld.jobqueue.store_faults import StoreFull

ITEM_OCTETS: Final = 640
"""What an item may come to need: digest and RSA-4096 signature in the database, and the log's part."""
MARGIN: Final = 64 * 1024 * 1024
"""Octets that are left to everything else: the write-ahead log, checkpoints, the system."""


_FRESH: Final = 1.0
"""Seconds for which an answer of the file system is believed."""


class DiskRoom:
    """Of the file system that the state folder is on."""

    def __init__(self, folder: Path, unsigned: Callable[[], Awaitable[int]], *, margin: int = MARGIN) -> None:
        """:param unsigned: items that are accepted, sealed or not, and have no signature yet."""
        self._folder = folder
        self._unsigned = unsigned
        self._margin = margin
        self._room = 0
        self._asked = float("-inf")

    async def require(self, items: int) -> None:
        """:raises StoreFull: if there is not enough for so many more."""
        if time.monotonic() - self._asked > _FRESH:
            self._room = await asyncio.to_thread(self._ask) - await self._unsigned() * ITEM_OCTETS
            self._asked = time.monotonic()
        if self._room < self._margin + items * ITEM_OCTETS:
            raise StoreFull
        self._room -= items * ITEM_OCTETS

    def _ask(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize
