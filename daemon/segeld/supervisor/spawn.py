"""Starts the children: exec'd, never forked, with nothing but the descriptors and the environment they need.

`preexec_fn`, `user` and `group` are not used: with them gRPC's fork handlers run in the child, and break it.

Whoever is cancelled here leaves nothing behind: what was begun is brought to its end first.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, TypeVar

_PASSED_ON: Final = (
    "CREDENTIALS_DIRECTORY",
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "PCSCLITE_CSOCK_NAME",
)


T = TypeVar("T")


async def to_its_end(work: Awaitable[T]) -> T:
    """Waits for `work`, which is not cancelled with whoever waits, however often that happens: it takes effect after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # whoever was cancelled does not need it
    raise cancelled


async def spawn(
    program: str,
    sockets: Mapping[str, socket.socket],
    *,
    environment: Mapping[str, str],
    keep: Sequence[int] = (),
) -> Process:
    """Runs `python -m PROGRAM --NAME FD …`, one option for each socket; our ends of `sockets` are closed after it.

    :raises OSError: if no process can be started.
    """
    descriptors = {name: sock.fileno() for name, sock in sockets.items()}
    options = [text for name, fd in descriptors.items() for text in (f"--{name}", str(fd))]
    options += [text for fd in keep for text in ("--keep", str(fd))]
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", program, *options),
            pass_fds=(*descriptors.values(), *keep),
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            process_group=0,  # a module may start helpers: they end with the worker
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await to_its_end(_take_back(starting))
        raise
    finally:
        for sock in sockets.values():
            sock.close()


async def _take_back(starting: asyncio.Future[Process]) -> None:
    """Nobody wants this process any more, which may not even be there yet."""
    with contextlib.suppress(OSError):
        await end(await starting, grace=0)


async def end(process: Process, *, grace: float) -> int:
    """Waits `grace` seconds for the process to end by itself, then kills it, and what it started in any case.

    Gives its exit code.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace):
            await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return await process.wait()
