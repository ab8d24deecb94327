"""What the process gives up before it loads anything of a vendor's.

A module is treated as faulty: it may print, look at descriptors, fork, or crash with keys in its memory.
"""

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Final

from setproctitle import setproctitle

_NICENESS: Final = 10
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_STDERR: Final = 2


def enter(keep: Collection[int]) -> None:
    """Leaves only `keep` and stderr open, and no way for memory to reach a disk or another user.

    What the system refuses is left as it is: a worker that is less well fenced still works.
    """
    _close_others({*keep, _STDERR})
    _no_console()
    # Ctrl-C in a terminal reaches the whole group; it is the front that ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # So that a busy soft token does not slow the front.
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    setproctitle("segeld: worker")


def _close_others(keep: Collection[int]) -> None:
    for entry in list(Path("/proc/self/fd").iterdir()):
        if int(entry.name) not in keep:
            # The list's own descriptor is in it, and closed by now.
            with contextlib.suppress(OSError):
                os.close(int(entry.name))


def _no_console() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        if null != descriptor:
            os.dup2(null, descriptor)
    if null > _STDERR:
        os.close(null)
