"""Takes a PIN from a hidden prompt, a descriptor or a file: never from an argument or the environment.

It stays in a bytearray that its user overwrites; text would be copied and could not be.
"""

import os
import stat
import termios
from pathlib import Path

from segel.cli.failures import UsageError
from segeld.model import pin_files
from segeld.model.secret import Pin, PinLengthError

_LINE = 1024


def read_pin(token: str, *, file: Path | None, descriptor: int | None) -> bytearray:
    """The PIN for `token`; one line end after it is not part of it.

    :raises UsageError: if there is none, it is too long, or others can read the file.
    """
    if file is not None and descriptor is not None:
        raise UsageError("--pin-file and --pin-fd cannot be given together")
    if file is not None:
        return _from_file(file)
    if descriptor is not None:
        return _from_descriptor(descriptor, f"--pin-fd {descriptor}")
    return _from_terminal(token)


def _from_file(path: Path) -> bytearray:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"--pin-file {path}: {error.strerror}") from None
    try:
        # Asked of what was opened: the name may lead elsewhere a moment later.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"--pin-file {path} is not a regular file; give a pipe with --pin-fd")
        credentials = os.environ.get(pin_files.CREDENTIALS)
        for fault in pin_files.faults(status, path, user=os.geteuid(), credentials=credentials):
            raise UsageError(f"--pin-file {path} {fault}")
        return _from_descriptor(descriptor, f"--pin-file {path}")
    finally:
        os.close(descriptor)


def _from_descriptor(descriptor: int, named: str) -> bytearray:
    try:
        with Pin.read(descriptor) as pin, pin.view() as view:
            return bytearray(view)
    except PinLengthError as error:
        raise UsageError(f"{named}: {error}") from None
    except OSError as error:
        raise UsageError(f"{named}: {error.strerror}") from None


def _from_terminal(token: str) -> bytearray:
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        raise UsageError("there is no terminal to ask for the PIN; use --pin-file or --pin-fd") from None
    try:
        before = termios.tcgetattr(terminal)
        hidden = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
        line = bytearray(_LINE)
        termios.tcsetattr(
            terminal, termios.TCSAFLUSH, hidden
        )  # what was typed before the question is no answer
        try:
            os.write(terminal, f"PIN of {token}: ".encode())
            size = os.readv(terminal, [line])
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
            os.write(terminal, b"\n")
        pin = line[:size]
        line[:] = bytes(_LINE)
    finally:
        os.close(terminal)
    while pin.endswith((b"\n", b"\r")):
        del pin[-1]
    if not pin:
        raise UsageError("no PIN was typed")
    return pin
