"""What callers and the dispatcher look at. Nothing here writes, but for how far results were read."""

from typing import Final

import apsw

from segeld.jobqueue import codec
from segeld.jobqueue.sqlite import block_rows, job_rows, leaf_rows
from segeld.jobqueue.sqlite.job_rows import JobRow
from segeld.jobqueue.store import Block
from segeld.model.faults import Fault, Reason
from segeld.model.job import Ended, Failure, Job, JobFilter, Results
from segeld.model.job_state import SIGNABLE, JobState

_UNREADABLE: Final = {
    JobState.OPEN: "seal it first",
    JobState.HELD: "it waits for an approver",
    JobState.REJECTED: "it was rejected",
}
_UNFINISHED: Final = {
    JobState.CANCELLED: Failure(Reason.CANCELLED, "The job was cancelled before this item was signed."),
    JobState.EXPIRED: Failure(Reason.DEADLINE_PASSED, "The job expired before this item was signed."),
}


def jobs(
    db: apsw.Connection, caller: str, wanted: JobFilter, before: int | None, limit: int
) -> tuple[Job, ...]:
    """See `JobStore.jobs`."""
    where: list[str] = ["caller = ?"]
    bindings: list[str | int | bytes] = [caller]
    if before is not None:
        where.append("id < ?")
        bindings.append(before)
    if wanted.states:
        where.append(f"state IN ({', '.join('?' * len(wanted.states))})")
        bindings += sorted(str(state) for state in wanted.states)
    if wanted.key is not None:
        where.append("key = ?")
        bindings.append(wanted.key.fingerprint)
    if wanted.request_id:
        where.append("request_id = ?")
        bindings.append(wanted.request_id)
    for name, value in wanted.labels:
        where.append("EXISTS (SELECT 1 FROM json_each(labels) WHERE key = ? AND value = ?)")
        bindings += [name, value]
    found = job_rows.select(db, f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", (*bindings, limit))
    return tuple(row.job for row in found)


def usage(db: apsw.Connection, caller: str) -> tuple[int, int]:
    """See `JobStore.usage`."""
    found = db.execute(
        "SELECT count(*), coalesce(sum(count), 0) FROM job INDEXED BY job_in_use WHERE caller = ? AND ended IS NULL",
        (caller,),
    ).get
    return int(found[0]), int(found[1])


def signable(db: apsw.Connection, after: int, limit: int) -> tuple[Job, ...]:
    """See `JobStore.signable`."""
    rest = "WHERE state IN ('queued', 'running') AND id > ? ORDER BY id LIMIT ?"
    return tuple(row.job for row in job_rows.select(db, rest, (after, limit)))


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
        text = f"{job.name} has {job.count} items; there is nothing at {offset}."
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
