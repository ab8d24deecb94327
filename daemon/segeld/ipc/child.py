"""What every child process does first: keep nothing it was not given, leave its end to the front, leave no core."""

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
    """Leaves only `keep` and stderr open, no signal but the front's kill, and no way for memory to reach a disk.

    PR_SET_DUMPABLE is reset by exec, so it is set here, in the child (prctl(2)). What the system refuses is left as it
    is: a child that is less well fenced still works.
    """
    _close_others({*keep, _STDERR})
    _no_console()
    # Ctrl-C in a terminal reaches the whole group, and a service manager's SIGTERM all of its processes. It is the
    # front that decides: it lets us finish what was begun, and then closes our socket.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    leave_no_core()


def leave_no_core() -> None:
    """Keeps this process's memory from disks and debuggers, and its programs from gaining rights.

    The front calls it too: a PIN passes through it. It holds for what is started later, but for the dumpable flag.
    """
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
