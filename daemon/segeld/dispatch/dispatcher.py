"""The dispatcher: takes orders, feeds workers that are ready, puts back what a lost worker held.

Two classes of lanes: urgent (small orders, which a worker signs between two signatures of others) and bulk.
Handlers only wait here: a chunk that a worker holds belongs to the worker's own task, so a caller that goes away
cancels nothing but its waiting.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from segeld.dispatch.idle import Idle
from segeld.dispatch.lanes import Chunk, Lanes
from segeld.dispatch.metrics import DispatchMetrics
from segeld.dispatch.outcomes import failed, no_replica, too_late
from segeld.dispatch.speed import Speed
from segeld.dispatch.ticket import Outcome, Ticket
from segeld.ipc.worker_wire import ItemFailed, Remedy, Signed
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Order
from segeld.model.names import KeyName, TokenName
from segeld.supervisor.news import News
from segeld.supervisor.worker_handle import WorkerHandle, WorkerLost

_log: Final = structlog.get_logger(__name__)
URGENT_INPUTS: Final = 8
"""Orders up to this size are urgent."""
_IN_FLIGHT: Final = 2
"""Chunks of each class at one worker: the next is there when the first is done."""


class Tokens(Protocol):
    """What the dispatcher needs to know of tokens and keys."""

    def key(self, name: KeyName) -> KeyRecord | None: ...

    def names_on(self, token: TokenName) -> frozenset[KeyName]: ...

    def patience_of(self, token: TokenName) -> float: ...

    def note_bad_signature(self, token: TokenName) -> None: ...


class Dispatcher:
    """`sign` for the services, `serve` for the supervisor, `review` when a token's state changed."""

    def __init__(
        self, tokens: Callable[[], Tokens], metrics: DispatchMetrics, *, queue: int, queue_per_caller: int
    ) -> None:
        self._tokens = tokens
        self._metrics = metrics
        self._queue = queue
        self._queue_per_caller = queue_per_caller
        self._urgent: Final = Lanes()
        self._bulk: Final = Lanes()
        self._idle: Final = {self._urgent: Idle(), self._bulk: Idle()}
        self._open: dict[str, int] = {}
        """Inputs of orders that have no answer yet, by caller."""
        self._open_total = 0
        self._tickets: set[Ticket] = set()
        self._speed = Speed()
        self._answered = News()
        self._stopping = False

    # --- for those who want something signed

    async def sign(self, order: Order) -> tuple[Outcome, ...]:
        """One signature or Fault for each input, in order. Cancelling gives up what no worker holds yet.

        :raises Fault: if the order as a whole is refused.
        """
        self._admit(order)
        ticket = Ticket(order, asyncio.get_running_loop().create_future())
        lanes = self._urgent if len(order.inputs) <= URGENT_INPUTS else self._bulk
        self._count(order.caller, len(order.inputs))
        self._tickets.add(ticket)
        lanes.push(ticket)
        self._wake(lanes, order.key)
        try:
            await asyncio.wait({ticket.done}, timeout=max(0.0, order.deadline.remaining()))
            if not ticket.done.done():
                lanes.withdraw(ticket)
                ticket.end_waiting(too_late())
                # What a worker holds ends in a moment: it looks at the deadline before each signature.
                await asyncio.wait({ticket.done})
            return ticket.done.result()
        finally:
            lanes.withdraw(ticket)
            self._tickets.discard(ticket)
            self._count(order.caller, -len(order.inputs))
            if self._stopping:
                self._answered.tell()

    def _admit(self, order: Order) -> None:
        if self._stopping:
            raise Fault(Reason.DAEMON_STOPPING, "The daemon is shutting down; try again.", retry_after=1.0)
        self._require_replica(order.key)
        count, mine = len(order.inputs), self._open.get(order.caller, 0)
        if mine + count > self._queue_per_caller:
            raise Fault(
                Reason.CALLER_QUOTA,
                f"{mine} inputs of {order.caller} are waiting; {self._queue_per_caller} may. Send fewer at once.",
                retry_after=0.2,
                limit=str(self._queue_per_caller),
            )
        if self._open_total + count > self._queue:
            raise Fault(
                Reason.QUEUE_FULL, "Too much is waiting; try again.", retry_after=0.5, limit=str(self._queue)
            )

    def _require_replica(self, name: KeyName) -> None:
        key = self._tokens().key(name)
        fault = no_replica(name, key)
        if fault is not None:
            raise fault

    def _count(self, caller: str, change: int) -> None:
        self._open[caller] = self._open.get(caller, 0) + change
        if not self._open[caller]:
            del self._open[caller]
        self._open_total += change
        self._metrics.open(self._open_total)

    # --- for the supervisor

    async def serve(self, token: TokenName, worker: WorkerHandle) -> None:
        """Feeds one worker until it ends; or, when it retires, until it holds nothing."""
        async with asyncio.TaskGroup() as group:
            for lanes in (self._urgent, self._bulk):
                for _ in range(_IN_FLIGHT):
                    group.create_task(self._pump(token, worker, lanes))
            await worker.leaving.wait()
            for idle in self._idle.values():
                idle.wake_all()

    async def _pump(self, token: TokenName, worker: WorkerHandle, lanes: Lanes) -> None:
        while not worker.leaving.is_set():
            chunk = self._take(token, lanes)
            if chunk is None:
                await self._idle[lanes].wait(token)
            else:
                await self._run(token, worker, lanes, chunk)

    def _take(self, token: TokenName, lanes: Lanes) -> Chunk | None:
        keys = self._tokens().names_on(token)
        kind = lanes.next_kind(keys)
        if kind is None:
            return None
        chunk = lanes.take(keys, self._speed.chunk_size(token, kind))
        if (more := lanes.next_kind(keys)) is not None:
            self._wake(lanes, more.key)
        return chunk

    def _wake(self, lanes: Lanes, key: KeyName) -> None:
        """One pump is enough: it wakes the next if it leaves something."""
        self._idle[lanes].wake_one(lambda token: key in self._tokens().names_on(token))

    async def _run(self, token: TokenName, worker: WorkerHandle, lanes: Lanes, chunk: Chunk) -> None:
        began = time.monotonic()
        try:
            signed = await worker.sign(
                chunk.kind.key.fingerprint,
                chunk.kind.algorithm.number,
                chunk.kind.encoding,
                urgent=lanes is self._urgent,
                deadline=chunk.deadline,
                inputs=chunk.inputs,
                patience=self._tokens().patience_of(token),
            )
        except WorkerLost as lost:
            _log.warning(
                "chunk lost", token=str(token), worker=worker.pid, inputs=len(chunk.parts), why=str(lost)
            )
            for ticket, position in chunk.parts:
                self._again(lanes, ticket, position, attempted=True)
            return
        self._metrics.chunk(token, time.monotonic() - began)
        self._settle(token, worker, lanes, chunk, signed)

    def _settle(
        self, token: TokenName, worker: WorkerHandle, lanes: Lanes, chunk: Chunk, signed: Signed
    ) -> None:
        good = 0
        for (ticket, position), outcome in zip(chunk.parts, signed.outcomes, strict=True):
            if isinstance(outcome, bytes):
                good += 1
                ticket.end(position, outcome)
            else:
                self._settle_failed(token, worker, lanes, ticket, position, outcome)
        if good:
            self._metrics.ended(token, "signed", good)
            self._speed.measured(token, chunk.kind, good, signed.device_ns / 1e9)

    def _settle_failed(
        self,
        token: TokenName,
        worker: WorkerHandle,
        lanes: Lanes,
        ticket: Ticket,
        position: int,
        outcome: ItemFailed,
    ) -> None:
        if outcome.reason is Reason.SIGNATURE_SELF_CHECK_FAILED:
            _log.critical("signature does not verify", token=str(token), key=str(ticket.order.key))
            self._tokens().note_bad_signature(token)
        if outcome.reason is Reason.DEADLINE_PASSED and not ticket.order.deadline.passed():
            self._again(lanes, ticket, position, attempted=False)
            return
        if outcome.remedy is Remedy.ITEM:
            self._metrics.ended(token, outcome.reason.lower())
            ticket.end(position, failed(ticket.order, outcome))
            return
        worker.kill(f"{outcome.reason}, CKR {outcome.ckr:#x}")
        self._again(lanes, ticket, position, attempted=not outcome.certain)

    def _again(self, lanes: Lanes, ticket: Ticket, position: int, *, attempted: bool) -> None:
        """Back to its lane, if somebody still waits for it and it was not tried too often."""
        if ticket not in self._tickets:
            ticket.end(position, Fault(Reason.CANCELLED, "The caller gave up."))
        elif ticket.order.deadline.passed():
            ticket.end(position, too_late())
        elif ticket.again(position, attempted=attempted):
            lanes.push_front(ticket)
            self._wake(lanes, ticket.order.key)
        else:
            ticket.end(
                position,
                Fault(
                    Reason.WORKER_LOST,
                    "The token's worker was lost three times while it held this input; whether the token signed it "
                    "is not known. No signature was released.",
                    retry_after=5.0,
                ),
            )

    def review(self) -> None:
        """A token's state or keys changed: what no token can sign any more, nor soon, ends now."""
        for lanes in (self._urgent, self._bulk):
            for ticket in list(lanes):
                fault = no_replica(ticket.order.key, self._tokens().key(ticket.order.key))
                if fault is not None:
                    lanes.withdraw(ticket)
                    ticket.end_waiting(fault)
            self._idle[lanes].wake_all()

    # --- the end

    def begin_stop(self) -> None:
        """From now on new orders are refused; what was taken goes on."""
        self._stopping = True

    async def drained(self) -> None:
        """Returns when every order that was taken has its answer."""
        await self._answered.until(lambda: not self._tickets)
