"""PINs: a type that masks itself, sits in memory that is locked and kept out of core files, and can be wiped."""

import ctypes
import mmap
import os
import select
import time
from typing import Final, Self

MAX_PIN: Final = 255
"""Octets. PKCS #11 sets no bound; no token is known that takes more."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


def is_typeable(secret: bytes | bytearray | memoryview) -> bool:
    """Whether a keyboard has all of it: a line end or a NUL comes out of files, and nobody can type it again."""
    return all(octet >= 0x20 and octet != 0x7F for octet in secret)


class PinLengthError(ValueError):
    """A PIN that is empty or longer than 255 octets."""


class Pin:
    """A PIN in a page of its own. `str`, `repr` and `format` never show it; there is no way to make it a `str`."""

    __slots__ = ("_length", "_page")

    def __init__(self, secret: bytes | bytearray | memoryview) -> None:
        """Copies `secret`; wiping the original is the giver's part.

        :raises PinLengthError: if it is empty or longer than `MAX_PIN`.
        """
        if not 1 <= len(secret) <= MAX_PIN:
            raise PinLengthError(f"a PIN has 1 to {MAX_PIN} octets")
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        _lock(self._page)
        self._length = len(secret)
        self._page[: self._length] = bytes(self._length)  # the page exists before the secret does
        memoryview(self._page)[: self._length] = secret

    @classmethod
    def read(cls, descriptor: int, patience: float | None = None) -> Self:
        """Reads a PIN from an open descriptor to its end; one line end after it is not part of it.

        :param patience: seconds for all of it; None: for ever.
        :raises PinLengthError: if nothing is there, or too much.
        :raises TimeoutError: if the end does not come in time; the text says whether anything came.
        """
        until = None if patience is None else time.monotonic() + patience
        buffer = bytearray(MAX_PIN + 3)
        try:
            filled = 0
            with memoryview(buffer) as view:
                while filled < len(buffer):
                    if until is not None and not _comes(descriptor, until):
                        raise TimeoutError("nothing came" if not filled else "no end came")
                    try:
                        got = os.readv(descriptor, [view[filled:]])
                    except BlockingIOError:  # somebody else who has the descriptor was quicker
                        if until is None:
                            raise
                        continue
                    if not got:
                        break
                    filled += got
            end = filled
            if end and buffer[end - 1] == 0x0A:
                end -= 1
                if end and buffer[end - 1] == 0x0D:
                    end -= 1
            with memoryview(buffer) as view:
                return cls(view[:end])
        finally:
            buffer[:] = bytes(len(buffer))

    def __len__(self) -> int:
        return self._length

    def view(self) -> memoryview:
        """The PIN itself. Release the view before `wipe`."""
        return memoryview(self._page)[: self._length]

    def wipe(self) -> None:
        """Overwrites the PIN and gives the page back. Safe to call twice."""
        if not self._page.closed:
            self._page[: self._length] = bytes(self._length)
            self._page.close()
        self._length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return "Pin(***)"

    def __reduce__(self) -> str:
        raise TypeError("a PIN is not serialised")


def _comes(descriptor: int, until: float) -> bool:
    """Waits until a read would not block: there is something, the end, or an error for the read to raise."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, until - time.monotonic()) * 1000))


def _lock(page: mmap.mmap) -> None:
    """Best effort: without the right to lock memory (RLIMIT_MEMLOCK) the PIN is still kept out of core files."""
    page.madvise(mmap.MADV_DONTDUMP)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    _libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE))
