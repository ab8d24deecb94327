"""What people do with a job as a whole: cancel, decide, delete; and what is written of it in the log."""

import time
from typing import Final

import apsw

from segeld.audit.leaf import Act
from segeld.jobqueue.sqlite import job_rows, leaf_rows
from segeld.jobqueue.sqlite.job_rows import JobRow
from segeld.model.faults import Fault, Reason
from segeld.model.job import Job
from segeld.model.job_state import FINAL, SIGNABLE, JobState

TOMBSTONE_SECONDS: Final = 7 * 24 * 3600.0


def cancel(db: apsw.Connection, row: JobRow, who: str, why: str = "") -> Job:
    """See `JobStore.cancel_job`, and `cancel_any`."""
    job = row.job
    if job.state in (JobState.CANCELLED, JobState.ENDING):
        return job
    if job.state in FINAL:
        raise _state(job, "It has ended already.")
    text = f"Cancelled by {who}: {why}" if why else f"Cancelled by {who}."
    row = end(db, row, JobState.CANCELLED, time.time(), text)
    _record(db, "job cancelled", who, row.job, text=why)
    return row.job


def pause(db: apsw.Connection, row: JobRow, who: str) -> Job:
    """See `JobStore.pause_job`."""
    if row.job.state is JobState.PAUSED:
        return row.job
    if row.job.state not in SIGNABLE:
        raise _state(row.job, "Only a job that is queued or running can be paused.")
    row = row.moved(JobState.PAUSED, time.time(), f"Paused by {who}.")
    job_rows.update(db, row)
    _record(db, "job paused", who, row.job)
    return row.job


def resume(db: apsw.Connection, row: JobRow, who: str) -> Job:
    """See `JobStore.resume_job`."""
    if row.job.state in SIGNABLE:
        return row.job
    if row.job.state is not JobState.PAUSED:
        raise _state(row.job, "Only a job that is paused can be resumed.")
    row = row.moved(job_rows.resumed(row.job), time.time())
    job_rows.update(db, row)
    _record(db, "job resumed", who, row.job)
    return row.job


def expire(db: apsw.Connection, row: JobRow, at: float) -> Job:
    """Its deadline passed, or it was never sealed."""
    late = row.job.spec.deadline <= at
    row = end(db, row, JobState.EXPIRED, at, "Its deadline passed." if late else "It was never sealed.")
    _record(db, "job expired", "", row.job)
    return row.job


def decide(db: apsw.Connection, row: JobRow, who: str, items_hash: bytes | None, text: str) -> Job:
    """See `JobStore.decide_job`."""
    job, at = row.job, time.time()
    if _is_decided_so(job, who, items_hash):
        return job
    if job.state is not JobState.HELD:
        raise _state(job, "Only a held job can be approved or rejected.")
    if items_hash is not None and items_hash != job.items_hash:
        raise Fault(
            Reason.ITEMS_CHANGED,
            f"{job.name} has other items than those that were looked at. Look again before you approve it.",
            field="items_hash",
            job=str(job.name),
        )
    row = (
        row.moved(JobState.REJECTED, at, text or f"Rejected by {who}.")
        if items_hash is None
        else row.moved(JobState.QUEUED, at)
    ).changed(decided_by=who, decided=at)
    job_rows.update(db, row)
    _record(db, "job rejected" if items_hash is None else "job approved", who, row.job, text=text)
    return row.job


def _is_decided_so(job: Job, who: str, items_hash: bytes | None) -> bool:
    """Whether this is the repetition of an answer that was lost on its way back."""
    if job.decided_by != who:
        return False
    if items_hash is None:
        return job.state is JobState.REJECTED
    return job.state is not JobState.REJECTED and items_hash == job.items_hash


def delete(db: apsw.Connection, row: JobRow) -> None:
    """See `JobStore.delete_job`. Its items go later, bit by bit."""
    if row.job.state is not JobState.OPEN and row.job.state not in FINAL:
        raise _state(row.job, "Cancel it first.")
    bury(db, row.job, time.time())


def bury(db: apsw.Connection, job: Job, at: float) -> None:
    """Takes a job out of sight; `tidy` removes the rest."""
    db.execute("DELETE FROM job WHERE id = ?", (job.id,))
    db.execute("INSERT INTO remains (job) VALUES (?)", (job.id,))
    db.execute(
        "INSERT OR REPLACE INTO tombstone (caller, request_id, expires) VALUES (?, ?, ?)",
        (job.spec.caller, job.spec.request_id, at + TOMBSTONE_SECONDS),
    )


def end(db: apsw.Connection, row: JobRow, to: JobState, at: float, reason: str) -> JobRow:
    """To a final state, or to ENDING while a token holds some of it."""
    if is_held(db, row.job.id):
        row = JobRow(row.moved(JobState.ENDING, at, reason).job, row.chain, to)
    else:
        row = row.moved(to, at, reason)
    job_rows.update(db, row)
    return row


def is_held(db: apsw.Connection, job: int) -> bool:
    """Whether a token holds some of it."""
    return db.execute("SELECT 1 FROM claimed WHERE job = ? LIMIT 1", (job,)).get is not None


def _state(job: Job, what: str) -> Fault:
    return Fault(
        Reason.JOB_STATE, f"{job.name} is {job.state}. {what}", job=str(job.name), state=str(job.state)
    )


def _record(db: apsw.Connection, what: str, who: str, job: Job, *, text: str = "") -> None:
    facts = {
        "caller": job.spec.caller,
        "items": str(job.count),
        "signed": str(job.signed),
        "failed": str(job.failed),
        "items_hash": job.items_hash.hex(),
        "text": text,
    }
    kept = {name: value for name, value in facts.items() if value}
    leaf_rows.append(db, Act(round(time.time() * 1000), what, who, str(job.name), kept))
