"""The schema's versions: numbered files, applied in order, all in one transaction."""

from pathlib import Path
from typing import Final

import apsw

from segeld.jobqueue.sqlite.refusals import DatabaseTooNew

_FOLDER: Final = Path(__file__).parent / "migrations"


def migrations() -> list[str]:
    """The SQL that leads from each version to the next."""
    return [file.read_text() for file in sorted(_FOLDER.glob("*.sql"))]


def migrate(db: apsw.Connection, path: Path, steps: list[str]) -> None:
    """Brings the schema to the last version.

    :raises DatabaseTooNew: if it is past that.
    """
    version = db.pragma("user_version")
    if version > len(steps):
        raise DatabaseTooNew(path, version, len(steps))
    if version == len(steps):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[version:]:
            db.execute(step)
        db.pragma("user_version", len(steps))
    except apsw.Error:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
