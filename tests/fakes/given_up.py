"""A store that goes on with what it was brought, as the real one does, while whoever brought it is cancelled."""

import asyncio

from office_fakes import FakeRecords

MOMENTS = range(5)
"""What `cancel_at` can be for a single write: twice before it, once while it is made, twice before its answer."""


class GivenUp(FakeRecords):
    def __init__(self) -> None:
        super().__init__()
        self._victim = None
        self._moment = -1

    async def cancelled(self, act, moment) -> None:
        """Runs an act, which is cancelled at some moment of what it writes, and must say so when it has ended."""
        self._victim, self._moment = asyncio.ensure_future(act), moment
        await asyncio.wait([self._victim])
        assert self._victim.cancelled()
        self._victim = None

    async def keep(self, writes, leaf):
        return await asyncio.shield(asyncio.ensure_future(self._whole(writes, leaf)))

    async def _whole(self, writes, leaf):
        await self._pass()
        await self._pass()
        self._cancel()
        index = await super().keep(writes, leaf)
        await self._pass()
        await self._pass()
        return index

    async def _pass(self) -> None:
        self._cancel()
        await asyncio.sleep(0)

    def _cancel(self) -> None:
        if self._victim is not None and self._moment == 0:
            self._victim.cancel()
        self._moment -= 1
