"""What lies where in a testbed, how files are written there, and when a folder may be emptied.

The marker file is written first and the description last. A folder with the marker but without a description was
interrupted and is started over; a folder with other content and no marker is never touched.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from segel_softhsm.errors import TestbedError

MARKER: Final = "segel-testbed.txt"
DESCRIPTION: Final = "testbed.json"
SOFTHSM2_CONF: Final = "softhsm2.conf"
CERTOMANCER: Final = "certomancer.yml"
TOKENS: Final = "tokens"
PINS: Final = "pins"
KEYS: Final = "keys"
PKI: Final = "pki"
PKI_KEYS: Final = "pki/private"
CA_BUNDLE: Final = "pki/ca-bundle.pem"

_OURS: Final = (DESCRIPTION, SOFTHSM2_CONF, CERTOMANCER, TOKENS, PINS, KEYS, PKI)
_MARKER_TEXT: Final = b"A throw-away testbed of segel_softhsm. `--fresh` may delete what it made here.\n"


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Hold the folder's lock and yield its descriptor.

    Child processes inherit the descriptor, so the lock of a killed parent lasts until its children have ended too:
    whoever starts over then does not meet them at work.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def claim(directory: Path) -> None:
    """Make the folder, or take an empty one or a testbed; refuse any other.

    :raises TestbedError: something else is in the folder.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        foreign = not (directory / MARKER).is_file() and any(directory.iterdir())
    except OSError as error:
        raise TestbedError(f"{directory} cannot be used: {error.strerror}") from error
    if foreign:
        raise TestbedError(
            f"{directory} is not a testbed (it has content, and no {MARKER}): nothing was touched; name another folder"
        )


def start_over(directory: Path) -> None:
    """Delete what earlier runs made and leave an empty, marked, private folder. Files of others stay."""
    directory.chmod(0o700)
    marker = directory / MARKER
    marker.write_bytes(_MARKER_TEXT)  # in place: a half-written marker is as good as a whole one
    marker.chmod(0o600)
    for leftover in directory.glob(".*.new"):
        leftover.unlink()
    for name in _OURS:  # the description goes first: without it the folder counts as interrupted
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name in (TOKENS, PINS, KEYS, PKI, PKI_KEYS):
        make_private(directory / name)


def make_private(directory: Path) -> None:
    """Make a folder of mode 0700 whatever the umask; it may exist."""
    directory.mkdir(exist_ok=True)
    directory.chmod(0o700)


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file at once and with this very mode, whatever the umask: readers see the old content or the new."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
