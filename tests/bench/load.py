"""Callers of `Sign`: so many at once, batches of so many digests, for so long."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from segel.testing import DevDaemon
from segel.v1 import resources_pb2, signing_pb2, signing_pb2_grpc

_MAX_ANSWER = 16 * 1024 * 1024


@asynccontextmanager
async def stub(daemon: DevDaemon) -> "AsyncIterator[signing_pb2_grpc.SigningAsyncStub]":
    credentials = grpc.ssl_channel_credentials(*_pem(daemon))
    options = [("grpc.max_receive_message_length", _MAX_ANSWER)]
    async with grpc.aio.secure_channel(daemon.target, credentials, options) as channel:
        yield signing_pb2_grpc.SigningStub(channel)


def _pem(daemon: DevDaemon) -> tuple[bytes, bytes, bytes]:
    tls = daemon.tls()
    return Path(tls.ca).read_bytes(), Path(tls.key).read_bytes(), Path(tls.cert).read_bytes()


def request(
    key: str, algorithm: "resources_pb2.SignatureAlgorithm.ValueType", batch: int
) -> signing_pb2.SignRequest:
    digests = (hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(batch))
    return signing_pb2.SignRequest(
        key=key, algorithm=algorithm, inputs=[signing_pb2.SignInput(digest=digest) for digest in digests]
    )


async def rate(
    signing: "signing_pb2_grpc.SigningAsyncStub",
    wanted: signing_pb2.SignRequest,
    callers: int,
    seconds: float,
) -> tuple[float, float]:
    """Signatures a second, and the median seconds of one call. Any failure ends the measurement."""
    latencies: list[float] = []
    began = time.monotonic()

    async def call() -> None:
        while time.monotonic() - began < seconds:
            asked = time.monotonic()
            answer = await signing.Sign(wanted)
            latencies.append(time.monotonic() - asked)
            if not all(result.signature for result in answer.results):
                raise RuntimeError(f"not signed: {answer.results[0]}")

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
    passed = time.monotonic() - began
    return len(latencies) * len(wanted.inputs) / passed, sorted(latencies)[len(latencies) // 2]
