"""Kills the daemon, a worker or the keeper at a moment that chance picks, and sees to it that all are there again."""

import asyncio
import os
import random
import signal
import time
from collections import Counter

from crash_calls import until
from served import READY, Served

WAYS = {
    "daemon soon": 20,
    "daemon later": 6,
    "daemon while it starts": 14,
    "daemon while it stops": 6,
    "worker": 40,
    "keeper": 8,
}
"""How it ends, with its weight."""
_WORKER = "segeld: worker"
PATIENCE = 60.0
SPARE = 2
"""Daemons that have imported everything and wait for their turn."""


class Killer:
    """`run` for a number of cycles; the daemon runs before and after it, all workers ready."""

    def __init__(self, served: Served, chance: random.Random) -> None:
        self.served, self.chance = served, chance
        self.done: Counter[str] = Counter()

    async def run(self, cycles: int) -> None:
        while self.done.total() < cycles:
            way = self.chance.choices(list(WAYS), list(WAYS.values()))[0]
            match way:
                case "worker":
                    await self._pause(0.3)
                    await self._strike(_WORKER)
                case "keeper":
                    await self._strike("segeld: keeper")
                    await self._pause(0.1)
                    await self._strike(_WORKER)
                case "daemon while it starts":
                    for _ in range(self.chance.randint(1, 3)):
                        await self._kill()
                        self.served.start()
                        await self._pause(0.8)
                        self.done[way] += 1
                    await self._again()
                case "daemon while it stops":
                    await self._pause(0.5)
                    os.kill(self.served.pid, signal.SIGTERM)
                    await self._pause(0.5)
                    await self._again()
                case "daemon later":
                    await self._pause(2.0)
                    await self._again()
                case _:
                    await self._pause(0.4)
                    await self._again()
            self.done[way] += 1

    async def _pause(self, longest: float) -> None:
        """Chance, not waiting for something: the moment of the kill."""
        await asyncio.sleep(self.chance.random() * longest)

    async def _kill(self) -> None:
        if self.served.ended_by_itself() and self.served.process.returncode not in (0, -signal.SIGTERM):
            raise AssertionError(f"the daemon ended by itself:\n{self.served.tail()}")
        await asyncio.to_thread(self.served.kill)

    async def _again(self) -> None:
        await self._kill()
        self.served.start()
        await self.ready()
        self.served.warm(SPARE)

    async def _strike(self, title: str) -> None:
        """Only what is ready is killed, so no login is cut off."""
        children = self.served.children(title)
        if not children:  # the keeper comes back when it is needed
            return
        os.kill(self.chance.choice(children), signal.SIGKILL)
        if title == _WORKER:
            await self._replaced(set(children))
            await self.ready()

    async def _replaced(self, before: set[int]) -> None:
        """Until its successor is there the daemon may not have noticed, and count the worker as ready."""

        async def is_there() -> bool:
            return bool(set(await asyncio.to_thread(self.served.children, _WORKER)) - before)

        await until(is_there)

    async def ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while READY not in await asyncio.to_thread(self.served.metrics):
            if self.served.ended_by_itself():
                raise AssertionError(f"the daemon ended by itself:\n{self.served.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"it is not ready:\n{self.served.metrics()}\n{self.served.tail()}")
            await asyncio.sleep(0.04)
