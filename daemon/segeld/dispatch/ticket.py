"""An interactive order on its way: which of its inputs are done, which wait, and who waits for it."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Final

from segeld.dispatch import outcomes
from segeld.dispatch.work import Outcome, Work
from segeld.jobqueue.claims import Known, Request
from segeld.model.deadline import Deadline
from segeld.model.faults import Fault
from segeld.model.inventory import Order
from segeld.model.priority import Priority

URGENT_INPUTS: Final = 8
"""Interactive orders up to this size are urgent."""


class Ticket(Work):
    """One order. Each input ends exactly once: a late or second answer is dropped."""

    patient = False

    def __init__(
        self,
        order: Order,
        *,
        attempts: int,
        kept: float,
        late: Callable[["Ticket"], Fault],
        quiet: Callable[["Ticket"], None],
    ) -> None:
        """:param kept: seconds for which the signatures of an order with a request_id are kept.
        :param late: what its inputs end with when the deadline has passed.
        :param quiet: told when nobody waits for it and no worker holds any of it.
        """
        count = len(order.inputs)
        urgent = order.priority is Priority.INTERACTIVE and count <= URGENT_INPUTS
        super().__init__(order.caller, order.kind, order.priority, urgent=urgent, attempts=attempts)
        self.order: Final = order
        self.content: Final = content_of(order) if order.request_id else b""
        self._waiters: list[asyncio.Future[None]] = []
        """Calls that wait for it: repetitions join the first."""
        self.waiting.extend(range(count))
        self._late = late
        self._quiet = quiet
        self._deadline = order.deadline
        self._expires = time.time() + kept
        self._told = False
        self._outcomes: list[Outcome | None] = [None] * count
        self._open = count

    @property
    def open(self) -> int:
        """Inputs that have no outcome yet."""
        return self._open

    @property
    def id(self) -> tuple[str, str]:
        return self.caller, self.order.request_id

    def input(self, position: int) -> bytes:
        return self.order.inputs[position]

    @property
    def deadline(self) -> Deadline:
        """The latest of those that wait for it."""
        return self._deadline

    @property
    def deadline_at(self) -> int:
        return self._deadline.at

    @property
    def mark(self) -> Request | None:
        if not self.order.request_id:
            return None
        return Request(
            self.caller,
            self.order.request_id,
            self.content,
            len(self.order.inputs),
            self._expires,
            self._told,
        )

    @property
    def done(self) -> tuple[Outcome, ...] | None:
        """One outcome for each input, in order; None as long as one has none."""
        return None if self._open else tuple(outcome for outcome in self._outcomes if outcome is not None)

    def join(self, deadline: Deadline) -> None:
        """One more waits for it."""
        self._deadline = max(self._deadline, deadline)

    async def wait(self, seconds: float) -> bool:
        """Until it is done, or for so long; whether it is done. It is wanted as long as somebody is in here."""
        if not self._open:
            return True
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(max(0.0, seconds), _release, waiter)
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiters.remove(waiter)
        return not self._open

    @property
    def abandoned(self) -> bool:
        return not self._waiters

    def look(self) -> None:
        """Tells if it is quiet: a repetition that comes until then joins it, later ones ask the store."""
        if self.abandoned and self._open == len(self.waiting):
            self._quiet(self)

    def rest(self, position: int) -> None:
        super().rest(position)
        self.look()

    def unwanted(self) -> Fault | None:
        return self._late(self) if self._deadline.passed() else None

    def end(self, position: int, outcome: Outcome) -> None:
        if self._outcomes[position] is not None:
            return
        self._outcomes[position] = outcome
        self._open -= 1
        if not self._open:
            for waiter in self._waiters:
                _release(waiter)
        self.look()

    def has_ended(self, position: int) -> bool:
        return self._outcomes[position] is not None

    def end_waiting(self, fault: Fault) -> None:
        while self.waiting:
            self.end(self.waiting.popleft(), fault)

    def end_beside(self, fault: Fault) -> None:
        self.end_waiting(fault)

    def granted(self) -> None:
        self._told = True

    def refuse(self, fault: Fault) -> None:
        self.end_waiting(fault)

    def learn(self, known: Known) -> None:
        for position, ended in known.ended:
            self._drop(position)
            self.end(position, outcomes.released(ended))
        if self._told:  # lost attempts are counted once, whoever asked at the same time
            return
        self._told = True
        for position in known.lost:
            if self._outcomes[position] is None and self.attempted(position):
                self._drop(position)
                self.end(position, outcomes.lost_too_often())

    def _drop(self, position: int) -> None:
        if position in self.waiting:
            self.waiting.remove(position)


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def content_of(order: Order) -> bytes:
    """What makes two requests the same: key, algorithm, encoding, and the inputs in their order."""
    hasher = hashlib.sha256(order.key.fingerprint)
    hasher.update(f"{order.algorithm.number} {order.encoding} {len(order.inputs)}\n".encode())
    for data in order.inputs:
        hasher.update(len(data).to_bytes(4, "big"))
        hasher.update(data)
    return hasher.digest()
