"""Outcomes reach a job: kept with its blocks, counted, and the last one ends it."""

from collections.abc import Mapping

import apsw

from segeld.jobqueue import codec
from segeld.jobqueue.codec import Damaged, Fail, Outcomes, Run
from segeld.jobqueue.sqlite import block_rows, job_rows, steering
from segeld.jobqueue.sqlite.block_rows import Span
from segeld.jobqueue.sqlite.job_rows import JobRow
from segeld.model.counts import counted, fitting
from segeld.model.job import Job
from segeld.model.job_state import JobState


def finish_items(db: apsw.Connection, job: int, outcomes: Outcomes, at: float) -> Job:
    """:param outcomes: by offset in the job. May be none, if a claim brought nothing."""
    row = job_rows.by_id(db, job)
    if row is None:
        raise Damaged(f"job {job} is gone, and a token held some of it")
    if outcomes.count:
        _keep(db, job, outcomes)
    failed = len(outcomes.failed)
    signed = outcomes.count - failed
    row = row.changed(signed=row.job.signed + signed, failed=row.job.failed + failed)
    row = _ended(db, row, at)
    job_rows.update(db, row)
    return row.job


def _ended(db: apsw.Connection, row: JobRow, at: float) -> JobRow:
    job = row.job
    if row.towards is not None:
        return row if steering.is_held(db, job.id) else row.moved(row.towards, at, job.reason)
    if job.signed + job.failed < job.count:
        return row
    if not job.failed:
        return row.moved(JobState.SUCCEEDED, at)
    return row.moved(
        JobState.FAILED,
        at,
        f"{job.failed} of {counted(job.count, 'item')} {fitting(job.failed, 'has', 'have')} no signature.",
    )


def _keep(db: apsw.Connection, job: int, outcomes: Outcomes) -> None:
    ends = [run.offset + len(run.signatures) for run in outcomes.signed]
    ends += [fail.offset + 1 for fail in outcomes.failed]
    firsts = [run.offset for run in outcomes.signed] + [fail.offset for fail in outcomes.failed]
    for span in block_rows.spans(db, job, min(firsts), max(ends)):
        piece = _within(outcomes, span)
        if piece.count:
            _keep_piece(db, span, piece)


def _keep_piece(db: apsw.Connection, span: Span, piece: Outcomes) -> None:
    """With the others of its block; the one that finishes the block takes them all into its row."""
    before = db.execute("SELECT coalesce(sum(ended), 0) FROM piece WHERE block = ?", (span.id,)).get
    ended = before + piece.count
    if ended > span.count:
        raise Damaged(f"block {span.id:#x} has more outcomes than items")
    if ended < span.count:
        db.execute(
            "INSERT INTO piece (block, ended, data) VALUES (?, ?, ?)",
            (span.id, piece.count, codec.encode_outcomes(span.id, piece)),
        )
        return
    whole = codec.merged([*block_rows.pieces(db, span.id), piece])
    if len(codec.offsets(whole)) != span.count:
        raise Damaged(f"block {span.id:#x} has two outcomes for one item")
    db.execute("UPDATE block SET outcomes = ? WHERE id = ?", (codec.encode_outcomes(span.id, whole), span.id))
    if before:
        db.execute("DELETE FROM piece WHERE block = ?", (span.id,))


def _within(outcomes: Outcomes, span: Span) -> Outcomes:
    """Those in one block, by offset in it."""
    runs: list[Run] = []
    for run in outcomes.signed:
        begin = max(span.first - run.offset, 0)
        signatures = run.signatures[begin : max(span.end - run.offset, 0)]
        if signatures:
            runs.append(Run(run.offset + begin - span.first, run.leaf, run.position + begin, signatures))
    fails = [
        Fail(fail.offset - span.first, fail.reason, fail.text)
        for fail in outcomes.failed
        if span.first <= fail.offset < span.end
    ]
    return Outcomes(tuple(runs), tuple(fails))


def lost_items(db: apsw.Connection, job: int, first: int, end: int) -> dict[int, int]:
    """Attempts by offset."""
    return dict(
        db.execute(
            "SELECT offset, attempts FROM lost_item WHERE job = ? AND offset >= ? AND offset < ?",
            (job, first, end),
        )
    )


def note_lost_items(db: apsw.Connection, job: int, attempts: Mapping[int, int]) -> None:
    """:param attempts: by offset, all so far; 0 where the item has ended."""
    for offset, number in attempts.items():
        if number:
            db.execute("INSERT OR REPLACE INTO lost_item VALUES (?, ?, ?)", (job, offset, number))
        else:
            db.execute("DELETE FROM lost_item WHERE job = ? AND offset = ?", (job, offset))
