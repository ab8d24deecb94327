"""Writes files so that they are there whole or not at all."""

import asyncio
import contextlib
import errno
import os
import secrets
import stat
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import BinaryIO

from segel.cli.failures import CannotWrite, FileRefused, UsageError

_NO_FILE_HERE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_NO_ROOM = {errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class OutputExistsError(FileExistsError):
    """The output is there already, and `--force` was not given."""

    def __init__(self, target: Path) -> None:
        super().__init__(f"{target} exists already; give --force to replace it")


def refuse_existing(target: Path, *, replace: bool) -> None:
    """:raises OutputExistsError: if it is there, a broken link included, and must not be replaced.
    :raises FileRefused: if it is something that must never be: root can replace devices, /dev/null too.
    """
    if not replace and os.path.lexists(target):
        raise OutputExistsError(target)
    if replace and target.exists() and not (target.is_file() or target.is_dir()):
        raise FileRefused(f"{target} is no regular file")


@contextlib.asynccontextmanager
async def draft(target: Path, *, replace: bool, like: Path | None = None) -> AsyncIterator[BinaryIO]:
    """A file to write and read beside `target`; it takes the name of `target` when the block ends well.

    Whatever goes wrong, `target` is as it was, and nothing is left beside it. A cancellation that comes while
    the name is given changes nothing any more: the file is there, and counts.

    :param replace: whether `target` may be there already.
    :param like: a file whose mode the new one gets, so that a private document stays private.
    :raises OutputExistsError: if it is there and must not be replaced; also if it came in the meantime.
    :raises FileRefused: if a device or a pipe is there.
    :raises CannotWrite: if no file can be written in that folder.
    """
    refuse_existing(target, replace=replace)
    beside = target.with_name(f".segel-{secrets.token_hex(8)}.part")
    try:
        file = _create(beside, target, like)
        try:
            yield file
            await _to_the_end(asyncio.to_thread(_finish, file, beside, target, replace))
        finally:
            # What it still holds is flushed, in vain after a failure that has been raised already.
            with contextlib.suppress(OSError):
                file.close()
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise CannotWrite(target.parent, error.errno) from None
        raise
    finally:
        with contextlib.suppress(OSError):  # a folder that became read-only
            beside.unlink(missing_ok=True)


async def _to_the_end(work: Coroutine[None, None, None]) -> None:
    """A disk takes its time, and other files can be signed in it; but nothing is taken away under the thread."""
    finishing = asyncio.ensure_future(work)
    try:
        await asyncio.shield(finishing)
    except asyncio.CancelledError:
        while not finishing.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([finishing])
        if finishing.exception() is not None:
            raise


def _create(beside: Path, target: Path, like: Path | None) -> BinaryIO:
    try:
        descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in _NO_FILE_HERE:
            raise CannotWrite(target.parent, error.errno) from None
        raise OSError(error.errno, error.strerror, str(target)) from None
    if like is not None:
        os.fchmod(descriptor, stat.S_IMODE(like.stat().st_mode))
    return os.fdopen(descriptor, "w+b")


def _finish(file: BinaryIO, beside: Path, target: Path, replace: bool) -> None:
    file.flush()
    os.fsync(file.fileno())
    try:
        if replace:
            beside.replace(target)
        else:
            _publish(beside, target)
    except OutputExistsError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from None


def _publish(beside: Path, target: Path) -> None:
    """Gives the draft its name, unless something has that name: a link fails then, and a rename would not."""
    try:
        os.link(beside, target)
    except FileExistsError:
        raise OutputExistsError(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise OutputExistsError(target) from None
        beside.replace(target)


def make_folder(folder: Path) -> None:
    """:raises UsageError: if it is no folder and cannot become one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "is a file" if isinstance(error, FileExistsError) else f"cannot be made: {error.strerror}"
        raise UsageError(f"--out-dir {folder} {why}") from None
