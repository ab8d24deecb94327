"""What callers and the dispatcher look at. Nothing here writes, but for how far results were read."""

from collections.abc import Callable
from itertools import islice
from typing import Final, cast

import apsw

from segeld.jobqueue import codec
from segeld.jobqueue.codec import Damaged
from segeld.jobqueue.sqlite import block_rows, job_rows, leaf_rows
from segeld.jobqueue.sqlite.job_rows import JobRow
from segeld.jobqueue.sqlite.sieve import Sieve
from segeld.jobqueue.store import Block, Page
from segeld.model.counts import counted
from segeld.model.faults import Fault, Reason
from segeld.model.job import Ended, Failure, Job, JobFilter, Results
from segeld.model.job_state import SIGNABLE, JobState

LOOKED_AT: Final = 5000
"""Jobs of one page, those that are not wanted too: what the reader does at once stays short."""
_UNREADABLE: Final = {
    JobState.OPEN: "seal it first",
    JobState.HELD: "it waits for an approver",
    JobState.REJECTED: "it was rejected",
}
_ABOVE_ALL: Final = 1 << 30
"""No id reaches it."""
_UNFINISHED: Final = {
    JobState.CANCELLED: Failure(Reason.CANCELLED, "The job was cancelled before this item was signed."),
    JobState.EXPIRED: Failure(Reason.DEADLINE_PASSED, "The job expired before this item was signed."),
}


def jobs_page(db: apsw.Connection, caller: str, wanted: JobFilter, before: int | None, limit: int) -> Page:
    """See `JobStore.jobs_page`."""
    # Without a filter each job that is looked at is found; a request_id is one job's, and has an index of its own.
    sifted = bool(wanted.states or wanted.key or wanted.labels) and not wanted.request_id
    last = _last_of_page(db, caller, before) if sifted else None
    sieve = Sieve(wanted)
    sieve.add("caller = ?", caller)
    if before is not None:
        sieve.add("id < ?", before)
    if last is not None:
        sieve.add("id >= ?", last)
    index = "" if wanted.request_id else "INDEXED BY job_of_caller"
    rest = f"{index} WHERE {sieve} ORDER BY id DESC LIMIT ?"
    found = tuple(row.job for row in job_rows.select(db, rest, (*sieve.bindings, limit + 1)))
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].id)
    return Page(found, last)


def _last_of_page(db: apsw.Connection, caller: str, before: int | None) -> int | None:
    """The oldest job to look at; None if that is the oldest of all."""
    ids = db.execute(
        "SELECT id FROM job INDEXED BY job_of_caller WHERE caller = ? AND id < ? ORDER BY id DESC LIMIT 2 OFFSET ?",
        (caller, _ABOVE_ALL if before is None else before, LOOKED_AT - 1),
    ).fetchall()
    if len(ids) < 2:
        return None
    (last,) = ids[0]
    return cast("int", last)


def usage(db: apsw.Connection, caller: str) -> tuple[int, int]:
    """See `JobStore.usage`."""
    found = db.execute(
        "SELECT (SELECT count(*) FROM job INDEXED BY job_in_use WHERE caller = :caller AND ended IS NULL),"
        " (SELECT coalesce(sum(count), 0) FROM job INDEXED BY job_items WHERE caller = :caller)",
        {"caller": caller},
    ).get
    return int(found[0]), int(found[1])


def items_unsigned(db: apsw.Connection) -> int:
    """See `JobStore.items_unsigned`."""
    unsigned = "SELECT coalesce(sum(count - signed - failed), 0) FROM job INDEXED BY job_unsigned WHERE ended IS NULL"
    found: int = db.execute(unsigned).get
    return found


def signable(
    db: apsw.Connection, after: int, limit: int, damaged: Callable[[Damaged], None]
) -> tuple[Job, ...]:
    """See `JobStore.signable`."""
    rest = "WHERE state IN ('queued', 'running') AND paused IS NULL AND id > ? ORDER BY id"
    return tuple(row.job for row in islice(job_rows.sound(db, rest, (after,), damaged), limit))


def block(db: apsw.Connection, job: int, offset: int) -> Block | None:
    """See `JobStore.block`."""
    row = job_rows.by_id(db, job)
    if row is None or row.job.state not in SIGNABLE:
        return None
    return block_rows.first_waiting(db, job, offset)


def results(db: apsw.Connection, row: JobRow, offset: int) -> Results:
    """See `JobStore.results`."""
    job = row.job
    if job.state in _UNREADABLE:
        text = f"{job.name} is {job.state} and has no results: {_UNREADABLE[job.state]}."
        raise Fault(Reason.JOB_STATE, text, job=str(job.name), state=str(job.state))
    if not 0 <= offset <= job.count:
        text = f"{job.name} has {counted(job.count, 'item')}; there is nothing at {offset}."
        raise Fault(Reason.OFFSET_OUT_OF_RANGE, text, field="offset", committed=str(job.count))
    if offset == job.count:
        return Results(offset, (), ())
    (span,) = block_rows.spans(db, job.id, offset, offset + 1)
    ended = codec.ended(block_rows.outcomes(db, span.id), leaf_rows.log(db))
    rest = _UNFINISHED.get(job.state)
    found: list[Ended] = []
    for place in range(offset - span.first, span.count):
        outcome = ended.get(place, rest)
        if outcome is None:
            break
        found.append(outcome)
    ids = block_rows.items(db, span.id).ids[offset - span.first :][: len(found)]
    return Results(offset, ids if any(ids) else (), tuple(found))


def note_read(db: apsw.Connection, row: JobRow, offset: int) -> None:
    """See `JobStore.note_read`."""
    read = min(offset, row.job.count)
    if read > row.job.read:
        job_rows.update(db, row.changed(read=read))
