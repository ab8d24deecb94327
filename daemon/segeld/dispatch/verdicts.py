"""What a worker's word about an input means: what is recorded, and what happens then. A failure never loses an input."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from segeld.dispatch import outcomes
from segeld.dispatch.breaker import PAUSE, Asked
from segeld.dispatch.idle import Seat
from segeld.dispatch.metrics import DispatchMetrics
from segeld.dispatch.ports import Tokens
from segeld.dispatch.waiting import WaitingRoom
from segeld.dispatch.work import Work
from segeld.ipc.worker_wire import ItemFailed, Remedy
from segeld.jobqueue.claims import ItemOutcome, NotBegun, Unknown
from segeld.model.faults import Fault, Reason
from segeld.model.job import Failure
from segeld.model.names import TokenName
from segeld.supervisor.worker_handle import WorkerHandle

_log: Final = structlog.get_logger(__name__)

After = Callable[[], None]
"""What happens when the outcome is durable."""
Verdict = tuple[ItemOutcome, After | None]
"""What is recorded, and what follows; a signature needs nothing to follow."""


@dataclass(slots=True)
class Served:
    """A worker that is being fed."""

    token: TokenName
    worker: WorkerHandle
    proved: float
    """When it was last known to work: it was fresh, or began with what it then signed."""
    running: int = 0
    """Chunks that it holds."""

    @property
    def seat(self) -> Seat:
        return Seat(self.token, self.worker.number)


class Verdicts:
    """`of_item` for what the worker said of one input, `of_loss` for an input of which it said nothing."""

    def __init__(self, room: WaitingRoom, tokens: Callable[[], Tokens], metrics: DispatchMetrics) -> None:
        self._room = room
        self._tokens = tokens
        self._metrics = metrics

    def of_item(self, served: Served, work: Work, position: int, failed: ItemFailed) -> Verdict:
        if failed.remedy is Remedy.ITEM:
            return self._failed(served.token, work, position, failed)
        served.worker.kill(f"{failed.reason}, CKR {failed.ckr:#x}")
        if not failed.begun:
            return self._waits_again(work, position)
        if failed.remedy is Remedy.REPLACE:
            return self._blamed(served, work, position, failed)
        # The token is gone or locked, which is no order's doing. It counts all the same: a module may say so of one
        # input each time.
        return self._tried(work, position, certain=failed.certain)

    def of_loss(self, work: Work, position: int, *, sent: bool) -> Verdict:
        """:param sent: whether the worker may have begun it."""
        return self._tried(work, position, certain=False) if sent else self._waits_again(work, position)

    def _waits_again(self, work: Work, position: int) -> Verdict:
        return NotBegun(), lambda: self._room.put_back(work, position)

    def _tried(self, work: Work, position: int, *, certain: bool) -> tuple[ItemOutcome, After]:
        if work.attempted(position):
            return _ends(work, position, outcomes.lost_too_often())
        record = NotBegun() if certain else Unknown()
        return record, lambda: self._room.put_back(work, position)

    def _failed(self, token: TokenName, work: Work, position: int, failed: ItemFailed) -> Verdict:
        self._metrics.ended(token, failed.reason.lower())
        if failed.reason is Reason.SIGNATURE_SELF_CHECK_FAILED:
            _log.critical("signature does not verify", token=str(token), key=str(work.kind.key))
            self._tokens().note_bad_signature(token)
        return _ends(work, position, outcomes.failed(work.kind.algorithm, failed))

    def _blamed(self, served: Served, work: Work, position: int, failed: ItemFailed) -> Verdict:
        """A worker had to be ended over this input: once it is tried again, alone; twice is enough."""
        token, room, at = served.token, self._room, time.monotonic()
        if room.suspects.on_trial(work, position):
            self._metrics.ended(token, failed.reason.lower())
            final, end = _ends(work, position, outcomes.failed_twice(token, failed))

            def condemn() -> None:
                end()
                work.end_beside(outcomes.beside_failed(token, failed))
                self._count_failure(served, work, failed)

            return final, condemn
        record, after = self._tried(work, position, certain=failed.certain)
        if isinstance(record, Failure):
            return record, after

        def suspect() -> None:
            if work not in room.suspects:
                room.suspect(work, position, token, at)
            after()
            self._count_failure(served, work, failed)

        return record, suspect

    def _count_failure(self, served: Served, work: Work, failed: ItemFailed) -> None:
        asked = Asked(served.token, work.kind.key, work.kind.algorithm)
        if failed.certain and self._room.breaker.failed(asked, proved=served.proved, now=time.monotonic()):
            _log.error(
                "not asked any more",
                token=str(asked.token),
                key=str(asked.key),
                algorithm=asked.algorithm.name,
                ckr=f"{failed.ckr:#x}",
            )
            self._room.review()
            asyncio.get_running_loop().call_later(PAUSE, self._room.wake_all)


def _ends(work: Work, position: int, fault: Fault) -> tuple[Failure, After]:
    return Failure(fault.reason, fault.text), lambda: work.end(position, fault)
