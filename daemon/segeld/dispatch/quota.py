"""What one caller may have in jobs: so many that have not ended, so many items that are kept.

The store counts what is written. What was admitted and is still being written is counted here, so that a caller that
asks a thousand times at once gets no more than one that asks a thousand times in turn.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from segeld.model.counts import counted, fitting
from segeld.model.faults import Fault, Reason

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Admission:
    jobs: int
    items: int
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """It is written, or never will be."""


class Quota:
    """Of every caller."""

    def __init__(self, usage: Callable[[str], Awaitable[tuple[int, int]]], *, jobs: int, items: int) -> None:
        """:param usage: jobs of a caller that have not ended, and items in all of its jobs, as they are written."""
        self._usage = usage
        self._jobs = jobs
        self._items = items
        self._admitted: dict[str, list[_Admission]] = defaultdict(list)
        self._under_way: set[asyncio.Task[Any]] = set()

    async def admit(
        self, caller: str, write: Callable[[], Coroutine[Any, Any, T]], *, jobs: int, items: int
    ) -> T:
        """What `write` gives. It goes to its end even if nobody waits for it any more.

        :raises Fault: CALLER_QUOTA; nothing was written then.
        """
        admission = _Admission(jobs, items)
        self._admitted[caller].append(admission)
        try:
            await self._require(caller, admission)
        except BaseException:
            self._forget(caller, admission)
            raise
        task = asyncio.create_task(write())
        self._under_way.add(task)
        task.add_done_callback(lambda task: self._written(caller, admission, task))
        return await asyncio.shield(task)

    async def _require(self, caller: str, own: _Admission) -> None:
        while True:
            # Whoever comes later counts this one; so only those before it are counted, and waited for, here.
            earlier = self._admitted[caller][: self._admitted[caller].index(own)]
            open_jobs, kept = await self._usage(caller)
            jobs = open_jobs + sum(one.jobs for one in earlier) + own.jobs
            items = kept + sum(one.items for one in earlier) + own.items
            if jobs <= self._jobs and items <= self._items:
                return
            if not earlier:
                raise self._fault(caller, open_jobs, kept, own)
            # One of them may be counted twice, or come to nothing.
            await earlier[-1].over.wait()

    def _fault(self, caller: str, open_jobs: int, kept: int, own: _Admission) -> Fault:
        if open_jobs + own.jobs > self._jobs:
            have = fitting(open_jobs, "has", "have")
            text = f"{caller} has {counted(open_jobs, 'job')} that {have} not ended, which is the limit. Wait until one has."
            maximum = self._jobs
        else:
            text = (
                f"{counted(kept, 'item')} of {caller} {fitting(kept, 'is', 'are')} kept in jobs, ended ones too; "
                f"{self._items} may be. Delete jobs whose results you have."
            )
            maximum = self._items
        return Fault(Reason.CALLER_QUOTA, text, retry_after=5.0, caller=caller, maximum=str(maximum))

    def _written(self, caller: str, admission: _Admission, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever asked, or nobody waits for it any more
        self._forget(caller, admission)

    def _forget(self, caller: str, admission: _Admission) -> None:
        admission.over.set()
        self._admitted[caller].remove(admission)
        if not self._admitted[caller]:
            del self._admitted[caller]
