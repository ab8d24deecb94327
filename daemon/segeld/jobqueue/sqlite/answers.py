"""Interactive requests with an id: what was asked, what came of it, and attempts that were lost."""

from collections.abc import Callable, Mapping

import apsw

from segeld.jobqueue import codec
from segeld.jobqueue.claims import Granted, Known, Refused, Request, Verdict
from segeld.jobqueue.codec import Damaged, Outcomes
from segeld.jobqueue.sqlite import leaf_rows
from segeld.model.faults import Fault, Reason
from segeld.model.job import Ended


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
        ended = outcomes(db, answer, _refuse)
        lost = lost_attempts(db, answer)
        if ended or lost:
            return 0, Known(
                tuple(sorted(ended.items())),
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


def outcomes(
    db: apsw.Connection, answer: int, damaged: Callable[[Damaged], None], among: range | None = None
) -> dict[int, Ended]:
    """By position. Where there should be two (of a segeld that did not look), the first one stands.

    :param damaged: told of what cannot be read, which is then left out unless it raises.
    :param among: positions that are asked for; there may be others too.
    """
    log = leaf_rows.log(db)
    found: dict[int, Ended] = {}
    for (blob,) in db.execute("SELECT data FROM answer_piece WHERE answer = ? ORDER BY id", (answer,)):
        try:
            piece = codec.decode_outcomes(answer, blob)
        except Damaged as error:
            damaged(error)
        else:
            if among is None or not codec.offsets(piece).isdisjoint(among):
                found = codec.ended(piece, log) | found
    return found


def keep(db: apsw.Connection, answer: int, new: Outcomes) -> None:
    """Nothing is kept of a request that has expired meanwhile.

    :param new: of positions that have none, see `outcomes`.
    """
    if new.count:
        blob = codec.encode_outcomes(answer, new)
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


def _refuse(error: Damaged) -> None:
    raise error


def _mismatch(request: Request) -> Fault:
    return Fault(
        Reason.IDEMPOTENCY_MISMATCH,
        "This request_id was used for something else. A new request needs a new request_id.",
        field="request_id",
        request_id=request.request_id,
    )
