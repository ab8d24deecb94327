"""A chunk goes to a token: the intent, and what says who holds it, in one transaction."""

from collections.abc import Sequence
from typing import Final

import apsw

from segeld.audit.leaf import HASH, Commitments, Intent, PartRange
from segeld.jobqueue import codec
from segeld.jobqueue.claims import (
    MAX_CLAIM_ITEMS,
    MAX_CLAIM_PARTS,
    Claim,
    Claimed,
    Granted,
    Part,
    Refused,
    Request,
    Verdict,
)
from segeld.jobqueue.codec import ClaimedChunk, ClaimedPart
from segeld.jobqueue.sqlite import answers, block_rows, job_rows, leaf_rows
from segeld.jobqueue.sqlite.job_rows import JobRow
from segeld.model.faults import Fault, Reason
from segeld.model.job_state import SIGNABLE, JobState

NOTHING: Final = -1


def claim(db: apsw.Connection, wanted: Claim, commitments: Commitments) -> Claimed:
    """See `JobStore.claim`."""
    _check_size(wanted)
    verdicts: list[Verdict] = []
    granted: list[tuple[Part, bytes, int]] = []
    jobs: dict[int, JobRow] = {}
    for part in wanted.parts:
        row = 0
        match part.work:
            case int(job):
                verdict = _of_job(db, job, part, wanted.at, jobs)
            case Request() as request:
                row, verdict = answers.look_up(db, request, wanted.at)
            case _:
                verdict = Granted()
        verdicts.append(verdict)
        if isinstance(verdict, Granted):
            granted.append((part, b"".join(map(commitments.of, part.inputs)), row))
    if not granted:
        return Claimed(NOTHING, tuple(verdicts))
    index = leaf_rows.append(db, _intent(wanted, granted, jobs, commitments))
    _hold(db, index, wanted, granted)
    for found in jobs.values():
        if found.job.state is JobState.QUEUED:
            job_rows.update(db, found.moved(JobState.RUNNING, wanted.at))
    return Claimed(index, tuple(verdicts))


def _check_size(wanted: Claim) -> None:
    if (
        len(wanted.parts) > MAX_CLAIM_PARTS
        or sum(len(part.inputs) for part in wanted.parts) > MAX_CLAIM_ITEMS
    ):
        raise ValueError("a claim with more parts or items than its leaves can hold")
    if not all(part.inputs for part in wanted.parts):
        raise ValueError("a claim with an empty part")


def _of_job(db: apsw.Connection, job: int, part: Part, at: float, jobs: dict[int, JobRow]) -> Verdict:
    found = jobs.get(job) or job_rows.by_id(db, job)
    if found is None:
        return Refused(job_rows.not_found())
    state = found.job.state
    if state is JobState.PAUSED:
        text = f"{found.job.name} is paused: nothing of it is signed until it is resumed."
        return Refused(Fault(Reason.JOB_STATE, text, job=str(found.job.name), state=str(state)), later=True)
    if state not in SIGNABLE:
        text = f"{found.job.name} is {state}: nothing of it is signed now."
        return Refused(Fault(Reason.JOB_STATE, text, job=str(found.job.name), state=str(state)))
    if found.job.spec.deadline <= at:
        text = f"The deadline of {found.job.name} has passed."
        return Refused(Fault(Reason.DEADLINE_PASSED, text, job=str(found.job.name)))
    end = part.first + len(part.inputs)
    spans = block_rows.spans(db, job, part.first, end)
    free = {offset for span in spans for offset in block_rows.waiting(db, span, job)}
    if not free.issuperset(range(part.first, end)):
        raise ValueError(f"items {part.first} to {end - 1} of {found.job.name} do not all wait")
    jobs[job] = found
    return Granted()


def _intent(
    wanted: Claim,
    granted: Sequence[tuple[Part, bytes, int]],
    jobs: dict[int, JobRow],
    commitments: Commitments,
) -> Intent:
    kind = wanted.kind
    return Intent(
        round(wanted.at * 1000),
        wanted.caller,
        kind.key.fingerprint,
        kind.algorithm.number,
        str(wanted.token),
        tuple(PartRange(_work(part, jobs), part.first, len(part.inputs)) for part, _, _ in granted),
        commitments.of_list(octets for _, octets, _ in granted),
    )


def _work(part: Part, jobs: dict[int, JobRow]) -> bytes:
    match part.work:
        case int(job):
            return jobs[job].job.name.token
        case Request(request_id=text):
            return text.encode()
        case _:
            return b""


def _hold(db: apsw.Connection, index: int, wanted: Claim, granted: Sequence[tuple[Part, bytes, int]]) -> None:
    parts: list[ClaimedPart] = []
    held: list[tuple[int, int, int, int]] = []
    remembered: dict[tuple[str, str], int] = {}
    for part, _, row in granted:
        count = len(part.inputs)
        if isinstance(part.work, int):
            parts.append(ClaimedPart(part.work, 0, part.first, count))
            held.append((index, part.work, part.first, count))
            continue
        if isinstance(part.work, Request) and not row:
            key = part.work.caller, part.work.request_id
            if key not in remembered:
                remembered[key] = answers.remember(db, part.work)
            row = remembered[key]  # noqa: PLW2901  # the row it has now
        parts.append(ClaimedPart(0, row, part.first, count))
    octets = b"".join(octets for _, octets, _ in granted)
    assert len(octets) == HASH * sum(part.count for part in parts)
    chunk = ClaimedChunk(wanted.kind.key.fingerprint, tuple(parts), octets)
    db.execute("INSERT INTO claim (id, data) VALUES (?, ?)", (index, codec.encode_claim(index, chunk)))
    for values in held:
        db.execute("INSERT INTO claimed (claim, job, first, count) VALUES (?, ?, ?, ?)", values)
