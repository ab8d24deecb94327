"""How long a request is worth working for: what the client allows, within what the daemon allows."""

from typing import Final

from segeld.model.deadline import Deadline
from segeld.model.faults import Fault, Reason

TOO_SHORT: Final = 0.002
"""Seconds. A signature takes about this long at best: starting it would only be wasted."""


def deadline(remaining: float | None, timeout: float | None, longest: float) -> Deadline:
    """The earliest of the call's own deadline, the batch's time-out and the daemon's cap, all in seconds.

    :raises Fault: DEADLINE_TOO_SHORT.
    """
    seconds = min(limit for limit in (remaining, timeout, longest) if limit is not None)
    if seconds < TOO_SHORT:
        raise Fault(
            Reason.DEADLINE_TOO_SHORT,
            f"{max(seconds, 0) * 1000:.1f} ms are left; signing takes at least {TOO_SHORT * 1000:.0f} ms.",
        )
    return Deadline.after(seconds)
