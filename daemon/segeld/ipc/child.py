"""What every child process does first: keep nothing it was not given, leave no core, gain no rights."""

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_STDERR: Final = 2


def harden(keep: Collection[int]) -> None:
    """Leaves only `keep` and stderr open, and no way for memory to reach a disk or another user.

    PR_SET_DUMPABLE is reset by exec, so it is set here, in the child (prctl(2)). What the system refuses is left as it
    is: a child that is less well fenced still works.
    """
    _close_others({*keep, _STDERR})
    _no_console()
    # Ctrl-C in a terminal reaches the whole group; it is the front that ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _close_others(keep: Collection[int]) -> None:
    for entry in list(Path("/proc/self/fd").iterdir()):
        if int(entry.name) not in keep:
            # The list's own descriptor is in it, and closed by now.
            with contextlib.suppress(OSError):
                os.close(int(entry.name))


def _no_console() -> None:
    """Vendors' modules print to standard output."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        if null != descriptor:
            os.dup2(null, descriptor)
    if null > _STDERR:
        os.close(null)
