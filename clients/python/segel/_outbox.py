"""What waits to be sent, and what of it goes next: pure, without a clock and without a loop."""

from collections import deque
from typing import Final, NamedTuple

from segel._batch import Batch, Single, Singles, Way
from segel.errors import SegelError

MOST_INPUTS: Final = 1_000
"""Inputs in one message, whatever the daemon would take."""
MOST_OCTETS: Final = 900_000
"""Octets in one message; the daemon takes 1 MiB."""
OVERHEAD: Final = 160
"""Octets that an input may need beside its data: an id of 128, tags and lengths."""


class Limits(NamedTuple):
    """What the daemon takes on one stream."""

    in_flight: int
    """Inputs that may be unanswered at once."""
    batch: int
    """Inputs in one batch."""

    @property
    def reserve(self) -> int:
        """Inputs in flight that bulk leaves free, so that a single one need not wait for its batches."""
        return min(128, self.in_flight // 8)

    @property
    def bulk(self) -> int:
        """Inputs in one batch of bulk: at least two such batches fit, so that the daemon never runs dry."""
        return max(1, min(self.batch, MOST_INPUTS, (self.in_flight - self.reserve) // 2))


class Outbox:
    """Sends first what was sent before on a stream that broke, then single calls, then bulk."""

    def __init__(self) -> None:
        self._again: deque[Batch] = deque()
        self._singles: dict[tuple[Way, int], deque[Single]] = {}
        self._bulk: deque[Batch] = deque()

    def __bool__(self) -> bool:
        return bool(self._again or self._singles or self._bulk)

    def add_single(self, way: Way, patience: int, single: Single) -> None:
        """Queues one call. `patience` is the class of its time-out: those of one class share batches."""
        group = self._singles.get((way, patience))
        if group is None:
            group = self._singles[way, patience] = deque()
        group.append(single)

    def add_bulk(self, batch: Batch) -> None:
        """Queues a batch that was never sent; it may be cut to the daemon's limits."""
        self._bulk.append(batch)

    def add_again(self, batches: list[Batch]) -> None:
        """Queues batches that were sent, before all else and in their order."""
        self._again.extendleft(reversed(batches))

    def take(self, limits: Limits, in_flight: int) -> Batch | None:
        """The next batch that the daemon has room for; None if there is none, or no room."""
        room = limits.in_flight - in_flight
        while self._again:
            batch = self._again[0]
            if batch.is_wanted():
                # One that is larger than a new daemon's limit cannot be cut any more: let the daemon answer.
                return self._again.popleft() if len(batch) <= room or not in_flight else None
            self._again.popleft()
        if room <= 0:
            return None
        return self._next_of_singles(min(room, limits.batch, MOST_INPUTS)) or self._next_of_bulk(limits, room)

    def _next_of_singles(self, most: int) -> Batch | None:
        while self._singles:
            (way, patience), group = next(iter(self._singles.items()))
            del self._singles[way, patience]
            taken = _fill(group, most)
            if group:
                self._singles[way, patience] = group  # behind the others: each way has its turn
            if taken:
                deadline = max(single.deadline for single in taken)
                return Batch.of(way, [single.data for single in taken], Singles(taken), deadline)
        return None

    def _next_of_bulk(self, limits: Limits, room: int) -> Batch | None:
        while self._bulk:
            batch = self._bulk[0]
            if not batch.is_wanted():
                self._bulk.popleft()
            elif len(batch) > limits.bulk:
                whole = self._bulk.popleft()
                self._bulk.appendleft(whole.part(range(limits.bulk, len(whole))))
                self._bulk.appendleft(whole.part(range(limits.bulk)))
            elif len(batch) <= room - limits.reserve:
                return self._bulk.popleft()
            else:
                return None
        return None

    def refuse(self, error: SegelError) -> None:
        """Takes everything out and settles it with `error`."""
        for batch in (*self._again, *self._bulk):
            batch.settle_all(error)
        for group in self._singles.values():
            gathered = Singles(list(group))
            for place in range(len(group)):
                gathered.settle(place, error)
        self._again.clear()
        self._singles.clear()
        self._bulk.clear()


def _fill(group: deque[Single], most: int) -> list[Single]:
    """Takes calls from the front until a message is full; leaves out those that nobody waits for."""
    taken: list[Single] = []
    octets = 0
    while group and len(taken) < most:
        single = group[0]
        if not single.future.done():
            octets += len(single.data) + OVERHEAD
            if octets > MOST_OCTETS and taken:
                break
            taken.append(single)
        group.popleft()
    return taken
