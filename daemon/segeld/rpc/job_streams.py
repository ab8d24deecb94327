"""Streams about jobs: one message at a time, counted, and no longer than the daemon takes calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from segeld.config.schema import Limits
from segeld.model.faults import Fault, Reason
from segeld.rpc import call as calls
from segeld.rpc.ending import unless_ended
from segeld.rpc.metrics import CallMetrics
from segeld.rpc.open_streams import OpenStreams

T = TypeVar("T")

_ADVICE: Final = "Close some, or ask for single jobs."


class JobStreams:
    """Sends what a source gives, as fast as its client reads. Between two writes nothing is fetched ahead."""

    def __init__(self, limits: Limits, closing: asyncio.Event, metrics: CallMetrics) -> None:
        self._open = OpenStreams(limits.max_watches, limits.max_watches_per_caller, _ADVICE, metrics.watches)
        self._closing = closing

    async def send(
        self,
        source: AsyncIterator[T],
        message: Callable[[T], Message],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        """Returns when the source has ended.

        :raises Fault: DAEMON_STOPPING, even while a client does not read; QUEUE_FULL, CALLER_QUOTA; the source's own.
        """
        with self._open.enter(calls.principal().name):
            await unless_ended(_pump(source, message, context), self._closing)


async def _pump(
    source: AsyncIterator[T], message: Callable[[T], Message], context: grpc.aio.ServicerContext[Any, Any]
) -> None:
    try:
        # No `async for`: its variable would keep one value while the next is being made.
        while (made := await _next(source, message)) is not None:
            await context.write(made)
            del made
    except grpc.aio.InternalError:
        raise Fault(Reason.CANCELLED, "The client has gone.") from None  # a write failed before gRPC said so
    finally:
        aclose = getattr(source, "aclose", None)
        if aclose is not None:  # a generator lets go of what it holds now, not when it is collected
            await aclose()


async def _next(source: AsyncIterator[T], message: Callable[[T], Message]) -> Message | None:
    try:
        return message(await anext(source))
    except StopAsyncIteration:
        return None
