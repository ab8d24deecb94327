"""The states of a job and the moves between them: drawn once, here. Proto, SQL and documentation are compared with it."""

import enum
from collections.abc import Mapping
from typing import Final


class JobState(enum.StrEnum):
    """The states of `segel.v1.Job.State`, in lower case."""

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


FINAL: Final = frozenset(
    {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED, JobState.REJECTED}
)
"""No state follows these."""

SIGNABLE: Final = frozenset({JobState.QUEUED, JobState.RUNNING})
"""Items may be begun."""

MOVES: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.OPEN: frozenset({JobState.HELD, JobState.QUEUED, JobState.CANCELLED, JobState.EXPIRED}),
    JobState.HELD: frozenset({JobState.QUEUED, JobState.REJECTED, JobState.CANCELLED, JobState.EXPIRED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED, JobState.EXPIRED}),
    JobState.RUNNING: frozenset(
        {
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.PAUSED,
            JobState.ENDING,
            JobState.CANCELLED,
            JobState.EXPIRED,
        }
    ),
    JobState.PAUSED: frozenset(
        {
            JobState.QUEUED,
            JobState.RUNNING,
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.ENDING,
            JobState.CANCELLED,
            JobState.EXPIRED,
        }
    ),
    JobState.ENDING: frozenset({JobState.CANCELLED, JobState.EXPIRED}),
    **{state: frozenset() for state in FINAL},
}
"""From each state, where a job may go next."""


def mermaid() -> str:
    """The diagram of the documentation (a test compares them)."""
    lines = ["stateDiagram-v2", "    [*] --> open"]
    for state in JobState:
        lines += [f"    {state} --> {after}" for after in JobState if after in MOVES[state]]
        if state in FINAL:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines)
