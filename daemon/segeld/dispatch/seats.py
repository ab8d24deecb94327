"""Workers that are fed, what each holds, and their pumps that wait for something to do."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from segeld.dispatch.idle import Idle, Seat
from segeld.model.names import TokenName


class Seats:
    """Work that comes wakes one pump: of a worker that holds nothing, if there is one."""

    def __init__(self) -> None:
        self._held: Final[dict[Seat, int]] = {}
        """Chunks, of each worker that is fed."""
        self._jobs: Final[Counter[Seat]] = Counter()
        """Those of jobs among them."""
        self._urgent: Final = Idle()
        self._other: Final = Idle()
        self.suspects: Final = Idle()

    def open(self, seat: Seat) -> None:
        """A worker is fed from now on."""
        self._held[seat] = 0

    def close(self, seat: Seat) -> None:
        """A worker gets nothing any more."""
        del self._held[seat]
        self._jobs.pop(seat, None)

    def took(self, seat: Seat, *, job: bool) -> None:
        if seat in self._held:
            self._held[seat] += 1
            self._jobs[seat] += job

    def gave_back(self, seat: Seat, *, job: bool) -> None:
        if seat in self._held:
            self._held[seat] -= 1
            self._jobs[seat] -= job

    def holds_jobs(self, seat: Seat) -> bool:
        return self._jobs[seat] > 0

    def share(self, token: TokenName) -> int:
        """By how many what waits is divided: workers of the token that hold nothing, or else all of them."""
        held = [count for seat, count in self._held.items() if seat.token == token]
        return max(1, held.count(0) or len(held))

    def idle(self, *, urgent: bool) -> Idle:
        """Where pumps wait."""
        return self._urgent if urgent else self._other

    def defers(self, seat: Seat, *, urgent: bool) -> bool:
        """Whether a worker that holds something leaves what waits to one that has nothing, which looks now."""
        if not self._held.get(seat):
            return False
        return self.idle(urgent=urgent).wake_one(
            lambda other: other.token == seat.token and self._held.get(other) == 0
        )

    def wake_one(self, suits: Callable[[Seat], bool], *, urgent: bool) -> None:
        idle = self.idle(urgent=urgent)
        if not idle.wake_one(lambda seat: not self._held.get(seat) and suits(seat)):
            idle.wake_one(suits)

    def wake_urgent(self) -> None:
        self._urgent.wake_all()

    def wake_all(self) -> None:
        for idle in (self._urgent, self._other, self.suspects):
            idle.wake_all()
