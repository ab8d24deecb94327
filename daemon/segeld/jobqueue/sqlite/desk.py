"""A thread with a queue: it takes whatever waits, serves it together, and answers all of it with one call to the loop."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import apsw

T = TypeVar("T")

MAX_WAITING: Final = 4096
"""Errands that wait at one desk; who brings more waits to bring it."""
MAX_TOGETHER: Final = 256
MAX_OCTETS: Final = 8 * 1024 * 1024
"""Of what is served together: what a transaction writes stays far below what a WAL may hold."""


@dataclass(slots=True, eq=False)
class Errand:
    """Something to do with a connection, and who waits for it."""

    work: Callable[[apsw.Connection], Any]
    done: asyncio.Future[Any]
    octets: int
    answer: Any = field(default=None, init=False)
    error: BaseException | None = field(default=None, init=False)


class Closed(Exception):
    """The store was closed."""


class Desk:
    """What was brought is done, even if nobody waits for it any more."""

    def __init__(
        self, name: str, serve: Callable[[list[Errand]], None], *, at_end: Callable[[], None]
    ) -> None:
        """:param serve: sets the answer or the error of each errand. Runs in the thread, as does `at_end`."""
        self._serve = serve
        self._at_end = at_end
        self._queue: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def ask(self, work: Callable[[apsw.Connection], T], octets: int = 0) -> T:
        """Returns what `work` returned; raises what it raised."""
        await self._room.acquire()
        if self._closed:
            self._room.release()
            raise Closed("the database was closed")
        errand = Errand(work, self._loop.create_future(), octets)
        self._queue.put(errand)
        answer: T = await errand.done
        return answer

    def stop(self) -> None:
        """Takes nothing more; the thread ends when all that was brought is done."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)

    async def aclose(self) -> None:
        """Returns when all that was brought is done."""
        self.stop()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._take()
            if batch:
                self._serve(batch)
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                    self._loop.call_soon_threadsafe(self._answer, batch)
            batch = []  # results may be large; nothing holds them while the thread waits
        self._at_end()

    def _take(self) -> tuple[list[Errand], bool]:
        """What waits now, at least one; and whether it is the last."""
        batch: list[Errand] = []
        octets = 0
        errand = self._queue.get()
        while errand is not None:
            batch.append(errand)
            octets += errand.octets
            if len(batch) == MAX_TOGETHER or octets >= MAX_OCTETS:
                return batch, False
            try:
                errand = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _answer(self, batch: list[Errand]) -> None:
        for errand in batch:
            self._room.release()
            if errand.done.done():  # whoever waited was cancelled
                continue
            if errand.error is not None:
                errand.done.set_exception(errand.error)
            else:
                errand.done.set_result(errand.answer)
