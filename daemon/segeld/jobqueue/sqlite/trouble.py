"""What is wrong with the database: told to whoever asked, to the log once, and to whoever watches over health."""

from collections.abc import Callable
from typing import Final

import apsw
import structlog

from segeld.jobqueue.codec import Damaged
from segeld.jobqueue.sqlite.place import Displaced
from segeld.jobqueue.store_faults import StoreBroken, StoreFull

_log: Final = structlog.get_logger(__name__)

DAMAGED: Final = "the database is damaged; see docs/database.md"
Told = Callable[[str | None], None]


class Trouble:
    """Trouble passes when something was written again; damage stays until a restart. Told from any thread."""

    def __init__(self, told: Told) -> None:
        """:param told: called with the new text whenever it changes."""
        self._told = told
        self._passing: str | None = None
        self._lasting: str | None = None

    @property
    def text(self) -> str | None:
        return self._lasting or self._passing

    def passed(self) -> None:
        """Something was written."""
        if self._passing is not None:
            self._passing = None
            _log.info("database can be written again")
            self._told(self.text)

    def damaged(self, error: Damaged) -> None:
        """Something was left out because it is damaged; the rest goes on."""
        self._note(f"{DAMAGED} ({error})", lasting=True)

    def fault_of(self, error: BaseException) -> BaseException:
        """What is raised for an error of the database; any other error as it is."""
        match error:
            case apsw.FullError():
                self._note("the disk is full", lasting=False)
                return StoreFull()
            case Displaced():
                self._note(str(error), lasting=False)
                return StoreBroken()
            case Damaged():
                self.damaged(error)
                return StoreBroken()
            case apsw.CorruptError() | apsw.NotADBError():
                self._note(f"{DAMAGED} ({error})", lasting=True)
                return StoreBroken()
            case apsw.ConstraintError() | apsw.SQLError() | apsw.MisuseError() | apsw.BindingsError():
                return error
            case apsw.Error() | OSError():
                self._note(f"the database cannot be used: {error}", lasting=False)
                return StoreBroken()
            case _:
                return error

    def _note(self, text: str, *, lasting: bool) -> None:
        before = self.text
        if lasting:
            self._lasting = self._lasting or text
        else:
            self._passing = text
        if self.text != before:
            _log.error("database trouble", why=text)
            self._told(self.text)
