"""Work that blocks on somebody outside, in a thread that nobody waits for when the daemon ends.

`asyncio.to_thread` is not for that: the loop's end waits for its threads, and somebody outside may take a minute.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T], name: str) -> T:
    """The outcome of `work`, which goes on when whoever waits for it is cancelled.

    :param name: the thread's.
    :raises Exception: what it raises.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def tell(how: Callable[[], None]) -> None:
        if not outcome.done():  # else nobody waits any more
            how()

    def run() -> None:
        told: Callable[[], None]
        try:
            told = partial(outcome.set_result, work())
        except Exception as error:  # noqa: BLE001 # whoever waits gets it
            told = partial(outcome.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell, told)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await outcome
