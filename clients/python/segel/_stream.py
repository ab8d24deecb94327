"""One life of a SignStream: from its opening until either side ends it."""

import asyncio
from collections.abc import Callable
from typing import Final

import grpc
import grpc.aio

from segel._batch import Batch
from segel._outbox import MOST_OCTETS, Limits, Outbox
from segel.v1 import signing_pb2 as signing

Call = grpc.aio.StreamStreamCall[signing.SignStreamRequest, signing.SignStreamResponse]

OPENING: Final = 10.0
"""Seconds within which the daemon must have said its limits, connecting included."""
MOST_OCTETS_IN_FLIGHT: Final = 6 * 1024 * 1024
"""Octets unanswered at once: only long messages come near it, and the daemon takes 8 MiB on one stream."""
OVERDUE: Final = 5.0
"""Seconds after its deadline at which a batch without an answer shows that the stream is of no use."""


class Stalled(Exception):
    """The daemon took something and says nothing."""


class Stream:
    """Sends what the outbox holds while there is room, and hands every answer to `answered`.

    :param stirred: set whenever the outbox may hold something new.
    :ivar opened: whether the daemon said its limits.
    :ivar unanswered: batches that were sent, by request id; what is left in it is to be sent again.
    """

    def __init__(
        self,
        call: Call,
        outbox: Outbox,
        stirred: asyncio.Event,
        answered: Callable[[Batch, signing.SignedBatch], None],
    ) -> None:
        self.opened = False
        self.useful = False
        self.unanswered: Final[dict[str, Batch]] = {}
        self._call = call
        self._outbox = outbox
        self._stirred = stirred
        self._answered = answered
        self._in_flight = 0
        self._octets = 0
        self._now = asyncio.get_running_loop().time

    async def run(self) -> None:
        """Returns when the daemon ended the stream in good order.

        :raises grpc.aio.AioRpcError: when it ended in any other way.
        :raises Stalled: when the daemon is silent.
        """
        try:
            limits = await self._open()
            sending = asyncio.create_task(self._send(limits), name="segel: send")
            receiving = asyncio.create_task(self._receive(), name="segel: receive")
            try:
                await self._watch(sending, receiving)
            finally:
                # With the call ended first, nothing is cut off in the middle of a message.
                self._call.cancel()
                sending.cancel()
                receiving.cancel()
                await asyncio.gather(sending, receiving, return_exceptions=True)
        finally:
            self._call.cancel()

    async def _open(self) -> Limits:
        try:
            async with asyncio.timeout(OPENING):
                first = await self._call.read()
        except TimeoutError:
            raise Stalled(f"The daemon did not open the stream within {OPENING:.0f} s") from None
        if not isinstance(first, signing.SignStreamResponse):
            raise Stalled("The daemon ended the stream before it began")
        self.opened = True
        return Limits(max(first.limits.max_in_flight, 1), max(first.limits.max_batch, 1))

    async def _watch(self, sending: asyncio.Task[None], receiving: asyncio.Task[None]) -> None:
        """Until the receiving end has ended: it is the one that learns how the stream ended."""
        running = {sending, receiving}
        while receiving in running:
            done, running = await asyncio.wait(running, timeout=OVERDUE, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            late = self._now() - OVERDUE
            if any(batch.deadline < late for batch in self.unanswered.values()):
                raise Stalled("The daemon did not answer a batch within its time")

    async def _send(self, limits: Limits) -> None:
        while True:
            full = self._octets > MOST_OCTETS_IN_FLIGHT - MOST_OCTETS
            batch = None if full else self._outbox.take(limits, self._in_flight)
            if batch is None:
                self._stirred.clear()
                await self._stirred.wait()
                # One turn of the loop: calls that became runnable together go out together.
                await asyncio.sleep(0)
                continue
            self.unanswered[batch.request_id] = batch
            self._in_flight += len(batch)
            self._octets += batch.octets
            # A little less than there is, so that the daemon's own refusal still arrives in time.
            left = max(batch.deadline - self._now(), 0.002)
            seconds, fraction = divmod(left - min(0.02, left / 10), 1)
            batch.message.timeout.seconds = int(seconds)
            batch.message.timeout.nanos = int(fraction * 1e9)
            try:
                await self._call.write(batch.message)
            except asyncio.InvalidStateError:
                return  # the call has ended; the receiving end learns how

    async def _receive(self) -> None:
        while isinstance(response := await self._call.read(), signing.SignStreamResponse):
            batch = self.unanswered.pop(response.batch.request_id, None)
            if batch is None:
                continue
            self._in_flight -= len(batch)
            self._octets -= batch.octets
            self.useful = True
            self._answered(batch, response.batch)
            self._stirred.set()
