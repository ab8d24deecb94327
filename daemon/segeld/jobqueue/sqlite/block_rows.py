"""Blocks: how a job's items lie in rows, which of them have ended, and which wait."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import apsw

from segeld.jobqueue import codec
from segeld.jobqueue.codec import Damaged, Outcomes
from segeld.jobqueue.store import Block
from segeld.model.algorithm import Algorithm
from segeld.model.job import BLOCK, Items

FULL_OCTETS: Final = 256 * 1024
"""With the item that reaches this, a block ends."""
_OFFSET: Final = 0xFFFFFFFF


def block_id(job: int, first: int) -> int:
    return job << 32 | first


def first_of(block: int) -> int:
    return block & _OFFSET


@dataclass(frozen=True, slots=True)
class Span:
    """Where a block lies."""

    id: int
    count: int

    @property
    def first(self) -> int:
        return first_of(self.id)

    @property
    def end(self) -> int:
        return self.first + self.count


def spans(db: apsw.Connection, job: int, first: int, end: int) -> list[Span]:
    """The blocks in which the items from `first` to before `end` lie."""
    found = db.execute(
        "SELECT id, count FROM block WHERE id < ? AND id >= coalesce("
        "(SELECT id FROM block WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1), ?) ORDER BY id",
        (block_id(job, end), block_id(job, 0), block_id(job, first), block_id(job, first)),
    )
    return [span for span in (Span(*row) for row in found) if span.end > first]


def items(db: apsw.Connection, block: int) -> Items:
    """:raises Damaged: also if it is not there."""
    blob = db.execute("SELECT items FROM block WHERE id = ?", (block,)).get
    if blob is None:
        raise Damaged(f"block {block:#x} is missing")
    return codec.decode_items(block, blob)


def outcomes(db: apsw.Connection, block: int) -> Outcomes:
    """What came of its items so far."""
    blob = db.execute("SELECT outcomes FROM block WHERE id = ?", (block,)).get
    return codec.decode_outcomes(block, blob) if blob is not None else codec.merged(pieces(db, block))


def pieces(db: apsw.Connection, block: int) -> Iterator[Outcomes]:
    for ended, blob in db.execute("SELECT ended, data FROM piece WHERE block = ?", (block,)):
        piece = codec.decode_outcomes(block, blob)
        if piece.count != ended:
            raise Damaged(f"a piece of block {block:#x} is not what it was")
        yield piece


def waiting(db: apsw.Connection, span: Span, job: int) -> list[int]:
    """Offsets in the job of items without an outcome that no claim holds."""
    if db.execute("SELECT outcomes IS NOT NULL FROM block WHERE id = ?", (span.id,)).get:
        return []
    begin = span.first
    taken = {begin + offset for piece in pieces(db, span.id) for offset in codec.offsets(piece)}
    claims = db.execute(
        "SELECT first, count FROM claimed WHERE job = ? AND first < ? AND first + count > ?",
        (job, span.end, begin),
    )
    for first, count in claims:
        taken.update(range(first, first + count))
    return [offset for offset in range(begin, span.end) if offset not in taken]


def first_waiting(db: apsw.Connection, job: int, offset: int) -> Block | None:
    """The first block at or after the one that holds `offset` in which something waits."""
    holding = spans(db, job, offset, offset + 1)
    unfinished = db.execute(
        "SELECT id, count FROM block INDEXED BY block_unfinished WHERE outcomes IS NULL AND id >= ? AND id < ?"
        " ORDER BY id",
        (holding[0].id if holding else block_id(job, offset), block_id(job + 1, 0)),
    )
    for row in unfinished:
        span = Span(*row)
        if found := waiting(db, span, job):
            return Block(span.first, items(db, span.id).inputs, tuple(found), _lost(db, job, span))
    return None


def _lost(db: apsw.Connection, job: int, span: Span) -> tuple[int, ...]:
    found = db.execute(
        "SELECT offset, attempts FROM lost_item WHERE job = ? AND offset >= ? AND offset < ? ORDER BY offset",
        (job, span.first, span.end),
    )
    return tuple(offset for offset, attempts in found for _ in range(attempts))


def hash_of(inputs: Sequence[bytes], algorithm: Algorithm) -> bytes:
    """A block's share of `Job.items_hash`. Messages go in by their hashes, so that their borders are part of it."""
    if algorithm.digest_size is None:
        inputs = [hashlib.sha256(message).digest() for message in inputs]
    return hashlib.sha256(b"".join(inputs)).digest()


def chained(chain: bytes, block_hash: bytes) -> bytes:
    return hashlib.sha256(chain + block_hash).digest()


def is_full(inputs: Sequence[bytes]) -> bool:
    return len(inputs) == BLOCK or sum(map(len, inputs)) >= FULL_OCTETS
