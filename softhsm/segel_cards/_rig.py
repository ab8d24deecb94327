"""The rig's own process: card, reader's service and control socket, until its standard input closes.

Started by `card` in namespaces of its own. It says `ready` on its standard output, or what is wrong on the other.
"""

import fcntl
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import IO, Final

from segel_cards import pcscd
from segel_cards.errors import CardError
from segel_cards.faults import Faults
from segel_cards.layout import Runtime
from segel_cards.memory import SLOTS, Memory
from segel_cards.modules import OPENSC, YKCS11
from segel_cards.orders import Orders, OrderServer
from segel_cards.piv import PivCard
from segel_cards.presence import Presence
from segel_cards.vpcd import Reader
from segel_cards.yubikey import YubiKey

_PATIENCE: Final = 3.0
"""Seconds in which the last rig of this card may end."""


def main(runtime: Runtime, folder: Path, flavour_name: str) -> None:
    """:raises CardError: if it cannot be started."""
    lock = _lock(folder)
    flavour = YKCS11 if flavour_name == YKCS11.name else OPENSC
    stored = Memory.open(folder, SLOTS)
    service = pcscd.start(runtime, flavour.reader)
    try:
        faults = Faults((YubiKey if flavour.yubikey else PivCard)(stored))
        presence = Presence(runtime.pcscd_socket, flavour.reader)
        orders = Orders(stored, faults, Reader(faults), presence)
        orders.insert()
        server = OrderServer(runtime.control, orders)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("ready", flush=True)
        sys.stdin.buffer.read()
    except CardError as error:
        said = runtime.log.read_text(errors="replace").strip().splitlines()
        raise CardError(f"{error}; pcscd said: {' / '.join(said[-3:])}") from None
    finally:
        service.kill()
        service.wait()
        shutil.rmtree(runtime.folder, ignore_errors=True)  # the parent may be gone
        lock.close()


def _lock(folder: Path) -> IO[bytes]:
    """One rig for one card: it could not count otherwise. One that ends just now is waited for."""
    lock = (folder / "lock").open("wb")
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise CardError(f"another rig runs the card of {folder}") from None
            time.sleep(0.05)
        else:
            return lock


if __name__ == "__main__":
    try:
        main(Runtime(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3])
    except (CardError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)  # threads may be in a command that a mute keeps back
