"""Items enter a job: packed into blocks, hashed, once."""

import apsw

from segeld.jobqueue import codec
from segeld.jobqueue.sqlite import block_rows
from segeld.jobqueue.sqlite.job_rows import JobRow, update
from segeld.model.counts import counted
from segeld.model.faults import Fault, Reason
from segeld.model.job import BLOCK, Items, Job
from segeld.model.job_state import JobState


def append(db: apsw.Connection, row: JobRow, offset: int, items: Items, limit: int) -> JobRow:
    """See `JobStore.append_items`."""
    job, count = row.job, row.job.count
    end = offset + len(items.inputs)
    if 0 <= offset < end <= count:
        if stretch(db, job.id, offset, end) != items:
            raise mismatch(f"{job.name} has other items from {offset} on.", job)
        return row
    if job.state is not JobState.OPEN:
        raise Fault(
            Reason.JOB_STATE,
            f"{job.name} is {job.state} and takes no more items.",
            job=str(job.name),
            state=str(job.state),
        )
    if offset != count:
        raise Fault(
            Reason.OFFSET_OUT_OF_RANGE,
            f"{job.name} has {counted(count, 'item')}: go on from there, or send some that are there just as they are.",
            field="offset",
            committed=str(count),
            offset=str(offset),
        )
    if end > limit:
        raise Fault(
            Reason.JOB_TOO_LARGE,
            f"A job may have {counted(limit, 'item')}. Make another for the rest.",
            field="items",
            limit=str(limit),
        )
    if not items.inputs:
        return row
    row = _fill(db, row, items)
    update(db, row)
    return row


def stretch(db: apsw.Connection, job: int, first: int, end: int) -> Items:
    """Items as they are, over the borders of blocks."""
    inputs: list[bytes] = []
    ids: list[str] = []
    for span in block_rows.spans(db, job, first, end):
        found = block_rows.items(db, span.id)
        part = slice(max(first - span.first, 0), end - span.first)
        inputs += found.inputs[part]
        ids += found.ids[part] or [""] * len(found.inputs[part])
    return Items(tuple(inputs), tuple(ids) if any(ids) else ())


def items_hash(db: apsw.Connection, row: JobRow) -> bytes:
    """The chain over all of its blocks; the last may not be full."""
    last = _last(db, row.job)
    if last is None or block_rows.is_full(last[1].inputs):
        return row.chain
    return block_rows.chained(row.chain, block_rows.hash_of(last[1].inputs, row.job.spec.kind.algorithm))


def mismatch(text: str, job: Job) -> Fault:
    return Fault(
        Reason.IDEMPOTENCY_MISMATCH,
        f"{text} The same request_id, or offset, must come with the same content.",
        job=str(job.name),
    )


def _last(db: apsw.Connection, job: Job) -> tuple[int, Items] | None:
    found = block_rows.spans(db, job.id, job.count - 1, job.count) if job.count else []
    return (found[-1].id, block_rows.items(db, found[-1].id)) if found else None


def _fill(db: apsw.Connection, row: JobRow, items: Items) -> JobRow:
    job, chain, algorithm = row.job, row.chain, row.job.spec.kind.algorithm
    first = job.count
    begun = _last(db, job)
    if begun is not None and not block_rows.is_full(begun[1].inputs):
        first = block_rows.first_of(begun[0])
        items = _joined(begun[1], items)
    rows: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(items.inputs):
        end = _end(items.inputs, at)
        piece = Items(items.inputs[at:end], _kept(items.ids[at:end]))
        block = block_rows.block_id(job.id, first + at)
        rows.append((block, len(piece.inputs), codec.encode_items(block, piece)))
        if block_rows.is_full(piece.inputs):
            chain = block_rows.chained(chain, block_rows.hash_of(piece.inputs, algorithm))
        at = end
    db.executemany(
        "INSERT INTO block (id, count, items) VALUES (?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET count = excluded.count, items = excluded.items",
        rows,
    )
    return JobRow(row.changed(count=first + len(items.inputs)).job, chain)


def _end(inputs: tuple[bytes, ...], at: int) -> int:
    """Where the block that begins at `at` ends."""
    end = min(at + BLOCK, len(inputs))
    octets = list(map(len, inputs[at:end]))
    if sum(octets) < block_rows.FULL_OCTETS:
        return end
    total = 0
    for number, size in enumerate(octets, 1):
        total += size
        if total >= block_rows.FULL_OCTETS:
            return at + number
    return end


def _joined(before: Items, after: Items) -> Items:
    ids: tuple[str, ...] = ()
    if before.ids or after.ids:
        ids = (before.ids or ("",) * len(before.inputs)) + (after.ids or ("",) * len(after.inputs))
    return Items(before.inputs + after.inputs, ids)


def _kept(ids: tuple[str, ...]) -> tuple[str, ...]:
    return ids if any(ids) else ()
