"""The only connection that writes. Whatever queued during the last fsync becomes one transaction (no timer)."""

import contextlib
from collections.abc import Callable
from typing import Final

import apsw

from segeld.jobqueue.claims import StaleClaim
from segeld.jobqueue.sqlite.desk import Errand
from segeld.jobqueue.sqlite.place import Place
from segeld.jobqueue.sqlite.trouble import Trouble
from segeld.model.faults import Fault

_SPOILING: Final = (apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.CantOpenError)


class Writer:
    """Serves errands in one transaction; if that cannot be, each in its own."""

    def __init__(self, connect: Callable[[], apsw.Connection], place: Place, trouble: Trouble) -> None:
        """:param connect: opens a connection: at first use, and after an error that may have spoiled the last one."""
        self._connect = connect
        self._place = place
        self._trouble = trouble
        self._connection: apsw.Connection | None = None
        self._committing = False

    def serve(self, batch: list[Errand]) -> None:
        try:
            self._together(batch)
        except Exception as error:  # noqa: BLE001  # told to whoever waits for it
            self._undo(error)
            if len(batch) == 1:
                batch[0].error = self._trouble.fault_of(error)
                return
            for errand in batch:
                errand.answer = errand.error = None
                self.serve([errand])

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):
                connection.close()

    def _together(self, batch: list[Errand]) -> None:
        self._place.check()
        db = self._connection
        if db is None:
            db = self._connection = self._connect()
        self._committing = False
        begun = db.total_changes()
        db.execute("BEGIN IMMEDIATE")
        for errand in batch:
            before = db.total_changes()
            try:
                errand.answer = errand.work(db)
            except (Fault, StaleClaim) as refusal:
                if db.total_changes() != before:  # it must leave no trace
                    raise
                errand.error = refusal
        self._committing = True
        db.execute("COMMIT")
        if db.total_changes() > begun:  # what wrote nothing does not show that the disk has room again
            self._trouble.passed()

    def _undo(self, error: Exception) -> None:
        db = self._connection
        if db is None:
            return
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except apsw.Error:
            self.close()
        # A commit that failed may lie whole in the WAL. This connection will write over it; a fresh one, were it the
        # only one, would take it for committed.
        if isinstance(error, _SPOILING) and not self._committing:
            self.close()
