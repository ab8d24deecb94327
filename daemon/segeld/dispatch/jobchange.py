"""What changes a job: it goes to its end whoever waits for it, and everybody who must know of it is told."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from segeld.dispatch.jobboard import JobBoard
from segeld.dispatch.jobnews import JobNews
from segeld.model.job import Job
from segeld.model.job_state import SIGNABLE, JobState


class JobChange:
    """`made` around every change in the store; `shown` for what people see of a job."""

    def __init__(
        self,
        board: JobBoard,
        news: JobNews,
        awaits_approval: Callable[[Job], None] = lambda job: None,  # noqa: ARG005
    ) -> None:
        """:param awaits_approval: told of each job that came to be held."""
        self._board = board
        self._news = news
        self._awaits_approval = awaits_approval
        self._under_way: set[asyncio.Task[Job]] = set()

    async def made(self, change: Coroutine[Any, Any, Job], *, seals: bool = False) -> Job:
        """The job after the change. A call that is given up meanwhile does not keep the dispatcher from knowing of it.

        :param seals: it may come to be held by this.
        """
        task = asyncio.create_task(self._made(change, seals=seals))
        self._under_way.add(task)
        task.add_done_callback(self._seen)
        return self.shown(await asyncio.shield(task))

    async def _made(self, change: Coroutine[Any, Any, Job], *, seals: bool) -> Job:
        job = await change
        self._board.add(job)
        self._board.changed(job)
        self._news.tell(job)
        if seals and job.state is JobState.HELD:
            self._awaits_approval(job)
        return job

    def _seen(self, task: asyncio.Task[Job]) -> None:
        """A refusal was told to whoever asked, or nobody waits for it any more."""
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()

    def shown(self, job: Job) -> Job:
        """With the reason why it waits: the policy, a revocation, its key or its token."""
        if job.state not in SIGNABLE or job.reason:
            return job
        why = self._board.why(job)
        return replace(job, reason=why) if why else job
