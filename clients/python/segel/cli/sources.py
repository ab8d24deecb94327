"""Reads inputs: files and standard input, never more of them in memory than needed."""

import asyncio
import hashlib
import io
import os
import select
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

_AT_ONCE: Final = 1 << 20
_IN_MEMORY: Final = 64 << 20


_report: ContextVar[Callable[[int], None] | None] = ContextVar("_report", default=None)


@contextmanager
def reported_to(report: Callable[[int], None]) -> Iterator[None]:
    """Whoever hashes within it tells `report` how many octets more were read; from any thread."""
    before = _report.set(report)
    try:
        yield
    finally:
        _report.reset(before)


class Readable(Protocol):
    """All that is asked of an input that is only hashed."""

    def read(self, size: int, /) -> bytes: ...


@contextmanager
def opened(source: Path | None) -> Iterator[Readable]:
    """The input as a stream; standard input if there is no path.

    :raises OSError: if it cannot be read, a directory included.
    """
    if source is not None:
        with source.open("rb") as file:
            yield file
        return
    try:
        descriptor = sys.stdin.fileno()
    except io.UnsupportedOperation:  # not a real one: a test's
        yield sys.stdin.buffer
        return
    ended, end = os.pipe()
    try:
        yield _StandardInput(descriptor, ended)
    finally:
        os.close(end)  # wakes the thread that may still be waiting in `read`
        # `ended` stays open: closing it under that thread could let it wait for somebody else's descriptor.


class _StandardInput:
    """Standard input for a thread that must not keep the program from ending: Ctrl-C ends its wait too."""

    def __init__(self, descriptor: int, ended: int) -> None:
        self._descriptor = descriptor
        self._ended = ended

    def read(self, size: int, /) -> bytes:
        ready, _, _ = select.select([self._descriptor, self._ended], [], [])
        if self._ended in ready:
            return b""
        return os.read(self._descriptor, size)


@asynccontextmanager
async def seekable(source: Path | None) -> AsyncIterator[BinaryIO]:
    """The same, but one can go back in it: standard input is copied first."""
    if source is not None:
        with opened(source) as stream:
            yield cast("BinaryIO", stream)
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy, opened(None) as stream:

        def copy_all() -> None:
            while block := stream.read(_AT_ONCE):
                copy.write(block)
            copy.seek(0)

        await asyncio.to_thread(copy_all)
        yield cast("BinaryIO", copy)


async def digest(stream: Readable, hash_name: str) -> bytes:
    """Its hash, a mebibyte at a time, in a thread: the rest goes on signing."""
    given_up = threading.Event()
    report = _report.get()

    def read_all() -> bytes:
        state = hashlib.new(hash_name)
        while not given_up.is_set() and (block := stream.read(_AT_ONCE)):
            state.update(block)
            if report is not None:
                report(len(block))
        return state.digest()

    try:
        return await asyncio.to_thread(read_all)
    finally:
        given_up.set()  # the end of the program waits for its threads


async def read_up_to(stream: Readable, size: int) -> bytes:
    """All of it, or `size` octets if it is longer."""

    def read_all() -> bytes:
        content = b""
        while len(content) < size and (block := stream.read(size - len(content))):
            content += block
        return content

    return await asyncio.to_thread(read_all)
