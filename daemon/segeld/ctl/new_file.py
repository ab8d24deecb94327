"""A file that a command writes: it is new, and it is there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from segel.cli.failures import UsageError


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Made before anything is asked of the daemon, so that nothing is done that cannot be kept; gone again if it fails.

    :raises UsageError: if something is there already, or no file can be made there. Nothing was done.
    """
    try:
        file = path.open("xb")
    except FileExistsError:
        raise UsageError(
            f"{path} is there already; nothing was done. Name another file, or move that one away"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}; nothing was done") from None
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
