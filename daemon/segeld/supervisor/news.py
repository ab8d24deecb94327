"""Something changed: whoever waits looks again."""

import asyncio
import contextlib
from collections.abc import Callable


class News:
    """Wakes everybody who waits each time `tell` is called; nothing is remembered."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def until(self, holds: Callable[[], bool], *also: asyncio.Event) -> None:
        """Returns when `holds()` is true: asked now, and whenever there is news or one of `also` is set."""
        while not holds():
            await self.next(*also)

    async def next(self, *also: asyncio.Event) -> None:
        """Returns at the next news, or when one of `also` is set."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._event, *also)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def wait(self, *, seconds: float, when: Callable[[], bool]) -> None:
        """Returns when `when()` is true, after `seconds` at the latest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.until(when)
