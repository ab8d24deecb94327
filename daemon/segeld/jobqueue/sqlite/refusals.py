"""Why a database is not opened. Each text says what to do."""

from pathlib import Path


class DatabaseRefused(OSError):
    """The daemon does not start with this database."""


class DatabaseInUse(DatabaseRefused):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is in use: another segeld, or a restore, runs on the same state_dir. Stop it first."
        )


class DatabaseDamaged(DatabaseRefused):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is damaged ({why}). Nothing was changed. Keep a copy of the file, look at the disk, and put the "
            "last backup in its place with: segeld restore FILE"
        )


class DatabaseTooNew(DatabaseRefused):
    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path} was written by a newer segeld (schema {found}; this one knows {known}). Install that version again, "
            "or restore a backup from before it."
        )


class SqliteTooOld(DatabaseRefused):
    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(
            f"SQLite {found} is too old: before {wanted} two connections could damage a database. Install apsw {wanted} "
            "or later."
        )
