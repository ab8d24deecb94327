"""A chunk comes back: its outcomes and their leaf, in one transaction. Whoever comes second finds no claim."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import apsw

from segeld.audit.leaf import NOT_BEGUN, UNKNOWN, Outcome
from segeld.jobqueue import codec
from segeld.jobqueue.codec import ClaimedPart, Fail, Outcomes, Run
from segeld.jobqueue.sqlite import answers, leaf_rows
from segeld.jobqueue.sqlite.finishing import finish_items, lost_items, note_lost_items
from segeld.jobqueue.store import ItemOutcome, NotBegun, Settled, StaleClaim, Unknown
from segeld.model.faults import Reason
from segeld.model.job import Failure, Job
from segeld.model.names import KeyName

_LOST: Final = Failure(
    Reason.WORKER_LOST,
    "The token's worker was lost each time while it held this item; whether the token signed it is not known. "
    "No signature was released.",
)


@dataclass(slots=True)
class _Sorted:
    """The outcomes of one part, by what becomes of them. Offsets are those of its job or request."""

    runs: list[Run] = field(default_factory=list)
    fails: list[Fail] = field(default_factory=list)
    unsigned: list[tuple[int, str]] = field(default_factory=list)
    exhausted: list[int] = field(default_factory=list)
    lost: dict[int, int] = field(default_factory=dict)
    """Lost attempts that changed: 0 where the item has ended."""

    @property
    def outcomes(self) -> Outcomes:
        return Outcomes(tuple(self.runs), tuple(self.fails))


def settle(
    db: apsw.Connection, claim: int, outcomes: Sequence[ItemOutcome], *, attempts: int, at: float
) -> Settled:
    """See `JobStore.settle`."""
    blob = db.execute("SELECT data FROM claim WHERE id = ?", (claim,)).get
    if blob is None:
        raise StaleClaim(f"claim {claim} was settled before")
    chunk = codec.decode_claim(claim, blob)
    if len(outcomes) != sum(part.count for part in chunk.parts):
        raise ValueError(f"{len(outcomes)} outcomes for another number of items")
    db.execute("DELETE FROM claim WHERE id = ?", (claim,))
    leaf = leaf_rows.count(db)
    stored = codec.in_log(leaf_rows.log(db), leaf)
    jobs: dict[int, list[Outcomes]] = {}
    unsigned: list[tuple[int, str]] = []
    exhausted: list[int] = []
    position = 0
    for part in chunk.parts:
        done = _sort(
            part, outcomes[position : position + part.count], position, stored, attempts, _lost(db, part)
        )
        unsigned += done.unsigned
        exhausted += done.exhausted
        if part.job:
            jobs.setdefault(part.job, []).append(done.outcomes)
            note_lost_items(db, part.job, done.lost)
        elif part.answer:
            answers.keep(db, part.answer, done.outcomes)
            answers.note_lost(db, part.answer, done.lost)
        position += part.count
    hashes = b"".join(hashlib.sha256(value).digest() for value in outcomes if isinstance(value, bytes))
    leaf_rows.append(db, Outcome(round(at * 1000), claim, chunk.commitments, hashes, tuple(unsigned)))
    settled: list[Job] = [finish_items(db, job, codec.merged(found), at) for job, found in jobs.items()]
    return Settled(leaf, tuple(settled), tuple(exhausted))


def recover(db: apsw.Connection, attempts: Callable[[KeyName], int], at: float) -> int:
    """See `JobStore.recover`."""
    claims = list(db.execute("SELECT id, data FROM claim ORDER BY id"))
    for claim, blob in claims:
        chunk = codec.decode_claim(claim, blob)
        lost = [Unknown()] * sum(part.count for part in chunk.parts)
        settle(db, claim, lost, attempts=attempts(KeyName(chunk.key)), at=at)
    return len(claims)


def _lost(db: apsw.Connection, part: ClaimedPart) -> dict[int, int]:
    """Attempts lost before, by offset."""
    if part.job:
        return lost_items(db, part.job, part.first, part.first + part.count)
    return answers.lost_attempts(db, part.answer) if part.answer else {}


def _sort(
    part: ClaimedPart,
    outcomes: Sequence[ItemOutcome],
    position: int,
    leaf: int,
    attempts: int,
    lost: dict[int, int],
) -> _Sorted:
    """:param position: of the part's first item in the leaf."""
    done = _Sorted()
    signatures: list[bytes] = []

    def end_run(offset: int, after: int) -> None:
        if signatures:
            count = len(signatures)
            done.runs.append(Run(offset - count, leaf, after - count, tuple(signatures)))
            signatures.clear()

    for step, outcome in enumerate(outcomes):
        offset, place = part.first + step, position + step
        if isinstance(outcome, bytes):
            signatures.append(outcome)
            if offset in lost:
                done.lost[offset] = 0
            continue
        end_run(offset, place)
        match outcome:
            case NotBegun():
                done.unsigned.append((place, NOT_BEGUN))
            case Unknown() if lost.get(offset, 0) + 1 < attempts:
                done.lost[offset] = lost.get(offset, 0) + 1
                done.unsigned.append((place, UNKNOWN))
            case _:
                failure = _LOST if isinstance(outcome, Unknown) else outcome
                if isinstance(outcome, Unknown):
                    done.exhausted.append(place)
                if offset in lost:
                    done.lost[offset] = 0
                done.fails.append(Fail(offset, failure.reason, failure.text))
                done.unsigned.append((place, str(failure.reason)))
    end_run(part.first + len(outcomes), position + len(outcomes))
    return done
