"""Calls that end only when the daemon does: what is endless must not hold up the end."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from segeld.rpc.gate import stopping

T = TypeVar("T")


async def unless_ended(work: Awaitable[T], end: asyncio.Event) -> T:
    """What the work gives, or what it raises; given up when `end` is set. A call that was only cancelled would stay
    open: gRPC wants a status.

    :raises Fault: DAEMON_STOPPING.
    """
    working = asyncio.ensure_future(work)
    ending = asyncio.create_task(end.wait())
    both: set[asyncio.Future[Any]] = {working, ending}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise stopping()
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)
