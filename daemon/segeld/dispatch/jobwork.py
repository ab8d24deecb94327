"""A job in the dispatcher: the few blocks of it that are in memory. The rest waits in the database."""

import time
from typing import Final

from segeld.dispatch import outcomes
from segeld.dispatch.work import Outcome, Work
from segeld.jobqueue.claims import Known
from segeld.jobqueue.store import Block
from segeld.model.deadline import MONOTONIC_NS
from segeld.model.faults import Fault
from segeld.model.job import Job

LOW_OCTETS: Final = 512 * 1024
"""The same, in octets: messages are long."""
LOW_WATER: Final = 1024
"""Waiting items below which the next block is loaded: two workers with two chunks each never wait for the disk."""


class JobWork(Work):
    """Positions are offsets in the job. What ends here is in the database already, so nothing is kept of it."""

    patient = True

    def __init__(self, job: Job, *, attempts: int) -> None:
        super().__init__(job.spec.caller, job.spec.kind, job.spec.priority, urgent=False, attempts=attempts)
        self.id: Final = job.id
        self.name: Final = job.name
        self.job = job
        """As it was when it last changed."""
        self.paused = False
        """An officer paused it."""
        self.forbidden = ""
        """Why the policy lets nothing of it be signed now; empty if it does."""
        self.next_offset = 0
        """Where loading goes on."""
        self.loaded_all = False
        self._gone: Fault | None = None
        self._deadline: Final = job.spec.deadline
        self._inputs: dict[int, bytes] = {}
        self._octets = 0

    @property
    def resting(self) -> str:  # type: ignore[override]  # of others it is a constant
        return self.job.reason or "It is paused." if self.paused else self.forbidden

    @property
    def hungry(self) -> bool:
        """Whether another block should be loaded."""
        enough = len(self.waiting) >= LOW_WATER or self._octets >= LOW_OCTETS
        return not (self.loaded_all or self._gone is not None or enough)

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in memory."""
        return not self._inputs

    @property
    def gone(self) -> bool:
        return self._gone is not None

    def load(self, block: Block | None) -> None:
        if block is None:
            self.loaded_all = True
            return
        self.next_offset = block.first + len(block.inputs)
        if self._gone is not None:
            return
        for position in block.lost:
            self.attempted(position)
        for position in block.waiting:
            data = self._inputs[position] = block.inputs[position - block.first]
            self._octets += len(data)
        self.waiting.extend(block.waiting)

    def input(self, position: int) -> bytes:
        return self._inputs[position]

    @property
    def deadline_at(self) -> int:
        return MONOTONIC_NS() + int((self._deadline - time.time()) * 1e9)

    @property
    def abandoned(self) -> bool:
        return False

    @property
    def mark(self) -> int:
        return self.id

    def unwanted(self) -> Fault | None:
        if self._gone is None and time.time() >= self._deadline:
            self._gone = outcomes.too_late()
        return self._gone

    def end(self, position: int, outcome: Outcome) -> None:  # noqa: ARG002 - it is kept in the database
        self._octets -= len(self._inputs.pop(position, b""))
        self.forget_attempts(position)

    def has_ended(self, position: int) -> bool:
        return position not in self._inputs

    def end_waiting(self, fault: Fault) -> None:
        while self.waiting:
            self.end(self.waiting.popleft(), fault)

    def end_beside(self, fault: Fault) -> None:
        """The rest of a job is tried all the same."""

    def refuse(self, fault: Fault) -> None:
        """It was cancelled or has expired: what is not with a worker is forgotten."""
        self._gone = fault
        self.end_waiting(fault)

    def granted(self) -> None:
        """There is nothing to note."""

    def put_off(self, fault: Fault) -> None:  # noqa: ARG002
        """It was paused, and its board is about to be told."""
        self.paused = True

    def learn(self, known: Known) -> None:  # noqa: ARG002
        raise AssertionError("only requests are known from before")
