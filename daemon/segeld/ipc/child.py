"""What every child process does first: keep nothing it was not given, leave no core, gain no rights."""

import ctypes
import os
import resource
from collections.abc import Collection
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_libc: Final = ctypes.CDLL(None, use_errno=True)


def harden(*, keep: Collection[int]) -> None:
    """Closes every descriptor but 0, 1, 2 and `keep`; sends standard input and output nowhere.

    Standard output goes to /dev/null because vendors' modules print to it. PR_SET_DUMPABLE is reset by exec,
    so it is set here, in the child (prctl(2)).
    """
    wanted = sorted({0, 1, 2, *keep})
    for low, high in zip(wanted, [*wanted[1:], None], strict=True):
        os.closerange(low + 1, high if high is not None else _descriptor_limit())
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    if nowhere > 2:
        os.close(nowhere)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _descriptor_limit() -> int:
    """The highest descriptor that is open now, and one: RLIMIT_NOFILE can be a billion."""
    return max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 1
