"""`JobStore`: all that the daemon asks of its database. One conformance suite says what each method must do.

Every method is one transaction (`tidy` and `trim_leaves` are several), and returns when it is durable. Methods that
change something raise `StoreFull` or `StoreBroken` (`store_faults`) if it could not be written, and then nothing of it
was; whoever calls may try again. Methods that read raise `StoreBroken` if what they want is damaged. An operation that was
begun is done, even if whoever waits for it is cancelled.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from segeld.audit.leaf import AnyLeaf
from segeld.jobqueue.claims import Claim, Claimed, ItemOutcome, Settled
from segeld.model.job import Items, Job, JobFilter, JobSpec, Results
from segeld.model.names import JobName, KeyName


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a job as the dispatcher needs it."""

    first: int
    inputs: tuple[bytes, ...]
    waiting: tuple[int, ...]
    """Offsets in the job of items that have no outcome and are in no claim, ascending."""
    lost: tuple[int, ...]
    """Offsets of attempts whose outcome is unknown, once for each attempt."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a caller's jobs."""

    jobs: tuple[Job, ...]
    next: int | None
    """With this as `before` it goes on; None at the end."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What a round of `tidy` did."""

    ended: tuple[Job, ...]
    """Jobs whose deadline passed, and open jobs that were never sealed."""
    removed: tuple[Job, ...]
    """Jobs that were removed, their time being over. Unread results are a warning."""
    unread: tuple[Job, ...]
    """Jobs that will be removed within three days and have results that nobody read."""


class CallerJobs(Protocol):
    """What the services ask. Whoever asks for another caller's job gets JOB_NOT_FOUND."""

    async def create_job(self, spec: JobSpec, items: Items, *, seal: bool) -> tuple[Job, bool]:
        """The job, and whether it is new. The same caller and request_id: the job that is there.

        A repetition brings the first items of that job, all of them if it seals; it seals what is still open.

        :raises Fault: IDEMPOTENCY_MISMATCH if that job has another kind, priority, labels or retention, or other items;
            or was removed less than 7 days ago. BATCH_EMPTY if it is to be sealed without items.
        """
        ...

    async def append_items(self, caller: str, name: JobName, offset: int, items: Items, *, limit: int) -> Job:
        """Appends at `offset`, or finds that exactly these items (and their ids) are there already, in whatever state.

        :param limit: items that the job may have at most.
        :raises Fault: JOB_NOT_FOUND; JOB_STATE if it takes no items; OFFSET_OUT_OF_RANGE (fact: committed) for a gap or an
            overlap; IDEMPOTENCY_MISMATCH for other items where some are already; JOB_TOO_LARGE.
        """
        ...

    async def seal_job(self, caller: str, name: JobName, count: int, *, approval: bool = False) -> Job:
        """OPEN to QUEUED, or to HELD if `approval` or the spec wants it. Repeated: the job as it is.

        :raises Fault: JOB_NOT_FOUND; JOB_STATE; BATCH_EMPTY; OFFSET_OUT_OF_RANGE if it has not `count` items.
        """
        ...

    async def job(self, caller: str, name: JobName) -> Job:
        """:raises Fault: JOB_NOT_FOUND."""
        ...

    async def jobs(
        self, caller: str, wanted: JobFilter, *, before: int | None, limit: int
    ) -> tuple[Job, ...]:
        """The newest first; only ids below `before`. However many must be looked at to find them, it is done bit by bit,
        and ends if whoever waits is cancelled.
        """
        ...

    async def jobs_page(self, caller: str, wanted: JobFilter, *, before: int | None, limit: int) -> Page:
        """As `jobs`, but looks at a bounded number of jobs: there may be fewer than `limit`, even none, and more to come."""
        ...

    async def usage(self, caller: str) -> tuple[int, int]:
        """How many jobs of the caller have not ended; and how many items are in all of its jobs that are kept, those
        that have ended too: nobody fills the disk with jobs that end at once.
        """
        ...

    async def cancel_job(self, caller: str, name: JobName, who: str) -> Job:
        """To CANCELLED, or to ENDING while a token holds some of it. Repeated: the job as it is. Audited.

        :raises Fault: JOB_NOT_FOUND; JOB_STATE if it ended otherwise.
        """
        ...

    async def delete_job(self, caller: str, name: JobName) -> None:
        """:raises Fault: JOB_NOT_FOUND; JOB_STATE if it is neither OPEN nor ended."""
        ...

    async def decide_job(self, name: JobName, who: str, items_hash: bytes | None, text: str) -> Job:
        """Approves a HELD job (to QUEUED), or rejects it if `items_hash` is None. Audited. Repeated by the same approver:
        the job as it is.

        :raises Fault: JOB_NOT_FOUND; JOB_STATE; ITEMS_CHANGED if the hash is another.
        """
        ...

    async def results(self, caller: str, name: JobName, offset: int) -> Results:
        """Outcomes from `offset` to the end of its block at most, and to the first item that has none yet.

        In a job that has ended items without outcome read as Failure CANCELLED or DEADLINE_PASSED. Empty at the end.

        :raises Fault: JOB_NOT_FOUND; JOB_STATE if it is OPEN, HELD or REJECTED; OFFSET_OUT_OF_RANGE past the end.
        """
        ...

    async def note_read(self, caller: str, name: JobName, offset: int) -> None:
        """The caller has all results before `offset`. Never goes back."""
        ...


