"""What is left of an activation's limits: pure, with the clock passed in.

Signatures are set aside before anything is asked of the token, and given back if none was made: so there are never more
of them than were allowed, however many workers sign.
"""

from segeld.model.activation import Limits
from segeld.model.counts import counted, fitting


class Allowance:
    """Of one activation. Times are CLOCK_MONOTONIC, seconds."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.until = None if limits.seconds is None else now + limits.seconds
        self._allowed = limits.signatures
        self._reserved = 0
        self._left = limits.signatures

    @property
    def left(self) -> int | None:
        """Signatures that are not made yet, those that are set aside too; None: any number."""
        return None if self._left is None else self._left + self._reserved

    def narrow(self, limits: Limits, now: float) -> None:
        """Allows no more than `limits` from now on. Nothing of it widens what there is."""
        if limits.seconds is not None:
            until = now + limits.seconds
            self.until = until if self.until is None else min(self.until, until)
        if limits.signatures is not None:
            free = max(0, limits.signatures - self._reserved)
            self._left = free if self._left is None else min(self._left, free)
            self._allowed = limits.signatures

    def reserve(self, most: int, now: float) -> int:
        """Sets signatures aside, at most `most`; gives their number, 0 if there are none or the time is over."""
        if self.until is not None and now >= self.until:
            return 0
        given = most if self._left is None else min(most, self._left)
        if self._left is not None:
            self._left -= given
        self._reserved += given
        return given

    def give_back(self, reserved: int, *, made: int) -> bool:
        """What was set aside is over, of which so many signatures may have been made.

        :param reserved: by `reserve` of this one: what another set aside would widen it.
        :return: whether somebody else may have some of it.
        """
        self._reserved -= reserved
        unused = reserved - made
        if self._left is None:
            return False
        self._left += unused
        return unused > 0

    def over(self, now: float) -> str:
        """Why it has ended, in a sentence; empty if it has not."""
        if self.until is not None and now >= self.until:
            return "The time of its activation is over."
        if self._left == 0 and not self._reserved:
            made = self._allowed or 0
            return f"The {counted(made, 'signature')} of its activation {fitting(made, 'is', 'are')} made."
        return ""
