"""Pumps that have nothing to do, in the order in which they ran out of work."""

import asyncio
from collections import deque
from collections.abc import Callable

from segeld.model.names import TokenName


class Idle:
    """Whoever waits here is woken once: one at a time when work comes, all together when everything changed."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[TokenName, asyncio.Future[None]]] = deque()

    async def wait(self, token: TokenName) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (token, future)
        self._waiting.append(place)
        try:
            await future
        finally:
            if place in self._waiting:
                self._waiting.remove(place)

    def wake_one(self, suits: Callable[[TokenName], bool]) -> None:
        """Wakes the first whose token suits, if there is one."""
        for place in self._waiting:
            token, future = place
            if not future.done() and suits(token):
                self._waiting.remove(place)
                future.set_result(None)
                return

    def wake_all(self) -> None:
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
