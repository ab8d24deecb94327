"""What officers and approvers see: jobs of every caller. Nothing here writes."""

from collections.abc import Callable
from typing import Final, cast

import apsw

from segeld.jobqueue.codec import Damaged
from segeld.jobqueue.sqlite import job_rows
from segeld.jobqueue.sqlite.sieve import Sieve
from segeld.jobqueue.store import Page
from segeld.model.job import Job, JobFilter
from segeld.model.job_state import JobState
from segeld.model.names import KeyName

LOOKED_AT: Final = 5000
"""Jobs of one page, those that are not wanted too."""
_ABOVE_ALL: Final = 1 << 30
"""No id reaches it."""

May = Callable[[str, KeyName], bool]
"""Whether somebody may decide on jobs of a caller with a key."""


def all_jobs(
    db: apsw.Connection,
    caller: str,
    wanted: JobFilter,
    before: int | None,
    limit: int,
    damaged: Callable[[Damaged], None],
) -> Page:
    """See `JobStore.all_jobs`. What is damaged is left out, and told: officers must see the others."""
    first = _ABOVE_ALL if before is None else before
    ids = db.execute(
        "SELECT id FROM job WHERE id < ? ORDER BY id DESC LIMIT 2 OFFSET ?", (first, LOOKED_AT - 1)
    ).fetchall()
    last = cast("int", ids[0][0]) if len(ids) == 2 else None
    sieve = Sieve(wanted)
    sieve.add("id < ?", first)
    if last is not None:
        sieve.add("id >= ?", last)
    if caller:
        sieve.add("caller = ?", caller)
    rest = f"NOT INDEXED WHERE {sieve} ORDER BY id DESC LIMIT ?"
    found = tuple(row.job for row in job_rows.sound(db, rest, (*sieve.bindings, limit + 1), damaged))
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].id)
    return Page(found, last)


def to_decide(
    db: apsw.Connection,
    who: str,
    may: May,
    wanted: JobFilter,
    since: float,
    before: int | None,
    limit: int,
    damaged: Callable[[Damaged], None],
) -> tuple[Job, ...]:
    """See `JobStore.to_decide`. Held jobs are few: callers may have so many that have not ended."""
    first = _ABOVE_ALL if before is None else before
    found: list[Job] = []
    for mine, index, values in (
        ("state = 'held'", "job_held", ()),
        ("decided_by = ? AND decided >= ?", "job_decided", (who, since)),
    ):
        sieve = Sieve(wanted)
        sieve.add(mine, *values)
        sieve.add("id < ?", first)
        rest = f"INDEXED BY {index} WHERE {sieve} ORDER BY id DESC"
        taken = 0
        for row in job_rows.sound(db, rest, tuple(sieve.bindings), damaged):
            if is_visible(row.job, who, may, since):
                found.append(row.job)
                taken += 1
            if taken == limit:
                break
    return tuple(sorted(found, key=lambda job: -job.id)[:limit])


def is_visible(job: Job, who: str, may: May, since: float) -> bool:
    """Whether an approver sees the job: held, and his to decide; or he decided it lately."""
    if job.decided_by == who and job.decided is not None and job.decided >= since:
        return True
    return job.state is JobState.HELD and may(job.spec.caller, job.spec.kind.key)
