"""The embedded database: one file, one writer."""

from segeld.jobqueue.sqlite.backup import back_up, restore
from segeld.jobqueue.sqlite.refusals import DatabaseDamaged, DatabaseInUse, DatabaseRefused, DatabaseTooNew
from segeld.jobqueue.sqlite.store import FILE, SqliteStore

__all__ = [
    "FILE",
    "DatabaseDamaged",
    "DatabaseInUse",
    "DatabaseRefused",
    "DatabaseTooNew",
    "SqliteStore",
    "back_up",
    "restore",
]
