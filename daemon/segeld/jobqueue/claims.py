"""A claim, and what becomes of it: the words between the dispatcher and `JobStore`.

A chunk is claimed, attempted, and settled. Each part of a claim has a verdict; each item that was granted, an outcome.
"""

from dataclasses import dataclass
from typing import Final

from segeld.model.faults import Fault
from segeld.model.job import Ended, Failure, Job
from segeld.model.kind import Kind
from segeld.model.names import TokenName

MAX_CLAIM_ITEMS: Final = 900
"""Items of one claim: what the leaf of their outcomes can hold, whatever they are."""
MAX_CLAIM_PARTS: Final = 400
"""Parts of one claim: what the intent's leaf can hold, however long their request ids are."""


@dataclass(frozen=True, slots=True)
class Request:
    """An interactive request that has an id: what was signed for it is kept until it expires."""

    caller: str
    request_id: str
    content: bytes
    """SHA-256 over kind and inputs: the same id with other content is a mistake of its caller."""
    count: int
    expires: float
    told: bool
    """Whether the dispatcher knows what is kept of it: it had a verdict before."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive inputs of one job, of one request, or of a request without an id (None)."""

    work: int | Request | None
    """A job by its id."""
    first: int
    inputs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk that is about to be signed. One caller's."""

    at: float
    """Seconds since the epoch."""
    caller: str
    kind: Kind
    token: TokenName
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Granted:
    """The part may be signed."""


@dataclass(frozen=True, slots=True)
class Known:
    """The request was seen before, nothing of this part was claimed: what is known of the request as a whole."""

    ended: tuple[tuple[int, Ended], ...]
    """Position and outcome, ascending, for the inputs that have one: a Signature, or Failure WORKER_LOST."""
    lost: tuple[int, ...]
    """Positions, of inputs that have no outcome, of attempts whose outcome is unknown: once for each attempt."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of this part may be signed: the job has ended, or the request_id had other content."""

    fault: Fault
    later: bool = False
    """It is paused: it may be signed when it was resumed."""


Verdict = Granted | Known | Refused


@dataclass(frozen=True, slots=True)
class Claimed:
    """What became of a claim."""

    id: int
    """The index of the intent's leaf; -1 if no part was granted (then nothing was written)."""
    verdicts: tuple[Verdict, ...]
    """One for each part. The intent names the granted ones only, in order."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The worker was lost while it held the item."""


@dataclass(frozen=True, slots=True)
class NotBegun:
    """The item was surely not signed, and waits again."""


ItemOutcome = bytes | Failure | Unknown | NotBegun
"""What came of one attempt: a signature, or why not."""


@dataclass(frozen=True, slots=True)
class Settled:
    leaf: int
    """The index of the outcome's leaf. Positions count through the granted parts."""
    jobs: tuple[Job, ...]
    """The jobs among its parts, as they are now."""
    exhausted: tuple[int, ...]
    """Positions, through the granted parts, of items that ended now because no attempt is left."""
    superseded: tuple[tuple[int, Ended], ...] = ()
    """Positions, through the granted parts, of a request's inputs that had an outcome before, and which: an earlier
    outcome stands; whoever waits gets that one. Of what this claim brought for them nothing is kept but the leaf."""


class StaleClaim(Exception):
    """The claim was settled before, or by a recovery: nothing was recorded, nothing may be released."""
