"""What the process gives up before it loads anything of a vendor's.

A module is treated as faulty: it may print, look at descriptors, fork, or crash with keys in its memory.
"""

import contextlib
import os
from collections.abc import Collection
from typing import Final

from setproctitle import setproctitle

from segeld.ipc.child import harden

_NICENESS: Final = 10


def enter(keep: Collection[int]) -> None:
    """Hardens the process, and makes it nicer, so that a busy soft token does not slow the front."""
    harden(keep)
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    setproctitle("segeld: worker")
