"""Reads a stream of the daemon to its end, over as many connections as that takes."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

import grpc.aio

from segel._connection import Connection, closed
from segel._patience import Patience

Request = TypeVar("Request")
Response = TypeVar("Response")

_LIVED: Final = 60.0
"""Seconds after which a stream without messages was no failure to connect."""


async def follow(
    connection: Connection,
    start: Callable[[grpc.aio.Channel], grpc.aio.UnaryStreamCall[Request, Response]],
    patience: Patience,
) -> AsyncIterator[Response]:
    """Yields every message. After a break `start` is called again: it asks from where its caller has got to.

    :raises SegelError: what the daemon said, or why it cannot be reached.
    """
    now = asyncio.get_running_loop().time
    while True:
        reached, begun = connection.reached, now()
        call = start(connection.channel())
        try:
            async for message in call:
                connection.note_answer()
                patience.went_on()
                begun = -math.inf
                yield message
        except grpc.aio.AioRpcError as error:
            if now() - begun > _LIVED:
                patience.renew()  # it may have been silent for longer than that lasts, with nothing amiss
            failure = await connection.explain(error)
        except asyncio.CancelledError:
            if connection.was_cut_off():
                raise closed() from None
            raise
        else:
            return
        finally:
            call.cancel()
        await patience.wait(failure, reached=reached)
