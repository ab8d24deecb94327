"""Whether, and how, this user gets mount and network namespaces."""

import os
import shutil
import subprocess
from functools import cache

from segel_cards.errors import CardError, NamespacesRefused


@cache
def prefix() -> tuple[str, ...]:
    """The command that puts another into namespaces of its own.

    :raises NamespacesRefused: if the system does not allow it.
    :raises CardError: if the command is missing.
    """
    if shutil.which("unshare") is None:
        raise CardError("unshare is not installed: apt install util-linux")
    command = ("unshare", "-mn") if os.geteuid() == 0 else ("unshare", "-rmn")
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise NamespacesRefused(f"{' '.join(command)}: {tried.stderr.strip()}")
    return command
