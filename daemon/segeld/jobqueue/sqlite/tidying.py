"""Upkeep, in slices: none of them keeps a claim waiting for long.

A job that is damaged is told of and left as it is. It does not count towards a slice: many of them stop nothing either.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

import apsw

from segeld.jobqueue.codec import Damaged
from segeld.jobqueue.sqlite import block_rows, job_rows, steering
from segeld.model.job import Job

SLICE: Final = 128
"""Jobs, answers or tombstones of one transaction."""
BLOCKS: Final = 64
"""Blocks of one transaction: 5 MB of signatures."""
_SOON: Final = 3 * 24 * 3600.0
_FREE_PAGES: Final = 16_384
"""64 MiB that are free in the file are left for what comes; of more than that, half of the file, the rest is given
back."""
_GIVEN_BACK: Final = 1024


def expire(db: apsw.Connection, at: float, damaged: Callable[[Damaged], None]) -> tuple[Job, ...]:
    """Ends jobs whose time is over; at most `SLICE` past their deadline, and as many that were never sealed."""
    past = "WHERE ended IS NULL AND state <> 'ending' AND deadline <= ? ORDER BY deadline"
    left = "WHERE expires <= ? AND state = 'open' AND deadline > ? ORDER BY expires"
    late = [
        *islice(job_rows.sound(db, past, (at,), damaged), SLICE),
        *islice(job_rows.sound(db, left, (at, at), damaged), SLICE),
    ]
    return tuple(steering.expire(db, row, at) for row in late)


def remove(db: apsw.Connection, at: float, damaged: Callable[[Damaged], None]) -> tuple[Job, ...]:
    """Takes jobs out of sight that were kept long enough; at most `SLICE` of them."""
    rest = "WHERE expires <= ? AND ended IS NOT NULL ORDER BY expires"
    over = list(islice(job_rows.sound(db, rest, (at,), damaged), SLICE))
    for row in over:
        steering.bury(db, row.job, at)
    return tuple(row.job for row in over)


def sweep(db: apsw.Connection) -> bool:
    """Removes some of what is left of jobs that are gone; whether there is more."""
    job = db.execute("SELECT job FROM remains LIMIT 1").get
    if job is None:
        return False
    blocks = db.execute(
        "SELECT id FROM block WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (block_rows.block_id(job, 0), block_rows.block_id(job + 1, 0), BLOCKS),
    ).fetchall()
    for (block,) in blocks:
        db.execute("DELETE FROM piece WHERE block = ?", (block,))
        db.execute("DELETE FROM block WHERE id = ?", (block,))
    if len(blocks) < BLOCKS:
        db.execute("DELETE FROM lost_item WHERE job = ?", (job,))
        db.execute("DELETE FROM remains WHERE job = ?", (job,))
    return True


def prune(db: apsw.Connection, at: float) -> bool:
    """Removes some answers and tombstones whose time is over; whether there is more."""
    db.execute(
        "DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE expires <= ? LIMIT ?)", (at, SLICE)
    )
    answers = db.changes()
    db.execute(
        "DELETE FROM tombstone WHERE (caller, request_id) IN"
        " (SELECT caller, request_id FROM tombstone WHERE expires <= ? LIMIT ?)",
        (at, SLICE),
    )
    return answers == SLICE or db.changes() == SLICE


def give_back(db: apsw.Connection) -> bool:
    """Makes the file shorter, if much of it is free; whether to go on."""
    free = db.pragma("freelist_count")
    if free <= max(_FREE_PAGES, db.pragma("page_count") // 2):
        return False
    db.execute(f"PRAGMA incremental_vacuum({_GIVEN_BACK})").fetchall()
    return bool(db.pragma("freelist_count") < free)


def unread(db: apsw.Connection, at: float, damaged: Callable[[Damaged], None]) -> tuple[Job, ...]:
    """The next `SLICE` jobs that will be removed soon and have results that nobody read."""
    rest = (
        "WHERE expires <= ? AND ended IS NOT NULL AND read < count AND signed + failed > 0 ORDER BY expires"
    )
    return tuple(row.job for row in islice(job_rows.sound(db, rest, (at + _SOON,), damaged), SLICE))
