"""What waits to be signed, whoever waits for it: the inputs of an interactive request, or of a job."""

from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from segeld.jobqueue.claims import Known, Request
from segeld.model.faults import Fault
from segeld.model.job import Signature
from segeld.model.kind import Kind
from segeld.model.priority import Priority

Outcome = Signature | Fault

_ANY: Final = 1 << 30
_COMPANY: Final = (_ANY, 16, 1)
"""By attempts before."""


class Work(ABC):
    """Inputs of one kind, of one caller, by position. Each is waiting, with a worker, or has ended."""

    def __init__(self, caller: str, kind: Kind, priority: Priority, *, urgent: bool, attempts: int) -> None:
        """:param urgent: goes between two signatures of others.
        :param attempts: of one input, before it ends without a known outcome.
        """
        self.caller = caller
        self.kind = kind
        self.priority = priority
        self.urgent = urgent
        self.attempts = attempts
        self.waiting: deque[int] = deque()
        """Positions of inputs that no worker holds, first come first."""
        self._attempted: dict[int, int] = {}

    patient: bool
    """Whether it waits for a token that cannot sign now."""
    resting: str = ""
    """Why nothing of it is given to workers now, although somebody wants it; empty if it is."""

    @abstractmethod
    def input(self, position: int) -> bytes: ...

    @property
    @abstractmethod
    def deadline_at(self) -> int:
        """CLOCK_MONOTONIC, nanoseconds: what is not begun by then is not signed."""

    @property
    @abstractmethod
    def mark(self) -> int | Request | None:
        """What a claim calls it."""

    @abstractmethod
    def unwanted(self) -> Fault | None:
        """Why nothing of it should be signed any more; None if it should."""

    @property
    @abstractmethod
    def abandoned(self) -> bool:
        """Nobody waits for it just now, but somebody may come back."""

    def rest(self, position: int) -> None:
        """An input comes back from a worker, first among what waits."""
        self.waiting.appendleft(position)

    @abstractmethod
    def end(self, position: int, outcome: Outcome) -> None:
        """Takes what came of one input; a second outcome is dropped."""

    @abstractmethod
    def has_ended(self, position: int) -> bool: ...

    @abstractmethod
    def end_waiting(self, fault: Fault) -> None:
        """Ends every input that no worker holds."""

    @abstractmethod
    def granted(self) -> None:
        """A claim of some of it was recorded."""

    @abstractmethod
    def refuse(self, fault: Fault) -> None:
        """The store grants nothing of it any more: everything that no worker holds ends."""

    def put_off(self, fault: Fault) -> None:  # noqa: ARG002
        """The store grants nothing of it now, but may later."""
        raise AssertionError("only jobs are paused")

    @abstractmethod
    def learn(self, known: Known) -> None:
        """Takes what the store has kept of it since an earlier time."""

    @abstractmethod
    def end_beside(self, fault: Fault) -> None:
        """One of its inputs ended two workers: what the rest of it, that no worker holds, comes to."""

    def attempted(self, position: int) -> bool:
        """Counts an attempt: the token may have signed the input, or failed on it. True if it was the last."""
        count = self._attempted[position] = self._attempted.get(position, 0) + 1
        return count >= self.attempts

    def company(self, position: int) -> int:
        """How many inputs may go to a worker together with this one, itself among them.

        One that a worker was lost with goes with fewer the next time, and alone the last time: if it is to blame, its
        neighbours do not pay for it.
        """
        return _COMPANY[min(self._attempted.get(position, 0), len(_COMPANY) - 1)] if self._attempted else _ANY

    def forget_attempts(self, position: int) -> None:
        self._attempted.pop(position, None)
