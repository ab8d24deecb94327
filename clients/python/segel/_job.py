"""A job as the daemon last described it."""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from segel._algorithms import Algorithm

Ecdsa = Literal["der", "p1363"]
Priority = Literal["normal", "low"]


class JobState(enum.StrEnum):
    """Where a job is; docs/jobs.md draws what may follow what."""

    OPEN = "open"
    """It takes items. Nothing is signed yet, and it expires if it is never sealed."""
    HELD = "held"
    """Sealed; waits for an approver."""
    QUEUED = "queued"
    """Sealed; no item was begun yet."""
    RUNNING = "running"
    """At least one item was begun."""
    ENDING = "ending"
    """Cancelled or past its deadline: nothing is begun any more, what a token holds still ends."""
    SUCCEEDED = "succeeded"
    """Every item has a signature."""
    FAILED = "failed"
    """Every item has ended, and at least one without a signature."""
    CANCELLED = "cancelled"
    """Cancelled; items without a signature have none."""
    EXPIRED = "expired"
    """Its deadline passed, or it was never sealed."""
    REJECTED = "rejected"
    """An approver said no."""
    PAUSED = "paused"
    """Sealed; an officer paused it: nothing is begun until it is resumed, what a token holds still ends."""
    UNKNOWN = "unknown"
    """The daemon is newer than this library and says something that it cannot know."""

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in _FINAL


_FINAL = frozenset(
    {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED, JobState.REJECTED}
)


@dataclass(frozen=True, slots=True)
class Job:
    """A durable batch, at one moment. Times have time zone UTC."""

    name: str
    """``jobs/`` and 32 hex digits."""
    state: JobState
    state_reason: str
    """For people: why it has ended or waits; may be empty."""
    key: str
    """Immutable: ``keys/sha256-…``."""
    algorithm: Algorithm | None
    """None if this version does not know it."""
    ecdsa: Ecdsa
    priority: Priority
    labels: Mapping[str, str] = field(hash=False)
    request_id: str
    item_count: int
    signed_count: int
    failed_count: int
    """Items that were tried and ended without a signature; not those of which nothing was begun."""
    items_hash: bytes
    """SHA-256 over all items, once it is sealed: what an approver approves."""
    read_offset: int
    """Results have been read up to here."""
    create_time: dt.datetime | None
    seal_time: dt.datetime | None
    start_time: dt.datetime | None
    end_time: dt.datetime | None
    deadline: dt.datetime | None
    """After this no item is begun."""
    expire_time: dt.datetime | None
    """When it is removed with its results; for an open job, when it expires."""
    caller: str = ""
    """Whose it is: a name of the policy."""
    decided_by: str = ""
    """The approver who said yes or no; empty as long as nobody did."""
    decide_time: dt.datetime | None = None

    @property
    def is_sealed(self) -> bool:
        """Whether all of it was handed over; from then on it needs its client no more."""
        return self.seal_time is not None
