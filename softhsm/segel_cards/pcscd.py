"""A pcscd of our own with one virtual reader. Called in the rig's namespaces, where /run and the network are private."""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
from typing import Final

from segel_cards.errors import CardError
from segel_cards.layout import Runtime
from segel_cards.modules import vpcd_driver
from segel_cards.vpcd import PORT

_MS_BIND: Final = 0x1000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
_PR_SET_PDEATHSIG: Final = 1


def start(runtime: Runtime, reader: str) -> subprocess.Popen[bytes]:
    """Ends with this process, however that ends.

    :raises CardError: if the namespaces do not allow it.
    """
    runtime.pcscd_socket.parent.mkdir(parents=True)
    runtime.readers.mkdir()
    # Not the reversed mode, in which vpcd connects: that makes Debian 12's pcscd abort (FD_SETSIZE).
    (runtime.readers / "virtual").write_text(
        f'FRIENDLYNAME "{reader}"\nDEVICENAME /dev/null:{PORT:#x}\nLIBPATH {vpcd_driver()}\nCHANNELID {PORT:#x}\n'
    )
    _loopback_up()
    _bind(runtime.run, "/run")
    with runtime.log.open("wb") as log:
        return subprocess.Popen(
            ["pcscd", "--foreground", "--config", str(runtime.readers), "--info"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread runs yet
        )


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def _bind(folder: os.PathLike[str], place: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(folder), place.encode(), None, ctypes.c_ulong(_MS_BIND), None):
        raise CardError(f"{place} cannot be covered by the rig's own: {os.strerror(ctypes.get_errno())}")


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
