"""What feeds a worker: pumps that bring it chunks and deal with its answers. However a chunk ends, no input is lost."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from segeld.dispatch import outcomes
from segeld.dispatch.breaker import Asked
from segeld.dispatch.lanes import Chunk, Lanes
from segeld.dispatch.metrics import DispatchMetrics
from segeld.dispatch.ports import Tokens
from segeld.dispatch.speed import Speed
from segeld.dispatch.ticket import Ticket
from segeld.dispatch.waiting import WaitingRoom
from segeld.ipc.worker_wire import ItemFailed, Remedy, Signed
from segeld.model.faults import Reason
from segeld.model.names import TokenName
from segeld.supervisor.worker_handle import WorkerHandle, WorkerLost

_log: Final = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Served:
    token: TokenName
    worker: WorkerHandle
    proved: float
    """When it was last known to work: it was fresh, or began with what it then signed."""


class Feed:
    """`serve` for each worker that is ready."""

    def __init__(self, room: WaitingRoom, tokens: Callable[[], Tokens], metrics: DispatchMetrics) -> None:
        self._room = room
        self._tokens = tokens
        self._metrics = metrics
        self._speed = Speed()

    async def serve(self, token: TokenName, worker: WorkerHandle) -> None:
        """Feeds one worker until it ends; or, when it retires, until it holds nothing."""
        served = _Served(token, worker, time.monotonic())
        try:
            async with asyncio.TaskGroup() as group:
                for lanes in (self._room.urgent, self._room.bulk):
                    # One chunk for each session, and one that is there when the first of them is done.
                    for _ in range(worker.sessions + 1):
                        group.create_task(self._pump(served, lanes))
                group.create_task(self._try_suspects(served))
                await worker.leaving.wait()
                self._room.wake_all()
        finally:
            # Who was woken for something and left without it must not be the only one who knew of it.
            self._room.wake_all()

    async def _pump(self, served: _Served, lanes: Lanes) -> None:
        urgent = lanes is self._room.urgent
        while not served.worker.leaving.is_set():
            chunk = self._room.take(served.token, lanes, partial(self._speed.chunk_size, served.token))
            if chunk is None:
                await self._room.idle[lanes].wait(served.token)
            elif chunk.parts and not await self._run(served, chunk, urgent=urgent):
                return

    async def _try_suspects(self, served: _Served) -> None:
        token, room = served.token, self._room
        while not served.worker.leaving.is_set():
            chunk = room.suspects.take(token, served.proved, room.suits(token))
            if chunk is None:
                await room.idle_suspects.wait(token)
                continue
            ((ticket, position),) = chunk.parts
            try:
                if room.is_wanted(ticket, position) and not await self._run(served, chunk, urgent=True):
                    return
            finally:
                room.after_trial(ticket, position, token)

    async def _run(self, served: _Served, chunk: Chunk, *, urgent: bool) -> bool:
        """Has a chunk signed; False if the worker is of no use any more."""
        held, worker, sent = deque(chunk.parts), served.worker, True
        began = time.monotonic()
        try:
            signed = await self._ask(served, chunk, urgent=urgent)
            self._metrics.chunk(served.token, time.monotonic() - began)
            self._settle(served, chunk, signed, held, began)
        except WorkerLost as lost:
            sent = lost.sent
            _log.warning(
                "chunk lost", token=str(served.token), worker=worker.pid, inputs=len(held), why=str(lost)
            )
            return False
        except Exception:  # noqa: BLE001  # whatever it was, it is this worker's end and nobody else's
            _log.exception("chunk failed", token=str(served.token), worker=worker.pid, inputs=len(held))
            worker.kill("the daemon could not have a chunk signed; see the log")
            return False
        finally:
            if held:
                worker.kill("it was given up with work in its hands")
            while held:  # the last first, so that they wait in their order again
                self._room.put_back(*held.pop(), attempted=sent)
        return True

    async def _ask(self, served: _Served, chunk: Chunk, *, urgent: bool) -> Signed:
        signed = await served.worker.sign(
            chunk.kind.key.fingerprint,
            chunk.kind.algorithm.number,
            chunk.kind.encoding,
            urgent=urgent,
            deadlines=chunk.deadlines,
            inputs=chunk.inputs,
            patience=self._tokens().patience_of(served.token),
        )
        if len(signed.outcomes) != len(chunk.parts):
            why = f"answered {len(signed.outcomes)} outcomes to {len(chunk.parts)} inputs"
            served.worker.kill(why)
            raise WorkerLost(why)
        return signed

    def _settle(
        self, served: _Served, chunk: Chunk, signed: Signed, held: deque[tuple[Ticket, int]], began: float
    ) -> None:
        """Takes each part out of `held` as its outcome is dealt with."""
        good, lasting = 0, True
        for outcome in signed.outcomes:
            ticket, position = held.popleft()
            if isinstance(outcome, bytes):
                good += 1
                ticket.end(position, outcome)
            elif outcome.remedy is Remedy.ITEM:
                self._item_failed(served.token, ticket, position, outcome)
            else:
                lasting = False
                self._worker_failed(served, ticket, position, outcome)
        if good:
            self._metrics.ended(served.token, "signed", good)
            self._speed.measured(served.token, chunk.kind, good, signed.device_ns / 1e9)
            self._room.breaker.worked(Asked(served.token, chunk.kind.key, chunk.kind.algorithm))
        if good and lasting:
            served.proved = max(served.proved, began)
            if self._room.suspects:
                self._room.idle_suspects.wake_all()

    def _item_failed(self, token: TokenName, ticket: Ticket, position: int, outcome: ItemFailed) -> None:
        ticket.end(position, outcomes.failed(ticket.order, outcome))
        self._metrics.ended(token, outcome.reason.lower())
        if outcome.reason is Reason.SIGNATURE_SELF_CHECK_FAILED:
            _log.critical("signature does not verify", token=str(token), key=str(ticket.order.key))
            self._tokens().note_bad_signature(token)

    def _worker_failed(self, served: _Served, ticket: Ticket, position: int, outcome: ItemFailed) -> None:
        served.worker.kill(f"{outcome.reason}, CKR {outcome.ckr:#x}")
        if not outcome.begun:
            self._room.put_back(ticket, position, attempted=False)
        elif outcome.remedy is not Remedy.REPLACE:
            # The token is gone or locked, which is no order's doing. It counts all the same: a module may say so of
            # one input each time.
            self._room.put_back(ticket, position, attempted=True)
        else:
            self._blame(served, ticket, position, outcome)

    def _blame(self, served: _Served, ticket: Ticket, position: int, outcome: ItemFailed) -> None:
        """A worker had to be ended over this input: once it is tried again, alone; twice is enough."""
        token, room = served.token, self._room
        if room.suspects.on_trial(ticket, position):
            ticket.end(position, outcomes.failed_twice(token, outcome))
            ticket.end_waiting(outcomes.beside_failed(token, outcome))
            room.suspects.clear(ticket)
            self._metrics.ended(token, outcome.reason.lower())
        else:
            if ticket not in room.suspects:
                room.suspect(ticket, position, token)
            room.put_back(ticket, position, attempted=not outcome.certain)
        if outcome.certain:
            self._count_failure(served, Asked(token, ticket.kind.key, ticket.kind.algorithm), outcome.ckr)

    def _count_failure(self, served: _Served, asked: Asked, ckr: int) -> None:
        if self._room.breaker.failed(asked, proved=served.proved, now=time.monotonic()):
            _log.error(
                "not asked any more",
                token=str(asked.token),
                key=str(asked.key),
                algorithm=asked.algorithm.name,
                ckr=f"{ckr:#x}",
            )
            self._room.review()
