"""gRPC's handlers, made ours: requests are parsed here, so that what cannot be parsed is our own refusal."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.message import DecodeError

from segeld.model.faults import Fault, Reason

Context = grpc.aio.ServicerContext[Any, Any]
if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler  # generic in its stubs alone


def parser(handler: Handler) -> Callable[[bytes], Any]:
    deserialize = handler.request_deserializer
    assert deserialize is not None

    def parse(raw: bytes) -> Any:
        try:
            return deserialize(raw)
        except DecodeError:
            raise Fault(Reason.FIELD_INVALID, "The request is not a message of this method.") from None

    return parse


class Parsed:
    """The messages of a stream. No generator: nothing has to be closed when a reader stops early."""

    def __init__(self, raw: AsyncIterator[bytes], parse: Callable[[bytes], Any]) -> None:
        self._raw = raw
        self._parse = parse

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._parse(await self._raw.__anext__())


async def drain(answers: Any, context: Context) -> None:
    """Runs a handler that writes by itself, or writes what a generator yields (reflection is one)."""
    if not hasattr(answers, "__aiter__"):
        await answers
        return
    try:
        async for answer in answers:
            await context.write(answer)
    finally:
        await answers.aclose()
