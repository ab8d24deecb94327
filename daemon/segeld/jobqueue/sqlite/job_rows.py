"""Rows of the table `job`: read, checked, changed and written here alone."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final

import apsw
import msgspec

from segeld.jobqueue.codec import Damaged, checksum_of
from segeld.model.algorithm import BY_NUMBER, EcdsaEncoding
from segeld.model.faults import Fault, Reason
from segeld.model.job import Job, JobSpec
from segeld.model.job_state import FINAL, MOVES, JobState
from segeld.model.kind import Kind
from segeld.model.names import JobName, KeyName
from segeld.model.person import Person
from segeld.model.priority import Priority

_COLUMNS: Final = (
    "name, caller, request_id, key, algorithm, encoding, priority, labels, deadline, retention, approval, state, towards,"
    " reason, count, signed, failed, read, chain, items_hash, created, sealed, started, ended, expires,"
    " paused, decided_by, decided, created_by, created_with"
)
_CHANGING: Final = (
    "state",
    "towards",
    "reason",
    "count",
    "signed",
    "failed",
    "read",
    "chain",
    "items_hash",
    "sealed",
    "started",
    "ended",
    "expires",
    "paused",
    "decided_by",
    "decided",
)
_LATER: Final = (2, 3)
"""Columns of version 4, the last ones, and of version 3, those before: rows of an older version have nothing there, and a
checksum over the others."""
_SELECT: Final = f"SELECT id, {_COLUMNS}, checksum FROM job"  # noqa: S608  # names of columns
_INSERT: Final = f"INSERT INTO job (id, {_COLUMNS}, checksum) VALUES ({', '.join('?' * 32)})"  # noqa: S608  # as above
_UPDATE: Final = f"UPDATE job SET {', '.join(f'{name} = ?' for name in _CHANGING)}, checksum = ? WHERE id = ?"  # noqa: S608


class WrongMove(Exception):
    """A state does not follow another: a fault of this program."""


@dataclasses.dataclass(frozen=True, slots=True)
class JobRow:
    """A job, and what only the database needs."""

    job: Job
    chain: bytes
    """Over the blocks that are complete; see `Job.items_hash`."""
    towards: JobState | None = None
    """Where ENDING leads."""

    def changed(self, **changes: Any) -> "JobRow":
        return JobRow(dataclasses.replace(self.job, **changes), self.chain, self.towards)

    def moved(self, to: JobState, at: float, reason: str = "") -> "JobRow":
        """Every move of every job.

        :raises WrongMove: if the state does not follow.
        """
        job = self.job
        if to not in MOVES[job.state]:
            raise WrongMove(f"{job.name} is {job.state} and cannot become {to}")
        over = to in FINAL
        changed = dataclasses.replace(
            job,
            state=to,
            reason=reason,
            started=at if to is JobState.RUNNING and job.started is None else job.started,
            ended=at if over else None,
            expires=at + job.spec.retention if over else None,
        )
        return JobRow(changed, self.chain)


def find(db: apsw.Connection, caller: str | None, name: JobName) -> JobRow:
    """:param caller: whose it must be; None for whoever's.

    :raises Fault: JOB_NOT_FOUND.
    """
    for row in select(db, "WHERE name = ?", (name.token,)):
        if caller in (None, row.job.spec.caller):
            return row
    raise not_found(name)


def not_found(name: JobName | None = None) -> Fault:
    text = "There is no such job, or it is not yours."
    return Fault(Reason.JOB_NOT_FOUND, text, job="" if name is None else str(name))


def by_id(db: apsw.Connection, job: int) -> JobRow | None:
    return next(select(db, "WHERE id = ?", (job,)), None)


def select(db: apsw.Connection, rest: str, bindings: tuple[Any, ...]) -> Iterator[JobRow]:
    """:param rest: what follows FROM job."""
    return map(_row, db.execute(f"{_SELECT} {rest}", bindings))


def sound(
    db: apsw.Connection, rest: str, bindings: tuple[Any, ...], damaged: Callable[[Damaged], None]
) -> Iterator[JobRow]:
    """As `select`, for who must go on with the others when one is damaged.

    :param damaged: told of each row that was left out.
    """
    for columns in db.execute(f"{_SELECT} {rest}", bindings):
        try:
            row = _row(columns)
        except Damaged as error:
            damaged(error)
        else:
            yield row


def insert(db: apsw.Connection, row: JobRow) -> None:
    values = _values(row)
    db.execute(_INSERT, (row.job.id, *values, _checksum(row.job.id, values)))


def update(db: apsw.Connection, row: JobRow) -> None:
    """Writes all that can change of a job."""
    values = _values(row)
    db.execute(_UPDATE, (*values[11:20], *values[21:28], _checksum(row.job.id, values), row.job.id))


def _checksum(job: int, values: tuple[Any, ...]) -> int:
    for later in _LATER:
        if any(value is not None for value in values[-later:]):
            break
        values = values[:-later]
    return checksum_of(job, values)


def _values(row: JobRow) -> tuple[Any, ...]:
    job, spec = row.job, row.job.spec
    return (
        job.name.token,
        spec.caller,
        spec.request_id,
        spec.kind.key.fingerprint,
        spec.kind.algorithm.number,
        str(spec.kind.encoding),
        int(spec.priority),
        labels_text(spec.labels),
        float(spec.deadline),
        float(spec.retention),
        int(spec.approval),
        str(resumed(job) if job.state is JobState.PAUSED else job.state),
        None if row.towards is None else str(row.towards),
        job.reason,
        job.count,
        job.signed,
        job.failed,
        job.read,
        row.chain,
        job.items_hash,
        float(job.created),
        _time(job.sealed),
        _time(job.started),
        _time(job.ended),
        _time(job.expires),
        1 if job.state is JobState.PAUSED else None,
        job.decided_by or None,
        _time(job.decided),
        spec.created_by.identity if spec.created_by else None,
        spec.created_by.fingerprint if spec.created_by else None,
    )


def resumed(job: Job) -> JobState:
    """Where a pause leads back to. The column `state` holds it meanwhile."""
    return JobState.QUEUED if job.started is None else JobState.RUNNING


def _row(columns: tuple[Any, ...]) -> JobRow:
    number, *values, checksum = columns
    if _checksum(number, tuple(values)) != checksum:
        raise Damaged(f"the checksum of job {number} is wrong")
    (
        name, caller, request_id, key, algorithm, encoding, priority, labels, deadline, retention, approval, state,
        towards, reason, count, signed, failed, read, chain, items_hash, created, sealed, started, ended, expires,
        paused, decided_by, decided, created_by, created_with,
    ) = values  # fmt: skip
    spec = JobSpec(
        caller,
        request_id,
        Kind(KeyName(key), BY_NUMBER[algorithm], EcdsaEncoding(encoding)),
        Priority(priority),
        tuple(msgspec.json.decode(labels, type=dict[str, str]).items()),
        deadline,
        retention,
        bool(approval),
        None if created_by is None else Person(caller, created_by, created_with),
    )
    job = Job(
        number, JobName(name), spec, JobState.PAUSED if paused else JobState(state), reason, count, signed, failed,
        items_hash, read, created, sealed, started, ended, expires, decided_by or "", decided,
    )  # fmt: skip
    return JobRow(job, chain, None if towards is None else JobState(towards))


def labels_text(labels: tuple[tuple[str, str], ...]) -> str:
    return msgspec.json.encode(dict(labels)).decode()


def _time(value: float | None) -> float | None:
    return None if value is None else float(value)
