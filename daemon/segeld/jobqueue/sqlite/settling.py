"""A chunk comes back: its outcomes and their leaf, in one transaction. Whoever comes second finds no claim.

Two claims may hold the same input of a request: whoever waits for it gave up, and asked again. The first outcome that is
kept stands, so that nobody is ever given two signatures for one request.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import apsw

from segeld.audit.leaf import NOT_BEGUN, UNKNOWN, Outcome
from segeld.jobqueue import codec
from segeld.jobqueue.claims import ItemOutcome, NotBegun, Settled, StaleClaim, Unknown
from segeld.jobqueue.codec import ClaimedPart, Damaged, Fail, Outcomes, Run
from segeld.jobqueue.sqlite import answers, leaf_rows
from segeld.jobqueue.sqlite.finishing import finish_items, lost_items, note_lost_items
from segeld.model.faults import Reason
from segeld.model.job import Ended, Failure, Job
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
    given_up: list[Fail] = field(default_factory=list)
    """No attempt is left."""
    unsigned: list[tuple[int, str]] = field(default_factory=list)
    exhausted: list[int] = field(default_factory=list)
    lost: dict[int, int] = field(default_factory=dict)
    """Lost attempts that changed: 0 where the item has ended."""
    superseded: list[tuple[int, Ended]] = field(default_factory=list)

    @property
    def of_job(self) -> Outcomes:
        return Outcomes(tuple(self.runs), tuple(self.fails + self.given_up))

    @property
    def of_request(self) -> Outcomes:
        """Its Failures are not kept, for a repetition tries again; unless no attempt is left."""
        return Outcomes(tuple(self.runs), tuple(self.given_up))


def settle(
    db: apsw.Connection,
    claim: int,
    outcomes: Sequence[ItemOutcome],
    *,
    attempts: int,
    at: float,
    damaged: Callable[[Damaged], None],
) -> Settled:
    """See `JobStore.settle`.

    :param damaged: told of earlier outcomes of a request that cannot be read. They stop no settlement: the claim's other
        items would never end. A repetition of that request is refused.
    """
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
    superseded: list[tuple[int, Ended]] = []
    position = 0
    for part in chunk.parts:
        brought = outcomes[position : position + part.count]
        among = range(part.first, part.first + part.count)
        stands = answers.outcomes(db, part.answer, damaged, among) if part.answer else {}
        done = _sort(part, brought, position, stored, attempts, _lost(db, part), stands)
        unsigned += done.unsigned
        exhausted += done.exhausted
        superseded += done.superseded
        if part.job:
            jobs.setdefault(part.job, []).append(done.of_job)
            note_lost_items(db, part.job, done.lost)
        elif part.answer:
            answers.keep(db, part.answer, done.of_request)
            answers.note_lost(db, part.answer, done.lost)
        position += part.count
    hashes = b"".join(hashlib.sha256(value).digest() for value in outcomes if isinstance(value, bytes))
    leaf_rows.append(db, Outcome(round(at * 1000), claim, chunk.commitments, hashes, tuple(unsigned)))
    settled: list[Job] = [finish_items(db, job, codec.merged(found), at) for job, found in jobs.items()]
    return Settled(leaf, tuple(settled), tuple(exhausted), tuple(superseded))


def recover(
    db: apsw.Connection, attempts: Callable[[KeyName], int], at: float, damaged: Callable[[Damaged], None]
) -> int:
    """See `JobStore.recover`."""
    claims = list(db.execute("SELECT id, data FROM claim ORDER BY id"))
    for claim, blob in claims:
        chunk = codec.decode_claim(claim, blob)
        lost = [Unknown()] * sum(part.count for part in chunk.parts)
        settle(db, claim, lost, attempts=attempts(KeyName(chunk.key)), at=at, damaged=damaged)
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
    lost: Mapping[int, int],
    stands: Mapping[int, Ended],
) -> _Sorted:
    """:param position: of the part's first item in the leaf.
    :param stands: outcomes that were kept before, by offset.
    """
    done = _Sorted()
    signatures: list[bytes] = []

    def end_run(offset: int, after: int) -> None:
        if signatures:
            count = len(signatures)
            done.runs.append(Run(offset - count, leaf, after - count, tuple(signatures)))
            signatures.clear()

    for step, outcome in enumerate(outcomes):
        offset, place = part.first + step, position + step
        if offset in stands:
            end_run(offset, place)
            done.superseded.append((place, stands[offset]))
            if not isinstance(outcome, bytes):
                done.unsigned.append((place, _why(outcome)))
            continue
        if isinstance(outcome, bytes):
            signatures.append(outcome)
            if offset in lost:
                done.lost[offset] = 0
            continue
        end_run(offset, place)
        match outcome:
            case Unknown() if lost.get(offset, 0) + 1 < attempts:
                done.lost[offset] = lost.get(offset, 0) + 1
            case Unknown():
                done.exhausted.append(place)
                done.given_up.append(Fail(offset, _LOST.reason, _LOST.text))
                outcome = _LOST  # noqa: PLW2901  # that is what the leaf says of it
                if offset in lost:
                    done.lost[offset] = 0
            case Failure():
                done.fails.append(Fail(offset, outcome.reason, outcome.text))
                if offset in lost and part.job:  # a request's is not kept: its lost attempts still count
                    done.lost[offset] = 0
            case NotBegun():
                pass
        done.unsigned.append((place, _why(outcome)))
    end_run(part.first + len(outcomes), position + len(outcomes))
    return done


def _why(outcome: Failure | Unknown | NotBegun) -> str:
    """As the leaf says it."""
    match outcome:
        case NotBegun():
            return NOT_BEGUN
        case Unknown():
            return UNKNOWN
        case Failure():
            return str(outcome.reason)
