"""Jobs as callers deal with them: the store's promises, quotas, and the dispatcher told of what changed."""

from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

from segeld.dispatch.diskroom import DiskRoom
from segeld.dispatch.jobchange import JobChange
from segeld.dispatch.jobnews import JobNews
from segeld.dispatch.quota import Quota
from segeld.jobqueue.store import CallerJobs
from segeld.model.faults import Fault, Reason
from segeld.model.job import Items, Job, JobFilter, JobSpec, Results
from segeld.model.job_state import FINAL
from segeld.model.names import JobName


class JobDesk:
    """What `segeld.rpc.ports.JobDesk` asks for."""

    def __init__(
        self,
        store: CallerJobs,
        change: JobChange,
        news: JobNews,
        room: DiskRoom,
        *,
        log_origin: str,
        jobs_per_caller: int,
        items_per_caller: int,
        items_per_job: int,
    ) -> None:
        self._store = store
        self._change = change
        self._news = news
        self._room = room
        self._log_origin = log_origin
        self._quota = Quota(store.usage, jobs=jobs_per_caller, items=items_per_caller)
        self._items_per_job = items_per_job

    @property
    def log_origin(self) -> str:
        return self._log_origin

    async def create(self, spec: JobSpec, items: Items, *, seal: bool) -> Job:
        same = JobFilter(request_id=spec.request_id)
        if len(items.inputs) > self._items_per_job:
            raise Fault(
                Reason.JOB_TOO_LARGE,
                f"{len(items.inputs)} items are more than the {self._items_per_job} that one job may have.",
                field="items",
                maximum=str(self._items_per_job),
            )
        is_there = await self._store.jobs(spec.caller, same, before=None, limit=1)
        create = partial(self._create, spec, items, seal=seal)
        made = create() if is_there else self._admitted(spec.caller, create, jobs=1, items=len(items.inputs))
        return await self._change.made(made, seals=seal)

    async def _admitted(
        self, caller: str, write: Callable[[], Coroutine[Any, Any, Job]], *, jobs: int, items: int
    ) -> Job:
        """:raises Fault: CALLER_QUOTA, STORAGE_FULL."""
        await self._room.require(items)
        return await self._quota.admit(caller, write, jobs=jobs, items=items)

    async def _create(self, spec: JobSpec, items: Items, *, seal: bool) -> Job:
        job, _ = await self._store.create_job(spec, items, seal=seal)
        return job

    async def append(self, caller: str, name: JobName, offset: int, items: Items) -> Job:
        job = await self._store.job(caller, name)
        append = partial(self._store.append_items, caller, name, offset, items, limit=self._items_per_job)
        if offset + len(items.inputs) <= job.count:  # they are there already, and need no room
            return await append()
        return await self._admitted(caller, append, jobs=0, items=len(items.inputs))

    async def seal(self, caller: str, name: JobName, count: int, *, approval: bool) -> Job:
        sealing = self._store.seal_job(caller, name, count, approval=approval)
        return await self._change.made(sealing, seals=True)

    async def job(self, caller: str, name: JobName) -> Job:
        return self._change.shown(await self._store.job(caller, name))

    async def jobs(
        self, caller: str, wanted: JobFilter, *, before: int | None, limit: int
    ) -> tuple[Job, ...]:
        found = await self._store.jobs(caller, wanted, before=before, limit=limit)
        return tuple(map(self._change.shown, found))

    async def watch(self, caller: str, name: JobName) -> AsyncIterator[Job]:
        job = await self._store.job(caller, name)
        with self._news.watching(job.id) as watcher:
            job = await self._store.job(caller, name)  # again: it may have changed before we watched
            yield self._change.shown(job)
            while job.state not in FINAL and (changed := await watcher.next()) is not None:
                job = changed
                yield self._change.shown(job)

    async def results(self, caller: str, name: JobName, offset: int, *, wait: bool) -> AsyncIterator[Results]:
        job = await self._store.job(caller, name)
        if offset:  # whoever goes on from here has what comes before
            await self._store.note_read(caller, name, min(offset, job.count))
        with self._news.watching(job.id) as watcher:
            while True:
                # Asked before the results are: whatever had ended then is among them.
                job = await self._store.job(caller, name)
                results: Results | None = await self._store.results(caller, name, offset)
                if results is not None and results.outcomes:
                    offset += len(results.outcomes)
                    yield results
                    results = None  # the next block is not held beside this one
                elif job.state in FINAL or not wait or await watcher.next() is None:
                    break

    async def cancel(self, caller: str, name: JobName) -> Job:
        return await self._change.made(self._store.cancel_job(caller, name, caller))

    async def delete(self, caller: str, name: JobName) -> None:
        job = await self._store.job(caller, name)
        await self._store.delete_job(caller, name)
        self._news.gone(job.id)
