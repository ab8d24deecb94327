"""Gathers the signing calls of one client on one stream, and keeps them alive when it breaks.

No timer decides what goes together: a batch is whatever waits at the moment when the stream can take more. A
batch that was sent and not answered is sent again on the next stream under the same request id, so that the
daemon knows it as the same; what the daemon refused for now is sent again after the delay that it asked for.
Both end with the deadline of each call.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Final

import grpc.aio

from segel import _status
from segel._backoff import Backoff
from segel._batch import Batch, Bulk, Single, Way
from segel._connection import Connection, closed, worth_repeating
from segel._outbox import Outbox
from segel._stream import Stalled, Stream
from segel.errors import ConnectionFailed, DaemonError, DeadlinePassed, SegelError
from segel.v1 import signing_pb2 as signing
from segel.v1.signing_pb2_grpc import SigningStub

# How a stream may end that is nobody's decision: connections age, daemons restart, proxies give up.
_ENDS_BY_ITSELF: Final = frozenset({"UNAVAILABLE", "CANCELLED"})


class Gatherer:
    """Belongs to one client and one event loop. Opens the stream with the first call."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outbox = Outbox()
        self._stirred = asyncio.Event()
        self._delayed: dict[Batch, asyncio.TimerHandle] = {}
        self._failure: SegelError | None = None
        self._stream: Stream | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def sign(self, way: Way, data: bytes, timeout: float) -> bytes:  # noqa: ASYNC109 -- goes to the daemon
        """The signature of one input, within `timeout` seconds.

        :raises SegelError: why there is none.
        """
        loop = asyncio.get_running_loop()
        self._start()
        single = Single(data, loop.time() + timeout, loop.create_future())
        self._outbox.add_single(way, math.frexp(timeout)[1], single)
        self._stirred.set()
        timer = loop.call_at(single.deadline, self._expire, single, timeout)
        try:
            return await single.future
        finally:
            timer.cancel()

    def submit(
        self,
        way: Way,
        data: Sequence[bytes],
        ids: Sequence[str] | None,
        timeout: float,
        refused: Mapping[int, SegelError],
    ) -> Bulk:
        """Queues inputs that are settled together; `collect` waits for them.

        :param refused: places that are settled at once, and not sent.
        """
        loop = asyncio.get_running_loop()
        self._start()
        bulk = Bulk(len(data), ids, loop, loop.time() + timeout, timeout)
        batch = Batch.of(way, data, bulk, bulk.deadline, ids)
        if refused:
            for place, error in refused.items():
                bulk.settle(place, error)
            batch = batch.part([place for place in range(len(data)) if place not in refused])
        if batch:
            self._outbox.add_bulk(batch)
            self._stirred.set()
        return bulk

    async def collect(self, bulk: Bulk) -> None:
        """Waits until all of it is settled; what is not in time is settled as a failure."""
        left = bulk.deadline - asyncio.get_running_loop().time()
        await asyncio.wait([bulk.future], timeout=max(left, 0))
        if not bulk.future.done():
            bulk.give_up(self._late(bulk.timeout))

    async def aclose(self) -> None:
        """Ends the stream; whatever still waits is refused with ClientClosed. May be called twice."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._refuse(closed())

    def _start(self) -> None:
        if self._closed:
            raise closed()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="segel: sign stream")

    def _expire(self, single: Single, timeout: float) -> None:
        if not single.future.done():
            single.future.set_exception(self._late(timeout))

    def _late(self, timeout: float) -> DeadlinePassed:
        text = f"There was no signature within {timeout:g} s"
        unreached = None if self._stream is not None and self._stream.opened else self._failure
        if unreached is not None:
            text += f", because the daemon could not be reached. {unreached.text}"
        late = DeadlinePassed(text, reason="DEADLINE_PASSED", code="DEADLINE_EXCEEDED")
        late.__cause__ = unreached
        return late

    async def _run(self) -> None:
        backoff = Backoff()
        try:
            while True:
                while not self._outbox:
                    self._stirred.clear()
                    await self._stirred.wait()
                await self._live(backoff)
        except Exception as error:  # noqa: BLE001 -- nobody awaits this task: those who wait must hear of it
            failed = SegelError(f"The client failed: {error!r}", reason="CLIENT_FAILED", code="INTERNAL")
            failed.__cause__ = error
            self._refuse(failed)

    async def _live(self, backoff: Backoff) -> None:
        """Opens a stream and lives with it until it ends; then decides about what it leaves."""
        try:
            channel = self._connection.channel()
        except SegelError as error:
            self._refuse(error)
            return
        stream = Stream(SigningStub(channel).SignStream(), self._outbox, self._stirred, self._answer)
        self._stream = stream
        ended: Exception | None = None
        try:
            await stream.run()
        except (grpc.aio.AioRpcError, Stalled) as error:
            ended = error
        finally:
            self._stream = None
            self._outbox.add_again([batch for batch in stream.unanswered.values() if batch.is_wanted()])
        if stream.useful:
            backoff.reset()
        if not self._outbox and not self._delayed:
            return  # ended while idle: the next call opens another
        failure = self._failure = self._broke(ended)
        if isinstance(ended, grpc.aio.AioRpcError) and not (stream.opened and _ends_by_itself(ended)):
            failure = self._failure = await self._connection.explain(ended)
        if worth_repeating(failure):
            await asyncio.sleep(backoff.next(failure.retry_after or 0.0))
        else:
            self._refuse(failure)

    def _broke(self, ended: Exception | None) -> SegelError:
        why = ended.details() if isinstance(ended, grpc.aio.AioRpcError) else ended
        return ConnectionFailed(
            f"The stream to {self._connection.target} ended: {why or 'the daemon closed it'}",
            reason="CONNECTION_BROKE",
            code="UNAVAILABLE",
            facts={"target": str(self._connection.target)},
            retry_after=0.0,
        )

    def _answer(self, batch: Batch, answer: signing.SignedBatch) -> None:
        self._failure = None
        if answer.HasField("error"):
            error = _status.from_status(answer.error)
            if not self._delay(batch, error):
                batch.settle_all(error)
            return
        results = answer.response.results
        if len(results) != len(batch):
            text = f"The daemon answered {len(results)} results for {len(batch)} inputs"
            batch.settle_all(DaemonError(text, reason="INTERNAL", code="INTERNAL"))
            return
        settle, origin = batch.receiver.settle, answer.response.log_origin
        refused: list[tuple[int, SegelError]] = []
        for position, (place, result) in enumerate(zip(batch.places, results, strict=True)):
            signature = result.signature
            if signature:
                leaf = (origin, result.leaf_index, result.leaf_position) if origin else None
                settle(place, signature, leaf)
            else:
                refused.append((position, _status.from_status(result.error)))
        if refused:
            self._sort_out(batch, refused)

    def _sort_out(self, batch: Batch, refused: Sequence[tuple[int, SegelError]]) -> None:
        """Repeats those items that may be repeated, under a new id: the old one's answer is settled for ever."""
        again = [(position, error) for position, error in refused if worth_repeating(error)]
        if again:
            slowest = max((error for _, error in again), key=lambda error: error.retry_after or 0.0)
            if self._delay(batch.part([position for position, _ in again]), slowest):
                refused = [(position, error) for position, error in refused if not worth_repeating(error)]
        for position, error in refused:
            batch.receiver.settle(batch.places[position], error)

    def _delay(self, batch: Batch, error: SegelError) -> bool:
        """Sends the batch again after the delay that the error asks for; False if that is no use."""
        if not worth_repeating(error) or not batch.is_wanted():
            return False
        loop = asyncio.get_running_loop()
        # More than asked for, and more each time: a delay of nothing must not become a busy loop.
        delay = Backoff(first=0.02 * 2.0 ** min(batch.tries, 6)).next(error.retry_after or 0.0)
        if loop.time() + delay >= batch.deadline:
            return False
        batch.tries += 1
        self._delayed[batch] = loop.call_later(delay, self._resume, batch)
        return True

    def _resume(self, batch: Batch) -> None:
        del self._delayed[batch]
        self._outbox.add_again([batch])
        self._stirred.set()

    def _refuse(self, error: SegelError) -> None:
        self._failure = None
        for batch, timer in self._delayed.items():
            timer.cancel()
            batch.settle_all(error)
        self._delayed.clear()
        self._outbox.refuse(error)


def _ends_by_itself(error: grpc.aio.AioRpcError) -> bool:
    said = _status.from_call(error.code().name, error.details(), error.trailing_metadata())
    if _status.is_from_daemon(said):
        return False
    return said.code in _ENDS_BY_ITSELF or said.text in _status.LOST_WHILE_WRITING
