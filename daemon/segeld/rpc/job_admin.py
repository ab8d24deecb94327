"""The part of `TokenAdmin` for officers that is about other people's jobs."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

from typing import Any, Final

import grpc

from segel.v1 import jobs_pb2, token_admin_pb2
from segeld.model.job import JobFilter
from segeld.model.job_state import FINAL, JobState
from segeld.rpc import call as calls
from segeld.rpc import convert, job_fields, job_pages
from segeld.rpc.job_convert import job_message
from segeld.rpc.ports import Oversight

Context = grpc.aio.ServicerContext[Any, Any]
_UNFINISHED: Final = frozenset(JobState) - FINAL
_LONGEST_NAME: Final = 63


class JobAdmin:
    """Inherited by `TokenAdmin`. What is done to a job is recorded by the store, with who did it."""

    _oversight: Oversight

    async def ListAllJobs(
        self, request: token_admin_pb2.ListAllJobsRequest, context: Context
    ) -> token_admin_pb2.ListAllJobsResponse:
        size = convert.page_size(request.page_size)
        wanted = JobFilter(
            states=job_fields.states(request.states, "states") or _UNFINISHED,
            key=job_fields.key_name(request.key, "key") if request.key else None,
        )
        if len(request.caller) > _LONGEST_NAME:
            raise convert.invalid("caller", f"a name of {len(request.caller)} characters")
        asker = f"{calls.principal().name} of {request.caller}"
        before = job_pages.before(request.page_token, asker, wanted)
        jobs, more = await self._oversight.all_jobs(wanted, caller=request.caller, before=before, limit=size)
        page = job_pages.page(jobs, size, asker, wanted)
        if more is not None and not page.next_page_token:
            page.next_page_token = job_pages.token(more, asker, wanted)
        return token_admin_pb2.ListAllJobsResponse(jobs=page.jobs, next_page_token=page.next_page_token)

    async def PauseJob(self, request: token_admin_pb2.PauseJobRequest, context: Context) -> jobs_pb2.Job:
        name = job_fields.job_name(request.name, "name")
        return job_message(await self._oversight.pause(name, calls.principal().name))

    async def ResumeJob(self, request: token_admin_pb2.ResumeJobRequest, context: Context) -> jobs_pb2.Job:
        name = job_fields.job_name(request.name, "name")
        return job_message(await self._oversight.resume(name, calls.principal().name))

    async def CancelAnyJob(
        self, request: token_admin_pb2.CancelAnyJobRequest, context: Context
    ) -> jobs_pb2.Job:
        name = job_fields.job_name(request.name, "name")
        why = job_fields.reason(request.reason, "reason")
        if not why:
            raise convert.invalid("reason", "is missing; the job's caller sees it")
        return job_message(await self._oversight.cancel(name, calls.principal().name, why))
