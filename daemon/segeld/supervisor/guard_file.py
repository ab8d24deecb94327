"""The file of the PIN guard: two places in it, written in turn, each with its checksum and its number.

The newest place that is whole counts. One is written over where it lies, so that what became of an attempt can be written
down on a full disk too: the attempt itself, which came before, has taken the room for it. A write that is interrupted
leaves the other place, which is what was true before it.
"""

import contextlib
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import Final

import structlog

_HEADER: Final = struct.Struct(">IQI")
"""CRC-32 of all that follows it; number; length of the content."""
_NUMBERED: Final = struct.Struct(">QI")
_BLOCK: Final = 4096
_ROOM: Final = 2048
"""Octets that a place has beyond its content, at least: an outcome is hardly longer than its attempt."""
_MOST: Final = 8 * 1024 * 1024
_log: Final = structlog.get_logger(__name__)


class Damaged(Exception):
    """The file is there, and cannot be used; the text says why."""


class GuardFile:
    """One who writes. `read` first."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._number = 0
        self._place = 0
        """Octets of each of the two."""
        self._inode = 0
        """Of the file that was read or written last: another one in its stead is not written into."""

    def read(self) -> bytes | None:
        """What was written last; None if nothing was.

        :raises Damaged: if the file is not as it was written.
        """
        try:
            data, inode = _whole(self.path)
        except FileNotFoundError:
            return None
        place, number, body = _newest(data)
        self._place, self._number, self._inode = place, number, inode
        return body

    def close_to_others(self) -> None:
        with contextlib.suppress(OSError):
            if (mode := stat.S_IMODE(self.path.stat().st_mode)) & (stat.S_IRWXG | stat.S_IRWXO):
                _log.warning("others could read the pin guard", file=str(self.path), mode=f"{mode:04o}")
                self.path.chmod(0o600)

    def write(self, body: bytes) -> None:
        """Durable when it returns, and there is room for something longer to be written over it.

        :raises OSError: if it cannot be; what was there before is there then.
        """
        self._write(body, _ROOM)

    def write_over(self, body: bytes) -> None:
        """Durable when it returns; no new room is taken if it is about as long as what was written last.

        :raises OSError: if it cannot be; what was there before is there then.
        """
        self._write(body, 0)

    def _write(self, body: bytes, room: int) -> None:
        number = self._number + 1
        if _HEADER.size + len(body) + room > self._place or not self._put(number, body):
            self._renew(number, body)
        self._number = number

    def _put(self, number: int, body: bytes) -> bool:
        """Whether it could be: the file is still the one that was written last."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        try:
            status = os.fstat(descriptor)
            if (status.st_ino, status.st_size) != (self._inode, 2 * self._place):
                return False
            _write(descriptor, _record(number, body), (number % 2) * self._place)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True

    def _renew(self, number: int, body: bytes) -> None:
        """A file with larger places in the old one's place, all of its room taken: fsync(2), rename(2), fsync of the folder."""
        place = -(-(_HEADER.size + len(body) + 2 * _ROOM) // _BLOCK) * _BLOCK
        new = self.path.with_name(f"{self.path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(new, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            # Written and no hole, nor only promised: what lies on the disk is written over without new room.
            _write(descriptor, bytes(2 * place), 0)
            _write(descriptor, _record(number, body), (number % 2) * place)
            os.fsync(descriptor)
            inode = os.fstat(descriptor).st_ino
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        finally:
            os.close(descriptor)
        new.rename(self.path)
        self._place, self._number, self._inode = place, number, inode
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _record(number: int, body: bytes) -> bytes:
    rest = _NUMBERED.pack(number, len(body)) + body
    return zlib.crc32(rest).to_bytes(4, "big") + rest


def _whole(path: Path) -> tuple[bytes, int]:
    """What is in it, and its inode.

    :raises FileNotFoundError: if there is none.
    :raises Damaged: if it is no file of ours.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # as it was opened: no link, no waiting
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Damaged("it is no regular file")
            data = file.read(_MOST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(error.strerror) from None
    if len(data) > _MOST or not data or len(data) % (2 * _BLOCK):
        raise Damaged("it has not the length that it was written with")
    return data, status.st_ino


def _newest(data: bytes) -> tuple[int, int, bytes]:
    """The length of a place, the number of the newest one, and its content.

    :raises Damaged: if neither is whole.
    """
    place = len(data) // 2
    found = [each for each in (_content(data[:place]), _content(data[place:])) if each is not None]
    if not found:
        raise Damaged("its checksum is wrong")
    number, body = max(found)
    return place, number, body


def _content(place: bytes) -> tuple[int, bytes] | None:
    crc, number, length = _HEADER.unpack_from(place)
    rest = place[4 : _HEADER.size + length]
    if length > len(place) - _HEADER.size or not number or zlib.crc32(rest) != crc:
        return None
    return number, rest[_NUMBERED.size :]


def _write(descriptor: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written
