"""The dispatcher: takes orders, and answers each when all of its inputs have ended.

Handlers only wait here: a chunk that was claimed belongs to a task of the dispatcher's own, so a caller that goes away
cancels nothing but its waiting.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from segeld.dispatch.feed import Feed
from segeld.dispatch.jobboard import JobBoard
from segeld.dispatch.jobnews import JobNews
from segeld.dispatch.ledger import Ledger
from segeld.dispatch.metrics import DispatchMetrics
from segeld.dispatch.ports import Rules, Tokens
from segeld.dispatch.requests import OpenRequests
from segeld.dispatch.run import Runs
from segeld.dispatch.standing import Revoked, Standing
from segeld.dispatch.ticket import Ticket
from segeld.dispatch.waiting import WaitingRoom
from segeld.jobqueue.claims import Settled
from segeld.jobqueue.store import Queue
from segeld.model.counts import counted, fitting
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import Order, Signed
from segeld.model.names import KeyName, TokenName
from segeld.supervisor.worker_handle import WorkerHandle

_LAST_WAIT = 5.0
"""Seconds that a call waits beyond its deadline for what a worker holds. Its outcome is recorded even later."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much may wait."""

    queue: int
    queue_per_caller: int
    answers_retention: float
    """Seconds for which signatures of requests with an id are kept."""


class Dispatcher:
    """`sign` for the services, `serve` for the supervisor, `review` when a token's state changed."""

    def __init__(
        self,
        tokens: Callable[[], Tokens],
        rules: Callable[[], Rules],
        store: Queue,
        metrics: DispatchMetrics,
        quotas: Quotas,
        *,
        log_origin: str,
        recorded: Callable[[int], None],
        revoked: Revoked = lambda caller: False,  # noqa: ARG005
    ) -> None:
        """:param log_origin: the audit log of the receipts.
        :param recorded: told of the leaf of each outcome.
        :param revoked: whether a caller was revoked: nothing of it is dispatched.
        """
        self._log_origin = log_origin
        self._recorded = recorded
        self._rules = rules
        self._metrics = metrics
        self._quotas = quotas
        standing = Standing(
            rules,
            revoked,
            lambda key: (record := tokens().key(key)) is not None and record.always_authenticate,
        )
        self._room = WaitingRoom(tokens, lambda caller: rules().weight(caller), standing)
        self._ledger = Ledger(store)
        self.news = JobNews()
        self.jobs = JobBoard(store, self._room, rules, standing, self.news.tell)
        self._feed = Feed(self._room, Runs(self._room, tokens, self._ledger, metrics, self._settled))
        self._requests = OpenRequests()
        self._open: dict[str, int] = {}
        """Inputs of orders that have no answer yet, by caller."""
        self._open_keys: Counter[KeyName] = Counter()
        """The same, by key."""
        self._open_total = 0
        self._stopping = False

    @property
    def log_origin(self) -> str:
        return self._log_origin

    async def sign(self, order: Order) -> Signed:
        """One signature or Fault for each input, in order. Cancelling gives up what no worker holds yet.

        :raises Fault: if the order as a whole is refused.
        """
        ticket = self._requests.same_as(order)
        if ticket is None:
            self._admit(order)
            ticket = Ticket(
                order,
                attempts=self._rules().attempts(order.key),
                kept=self._quotas.answers_retention,
                late=self._late,
                quiet=self._requests.leave,
            )
            self._requests.enter(ticket)
        else:
            ticket.join(order.deadline)
        if ticket.waiting:  # also if it was given up and somebody comes back to it
            self._room.enter(ticket)
        with self._counted(order):
            return await self._done(ticket, order)

    async def _done(self, ticket: Ticket, order: Order) -> Signed:
        try:
            done = await ticket.wait(order.deadline.remaining())
            if not done and ticket.deadline.passed():
                self._room.withdraw(ticket)
                ticket.end_waiting(self._late(ticket))
                # What a worker holds ends in a moment: it looks at the deadline before each signature.
                await ticket.wait(_LAST_WAIT)
        finally:
            if ticket.abandoned:
                self._room.withdraw(ticket)
                ticket.look()
        if ticket.done is None:  # others have more time, or what came of it cannot be recorded now
            raise self._late(ticket)
        return Signed(ticket.done)

    def _late(self, ticket: Ticket) -> Fault:
        return self._ledger.trouble or self._room.late(ticket)

    def _admit(self, order: Order) -> None:
        if self._stopping:
            raise Fault(Reason.DAEMON_STOPPING, "The daemon is shutting down; try again.", retry_after=1.0)
        if (fault := self._ledger.refusal) is not None:
            raise fault
        if (fault := self._room.refusal(order.kind)) is not None:
            raise fault
        count, mine = len(order.inputs), self._open.get(order.caller, 0)
        if mine + count > self._quotas.queue_per_caller:
            raise Fault(
                Reason.CALLER_QUOTA,
                f"{counted(mine, 'input')} of {order.caller} {fitting(mine, 'waits', 'wait')}; {self._quotas.queue_per_caller} may. "
                "Send fewer at once.",
                retry_after=0.2,
                caller=order.caller,
                maximum=str(self._quotas.queue_per_caller),
            )
        if self._open_total + count > self._quotas.queue:
            raise Fault(
                Reason.QUEUE_FULL,
                "Too much is waiting; try again.",
                retry_after=0.5,
                maximum=str(self._quotas.queue),
            )

    @contextmanager
    def _counted(self, order: Order) -> Iterator[None]:
        self._count(order.caller, order.key, len(order.inputs))
        try:
            yield
        finally:
            self._count(order.caller, order.key, -len(order.inputs))

    def _count(self, caller: str, key: KeyName, change: int) -> None:
        self._open[caller] = self._open.get(caller, 0) + change
        if not self._open[caller]:
            del self._open[caller]
        self._open_keys[key] += change
        if not self._open_keys[key]:
            del self._open_keys[key]
        self._open_total += change
        self._metrics.open(self._open_total)

    async def serve(self, token: TokenName, worker: WorkerHandle) -> None:
        """Feeds one worker until it ends; or, when it retires, until it holds nothing."""
        await self._feed.serve(token, worker)

    def review(self) -> None:
        """A token's state or keys changed: what no token can sign any more, nor soon, ends now."""
        self._room.review()

    def review_callers(self) -> None:
        """The policy changed, or who is revoked: orders that are not allowed any more end now, jobs wait or go on."""
        self.jobs.review()
        self._room.review()

    def waiting(self, keys: Collection[KeyName]) -> int:
        """Items that wait for these keys, or are with a worker: of jobs on disk, and of orders."""
        return self.jobs.waiting(keys) + sum(self._open_keys[key] for key in keys)

    @property
    def trouble(self) -> Fault | None:
        """Why nothing is signed although tokens are ready; None if all is well."""
        return self._ledger.trouble

    def begin_stop(self) -> None:
        """From now on new orders are refused, and nothing more of jobs is begun; what was taken goes on."""
        self._stopping = True
        self._room.stop_jobs()

    async def drained(self) -> None:
        """Returns when everything that was begun is settled."""
        await self._feed.drained()

    def _settled(self, settled: Settled) -> None:
        self._recorded(settled.leaf)
        for job in settled.jobs:
            self.jobs.changed(job)
            self.news.tell(job)
