"""One stream of batches: bounded, answered in the order of finishing, ended without losing an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc

from segel.v1 import signing_pb2
from segeld.config.schema import Limits
from segeld.model.deadline import Deadline
from segeld.model.faults import Fault, Reason
from segeld.model.names import is_request_id
from segeld.rpc import call as calls
from segeld.rpc import convert
from segeld.rpc.deadlines import deadline
from segeld.rpc.gate import stopping
from segeld.rpc.inputs import check_count
from segeld.rpc.interceptors import fault_of
from segeld.rpc.status import item_status

Sign = Callable[[signing_pb2.SignRequest, Deadline, str], Awaitable[signing_pb2.SignResponse]]

MAX_OCTETS: Final = 8 * 1024 * 1024
"""Octets of requests in flight on one stream; only batches of long messages come near it."""

_ID: Final = "batch.request_id"


class SignStream:
    """Reads batches, signs each in a task of its own, writes answers one at a time.

    An input is in flight from when it was read until its answer is begun to be written: the client may know of the
    answer before we know that it was sent, and reckons with its share at once. A client that does not read finds
    that nothing more is read from it once as many answers wait as may be in flight. When the daemon stops, or the
    client breaks the protocol, nothing more is read, what is in flight is answered, and then the stream ends with the
    reason.
    """

    def __init__(
        self, sign: Sign, context: grpc.aio.ServicerContext[Any, Any], limits: Limits, closing: asyncio.Event
    ) -> None:
        self._sign = sign
        self._context = context
        self._limits = limits
        self._closing = closing
        self._writing = asyncio.Lock()
        self._ids: set[str] = set()
        self._inputs = 0
        self._octets = 0
        self._unsent = 0
        self._room = asyncio.Event()
        self._room.set()

    async def run(self, messages: AsyncIterator[signing_pb2.SignStreamRequest]) -> None:
        """Returns when the client has said that it sends no more and has every answer.

        :raises Fault: DAEMON_STOPPING, or FIELD_INVALID for a batch without an id of its own.
        """
        limits = signing_pb2.SignStreamLimits(
            max_in_flight=self._limits.max_in_flight, max_batch=self._limits.max_batch
        )
        await self._context.write(signing_pb2.SignStreamResponse(limits=limits))
        try:
            async with asyncio.TaskGroup() as tasks:
                ending = await self._until_ended(messages, tasks)
        except* grpc.aio.InternalError:
            ending = Fault(Reason.CANCELLED, "The client has gone.")  # a write failed before gRPC said so
        if ending is not None:
            raise ending

    async def _until_ended(
        self, messages: AsyncIterator[signing_pb2.SignStreamRequest], tasks: asyncio.TaskGroup
    ) -> Fault | None:
        reading = tasks.create_task(self._read(messages, tasks))
        closing = tasks.create_task(self._closing.wait())
        await asyncio.wait({reading, closing}, return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if reading.done():
            return reading.result()
        reading.cancel()
        return stopping()

    async def _read(
        self, messages: AsyncIterator[signing_pb2.SignStreamRequest], tasks: asyncio.TaskGroup
    ) -> Fault | None:
        """Takes batches until the client ends or breaks the protocol; gives what the stream ends with."""
        try:
            async for message in messages:
                batch = message.batch
                self._check_id(batch.request_id)
                inputs, octets = len(batch.inputs), message.ByteSize()
                refusal = self._refusal(inputs, octets)
                if refusal is None:
                    self._ids.add(batch.request_id)
                    self._inputs += inputs
                    self._octets += octets
                    tasks.create_task(self._answer(message, inputs, octets))
                else:
                    # Waited for, so that a client that only provokes refusals is held to its own reading; shielded,
                    # because the reader may be ended, but a write must not be given up halfway.
                    await asyncio.shield(tasks.create_task(self._write(_refused(batch.request_id, refusal))))
                await self._room.wait()
        except Fault as fault:
            return fault
        return None

    def _check_id(self, request_id: str) -> None:
        """Without an id of its own a batch cannot be answered: this ends the stream."""
        if not is_request_id(request_id):
            raise convert.invalid(_ID, "is not 1 to 128 of A-Z a-z 0-9 . _ : -")
        if request_id in self._ids:
            raise convert.invalid(_ID, f"{request_id} is already in flight on this stream")

    def _refusal(self, inputs: int, octets: int) -> Fault | None:
        """Why a batch is not even begun."""
        try:
            check_count(inputs, self._limits.max_batch, "batch.inputs")
        except Fault as fault:
            return fault
        if self._inputs + inputs <= self._limits.max_in_flight and self._octets + octets <= MAX_OCTETS:
            return None
        return Fault(
            Reason.CALLER_QUOTA,
            f"{self._inputs} inputs of {self._octets} octets are in flight on this stream; "
            f"{self._limits.max_in_flight} inputs and {MAX_OCTETS} octets are its limits.",
            caller=calls.principal().name,
            maximum=str(self._limits.max_in_flight),
        )

    async def _answer(self, message: signing_pb2.SignStreamRequest, inputs: int, octets: int) -> None:
        batch = message.batch
        try:
            answer = signing_pb2.SignedBatch(
                request_id=batch.request_id, response=await self._sign(batch, self._until(message), "batch.")
            )
        except Exception as error:  # noqa: BLE001 - a batch fails alone, the stream goes on
            answer = _refused(batch.request_id, fault_of(error, calls.current().request_id))
        del message, batch  # an answer may wait long for a slow reader, and is far smaller
        self._ids.discard(answer.request_id)
        self._inputs -= inputs
        self._octets -= octets
        self._count_unsent(inputs)
        await self._write(answer)
        self._count_unsent(-inputs)

    def _count_unsent(self, unsent: int) -> None:
        self._unsent += unsent
        if self._unsent < self._limits.max_in_flight:
            self._room.set()
        else:
            self._room.clear()

    def _until(self, message: signing_pb2.SignStreamRequest) -> Deadline:
        timeout = None
        if message.HasField("timeout"):
            # The fields and not a timedelta: any number may arrive, and arithmetic on floats never overflows.
            timeout = message.timeout.seconds + message.timeout.nanos / 1e9
        return deadline(self._context.time_remaining(), timeout, self._limits.deadline)

    async def _write(self, answer: signing_pb2.SignedBatch) -> None:
        async with self._writing:  # gRPC takes one write at a time
            await self._context.write(signing_pb2.SignStreamResponse(batch=answer))


def _refused(request_id: str, fault: Fault) -> signing_pb2.SignedBatch:
    return signing_pb2.SignedBatch(request_id=request_id, error=item_status(fault))
