"""Which files and descriptors a PIN may come from. Pure, but that links in paths are followed.

One place for all who look: `check-config` before a start, the keeper when it reads, `segelctl` on an officer's machine.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd says where a service's credentials are (systemd.exec(5))."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def faults(status: os.stat_result, path: Path, *, user: int, credentials: str | None) -> Iterator[str]:
    """What keeps a PIN file from being root's or the user's alone, to be read after its name.

    :param credentials: what `CREDENTIALS` says in this process.
    """
    if status.st_uid not in {0, user}:
        yield f"belongs to another user (uid {status.st_uid}); it must be root's or this user's"
    # A credential belongs to root, and an access list lets the service read it. The mode shows that list's mask where
    # the group's rights are; the group has none, and nobody else gets into the folder.
    shown = stat.S_IRGRP if _is_credential(path, credentials) else 0
    if status.st_mode & _OTHERS & ~shown:
        yield f"has mode {stat.S_IMODE(status.st_mode):04o}, so others can reach it: chmod 600"


def credential_path(name: str) -> str:
    """Where a systemd credential of this name is; a path that does not exist if there are none."""
    return str(Path(os.environ.get(CREDENTIALS) or "/no-credentials-directory") / name)


def is_source(status: os.stat_result) -> bool:
    """Whether an inherited descriptor is something that is read to an end: a pipe, a file, a terminal.

    A socket, an epoll or an eventfd is something of the program itself that got the number first.
    """
    return any(kind(status.st_mode) for kind in (stat.S_ISFIFO, stat.S_ISREG, stat.S_ISCHR))


def _is_credential(path: Path, credentials: str | None) -> bool:
    # An empty variable would stand for the working folder.
    return (
        credentials is not None and credentials != "" and path.resolve().parent == Path(credentials).resolve()
    )
