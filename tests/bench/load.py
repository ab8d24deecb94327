"""Callers over a plain stub: the empty call, `Sign` of one digest, and many at once."""

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc
from setting import Key, digests

import segel
from segel.v1 import signing_pb2, signing_pb2_grpc

_MAX_ANSWER: Final = 16 * 1024 * 1024


@asynccontextmanager
async def channel(target: str, tls: segel.Tls) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_receive_message_length", _MAX_ANSWER)]
    async with grpc.aio.secure_channel(target, _credentials(tls), options) as opened:
        yield opened


def _credentials(tls: segel.Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(*(Path(file).read_bytes() for file in (tls.ca, tls.key, tls.cert)))


class Caller:
    """One client of `Signing` that asks with a key."""

    def __init__(self, opened: grpc.aio.Channel, key: Key) -> None:
        self._stub = signing_pb2_grpc.SigningStub(opened)
        self._key = key
        self._run = uuid.uuid4().hex
        self._numbers = itertools.count()

    def request(self, batch: int, request_id: str = "") -> signing_pb2.SignRequest:
        inputs = [signing_pb2.SignInput(digest=digest) for digest in digests(batch, next(self._numbers))]
        return signing_pb2.SignRequest(
            key=self._key.name, algorithm=self._key.algorithm, inputs=inputs, request_id=request_id
        )

    async def nothing(self) -> None:
        """The empty call."""
        await self._stub.WhoAmI(signing_pb2.WhoAmIRequest())

    async def one(self) -> None:
        """Has one digest signed, with a request_id of its own."""
        await self.send(self.request(1, f"{self._run}-{next(self._numbers)}"))

    async def send(self, wanted: signing_pb2.SignRequest) -> None:
        answer = await self._stub.Sign(wanted)
        if not all(result.signature for result in answer.results):
            raise RuntimeError(f"not signed: {answer.results[0]}")


async def sequence(call: Callable[[], Awaitable[object]], count: int) -> list[float]:
    """Seconds of each of so many calls, one after the other."""
    took = []
    for _ in range(count):
        asked = time.perf_counter()
        await call()
        took.append(time.perf_counter() - asked)
    return took


async def paced(
    call: Callable[[], Awaitable[object]], every: float, until: Callable[[int], bool]
) -> list[float]:
    """Seconds of each call. One is begun every so often, whether or not those before have ended.

    :param until: told how many were begun; True ends it.
    """
    took: list[float] = []

    async def timed() -> None:
        asked = time.perf_counter()
        await call()
        took.append(time.perf_counter() - asked)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in itertools.count(1):
            group.create_task(timed())
            if until(number):
                break
            await asyncio.sleep(max(0.0, began + number * every - time.perf_counter()))
    return took


async def rate(call: Callable[[], Awaitable[int]], callers: int, seconds: float) -> float:
    """What `call` counts, a second, with so many callers at once. Any failure ends the measurement."""
    counts: list[int] = []
    began = time.perf_counter()

    async def work() -> None:
        while time.perf_counter() - began < seconds:
            counts.append(await call())

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(work())
    return sum(counts) / (time.perf_counter() - began)
