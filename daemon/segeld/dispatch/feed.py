"""What feeds a worker: pumps that bring it chunk after chunk until it leaves."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from segeld.dispatch.run import Runs
from segeld.dispatch.verdicts import Served
from segeld.dispatch.waiting import Taken, WaitingRoom
from segeld.model.names import TokenName
from segeld.supervisor.worker_handle import WorkerHandle


class Feed:
    """`serve` for each worker that is ready. What its pumps began goes on when they are cancelled."""

    def __init__(self, room: WaitingRoom, runs: Runs) -> None:
        self._room = room
        self._runs = runs
        self._running: set[asyncio.Task[None]] = set()

    async def serve(self, token: TokenName, worker: WorkerHandle) -> None:
        """Feeds one worker until it ends; or, when it retires, until it holds nothing."""
        served = Served(token, worker, time.monotonic())
        try:
            async with asyncio.TaskGroup() as group:
                for urgent in (True, False):
                    # One chunk for each session, and one that is there when the first of them is done.
                    for _ in range(worker.sessions + 1):
                        group.create_task(self._pump(served, urgent=urgent))
                group.create_task(self._try_suspects(served))
                await worker.leaving.wait()
                self._room.wake_all()
        except asyncio.CancelledError:
            if served.running:
                worker.kill("it was given up with work in its hands")
            raise
        finally:
            # Who was woken for something and left without it must not be the only one who knew of it.
            self._room.wake_all()

    async def drained(self) -> None:
        """Returns when every chunk that was begun is settled."""
        while self._running:
            await asyncio.wait(self._running)

    async def _pump(self, served: Served, *, urgent: bool) -> None:
        idle = self._room.idle_urgent if urgent else self._room.idle
        while not served.worker.leaving.is_set():
            taken = self._room.take(served.token, urgent=urgent)
            if taken is None:
                await idle.wait(served.token)
            elif taken.chunk.items:
                await self._own(self._runs.run(served, taken, urgent=urgent))
            else:
                self._room.returned(taken, 0.0)

    async def _try_suspects(self, served: Served) -> None:
        token, room = served.token, self._room
        while not served.worker.leaving.is_set():
            item = room.take_suspect(token, served.proved)
            if item is None:
                await room.idle_suspects.wait(token)
                continue
            work, position = item
            taken = room.alone(token, work, position)
            await self._own(self._trial(served, taken))

    async def _trial(self, served: Served, taken: Taken) -> None:
        try:
            await self._runs.run(served, taken, urgent=True)
        finally:
            for work, position in taken.chunk.items:
                self._room.after_trial(work, position, served.token)

    async def _own(self, work: Coroutine[Any, Any, None]) -> None:
        """Waits for a task that is not this one's: cancelled, this one leaves and the task goes on."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)
