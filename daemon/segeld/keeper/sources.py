"""Where a PIN may come from without an officer: a file that only we can read, or an inherited descriptor."""

import contextlib
import os
import stat

from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin, PinLengthError


def from_file(path: str) -> Pin:
    """Reads a PIN file. Owner and mode are looked at on the open file, so that nobody can swap it in between.

    :raises Fault: FIELD_INVALID if it cannot be opened or is not safe, PIN_LENGTH if it is empty or too long.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Fault(Reason.FIELD_INVALID, f"The PIN file {path} cannot be read: {error.strerror}.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Fault(Reason.FIELD_INVALID, f"The PIN file {path} is not a regular file.")
        if status.st_uid not in (0, os.geteuid()):
            raise Fault(
                Reason.FIELD_INVALID,
                f"The PIN file {path} belongs to uid {status.st_uid}: it must belong to root or to segeld's user.",
            )
        if status.st_mode & 0o077:
            raise Fault(
                Reason.FIELD_INVALID,
                f"The PIN file {path} has mode {stat.S_IMODE(status.st_mode):04o}: others can reach it. "
                f"Run: chmod 600 '{path}'",
            )
        return _read(descriptor, f"The PIN file {path}")
    finally:
        os.close(descriptor)


def from_descriptor(descriptor: int) -> Pin:
    """Reads a PIN from an inherited descriptor to its end and closes it.

    :raises Fault: FIELD_INVALID if it is not open, PIN_LENGTH if nothing or too much comes.
    """
    what = f"The PIN descriptor {descriptor}"
    try:
        return _read(descriptor, what)
    except OSError as error:
        raise Fault(Reason.FIELD_INVALID, f"{what} cannot be read: {error.strerror}.") from None
    finally:
        with contextlib.suppress(OSError):  # it never was open: said above
            os.close(descriptor)


def _read(descriptor: int, what: str) -> Pin:
    try:
        return Pin.read(descriptor)
    except PinLengthError as error:
        raise Fault(Reason.PIN_LENGTH, f"{what} holds no usable PIN: {error}.") from None
