"""The secrets that an officer typed for one ceremony, in pages of their own until they are used or given up."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from segeld.ipc import pin_wire
from segeld.ipc.worker_wire import Exit
from segeld.model.secret import Pin
from segeld.worker.requests import Violation


class Typed:
    """The present PIN (the SO's or the user's) and the new one."""

    def __init__(self, frame: pin_wire.Secrets) -> None:
        """:raises ValueError: if one of them is none."""
        self.present: Final = pin_wire.unwrap(frame.present)
        try:
            self.new: Final = pin_wire.unwrap(frame.new)
        except ValueError:
            self.present.wipe()
            raise

    def wipe(self) -> None:
        self.present.wipe()
        self.new.wipe()


def required(typed: Typed | None) -> Typed:
    """:raises Violation: if none came before the request that is for them."""
    if typed is None:
        raise Violation(Exit.OUT_OF_PLACE, "a ceremony without its secrets")
    return typed


@contextmanager
def address_of(pin: Pin) -> Iterator[int]:
    """Where it lies, for a function of the module: nothing is copied here."""
    with pin.view() as view:
        place = (ctypes.c_char * len(view)).from_buffer(view)
        try:
            yield ctypes.addressof(place)
        finally:
            del place  # a reference that stays would keep the page from being wiped
