"""`segelctl audit tail` from another machine: the last leaves of a daemon's log, and those that come, across its restarts.

What comes later must continue what was there: one proof for each new checkpoint says so. Who signed it is not looked at.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from segeld.audit.proof import BadProof
from segeld.ctl.audit_stream import opened, proven_edge
from segeld.model.counts import counted

if TYPE_CHECKING:
    from segel import Officer
    from segel.errors import SegelError
    from segel.officer_log import OfficerLog
    from segeld.audit.checkpoint import Checkpoint

_PORTION: Final = 1_000


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds."""

    look: float = 0.5
    """Between two looks for new leaves."""
    first: float = 0.5
    """After a connection was lost; each further attempt waits twice as long."""
    longest: float = 30.0


class Follower:
    def __init__(
        self, show: Callable[[int, bytes], None], say: Callable[[str], None], pace: Pace | None = None
    ) -> None:
        """:param show: takes each leaf once, in their order.
        :param say: takes a sentence about the connection.
        """
        self._show = show
        self._say = say
        self._pace = pace or Pace()
        self._known: Checkpoint | None = None
        self._next = 0
        self._lost = False

    async def last(self, log: "OfficerLog", count: int) -> None:
        """Shows so many leaves; fewer if there are not so many.

        :raises SegelError: what the daemon said, or why it cannot be reached any more.
        """
        self._known = opened((await log.state()).checkpoint, None)
        self._next = max(0, self._known.size - count)
        await self._show_new(log)

    async def follow(self, connect: "Callable[[], AbstractAsyncContextManager[Officer]]", count: int) -> None:
        """Shows the last leaves, and never ends.

        :raises SegelError: what the daemon said, or why it cannot be reached to begin with.
        :raises BadProof: if the log is another one than before, or a part of it.
        """
        from segel.errors import SegelError

        wait = self._pace.first
        while True:
            try:
                async with connect() as officer:
                    if self._known is None:
                        await self.last(officer.log, count)
                    while True:
                        await self._look(officer.log)
                        wait = self._pace.first
                        await asyncio.sleep(self._pace.look)
            except SegelError as error:
                if self._known is None or not _may_pass(error):
                    raise
                if not self._lost:
                    self._say(f"{str(error).rstrip('.')}; trying again until it is back")
                self._lost = True
            await asyncio.sleep(wait)
            wait = min(wait * 2, self._pace.longest)

    async def _look(self, log: "OfficerLog") -> None:
        now = opened((await log.state(patient=False)).checkpoint, None)
        await self._must_continue(log, now)
        if self._lost:
            self._say(f"connected again, and going on with leaf {self._next}")
            self._lost = False
        self._known = now
        await self._show_new(log)

    async def _show_new(self, log: "OfficerLog") -> None:
        assert self._known is not None
        while (left := self._known.size - self._next) > 0:
            before = self._next
            async for index, leaf in log.entries(self._next, min(left, _PORTION)):
                if index != self._next:
                    raise BadProof(f"the daemon gave leaf {index} where {self._next} is the next")
                self._show(index, leaf)
                self._next += 1
            if self._next == before:
                raise BadProof(f"the daemon gave {self._next} leaves of {self._known.size}")

    async def _must_continue(self, log: "OfficerLog", now: "Checkpoint") -> None:
        """:raises BadProof: if it does not."""
        known = self._known
        assert known is not None
        if not known.size or now == known:
            return
        if not now.origin:
            raise BadProof(f"it had {counted(known.size, 'leaf', 'leaves')}, and now there is no log")
        if now.origin != known.origin:
            raise BadProof(f"it was {known.origin}, and now it is another log, {now.origin}")
        if now.size < known.size:
            raise BadProof(
                f"it had {counted(known.size, 'leaf', 'leaves')}, and now it has {now.size}: it was put back to an "
                "older state"
            )
        if now.size > known.size:
            proof = await log.prove(known.size)
            root = proven_edge(proof, known.size, known.origin, None)[1].root()
        else:
            root = now.root
        if root != known.root:
            raise BadProof(
                f"its first {counted(known.size, 'leaf', 'leaves')} are not those that it had before"
            )


def _may_pass(error: "SegelError") -> bool:
    from segel import errors

    passing = (errors.ConnectionFailed, errors.DaemonStopping, errors.Overloaded, errors.StorageUnavailable,
               errors.DeadlinePassed)  # fmt: skip
    return isinstance(error, passing) and not isinstance(error, errors.SettingsInvalid)
