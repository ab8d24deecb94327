"""Files that are there whole or not at all: written beside their place, then renamed into it."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NEW: Final = ".new"
"""What the name of a file ends with that is not finished."""
FOLDER_MODE: Final = 0o750
FILE_MODE: Final = 0o640


def write(
    path: Path,
    data: bytes,
    *,
    durable: bool,
    mode: int = FILE_MODE,
    owner: tuple[int, int] | None = None,
) -> None:
    """Puts a file in its place. If `durable`, its octets are on the disk before; its name is when `sync` was called.

    :param owner: user and group that it is to belong to, if root writes it.
    :raises OSError: if that is not possible; what was there before is still there.
    """
    make_folder(path.parent)
    new = path.with_name(path.name + NEW)
    with contextlib.suppress(FileNotFoundError):
        new.unlink()  # of a run that was stopped; may have another mode
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        if owner is not None and not os.geteuid():
            os.fchown(descriptor, *owner)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)


def make_folder(path: Path) -> None:
    """Makes a folder with those above it, so that a power cut does not lose them again."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(FOLDER_MODE)
        sync([folder.parent])


def sync(folders: Iterable[Path]) -> None:
    """Makes the names in these folders durable."""
    for folder in dict.fromkeys(folders):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a file, and its folder if nothing else is in it."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with contextlib.suppress(OSError):
        path.parent.rmdir()
