"""Jobs are made and sealed; a repetition finds what is there."""

import time

import apsw

from segeld.jobqueue.sqlite import appending, job_rows
from segeld.jobqueue.sqlite.job_rows import JobRow
from segeld.model.counts import counted
from segeld.model.faults import Fault, Reason
from segeld.model.job import Items, Job, JobSpec
from segeld.model.job_state import JobState
from segeld.model.names import JobName

_ANY = 1 << 32


def create(
    db: apsw.Connection, spec: JobSpec, items: Items, open_lifetime: float, *, seal: bool
) -> tuple[Job, bool]:
    """See `JobStore.create_job`.

    :param open_lifetime: seconds after which it expires if it is not sealed.
    """
    found = next(
        job_rows.select(db, "WHERE caller = ? AND request_id = ?", (spec.caller, spec.request_id)), None
    )
    if found is not None:
        return _again(db, found, spec, items, seal=seal), False
    at = time.time()
    buried = "SELECT 1 FROM tombstone WHERE caller = ? AND request_id = ? AND expires > ?"
    if db.execute(buried, (spec.caller, spec.request_id, at)).get:
        raise Fault(
            Reason.IDEMPOTENCY_MISMATCH,
            "The job of this request_id was removed. Use another request_id to sign its items again.",
            field="request_id",
        )
    if seal and not items.inputs:
        raise _empty()
    number = db.execute("SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'job'").get
    job = Job(
        id=number, name=JobName.new(), spec=spec, state=JobState.OPEN, reason="", count=0, signed=0, failed=0,
        items_hash=b"", read=0, created=at, expires=min(spec.deadline, at + open_lifetime),
    )  # fmt: skip
    row = JobRow(job, bytes(32))
    job_rows.insert(db, row)
    if items.inputs:
        row = appending.append(db, row, 0, items, _ANY)
    return (_sealed(db, row) if seal else row).job, True


def _again(db: apsw.Connection, row: JobRow, spec: JobSpec, items: Items, *, seal: bool) -> Job:
    job, there = row.job, row.job.spec
    if (there.kind, there.priority, there.labels, there.retention) != (
        spec.kind,
        spec.priority,
        spec.labels,
        spec.retention,
    ):
        raise appending.mismatch(
            f"{job.name} has another key, algorithm, priority, retention or labels.", job
        )
    count = len(items.inputs)
    if count > job.count or (seal and count != job.count):
        raise appending.mismatch(f"{job.name} has {counted(job.count, 'item')}, not {count}.", job)
    if count and appending.stretch(db, job.id, 0, count) != items:
        raise appending.mismatch(f"{job.name} has other items.", job)
    return (_sealed(db, row, approval=spec.approval) if seal and job.state is JobState.OPEN else row).job


def seal(db: apsw.Connection, row: JobRow, count: int, *, approval: bool = False) -> Job:
    """See `JobStore.seal_job`."""
    job = row.job
    if job.state is not JobState.OPEN and job.sealed is None:
        raise Fault(
            Reason.JOB_STATE,
            f"{job.name} is {job.state} and was never sealed.",
            job=str(job.name),
            state=str(job.state),
        )
    if count != job.count:
        raise Fault(
            Reason.OFFSET_OUT_OF_RANGE,
            f"{job.name} has {counted(job.count, 'item')}, not {count}.",
            field="item_count",
            committed=str(job.count),
        )
    return (row if job.sealed is not None else _sealed(db, row, approval=approval)).job


def _sealed(db: apsw.Connection, row: JobRow, *, approval: bool = False) -> JobRow:
    if not row.job.count:
        raise _empty()
    at = time.time()
    whole = appending.items_hash(db, row)
    held = approval or row.job.spec.approval
    row = row.moved(
        JobState.HELD if held else JobState.QUEUED, at, "It waits for an approver." if held else ""
    )
    row = row.changed(sealed=at, items_hash=whole)
    job_rows.update(db, row)
    return row


def _empty() -> Fault:
    return Fault(Reason.BATCH_EMPTY, "A job needs at least one item before it is sealed.", field="items")
