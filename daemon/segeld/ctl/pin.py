"""Takes a PIN from a hidden prompt, a descriptor or a file: never from an argument or the environment.

It stays in a bytearray that its user overwrites; text would be copied and could not be.
"""

import os
import stat
import termios
from pathlib import Path

from segel.cli.failures import UsageError
from segeld.model import pin_files
from segeld.model.secret import Pin, PinLengthError, is_typeable

_LINE = 1024


def read_pin(token: str, *, file: Path | None, descriptor: int | None) -> bytearray:
    """The PIN for `token`; one line end after it is not part of it.

    :raises UsageError: if there is none, it is too long, or others can read the file.
    """
    return _read("PIN", "--pin", token, file, descriptor)


def read_so_pin(token: str, *, file: Path | None, descriptor: int | None) -> bytearray:
    """The SO PIN, from `--so-pin-file`, `--so-pin-fd` or the terminal.

    :raises UsageError: as `read_pin`.
    """
    return _read("SO PIN", "--so-pin", token, file, descriptor)


def read_new_pin(token: str, *, file: Path | None, descriptor: int | None) -> bytearray:
    """The new PIN, from `--new-pin-file`, `--new-pin-fd`, or typed twice on the terminal.

    :raises UsageError: as `read_pin`, and if it was not typed the same twice, or nobody could type it.
    """
    pin = _read("new PIN", "--new-pin", token, file, descriptor)
    if not is_typeable(pin):
        pin[:] = bytes(len(pin))
        raise UsageError(
            "the new PIN has a line end or another control character in it, so that nobody could type it; nothing was done"
        )
    if file is None and descriptor is None:
        again = _from_terminal("new PIN", "--new-pin", f"{token}, once more")
        same = pin == again
        again[:] = bytes(len(again))
        if not same:
            pin[:] = bytes(len(pin))
            raise UsageError("the new PIN was not typed the same twice; nothing was done")
    return pin


def _read(what: str, option: str, token: str, file: Path | None, descriptor: int | None) -> bytearray:
    if file is not None and descriptor is not None:
        raise UsageError(f"{option}-file and {option}-fd cannot be given together")
    if file is not None:
        return _from_file(f"{option}-file {file}", file)
    if descriptor is not None:
        return _from_descriptor(descriptor, f"{option}-fd {descriptor}")
    return _from_terminal(what, option, token)


def _from_file(named: str, path: Path) -> bytearray:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"{named}: {error.strerror}") from None
    try:
        # Asked of what was opened: the name may lead elsewhere a moment later.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            option = named.partition("-file ")[0]
            raise UsageError(f"{named} is not a regular file; give a pipe with {option}-fd")
        credentials = os.environ.get(pin_files.CREDENTIALS)
        for fault in pin_files.faults(status, path, user=os.geteuid(), credentials=credentials):
            raise UsageError(f"{named} {fault}")
        return _from_descriptor(descriptor, named)
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


def _from_terminal(what: str, option: str, token: str) -> bytearray:
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        raise UsageError(
            f"there is no terminal to ask for the {what}; use {option}-file or {option}-fd"
        ) from None
    try:
        before = termios.tcgetattr(terminal)
        hidden = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
        line = bytearray(_LINE)
        termios.tcsetattr(
            terminal, termios.TCSAFLUSH, hidden
        )  # what was typed before the question is no answer
        try:
            os.write(terminal, f"{what} of {token}: ".encode())
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
        raise UsageError(f"no {what} was typed")
    return pin
