"""Whether the database still lies where it was opened: what is written to a file that was removed or replaced is lost."""

from pathlib import Path
from typing import Final


class Displaced(Exception):
    """The file is gone, or another one lies in its place."""


class Place:
    """Asked before each transaction: it costs two microseconds."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._file: tuple[int, int] | None = None
        """The file that lay there when it was asked first."""

    def check(self) -> None:
        """:raises Displaced:"""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise self._displaced() from None
        file = found.st_dev, found.st_ino
        self._file = self._file or file
        if file != self._file:
            raise self._displaced()

    def _displaced(self) -> Displaced:
        return Displaced(
            f"{self._path} was removed or replaced while the daemon ran: stop the daemon, and put it back"
        )
