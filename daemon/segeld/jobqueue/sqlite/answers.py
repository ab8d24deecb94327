"""Interactive requests with an id: what was asked, what was signed for it, and attempts that were lost."""

from collections.abc import Mapping

import apsw

from segeld.jobqueue import codec
from segeld.jobqueue.codec import Outcomes
from segeld.jobqueue.sqlite import leaf_rows
from segeld.jobqueue.store import Granted, Known, Refused, Request, Verdict
from segeld.model.faults import Fault, Reason


def look_up(db: apsw.Connection, request: Request, at: float) -> tuple[int, Verdict]:
    """The row of a request, if it is granted, and the verdict. Writes nothing: the row is 0 if there is none yet."""
    row = db.execute(
        "SELECT id, expires, data FROM answer WHERE caller = ? AND request_id = ?",
        (request.caller, request.request_id),
    ).get
    if row is None or row[1] <= at:
        return 0, Granted()
    answer, _, blob = row
    if codec.unseal(answer, blob) != request.content:
        return 0, Refused(_mismatch(request))
    if not request.told:
        signatures = _signatures(db, answer)
        lost = lost_attempts(db, answer)
        if signatures.signed or lost:
            return 0, Known(
                tuple(sorted(codec.ended(signatures, leaf_rows.log(db)).items())),
                tuple(position for position in sorted(lost) for _ in range(lost[position])),
            )
    return answer, Granted()


def remember(db: apsw.Connection, request: Request) -> int:
    """Writes the row of a request that has none; gives its id: a new one, as an older claim may still name the last."""
    key = request.caller, request.request_id
    db.execute("DELETE FROM answer WHERE caller = ? AND request_id = ?", key)  # one that has expired
    answer: int = db.execute(
        "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'answer'"
    ).get
    db.execute(
        "INSERT INTO answer (id, caller, request_id, count, expires, data) VALUES (?, ?, ?, ?, ?, ?)",
        (answer, *key, request.count, request.expires, codec.seal(answer, request.content)),
    )
    return answer


def keep(db: apsw.Connection, answer: int, outcomes: Outcomes) -> None:
    """Signatures only; Failures of requests are not kept. Nothing is, of a request that has expired meanwhile."""
    if outcomes.signed:
        blob = codec.encode_outcomes(answer, Outcomes(outcomes.signed))
        db.execute(
            "INSERT INTO answer_piece (answer, data) SELECT id, ? FROM answer WHERE id = ?", (blob, answer)
        )


def lost_attempts(db: apsw.Connection, answer: int) -> dict[int, int]:
    """Attempts by position."""
    return dict(db.execute("SELECT position, attempts FROM lost_input WHERE answer = ?", (answer,)))


def note_lost(db: apsw.Connection, answer: int, attempts: Mapping[int, int]) -> None:
    """:param attempts: by position, all so far; 0 where the input has ended."""
    for position, number in attempts.items():
        if number:
            db.execute(
                "INSERT OR REPLACE INTO lost_input SELECT id, ?, ? FROM answer WHERE id = ?",
                (position, number, answer),
            )
        else:
            db.execute("DELETE FROM lost_input WHERE answer = ? AND position = ?", (answer, position))


def _signatures(db: apsw.Connection, answer: int) -> Outcomes:
    blobs = db.execute("SELECT data FROM answer_piece WHERE answer = ?", (answer,))
    return codec.merged(codec.decode_outcomes(answer, blob) for (blob,) in blobs)


def _mismatch(request: Request) -> Fault:
    return Fault(
        Reason.IDEMPOTENCY_MISMATCH,
        "This request_id was used for something else. A new request needs a new request_id.",
        field="request_id",
        request_id=request.request_id,
    )
