"""Where a witness may be: a file on another mount, or a command. Either may fail, hang or answer anything.

Whatever it does, nothing of the daemon waits for it longer than `PATIENCE`, and nothing else is held up.
"""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from segeld.audit import files
from segeld.audit.note import MAX_NOTE

T = TypeVar("T")
PATIENCE: Final = 20.0
"""Seconds that a witness may take to answer."""
_REAPING: Final = 5.0


class Place(Protocol):
    """Where checkpoints are kept."""

    async def last(self) -> bytes:
        """What it knows; nothing if it knows none.

        :raises OSError: if it cannot be reached.
        :raises TimeoutError: if it takes too long.
        """
        ...

    async def keep(self, note: bytes) -> None:
        """:raises OSError: if it cannot.
        :raises TimeoutError: if it takes too long.
        """
        ...


class FilePlace:
    """A file on another mount."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._apart = _Apart()

    async def last(self) -> bytes:
        return await self._apart.run(self._read, self._patience)

    def _read(self) -> bytes:
        if not self._path.parent.is_dir():
            raise FileNotFoundError(2, f"there is no folder {self._path.parent}")
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_NOTE)
        except FileNotFoundError:
            return b""

    async def keep(self, note: bytes) -> None:
        await self._apart.run(lambda: self._write(note), self._patience)

    def _write(self, note: bytes) -> None:
        if not self._path.parent.is_dir():  # a mount that is gone must not be replaced by a folder of ours
            raise FileNotFoundError(2, f"there is no folder {self._path.parent}")
        files.write(self._path, note, durable=True)
        files.sync([self._path.parent])


class _Apart:
    """Runs work that may never return in a thread of its own, one at a time.

    A mount whose server is gone blocks whoever touches it. In the threads that all share, a few of those would stop the
    publishing of the log, and the daemon could not end.
    """

    def __init__(self) -> None:
        self._busy = False

    async def run(self, work: Callable[[], T], patience: float) -> T:
        """:raises TimeoutError: if it takes longer, or what was begun before has not come back."""
        if self._busy:
            raise TimeoutError("it still has not answered what it was asked before")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if answer.done():
                return  # nobody waits any more
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)  # type: ignore[arg-type]

        def body() -> None:
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:  # noqa: BLE001  # whoever waits gets it
                error = raised
            self._busy = False
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, result, error)

        self._busy = True
        threading.Thread(target=body, name="witness", daemon=True).start()
        async with asyncio.timeout(patience):
            return await answer


class CommandPlace:
    """A command: reads a checkpoint, or nothing, on its standard input; prints the last one it knows."""

    def __init__(self, command: tuple[str, ...], patience: float = PATIENCE) -> None:
        self._command = command
        self._patience = patience

    async def last(self) -> bytes:
        return await self._ask(b"")

    async def keep(self, note: bytes) -> None:
        if (await self._ask(note)).strip() != note.strip():
            raise OSError("it did not give back the checkpoint that it was given")

    async def _ask(self, note: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._patience):
                out = await _converse(process, note)
                code = await process.wait()
        except BaseException:
            await _end(process)
            raise
        if code:
            raise OSError(f"it ended with {code}")
        return out


async def _converse(process: asyncio.subprocess.Process, note: bytes) -> bytes:
    """:raises OSError: if it says more than any checkpoint has."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read
        process.stdin.write(note)
        await process.stdin.drain()
    process.stdin.close()
    out = b""
    while part := await process.stdout.read(MAX_NOTE):
        out += part
        if len(out) > MAX_NOTE:
            raise OSError("it says more than any checkpoint has")
    return out


async def _end(process: asyncio.subprocess.Process) -> None:
    """Of all that it started, too: what holds its output open would keep us waiting."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout is not None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REAPING):
            while await process.stdout.read(MAX_NOTE):
                pass  # it is not over before what it has said was taken
            await process.wait()
