"""An order on its way: which of its inputs are done, which wait, and who waits for it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Self

from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Fault
from segeld.model.inventory import Order
from segeld.model.names import KeyName

Outcome = bytes | Fault


@dataclass(frozen=True, slots=True)
class Kind:
    """What the inputs of one chunk have in common."""

    key: KeyName
    algorithm: Algorithm
    encoding: EcdsaEncoding

    @classmethod
    def of(cls, order: Order) -> Self:
        return cls(order.key, order.algorithm, order.encoding)


@dataclass(slots=True, eq=False)
class Ticket:
    """One order in the queue. Each input ends exactly once: a late or second answer is dropped."""

    order: Order
    done: asyncio.Future[tuple[Outcome, ...]]
    kind: Kind = field(init=False)
    waiting: deque[int] = field(init=False)
    """Positions of inputs that no worker holds."""
    _outcomes: list[Outcome | None] = field(init=False)
    _attempts: list[int] = field(init=False)
    _open: int = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.order.inputs)
        self.kind = Kind.of(self.order)
        self.waiting = deque(range(count))
        self._outcomes = [None] * count
        self._attempts = [0] * count
        self._open = count

    @property
    def open(self) -> int:
        """Inputs that have no outcome yet."""
        return self._open

    def end(self, position: int, outcome: Outcome) -> bool:
        """Records what came of one input; False if it had ended before."""
        if self._outcomes[position] is not None:
            return False
        self._outcomes[position] = outcome
        self._open -= 1
        if not self._open and not self.done.done():
            self.done.set_result(tuple(outcome for outcome in self._outcomes if outcome is not None))
        return True

    def end_waiting(self, fault: Fault) -> int:
        """Ends every input that no worker holds; gives their number."""
        count = len(self.waiting)
        while self.waiting:
            self.end(self.waiting.popleft(), fault)
        return count

    def again(self, position: int, *, attempted: bool) -> bool:
        """Puts an input back to the front of what waits; False if it was attempted too often.

        :param attempted: whether this counts: the token may have signed it, or failed on it.
        """
        self._attempts[position] += attempted
        if self._attempts[position] >= MAX_ATTEMPTS:
            return False
        self.waiting.appendleft(position)
        return True


MAX_ATTEMPTS: Final = 3
"""Attempts of one input that count, before it fails with WORKER_LOST."""
