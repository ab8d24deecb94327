"""What feeds a worker: pumps that bring it chunk after chunk until it leaves."""

import asyncio
import time
from functools import partial
from typing import Final

import structlog

from segeld.dispatch.run import Runs, Settling
from segeld.dispatch.verdicts import Served
from segeld.dispatch.waiting import WaitingRoom
from segeld.model.names import TokenName
from segeld.supervisor.worker_handle import WorkerHandle

_log: Final = structlog.get_logger(__name__)


class Feed:
    """`serve` for each worker that is ready.

    Pumps are tasks of the feed's own: a serving that is cancelled ends its worker, and what was claimed is settled.
    """

    def __init__(self, room: WaitingRoom, runs: Runs) -> None:
        self._room = room
        self._runs = runs
        self._pumps: Final[set[asyncio.Task[None]]] = set()

    async def serve(self, token: TokenName, worker: WorkerHandle) -> None:
        """Feeds one worker until it ends; or, when it retires, until it holds nothing."""
        served = Served(token, worker, time.monotonic())
        self._room.seats.open(served.seat)
        # One chunk for each session, and one that is there when the first of them is done.
        pumps = [
            asyncio.create_task(self._pump(served, urgent=urgent))
            for urgent in (True, False)
            for _ in range(worker.sessions + 1)
        ]
        pumps.append(asyncio.create_task(self._try_suspects(served)))
        for pump in pumps:
            self._pumps.add(pump)
            pump.add_done_callback(partial(self._ended, worker))
        try:
            await worker.leaving.wait()
            self._room.wake_all()
            await asyncio.shield(asyncio.gather(*pumps, return_exceptions=True))
        except asyncio.CancelledError:
            if served.running:
                worker.kill("it was given up with work in its hands")
            else:
                worker.retire()
            raise
        finally:
            self._room.seats.close(served.seat)
            # Who was woken for something and left without it must not be the only one who knew of it.
            self._room.wake_all()

    def _ended(self, worker: WorkerHandle, pump: asyncio.Task[None]) -> None:
        self._pumps.discard(pump)
        if (
            not pump.cancelled() and pump.exception() is not None
        ):  # a mistake of ours: a worker without a pump is no use
            _log.error("a pump failed", worker=worker.pid, exc_info=pump.exception())
            worker.kill("the daemon could not feed it; see the log")

    async def drained(self) -> None:
        """Returns when every chunk that was begun is settled. Nothing may be given to workers any more."""
        await self._room.nothing_held.wait()
        await self._runs.drained()

    async def _pump(self, served: Served, *, urgent: bool) -> None:
        idle = self._room.seats.idle(urgent=urgent)
        settling: Settling | None = None
        while not served.worker.leaving.is_set():
            taken = self._room.take(served.seat, urgent=urgent)
            if taken is None:
                await idle.wait(served.seat)
            elif taken.chunk.items:
                settling = await self._runs.run(served, taken, settling, urgent=urgent)
            else:
                self._room.returned(taken, asked=0)

    async def _try_suspects(self, served: Served) -> None:
        token, room = served.token, self._room
        while not served.worker.leaving.is_set():
            taken = room.take_suspect(served.seat, served.proved)
            if taken is None:
                await room.seats.suspects.wait(served.seat)
                continue
            ((work, position),) = taken.chunk.items
            settling = await self._runs.run(served, taken, None, urgent=True)
            if settling is not None:
                await settling
            room.after_trial(work, position, token)
