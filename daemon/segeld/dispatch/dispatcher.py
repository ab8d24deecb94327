"""The dispatcher: takes orders, and answers each when all of its inputs have ended.

Handlers only wait here: a chunk that a worker holds belongs to the worker's own task, so a caller that goes away
cancels nothing but its waiting.
"""

import asyncio
from collections.abc import Callable

from segeld.dispatch.feed import Feed
from segeld.dispatch.metrics import DispatchMetrics
from segeld.dispatch.ports import Tokens
from segeld.dispatch.ticket import Kind, Outcome, Ticket
from segeld.dispatch.waiting import WaitingRoom
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import Order
from segeld.model.names import TokenName
from segeld.supervisor.worker_handle import WorkerHandle


class Dispatcher:
    """`sign` for the services, `serve` for the supervisor, `review` when a token's state changed."""

    def __init__(
        self, tokens: Callable[[], Tokens], metrics: DispatchMetrics, *, queue: int, queue_per_caller: int
    ) -> None:
        self._metrics = metrics
        self._queue = queue
        self._queue_per_caller = queue_per_caller
        self._room = WaitingRoom(tokens)
        self._feed = Feed(self._room, tokens, metrics)
        self._open: dict[str, int] = {}
        """Inputs of orders that have no answer yet, by caller."""
        self._open_total = 0
        self._stopping = False

    async def sign(self, order: Order) -> tuple[Outcome, ...]:
        """One signature or Fault for each input, in order. Cancelling gives up what no worker holds yet.

        :raises Fault: if the order as a whole is refused.
        """
        self._admit(order)
        ticket = Ticket(order, asyncio.get_running_loop().create_future())
        self._count(order.caller, len(order.inputs))
        self._room.enter(ticket)
        try:
            await asyncio.wait({ticket.done}, timeout=max(0.0, order.deadline.remaining()))
            if not ticket.done.done():
                self._room.expire(ticket)
                # What a worker holds ends in a moment: it looks at the deadline before each signature.
                await asyncio.wait({ticket.done})
            return ticket.done.result()
        finally:
            self._room.leave(ticket)
            self._count(order.caller, -len(order.inputs))

    def _admit(self, order: Order) -> None:
        if self._stopping:
            raise Fault(Reason.DAEMON_STOPPING, "The daemon is shutting down; try again.", retry_after=1.0)
        if (fault := self._room.refusal(Kind.of(order))) is not None:
            raise fault
        count, mine = len(order.inputs), self._open.get(order.caller, 0)
        if mine + count > self._queue_per_caller:
            raise Fault(
                Reason.CALLER_QUOTA,
                f"{mine} inputs of {order.caller} are waiting; {self._queue_per_caller} may. Send fewer at once.",
                retry_after=0.2,
                caller=order.caller,
                limit=str(self._queue_per_caller),
            )
        if self._open_total + count > self._queue:
            raise Fault(
                Reason.QUEUE_FULL, "Too much is waiting; try again.", retry_after=0.5, limit=str(self._queue)
            )

    def _count(self, caller: str, change: int) -> None:
        self._open[caller] = self._open.get(caller, 0) + change
        if not self._open[caller]:
            del self._open[caller]
        self._open_total += change
        self._metrics.open(self._open_total)

    async def serve(self, token: TokenName, worker: WorkerHandle) -> None:
        """Feeds one worker until it ends; or, when it retires, until it holds nothing."""
        await self._feed.serve(token, worker)

    def review(self) -> None:
        """A token's state or keys changed: what no token can sign any more, nor soon, ends now."""
        self._room.review()

    def begin_stop(self) -> None:
        """From now on new orders are refused; what was taken goes on."""
        self._stopping = True
