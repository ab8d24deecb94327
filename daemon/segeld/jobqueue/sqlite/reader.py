"""A connection that only reads, in a thread of its own: whoever reads a lot delays no commit."""

import contextlib
from collections.abc import Callable

import apsw

from segeld.jobqueue.sqlite.desk import Errand
from segeld.jobqueue.sqlite.trouble import Trouble
from segeld.model.faults import Fault


class Reader:
    """Each errand sees one state of the database: at least that of the last write that was answered."""

    def __init__(self, connect: Callable[[], apsw.Connection], trouble: Trouble) -> None:
        self._connect = connect
        self._trouble = trouble
        self._connection: apsw.Connection | None = None

    def serve(self, batch: list[Errand]) -> None:
        for errand in batch:
            try:
                errand.answer = self._read(errand)
            except Exception as error:  # noqa: BLE001  # told to whoever waits for it
                if not isinstance(error, Fault):
                    self.close()
                errand.error = self._trouble.fault_of(error)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):
                connection.close()

    def _read(self, errand: Errand) -> object:
        db = self._connection
        if db is None:
            db = self._connection = self._connect()
        db.execute("BEGIN")
        try:
            return errand.work(db)
        finally:
            db.execute("ROLLBACK")
