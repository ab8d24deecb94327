"""The embedded database: one file, one writer."""

from segeld.jobqueue.sqlite.database import DatabaseDamaged, DatabaseInUse, DatabaseRefused, DatabaseTooNew
from segeld.jobqueue.sqlite.store import SqliteStore

__all__ = ["DatabaseDamaged", "DatabaseInUse", "DatabaseRefused", "DatabaseTooNew", "SqliteStore"]
