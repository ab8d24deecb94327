"""Reads a stream of the daemon to its end, over as many connections as that takes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import grpc.aio

from segel._connection import Connection, closed
from segel._patience import Patience

Request = TypeVar("Request")
Response = TypeVar("Response")


async def follow(
    connection: Connection,
    start: Callable[[grpc.aio.Channel], grpc.aio.UnaryStreamCall[Request, Response]],
    patience: Patience,
) -> AsyncIterator[Response]:
    """Yields every message. After a break `start` is called again: it asks from where its caller has got to.

    :raises SegelError: what the daemon said, or why it cannot be reached.
    """
    while True:
        reached = connection.reached
        call = start(connection.channel())
        try:
            async for message in call:
                connection.note_answer()
                patience.renew()
                yield message
        except grpc.aio.AioRpcError as error:
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
