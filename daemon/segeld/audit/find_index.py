"""Which bundles may hold a hash: four octets of each commitment, signature hash and job, for every full bundle.

They stand in the order of the leaves: the daemon makes this beside its signing, and to sort them would hold it up ten times
as long. Searching 80 MB of them, for ten million items, takes a tenth of a second.

One file beside the tree, appended by the daemon. It is only a hint: what it leads to is proven, what it does not cover is
searched, and who suspects that it was changed to hide something searches without it. Missing or damaged, it is made anew.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

from segeld.audit.layout import WIDTH
from segeld.audit.leaf import HASH, Act, BadLeaf, Intent, Outcome, decode
from segeld.audit.tiles import Archived, Tiles

FILE: Final = "index"
_MAGIC: Final = b"segel find index 2\n"
_HEAD: Final = len(_MAGIC) + 32
_BUNDLE: Final = struct.Struct("<III")
"""Number of the bundle, how many prefixes follow, CRC-32 of them."""
_UNKNOWN: Final = (1 << 32) - 1
"""Instead of how many: the bundle could not be read, and may hold anything."""
_PREFIX: Final = 4
_JOB: Final = 16


class IndexBusy(OSError):
    """The daemon, or another command, keeps it."""


def prefixes(leaves: list[bytes]) -> bytes:
    """What stands in the index for a bundle."""
    found: list[bytes] = []
    for data in leaves:
        try:
            leaf = decode(data)
        except BadLeaf:
            continue
        if isinstance(leaf, Outcome):
            found += (_of_hashes(leaf.commitments), _of_hashes(leaf.signatures))
        elif isinstance(leaf, Intent):
            found += (part.work[:_PREFIX] for part in leaf.parts if len(part.work) == _JOB)
        elif isinstance(leaf, Act) and leaf.subject.startswith("jobs/"):
            with contextlib.suppress(ValueError):
                found.append(bytes.fromhex(leaf.subject[5 : 5 + 2 * _PREFIX]))
    return b"".join(found)


def _of_hashes(hashes: bytes) -> bytes:
    return array("I", hashes[: len(hashes) // HASH * HASH])[:: HASH // _PREFIX].tobytes()


def candidates(folder: Path, origin: str, wanted: tuple[bytes, ...]) -> tuple[int, list[int]]:
    """How many bundles from the first on the index covers, and which of those may hold one of these octets.

    An index that is missing, another log's or damaged covers nothing from the damage on.
    """
    seeking = [one[:_PREFIX] for one in wanted]
    covered, found = 0, []
    with (
        contextlib.suppress(OSError, ValueError),
        (folder / FILE).open("rb") as file,
        contextlib.closing(_mapped(file.fileno())) as data,
        memoryview(data) as view,
    ):
        for number, first, end in _records(view, origin):
            # What is found across two of them does no harm.
            if end < 0 or any(data.find(one, first, end) >= 0 for one in seeking):
                found.append(number)
            covered = number + 1
    return covered, found


def _mapped(descriptor: int) -> mmap.mmap:
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)


def _head(origin: str) -> bytes:
    return _MAGIC + hashlib.sha256(origin.encode()).digest()


def _records(view: memoryview, origin: str) -> Iterator[tuple[int, int, int]]:
    """Number, first octet and end of each bundle's prefixes, as far as they are whole and follow one another.

    The end is -1 for a bundle of which nobody knows what it holds.
    """
    if view[:_HEAD] != _head(origin):
        return
    at, expected = _HEAD, 0
    while at + _BUNDLE.size <= len(view):
        number, count, crc = _BUNDLE.unpack_from(view, at)
        first = at + _BUNDLE.size
        end = first if count == _UNKNOWN else first + count * _PREFIX
        if number != expected or end > len(view):
            return
        with view[first:end] as octets:
            if zlib.crc32(octets) != crc:
                return
        yield number, first, -1 if count == _UNKNOWN else end
        at, expected = end, expected + 1


class IndexWriter:
    """Appends to the index. One at a time: a lock on the file says so."""

    def __init__(self, descriptor: int, origin: str) -> None:
        self._descriptor = descriptor
        self._origin = origin
        self.covered = self._take_up()

    @classmethod
    def open(cls, folder: Path, origin: str) -> Self:
        """:raises IndexBusy: if somebody else keeps it.
        :raises OSError: if it cannot be written.
        """
        descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(descriptor, origin)
        except BlockingIOError:
            os.close(descriptor)
            raise IndexBusy(f"{folder / FILE} is kept by a running daemon, which completes it") from None
        except BaseException:
            os.close(descriptor)
            raise

    def _take_up(self) -> int:
        """Cuts what is not whole; gives the number of bundles that are covered."""
        end, covered = 0, 0
        if os.fstat(self._descriptor).st_size >= _HEAD:
            with contextlib.closing(_mapped(self._descriptor)) as data, memoryview(data) as view:
                if view[:_HEAD] == _head(self._origin):
                    end = _HEAD
                for number, first, after in _records(view, self._origin):
                    end, covered = max(first, after), number + 1
        os.ftruncate(self._descriptor, end)
        os.lseek(self._descriptor, end, os.SEEK_SET)
        if not end:
            self._write(_head(self._origin))
        return covered

    def add(self, leaves: list[bytes]) -> None:
        """The next full bundle.

        :raises OSError: if it cannot be written; what was there is still whole.
        """
        data = prefixes(leaves)
        self._add(len(data) // _PREFIX, data)

    def _add(self, count: int, data: bytes) -> None:
        before = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        try:
            self._write(_BUNDLE.pack(self.covered, count, zlib.crc32(data)) + data)
        except OSError:
            os.ftruncate(self._descriptor, before)
            os.lseek(self._descriptor, before, os.SEEK_SET)
            raise
        self.covered += 1

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def catch_up(
        self,
        tiles: Tiles,
        most: int | None = None,
        progress: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> int:
        """Covers full bundles that are not covered yet, at most so many; gives how many it was.

        :raises BadFile: if one cannot be read. Of one that was archived, the index says that nobody knows.
        """
        first, full = self.covered, tiles.size // WIDTH
        for number in range(first, full if most is None else min(full, first + most)):
            try:
                leaves = tiles.leaves(number)
            except Archived:
                self._add(_UNKNOWN, b"")
            else:
                self.add(leaves)
            progress(number + 1, full)
        return self.covered - first

    def close(self) -> None:
        os.close(self._descriptor)
