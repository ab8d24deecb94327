"""Jobs, and what comes of items, as every layer above the database sees them. Times are seconds since the epoch."""

from dataclasses import dataclass

from segeld.model.faults import Reason
from segeld.model.job_state import JobState
from segeld.model.kind import Kind
from segeld.model.names import JobName, KeyName
from segeld.model.person import Person
from segeld.model.priority import Priority

BLOCK = 256
"""Items of one block: consecutive items that lie in one database row."""


@dataclass(frozen=True, slots=True)
class Items:
    """Consecutive items, checked: digests of the algorithm's length, or messages."""

    inputs: tuple[bytes, ...] = ()
    ids: tuple[str, ...] = ()
    """As many as inputs, or none if every id is empty."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a caller wants, checked and allowed."""

    caller: str
    request_id: str
    kind: Kind
    priority: Priority
    labels: tuple[tuple[str, str], ...]
    """Sorted by name."""
    deadline: float
    retention: float
    """Seconds."""
    approval: bool = False
    """Sealing leads to HELD, whatever the policy says by then."""
    created_by: Person | None = None
    """Who created it, under the caller's name; None: it is from before this was kept."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is now."""

    id: int
    """The database's own; ascending with creation."""
    name: JobName
    spec: JobSpec
    state: JobState
    reason: str
    """One sentence for people; may be empty."""
    count: int
    signed: int
    failed: int
    items_hash: bytes
    """Empty until it is sealed. Chain over its blocks: SHA-256(what was before ‖ SHA-256(the block's items)), from 32
    zero octets; a message counts as its SHA-256. A block ends after 256 items, or after the item with which it reaches 256 KiB."""
    read: int
    created: float
    sealed: float | None = None
    started: float | None = None
    ended: float | None = None
    expires: float | None = None
    decided_by: str = ""
    """The approver who said yes or no; empty as long as nobody did."""
    decided: float | None = None

    @property
    def left(self) -> int:
        """Items that have no outcome yet."""
        return self.count - self.signed - self.failed


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item ended without a signature."""

    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where the log records a signature."""

    leaf: int
    position: int


NO_RECEIPT = Receipt(0, 0)
"""For a signature that an earlier log records, which was set aside by a restore. Leaf 0 is never an outcome."""


@dataclass(frozen=True, slots=True)
class Signature:
    value: bytes
    receipt: Receipt


Ended = Signature | Failure


@dataclass(frozen=True, slots=True)
class Results:
    """Outcomes of consecutive items."""

    first: int
    ids: tuple[str, ...]
    """As many as outcomes, or none if every id is empty."""
    outcomes: tuple[Ended, ...]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs of those that may be seen; None or empty is every one."""

    states: frozenset[JobState] = frozenset()
    key: KeyName | None = None
    labels: tuple[tuple[str, str], ...] = ()
    request_id: str = ""
