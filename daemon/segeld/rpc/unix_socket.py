"""The officer socket: in a folder that is ours, with the mode that is configured, never over a live one."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER_MODE = 0o755


class SocketInUseError(OSError):
    """Another process answers on the socket."""


def prepare(path: Path) -> None:
    """Makes the folder if need be, and takes a socket that nobody answers on out of the way.

    :raises SocketInUseError: if somebody answers.
    :raises PermissionError: if the folder is another user's, or others can write in it.
    :raises FileExistsError: if something else than a socket lies there.
    """
    folder = path.parent
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & 0o022:
        raise PermissionError(
            f"{folder} belongs to another user, or others can write in it: no place for {path.name}"
        )
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FileExistsError(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise SocketInUseError(f"another process answers on {path}")


@contextmanager
def mode_of_new_sockets(mode: int) -> Iterator[None]:
    """GRPC binds by itself, so the mode can only come from the umask: never wider than asked for, not for a moment."""
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)
