"""`python -m segeld.keeper --control FD`: started by the front; ends when the front's socket closes."""

import argparse
import socket
import sys

import setproctitle

from segeld.ipc.child import harden
from segeld.ipc.framing import FrameError
from segeld.keeper.loop import Keeper

EXIT_VIOLATION = 70
"""The front said something that has no place here."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="segeld.keeper", description=__doc__)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--keep", type=int, action="append", default=[], help="a descriptor that holds a PIN")
    arguments = parser.parse_args()
    harden([arguments.control, *arguments.keep])
    setproctitle.setproctitle("segeld: keeper")
    with Keeper(socket.socket(fileno=arguments.control), arguments.keep) as keeper:
        try:
            keeper.run()
        except FrameError:
            return EXIT_VIOLATION
        except (BrokenPipeError, ConnectionResetError):
            return 0  # the front is gone
    return 0


if __name__ == "__main__":
    sys.exit(main())
