"""Whether the files that the configuration names are there, readable, and as private as they must be."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from segeld.config.strict import Problem
from segeld.model import pin_files


def check_readable(key: str, path: Path) -> Iterator[Problem]:
    """A plain file that this user can read."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield Problem(key, f"{path}: {_why(error)}")
        return
    if not stat.S_ISREG(mode):
        yield Problem(key, f"{path} is not a file")
    elif not os.access(path, os.R_OK):
        yield Problem(key, f"{path} cannot be read by this user")


def check_program(key: str, text: str) -> Iterator[Problem]:
    """A program, by its full path: nobody's PATH decides what is run."""
    path = Path(text)
    if not path.is_absolute():
        yield Problem(key, f"{text!r} is no full path")
        return
    problems = list(check_readable(key, path))
    if problems:
        yield from problems
    elif not os.access(path, os.X_OK):
        yield Problem(key, f"{path} cannot be run by this user")
    else:
        yield from _check_unchanged(key, path)


def check_trusted(key: str, path: Path) -> Iterator[Problem]:
    """A file whose content decides what is done: not one that anybody may change."""
    problems = list(check_readable(key, path))
    yield from problems or _check_unchanged(key, path)


def check_secret(key: str, path: Path) -> Iterator[Problem]:
    """A file that belongs to root or this user, and that nobody else can read or replace."""
    problems = list(check_readable(key, path))
    if problems:
        yield from problems
        return
    credentials = os.environ.get(pin_files.CREDENTIALS)
    for fault in pin_files.faults(path.stat(), path, user=os.geteuid(), credentials=credentials):
        yield Problem(key, f"{path} {fault}")
    yield from _check_replaced(key, path, 0o022)


def check_descriptor(key: str, number: int) -> Iterator[Problem]:
    """A descriptor that this process was started with, and that can hold a PIN."""
    try:
        status = os.fstat(number)
    except OSError:
        yield Problem(key, f"descriptor {number} is not open: the program that starts segeld must pass it on")
        return
    if not pin_files.is_source(status):
        yield Problem(key, f"descriptor {number} is no pipe, file or device, so no PIN can be read from it")


def check_private_key(key: str, path: Path) -> Iterator[Problem]:
    """A TLS key: as a secret, but its group may read it, as Debian's ssl-cert does."""
    problems = list(check_readable(key, path))
    if problems:
        yield from problems
    elif (mode := stat.S_IMODE(path.stat().st_mode)) & 0o027:
        yield Problem(key, f"{path} has mode {mode:04o}, so others can read it: chmod 640 or less")


def check_folder(key: str, path: Path) -> Iterator[Problem]:
    """A folder of ours, or one that can be made."""
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        yield Problem(key, f"{nearest} is not a folder")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        yield Problem(key, f"this user cannot write in {nearest}")
    elif nearest == path and path.stat().st_mode & 0o022:
        yield Problem(key, f"others can write in {path}: chmod 750 or less")


def _why(error: OSError) -> str:
    return (error.strerror or "cannot be read").lower()


def _check_unchanged(key: str, path: Path) -> Iterator[Problem]:
    # Groups are left to whoever made them: with a group for each user, files are often written for it too.
    if path.stat().st_mode & stat.S_IWOTH:
        yield Problem(key, f"anybody can write {path}: chmod o-w")
    yield from _check_replaced(key, path, stat.S_IWOTH)


def _check_replaced(key: str, path: Path, writers: int) -> Iterator[Problem]:
    folder = path.resolve().parent
    mode = folder.stat().st_mode
    if mode & writers and not mode & stat.S_ISVTX:
        yield Problem(key, f"others can write in {folder}, and so replace {path.name}")
