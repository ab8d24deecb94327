"""softhsm2.conf: the one file that holds an absolute path, and what SoftHSM2 cannot read in it.

SoftHSM2 2.6 reads lines of at most 1023 bytes, cuts them at the first `#` and the second `=`, and trims blanks.
"""

import os
from pathlib import Path
from typing import Final

from segel_softhsm.errors import TestbedError
from segel_softhsm.layout import SOFTHSM2_CONF, TOKENS, replace

_LONGEST_LINE: Final = 1022  # of 1024 bytes, less the newline and the final zero


def render(directory: Path) -> bytes:
    """Return the content of softhsm2.conf for a testbed in this absolute folder.

    :raises TestbedError: SoftHSM2 could not read the folder's name.
    """
    tokens = os.fsencode(directory / TOKENS)
    line = b"directories.tokendir = " + tokens
    bad = next((mark for mark in ("#", "=", "\n", "\r") if mark.encode() in tokens), None)
    if tokens.decode("utf-8", "replace").encode() != tokens:
        raise TestbedError(f"the folder's path is not UTF-8: {directory!r}")
    if bad is not None:
        raise TestbedError(f"SoftHSM2 cannot use a folder with {bad!r} in its path: {directory}")
    if len(line) > _LONGEST_LINE:
        raise TestbedError(
            f"SoftHSM2 cannot use a path of {len(tokens)} bytes; name a shorter folder: {directory}"
        )
    return line + b"\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"


def refresh(directory: Path) -> None:
    """Write softhsm2.conf if it is missing or names another folder, because the testbed was moved or copied."""
    path = directory / SOFTHSM2_CONF
    wanted = render(directory)
    if not path.is_file() or path.read_bytes() != wanted:
        replace(path, wanted)
