"""Acts that go to their end, also if whoever asked for them goes away: Ctrl-C, a deadline, a network that breaks."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import structlog

from segeld.model.faults import Fault

T = TypeVar("T")

_LAST_WORDS: Final = 1.0
"""Seconds in which what is given up may still tidy up."""
_log: Final = structlog.get_logger(__name__)


class ToTheEnd:
    """What was recorded must hold, and what came of it must be recorded: it is not for the network to decide that."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[Any]] = set()

    async def bring(self, act: Coroutine[Any, Any, T], name: str) -> T:
        """What it gives, or raises. If this is cancelled, it goes on all the same."""
        task = asyncio.create_task(act, name=name)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_told)
            raise

    async def give_up(self) -> None:
        """The daemon waits no longer for those that are left."""
        left = set(self._under_way)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_LAST_WORDS)


def _told(task: "asyncio.Task[Any]") -> None:
    """Nobody else hears of it."""
    if task.cancelled():
        _log.warning("an act was given up", act=task.get_name())
    elif isinstance(error := task.exception(), Fault):
        _log.info("an act that nobody waits for failed", act=task.get_name(), why=error.text)
    elif error is not None:
        _log.error("an act that nobody waits for failed", act=task.get_name(), exc_info=error)
