"""One small transaction, fsynced: on the disk of the daemon's database, opened as the daemon opens it."""

import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from segeld.jobqueue.sqlite.database import connect_to_write, prepare


class Commits:
    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        db.execute("CREATE TABLE IF NOT EXISTS bench (id INTEGER PRIMARY KEY, data BLOB)")

    def single(self, count: int) -> float:
        """Seconds of one, the median of so many."""
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT INTO bench (data) VALUES (zeroblob(200))")
            self._db.execute("COMMIT")
            took.append(time.perf_counter() - began)
        return statistics.median(took)


@contextmanager
def commits(folder: Path) -> Iterator[Commits]:
    """WAL, synchronous=FULL, and the daemon's other settings."""
    path = folder / "commit.db"
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    prepare(path)
    with closing(connect_to_write(path)) as db:
        yield Commits(db)
