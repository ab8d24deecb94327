"""One client's channel, and calls that are made again until they succeed, with the same content each time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from segel.v1.jobs_pb2_grpc import JobsStub
from segel.v1.signing_pb2_grpc import SigningStub

Answer = TypeVar("Answer")
ANSWER_WITHIN: Final = 30.0
PAUSE: Final = 0.1
PASSES: Final = frozenset(
    {
        "CALLER_QUOTA",
        "CANCELLED",
        "DAEMON_STOPPING",
        "DEADLINE_PASSED",
        "DEVICE_ERROR",
        "QUEUE_FULL",
        "STORAGE_FULL",
        "STORAGE_UNAVAILABLE",
        "TOKEN_NOT_PRESENT",
        "TOKEN_RECOVERING",
        "WORKER_LOST",
    }
)
"""Reasons after which the same thing may be sent again."""
_BROKEN: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}
)


class Refused(Exception):
    """The daemon said something that does not pass."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason


class Caller:
    """One caller on one channel."""

    def __init__(self, name: str, target: str, tls) -> None:
        self.name = name
        credentials = grpc.ssl_channel_credentials(
            tls.ca.read_bytes(), tls.key.read_bytes(), tls.cert.read_bytes()
        )
        options = [
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 100),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        self.channel = grpc.aio.secure_channel(target, credentials, options)
        self.jobs = JobsStub(self.channel)
        self.signing = SigningStub(self.channel)
        self.again = 0

    async def insist(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """:raises Refused: for a reason that does not pass."""
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                reason = reason_of_call(error)
                if reason not in PASSES and not (not reason and error.code() in _BROKEN):
                    raise Refused(reason or error.code().name, error.details() or "") from None
            self.again += 1
            await asyncio.sleep(PAUSE)


async def until(holds: Callable[[], Awaitable[bool]], patience: float = 60.0, pause: float = 0.03) -> None:
    """Asks until it is so, with a pause of so many seconds each time."""
    async with asyncio.timeout(patience):
        while not await holds():  # noqa: ASYNC110 - what is asked is in another process
            await asyncio.sleep(pause)


def reason_of(status: status_pb2.Status) -> str:
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""


def reason_of_call(error: grpc.aio.AioRpcError) -> str:
    """Empty if it is not the daemon that spoke."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return reason_of(status_pb2.Status.FromString(value))
    return ""
