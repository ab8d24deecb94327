"""One process at a time owns a database."""

import fcntl
import os
from pathlib import Path
from typing import Final

from segeld.jobqueue.sqlite.refusals import DatabaseInUse

_RELEASED: Final = -1


class Lock:
    """Held until it is released or the process ends, however it ends."""

    def __init__(self, database: Path) -> None:
        """:raises DatabaseInUse: if another holds it."""
        self._descriptor = os.open(
            database.with_name(database.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise DatabaseInUse(database) from None
        except OSError:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """May be called again."""
        descriptor, self._descriptor = self._descriptor, _RELEASED
        if descriptor != _RELEASED:
            os.close(descriptor)
