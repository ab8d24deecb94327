"""What officers do to tokens, to its end and recorded: also when they do not wait for it, or it fails in an odd way."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from segeld.audit.acts import Acts
from segeld.model.faults import Fault, Reason
from segeld.supervisor.half import Half

T = TypeVar("T")


class Outcomes:
    def __init__(self, acts: Acts) -> None:
        self._acts = acts
        self._working: set[asyncio.Task[Any]] = set()

    async def to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """What it gives, or raises. It goes on if the call is cancelled: what a token does cannot be taken back, and what
        came of it is recorded.
        """
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._working.discard(task)
        if not task.cancelled():
            task.exception()  # it was told to the officer, or there is nobody to hear of it

    async def recorded(self, work: Coroutine[Any, Any, T], failed: str, who: str, subject: str) -> T:
        """What it gives. A failure is recorded.

        :param failed: what is said of it then.
        :raises Fault: why it failed, wholly or half.
        """
        try:
            return await work
        except Half as half:
            fault = half.fault
            self._acts.later(failed, who=who, subject=subject, reason=fault.reason, known=half.known)
            raise fault from half
        except Fault as fault:
            self._acts.later(failed, who=who, subject=subject, reason=fault.reason)
            raise
        except Exception:
            self._acts.later(failed, who=who, subject=subject, reason=Reason.INTERNAL)
            raise
