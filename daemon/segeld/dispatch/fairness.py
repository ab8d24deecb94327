"""Who is served next on one token: pure decisions, fed with measured device time. No clock, no I/O.

Between priorities: the higher goes first, but never takes more than `UPPER_SHARE` of the device while a lower one
waits. Between callers of one priority: start-time fair queueing (Goyal, Vin, Cheng, 1996). A caller's time runs by
what it used, divided by its weight; whose time is least is next. A deficit round robin keeps the same shares, but in
rounds: with twenty callers and chunks of 20 ms one round lasts seconds, and a caller that just missed it waits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from segeld.model.priority import Priority

UPPER_SHARE: Final = 0.8
"""Of device time, at most, for a higher priority while a lower one waits."""
CHUNK_SECONDS: Final = {Priority.INTERACTIVE: 0.04, Priority.NORMAL: 0.1, Priority.LOW: 0.1}
"""What a chunk should take: long enough that claiming and settling cost little beside it, short enough that nobody waits
long for one. (Urgent work waits for no chunk.)"""
_DUE: Final = 0.04
"""Seconds owed to a lower priority at which it goes first."""
_MOST_OWED: Final = 0.5
"""Seconds. A lower priority that was passed over for long does not hold up the higher ones for long afterwards."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A caller that has something to sign here."""

    caller: str
    since: int
    """Grows whenever the caller comes back after it had nothing waiting."""


class Turns:
    """Callers of one priority."""

    def __init__(self) -> None:
        self._now = 0.0
        self._times: dict[str, float] = {}
        self._since: dict[str, int] = {}

    def next(self, waiting: Iterable[Waiting]) -> str | None:
        """Whose turn it is among those that wait; of equals the first."""
        chosen: str | None = None
        least = 0.0
        for each in waiting:
            time = self._time(each)
            if chosen is None or time < least:
                chosen, least = each.caller, time
        if chosen is not None:
            self._now = max(self._now, least)
        return chosen

    def _time(self, each: Waiting) -> float:
        time = self._times.get(each.caller, 0.0)
        if self._since.get(each.caller) != each.since:
            # Whoever had nothing to sign saved nothing up by it.
            self._since[each.caller] = each.since
            time = self._times[each.caller] = max(time, self._now)
        return time

    def charge(self, caller: str, seconds: float) -> None:
        """:param seconds: of device time, divided by the caller's weight; negative to give back what was guessed."""
        self._times[caller] = self._times.get(caller, self._now) + seconds


class _Debt:
    """What a higher priority owes a lower one, in seconds of device time."""

    def __init__(self) -> None:
        self._owed = 0.0

    def due(self) -> bool:
        return self._owed >= _DUE

    def upper_used(self, seconds: float, *, lower_waits: bool) -> None:
        grown = self._owed + seconds * (1 - UPPER_SHARE) / UPPER_SHARE
        self._owed = min(_MOST_OWED, grown) if lower_waits else 0.0

    def lower_used(self, seconds: float, *, upper_waits: bool) -> None:
        left = self._owed - seconds
        # What nobody else wanted is no advance.
        self._owed = max(-_MOST_OWED, left) if upper_waits else max(0.0, left)


class Fairness:
    """Of one token: `choose`, then `charge` with a guess at once and with the difference when it was measured."""

    def __init__(self) -> None:
        self._turns: Final = {priority: Turns() for priority in Priority}
        self._to_jobs: Final = _Debt()
        self._to_low: Final = _Debt()

    def choose(self, waiting: Mapping[Priority, Iterable[Waiting]]) -> tuple[Priority, str] | None:
        """Priority and caller; None only if nobody waits."""
        for priority in self._order({each for each in waiting if waiting[each]}):
            caller = self._turns[priority].next(waiting[priority])
            if caller is not None:
                return priority, caller
        return None

    def _order(self, present: set[Priority]) -> list[Priority]:
        jobs = [Priority.NORMAL, Priority.LOW]
        if self._to_low.due():
            jobs.reverse()
        order = [*jobs, Priority.INTERACTIVE] if self._to_jobs.due() else [Priority.INTERACTIVE, *jobs]
        return [priority for priority in order if priority in present]

    def jobs_are_due(self) -> bool:
        """Whether urgent work has to let jobs go on first."""
        return self._to_jobs.due()

    def charge(
        self, priority: Priority, caller: str, seconds: float, *, weight: int, waiting: set[Priority]
    ) -> None:
        """:param waiting: priorities that have something to sign here, or with a worker, just now."""
        self._turns[priority].charge(caller, seconds / weight)
        low_waits = Priority.LOW in waiting
        if priority is Priority.INTERACTIVE:
            self._to_jobs.upper_used(seconds, lower_waits=low_waits or Priority.NORMAL in waiting)
            return
        self._to_jobs.lower_used(seconds, upper_waits=Priority.INTERACTIVE in waiting)
        if priority is Priority.LOW:
            self._to_low.lower_used(seconds, upper_waits=Priority.NORMAL in waiting)
        else:
            self._to_low.upper_used(seconds, lower_waits=low_waits)
