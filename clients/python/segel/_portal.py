"""A thread with an event loop of its own, through which blocking code calls the async client."""

import asyncio
import atexit
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any, Final, Self, TypeVar, cast

from segel._connection import closed
from segel.errors import ClientClosed

T = TypeVar("T")

_STOPPING: Final = 10.0
"""Seconds that ending may take; at interpreter exit nobody waits for longer."""


class Portal:
    """Starts its thread when it is made, and ends it in `close` or when the interpreter exits.

    :param owned: what is closed first, in the loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_report)
        self._ending: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._closing = threading.Lock()
        self._closed = False
        # A daemon thread, or an unclosed client would keep the interpreter from exiting; atexit comes before
        # the point at which such threads are frozen wherever they are.
        self._thread = threading.Thread(target=self._serve, name="segel: blocking client", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @classmethod
    def owning(cls, make: Callable[[], T], end: Callable[[T], Coroutine[Any, Any, None]]) -> tuple[Self, T]:
        """A portal and what `make` makes inside its loop; `end` is run before the portal closes."""
        portal = cls()
        try:
            owned = portal.run(_made(make))
        except BaseException:
            portal.close()
            raise
        portal._ending = lambda: end(owned)
        return portal, owned

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the loop and waits for it. From any thread but the loop's own.

        An interrupt (Ctrl-C) while waiting cancels it.

        :raises ClientClosed: after `close`.
        """
        # Under the lock, whatever is submitted comes before the loop is told to stop, and so is answered.
        with self._closing:
            if self._closed or not self._thread.is_alive() or threading.current_thread() is self._thread:
                work.close()
                raise closed()
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise closed() from None
        except BaseException:
            future.cancel()
            raise

    def each(self, blocks: AsyncIterator[Sequence[T]]) -> Iterator[T]:
        """One by one what an async generator gives in blocks; each block is one visit to the loop.

        :raises ClientClosed: after `close`.
        """
        generator = cast("AsyncGenerator[Sequence[T]]", blocks)
        try:
            while (block := self.run(_next(generator))) is not None:
                yield from block
        finally:
            with contextlib.suppress(ClientClosed):
                self.run(_ended(generator))

    def close(self) -> None:
        """Ends what is owned, then the thread. May be called twice, and from several threads."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        if not self._thread.is_alive():
            return  # a fork took everything but this object
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOPPING)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._end())
        finally:
            self._loop.close()

    async def _end(self) -> None:
        if self._ending is not None:
            await self._ending()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        # Those that were refused by the ending have a turn to say so; nothing else is left to wait for.
        if rest:
            _, rest = await asyncio.wait(rest, timeout=1.0)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self._loop.shutdown_asyncgens()


async def _made(make: Callable[[], T]) -> T:
    # Inside the loop, because what belongs to a loop finds it when it is made.
    return make()


async def _next(generator: AsyncGenerator[T]) -> T | None:
    return await anext(generator, None)


async def _ended(generator: AsyncGenerator[T]) -> None:
    await generator.aclose()


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # gRPC wakes every loop of a process through one pipe; the loop that comes second finds it empty, which is
    # an error to asyncio and to nobody else.
    if not isinstance(context.get("exception"), BlockingIOError):
        loop.default_exception_handler(context)