class AnyJobs(Protocol):
    """What officers and approvers ask: jobs of every caller."""

    async def any_job(self, name: JobName) -> Job:
        """:raises Fault: JOB_NOT_FOUND."""
        ...

    async def all_jobs(self, wanted: JobFilter, *, caller: str = "", before: int | None, limit: int) -> Page:
        """The newest first; of one caller, if it is named. Looks at a bounded number of jobs, as `jobs_page`."""
        ...

    async def to_decide(
        self,
        who: str,
        may: Callable[[str, KeyName], bool],
        wanted: JobFilter,
        *,
        since: float,
        before: int | None,
        limit: int,
    ) -> tuple[Job, ...]:
        """What an approver sees, the newest first: HELD jobs on which he may decide, and those that he decided.

        :param may: whether he may decide on a caller's jobs with a key: the policy. Called in the store's thread.
        :param since: what he decided before is not shown any more.
        """
        ...

    async def pause_job(self, name: JobName, who: str) -> Job:
        """QUEUED or RUNNING to PAUSED. What a token holds is finished; the deadline still runs. Repeated: the job as it
        is. Audited.

        :raises Fault: JOB_NOT_FOUND; JOB_STATE.
        """
        ...

    async def resume_job(self, name: JobName, who: str) -> Job:
        """From PAUSED back to where it was. Repeated: the job as it is. Audited.

        :raises Fault: JOB_NOT_FOUND; JOB_STATE.
        """
        ...

    async def cancel_any(self, name: JobName, who: str, why: str) -> Job:
        """As `cancel_job`, whosever it is. Its caller sees who did it and why."""
        ...


class Queue(Protocol):
    """What the dispatcher asks."""

    async def recover(self, attempts: Callable[[KeyName], int], at: float) -> int:
        """For the start: each claim of an earlier run is settled as Unknown. Gives their number."""
        ...

    async def signable(self, after: int, limit: int) -> tuple[Job, ...]:
        """Jobs in QUEUED and RUNNING with an id above `after`, ascending. One that is damaged is left out, and reported."""
        ...

    async def block(self, job: int, offset: int) -> Block | None:
        """The first block at or after the one that holds `offset` in which something waits; None if there is none, or if
        the job is neither in QUEUED nor in RUNNING.
        """
        ...

    async def items_unsigned(self) -> int:
        """Items without an outcome in all jobs that have not ended, OPEN and HELD ones too: they will want room."""
        ...

    async def claim(self, claim: Claim) -> Claimed:
        """Writes the intent leaf and what says that the parts are with a token: before any of it may be signed.

        A job's part is refused unless the job is in QUEUED (then it becomes RUNNING) or RUNNING and its deadline has not
        passed; for `later` if it is PAUSED. A request's part is refused with IDEMPOTENCY_MISMATCH if its id was used for other content, and Known if
        outcomes or lost attempts are kept of it and it was not told so.

        :raises ValueError: if it has more than `MAX_CLAIM_ITEMS` or `MAX_CLAIM_PARTS`, or items of a job that do not
            wait: a fault of whoever asks. Nothing was written.
        """
        ...

    async def settle(
        self, claim: int, outcomes: Sequence[ItemOutcome], *, attempts: int, at: float
    ) -> Settled:
        """Records the outcomes of a claim's granted items, in order, with the outcome leaf: before any is released.

        Signatures and Failures of jobs are kept with the job; signatures of requests with the request, Failures of
        requests are not kept (a repetition tries again). The last outcome of a job ends it. An Unknown that makes an
        item's lost attempts `attempts` is recorded as Failure WORKER_LOST, in the leaf too; this one is kept with a
        request as well. Lost attempts of a request are counted until it has an outcome that is kept; those of a request
        without an id are not counted: each is the first.

        Two claims may hold the same input of a request. The outcome that is kept first stands (see
        `Settled.superseded`); the leaf of each says what its token did.

        :raises StaleClaim: if there is no such claim any more.
        :raises ValueError: if there are not as many outcomes as granted items.
        """
        ...


class Leaves(Protocol):
    """What the audit log asks."""

    async def record(self, leaf: AnyLeaf) -> int:
        """Appends a leaf; gives its index."""
        ...

    async def leaf_count(self) -> int: ...

    async def leaves(self, first: int, limit: int) -> tuple[bytes, ...]:
        """Consecutive leaves from `first`, at most `limit` and about 4 MiB; none if `first` was forgotten."""
        ...

    async def trim_leaves(self, before: int) -> None:
        """Forgets leaves below that index, but for the last of all: they are safe in the log's files."""
        ...

    async def restart_leaves(self, first: AnyLeaf) -> None:
        """For a new log after a restore: forgets all leaves, and gives this one index 0.

        :raises ValueError: while claims are open: `recover` comes first.
        """
        ...


class Records(Protocol):
    """What officers decide: small values under names such as `policy` or `change/7`, each with the leaf that says so."""

    async def records(self, prefix: str) -> dict[str, bytes]:
        """All whose name begins so, by name, ascending."""
        ...

    async def keep(self, writes: Mapping[str, bytes | None], leaf: AnyLeaf) -> int:
        """Writes them (None removes one) and appends the leaf, all or nothing; gives the leaf's index."""
        ...


class JobStore(CallerJobs, AnyJobs, Queue, Leaves, Records, Protocol):
    """The whole of it."""

    async def tidy(self, at: float) -> Upkeep:
        """Ends what is past its deadline, removes what was kept long enough (jobs, answers, tombstones).

        Bounded: of very many jobs the next round takes the rest. A job that is damaged is left as it is, and reported.
        """
        ...

    async def setting(self, name: str) -> bytes | None:
        """A value that belongs to the database itself, such as the log's origin."""
        ...

    async def set_setting(self, name: str, value: bytes) -> None: ...

    async def aclose(self) -> None:
        """Returns when everything that was begun is durable or has failed."""
        ...
