"""Steps that are not left halfway: what was written is remembered, whoever goes away while it is being written."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

import structlog

P = ParamSpec("P")
T = TypeVar("T")

_log: Final = structlog.get_logger(__name__)


def whole(step: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Makes a step go to its end. Whoever is cancelled while they wait for it is cancelled when it has ended: the locks
    that they hold are held as long as it lasts, and whatever comes next sees what it did.
    """

    @functools.wraps(step)
    async def to_its_end(*args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.create_task(step(*args, **kwargs), name=step.__qualname__)
        given_up: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                given_up = error
        if given_up is None:
            return task.result()
        if not task.cancelled() and (why := task.exception()) is not None:
            _log.warning("a step failed, and nobody waits for it", step=step.__qualname__, why=str(why))
        raise given_up

    return to_its_end
