"""Pumps that have nothing to do, in the order in which they ran out of work."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from segeld.model.names import TokenName


@dataclass(frozen=True, slots=True)
class Seat:
    """Whose pump waits."""

    token: TokenName
    worker: int
    """The worker's number."""


class Idle:
    """Whoever waits here is woken once: one at a time when work comes, all together when everything changed."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Seat, asyncio.Future[None]]] = deque()

    async def wait(self, seat: Seat) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (seat, future)
        self._waiting.append(place)
        try:
            await future
        finally:
            if place in self._waiting:
                self._waiting.remove(place)

    def wake_one(self, suits: Callable[[Seat], bool]) -> bool:
        """Wakes the first who suits; False if there is none."""
        for place in self._waiting:
            seat, future = place
            if not future.done() and suits(seat):
                self._waiting.remove(place)
                future.set_result(None)
                return True
        return False

    def wake_all(self) -> None:
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
