"""Where a PIN may come from without an officer: a file that only we can read, or an inherited descriptor."""

import os
import stat
from pathlib import Path
from typing import Final

from segeld.model import pin_files
from segeld.model.faults import Fault, Reason
from segeld.model.secret import Pin, PinLengthError

PATIENCE: Final = 5.0
"""Seconds in which a descriptor must come to its end: nobody else gets a PIN meanwhile."""


def from_file(path: str) -> Pin:
    """Reads a PIN file. Owner and mode are looked at on the open file, so that nobody can swap it in between.

    :raises Fault: FIELD_INVALID if it cannot be opened or is not safe, PIN_LENGTH if it is empty or too long.
    """
    what = f"The PIN file {path}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Fault(Reason.FIELD_INVALID, f"{what} cannot be read: {error.strerror}.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Fault(Reason.FIELD_INVALID, f"{what} is not a regular file.")
        credentials = os.environ.get(pin_files.CREDENTIALS)
        for fault in pin_files.faults(status, Path(path), user=os.geteuid(), credentials=credentials):
            raise Fault(Reason.FIELD_INVALID, f"{what} {fault}.")
        return _read(descriptor, what)
    finally:
        os.close(descriptor)


def from_descriptor(descriptor: int) -> Pin:
    """Reads a PIN from an inherited descriptor to its end and closes it.

    :raises Fault: FIELD_INVALID if it is not open, is of another kind, or does not end in time; PIN_LENGTH if nothing
        or too much comes.
    """
    what = f"The PIN descriptor {descriptor}"
    try:
        status = os.fstat(descriptor)
    except OSError as error:
        raise Fault(Reason.FIELD_INVALID, f"{what} cannot be read: {error.strerror}.") from None
    if not pin_files.is_source(status):
        # It stays open: under that number lies something of our own.
        raise Fault(
            Reason.FIELD_INVALID, f"{what} is no pipe, file or device, so no PIN can be read from it."
        )
    blocking = os.get_blocking(descriptor)
    try:
        os.set_blocking(descriptor, False)
        return _read(descriptor, what)
    except TimeoutError as error:
        raise Fault(
            Reason.FIELD_INVALID,
            f"{error} from descriptor {descriptor} within {PATIENCE:g} s; the program that starts segeld must write the PIN "
            "and close it.",
        ) from None
    except OSError as error:
        raise Fault(Reason.FIELD_INVALID, f"{what} cannot be read: {error.strerror}.") from None
    finally:
        os.set_blocking(
            descriptor, blocking
        )  # whoever gave it to us, a terminal's shell say, shares this with us
        os.close(descriptor)


def _read(descriptor: int, what: str) -> Pin:
    try:
        return Pin.read(descriptor, PATIENCE)
    except PinLengthError as error:
        raise Fault(Reason.PIN_LENGTH, f"{what} holds no usable PIN: {error}.") from None
