"""Opening the database: how it is set up, and what is refused."""

import os
from pathlib import Path
from typing import Final

import apsw

from segeld.jobqueue.sqlite.migrate import migrate, migrations
from segeld.jobqueue.sqlite.refusals import DatabaseDamaged, SqliteTooOld

APPLICATION_ID: Final = int.from_bytes(b"sgl1", "big")
OLDEST_SQLITE: Final = (3, 51, 3)
"""Before it, a WAL could be reset while another connection still needed it."""
_PAGE: Final = 4096
"""A finished block of 256 RSA-2048 signatures fills 18 of them and a bit: what the last one wastes is 1 %."""
_WAL_PAGES: Final = 4000
"""16 MiB: then the WAL is copied into the database."""
_WAL_OCTETS: Final = 64 * 1024 * 1024
"""What the WAL's file is cut back to, after something let it grow."""
_SMALL: Final = 64 * 1024 * 1024
"""A database up to this size is checked at every start, a larger one if the last run did not end in order. A million
items are 300 MB and take 0.1 s, if the disk need not be asked."""
_PATIENCE_MS: Final = 10_000
"""For another process that holds a lock for a moment."""


def prepare(path: Path, vfs: str | None = None) -> None:
    """Makes the database, or checks and migrates the one that is there. The lock is held.

    :raises DatabaseRefused: if it cannot be used.
    """
    found = tuple(int(number) for number in apsw.sqlite_lib_version().split("."))
    if found < OLDEST_SQLITE:
        raise SqliteTooOld(apsw.sqlite_lib_version(), ".".join(map(str, OLDEST_SQLITE)))
    wal = path.with_name(path.name + "-wal")
    clean = not (wal.exists() and wal.stat().st_size)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        db = _connect(path, apsw.SQLITE_OPEN_READWRITE, vfs)
        try:
            _prepare(db, path, clean=clean)
        finally:
            db.close()
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise DatabaseDamaged(path, str(error)) from error


def _prepare(db: apsw.Connection, path: Path, *, clean: bool) -> None:
    fresh = db.pragma("page_count") == 0
    if fresh:
        db.pragma("page_size", _PAGE)
        db.pragma("auto_vacuum", 2)
        db.pragma("application_id", APPLICATION_ID)
    elif db.pragma("application_id") != APPLICATION_ID:
        raise DatabaseDamaged(path, "it is not a database of segel")
    db.pragma("journal_mode", "wal")
    if not fresh and (not clean or path.stat().st_size <= _SMALL):
        check(db, path)
    migrate(db, path, migrations())


def check(db: apsw.Connection, path: Path) -> None:
    """Reads the whole file and looks whether its structure is sound.

    :raises DatabaseDamaged:
    """
    found = db.execute("PRAGMA integrity_check(1)").get
    if found != "ok":
        raise DatabaseDamaged(path, str(found).replace("\n", " "))


def connect_to_write(path: Path, vfs: str | None = None) -> apsw.Connection:
    return _connect(path, apsw.SQLITE_OPEN_READWRITE, vfs)


def connect_to_read(path: Path, vfs: str | None = None) -> apsw.Connection:
    """Also for another process than the one that writes."""
    return _connect(path, apsw.SQLITE_OPEN_READONLY, vfs)


def _connect(path: Path, flags: int, vfs: str | None) -> apsw.Connection:
    db = apsw.Connection(str(path), flags=flags, vfs=vfs, statementcachesize=200)
    db.set_busy_timeout(_PATIENCE_MS)
    db.pragma("synchronous", "full")
    db.pragma("foreign_keys", True)
    db.pragma("cell_size_check", True)
    db.pragma("mmap_size", 0)
    db.pragma("trusted_schema", False)
    db.pragma("wal_autocheckpoint", _WAL_PAGES)
    db.pragma("journal_size_limit", _WAL_OCTETS)
    db.pragma("cache_size", -16_384)
    return db
