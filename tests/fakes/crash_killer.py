"""Kills the daemon, a worker or the keeper at a moment that chance picks, and sees to it that all are there again."""

import asyncio
import os
import random
import signal
import time
from collections import Counter

from served import READY, Served

WAYS = {
    "daemon soon": 24,
    "daemon later": 6,
    "daemon while it starts": 18,
    "daemon while it stops": 6,
    "worker": 38,
    "keeper": 8,
}
"""How it ends, with its weight."""
PATIENCE = 60.0


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
                    await self._strike("segeld: worker")
                case "keeper":
                    await self._strike("segeld: keeper")
                    await self._pause(0.1)
                    await self._strike("segeld: worker")
                case "daemon while it starts":
                    await self._kill()
                    self.served.start()
                    await self._pause(1.0)
                    await self._again()
                case "daemon while it stops":
                    await self._pause(0.5)
                    os.kill(self.served.pid, signal.SIGTERM)
                    await self._pause(0.5)
                    await self._again()
                case "daemon later":
                    await self._pause(3.0)
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
        self.served.warm()

    async def _strike(self, title: str) -> None:
        """Only what is ready is killed, so no login is cut off."""
        children = self.served.children(title)
        if not children:  # the keeper comes back when it is needed
            return
        victim = self.chance.choice(children)
        os.kill(victim, signal.SIGKILL)
        if title.endswith("worker"):
            await self._noticed(victim)
            await self.ready()

    async def _noticed(self, pid: int) -> None:
        """Until the daemon has reaped it, it counts as ready."""
        while os.path.exists(f"/proc/{pid}"):  # noqa: PTH110, ASYNC110 - it is another's child
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)

    async def ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while READY not in await asyncio.to_thread(self.served.metrics):
            if self.served.ended_by_itself():
                raise AssertionError(f"the daemon ended by itself:\n{self.served.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"it is not ready:\n{self.served.metrics()}\n{self.served.tail()}")
            await asyncio.sleep(0.02)
