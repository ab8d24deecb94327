"""Jobs as approvers and officers deal with them: those of every caller."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from segeld.dispatch.jobchange import JobChange
from segeld.dispatch.jobnews import JobNews
from segeld.jobqueue.store import JobStore
from segeld.model.faults import Fault, Reason
from segeld.model.job import Job, JobFilter
from segeld.model.job_state import FINAL, JobState
from segeld.model.names import JobName, KeyName
from segeld.model.person import Person

REMEMBERED: Final = 90 * 86_400.0
"""Seconds for which approvers see what they decided."""

May = Callable[[str, KeyName], bool]
"""Whether an approver may decide on jobs of a caller with a key: the policy in force. Asked in any thread."""


class Oversight:
    """What `segeld.rpc.ports.Oversight` asks for."""

    def __init__(self, store: JobStore, change: JobChange, news: JobNews) -> None:
        self._store = store
        self._change = change
        self._news = news

    # --- for approvers

    async def job_for(self, who: str, may: May, name: JobName) -> Job:
        job = await self._store.any_job(name)
        if not _is_visible(job, who, may):
            raise _not_found(name)
        return self._change.shown(job)

    async def jobs_for(
        self, who: str, may: May, wanted: JobFilter, *, before: int | None, limit: int
    ) -> tuple[Job, ...]:
        since = time.time() - REMEMBERED
        found = await self._store.to_decide(who, may, wanted, since=since, before=before, limit=limit)
        return tuple(map(self._change.shown, found))

    async def watch_for(self, who: str, may: May, name: JobName) -> AsyncIterator[Job]:
        job = await self.job_for(who, may, name)
        with self._news.watching(job.id) as watcher:
            job = await self.job_for(who, may, name)  # again: it may have changed before we watched
            yield job
            while job.state not in FINAL and (changed := await watcher.next()) is not None:
                if not _is_visible(changed, who, may):
                    raise _not_found(name)  # another approver decided it
                job = changed
                yield self._change.shown(job)

    async def decide(self, name: JobName, who: Person, may: May, items_hash: bytes | None, text: str) -> Job:
        job = await self.job_for(who.name, may, name)
        spec = job.spec
        # The policy gives a name one role, and may give a SAN to somebody else.
        if who.name == spec.caller or (spec.created_by is not None and who.is_same_as(spec.created_by)):
            alike = (
                ""
                if who.name == spec.caller
                else f" It was created as {spec.caller}, with the same certificate or SAN."
            )
            raise Fault(
                Reason.SECOND_PERSON_REQUIRED, f"{name} is your own job: somebody else approves it.{alike}"
            )
        if not may(job.spec.caller, job.spec.kind.key) and job.state is JobState.HELD:
            raise _not_found(name)
        return await self._change.made(self._store.decide_job(name, who.name, items_hash, text))

    # --- for officers

    async def all_jobs(
        self, wanted: JobFilter, *, caller: str, before: int | None, limit: int
    ) -> tuple[tuple[Job, ...], int | None]:
        found: tuple[Job, ...] = ()
        while True:
            page = await self._store.all_jobs(wanted, caller=caller, before=before, limit=limit - len(found))
            found += tuple(map(self._change.shown, page.jobs))
            before = page.next
            if before is None or len(found) >= limit:
                return found, before

    async def pause(self, name: JobName, who: str) -> Job:
        return await self._change.made(self._store.pause_job(name, who))

    async def resume(self, name: JobName, who: str) -> Job:
        return await self._change.made(self._store.resume_job(name, who))

    async def cancel(self, name: JobName, who: str, why: str) -> Job:
        return await self._change.made(self._store.cancel_any(name, who, why))


def _is_visible(job: Job, who: str, may: May) -> bool:
    if job.decided_by == who:
        return job.decided is not None and job.decided >= time.time() - REMEMBERED
    return job.state is JobState.HELD and may(job.spec.caller, job.spec.kind.key)


def _not_found(name: JobName) -> Fault:
    text = "There is no such job, or it does not wait for your word."
    return Fault(Reason.JOB_NOT_FOUND, text, job=str(name))
