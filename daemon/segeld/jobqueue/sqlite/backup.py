"""Copies of the database: made while the daemon runs, and put in its place when it does not."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import apsw

from segeld.jobqueue.sqlite.database import APPLICATION_ID, check, connect_to_read
from segeld.jobqueue.sqlite.lock import Lock
from segeld.jobqueue.sqlite.migrate import migrations
from segeld.jobqueue.sqlite.refusals import DatabaseDamaged, DatabaseTooNew

_PAGES: Final = 2048
"""Of one step: 8 MiB."""


def back_up(database: Path, target: Path, progress: Callable[[int, int], None] = lambda _, __: None) -> int:
    """Copies the database as it is at one moment; gives the copy's octets. Who writes meanwhile is not kept waiting.

    :param progress: told after each step how many pages are done, of how many.
    :raises FileExistsError: if there is a file with that name already.
    :raises DatabaseDamaged: if the copy is not sound; it is removed again.
    """
    if target.exists():
        raise FileExistsError(f"{target} is there already; choose another name")
    if not database.is_file():
        raise FileNotFoundError(f"{database} is not there; nothing was ever stored in this state_dir")
    with _unfinished(target) as copy:
        _copy(database, copy, progress)
        os.link(copy, target)  # never over a file that came meanwhile
    _sync(target.parent)
    return target.stat().st_size


def restore(backup: Path, database: Path) -> Path | None:
    """Puts a copy in the database's place. Gives where the old database lies now, if there was one.

    :raises DatabaseInUse: if the daemon runs.
    :raises DatabaseDamaged: if the copy is not sound; nothing was changed.
    """
    lock = Lock(database)
    try:
        with _unfinished(database) as copy:
            _copy(backup, copy, lambda _, __: None)
            aside = _put_aside(database) if database.exists() else None
            copy.replace(database)
        _sync(database.parent)
    finally:
        lock.release()
    return aside


@contextlib.contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A name beside the target, for what is not whole yet; private, and gone afterwards."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield part
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            part.with_name(part.name + ending).unlink(missing_ok=True)


def _copy(source: Path, copy: Path, progress: Callable[[int, int], None]) -> None:
    try:
        with contextlib.closing(connect_to_read(source)) as here:
            # One state of the database, however long it takes: without this, each write would begin the copy anew.
            here.execute("BEGIN")
            _recognise(here, source)
            with contextlib.closing(apsw.Connection(str(copy))) as there:
                with there.backup("main", here, "main") as backup:
                    while not backup.done:
                        backup.step(_PAGES)
                        progress(backup.page_count - backup.remaining, backup.page_count)
                there.pragma("journal_mode", "delete")  # a copy is one file
                check(there, source)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise DatabaseDamaged(source, str(error)) from error
    except apsw.Error as error:
        raise OSError(f"{source} could not be copied: {error}") from error


def _recognise(db: apsw.Connection, path: Path) -> None:
    if db.pragma("application_id") != APPLICATION_ID:
        raise DatabaseDamaged(path, "it is not a database of segel")
    version, known = db.pragma("user_version"), len(migrations())
    if version > known:
        raise DatabaseTooNew(path, version, known)


def _put_aside(database: Path) -> Path:
    """A second name for the old database: so there is one at every moment, whatever happens."""
    with contextlib.suppress(apsw.Error), contextlib.closing(apsw.Connection(str(database))) as old:
        old.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    aside = _linked(database, f"{database.name}.{time.strftime('%Y%m%dT%H%M%S')}")
    wal = database.with_name(database.name + "-wal")
    if wal.exists() and wal.stat().st_size:  # a damaged one: it could not be copied into its database
        shutil.copy2(wal, aside.with_name(aside.name + "-wal"))
    for ending in ("-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)
    return aside


def _linked(database: Path, name: str) -> Path:
    """Under this name, or one that nothing has yet: another restore may have been in the same second."""
    aside, number = database.with_name(name), 1
    while True:
        try:
            os.link(database, aside)
        except FileExistsError:
            number += 1
            aside = database.with_name(f"{name}.{number}")
        else:
            return aside


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
