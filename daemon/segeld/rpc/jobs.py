"""The service for batches: checks, allows, and hands on to the desk. Whose job it is, the desk looks at."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

import time
from collections.abc import Callable
from typing import Any

import grpc

from segel.v1 import jobs_pb2, jobs_pb2_grpc
from segeld.config.schema import Limits
from segeld.model.job import JobSpec
from segeld.model.kind import Kind
from segeld.policy import Policy
from segeld.rpc import call as calls
from segeld.rpc import convert, inputs, job_fields, job_pages
from segeld.rpc.approving import Approving, is_approver, seen_by_approver
from segeld.rpc.blame import blame
from segeld.rpc.gate import Gate
from segeld.rpc.job_convert import draft, job_filter, job_message, results_message
from segeld.rpc.job_keys import JobKeys
from segeld.rpc.job_streams import JobStreams
from segeld.rpc.metrics import CallMetrics
from segeld.rpc.ports import Inventory, JobDesk, Oversight

Context = grpc.aio.ServicerContext[Any, Any]


class Jobs(jobs_pb2_grpc.JobsServicer):
    def __init__(
        self,
        policy: Callable[[], Policy],
        desk: JobDesk,
        oversight: Oversight,
        inventory: Inventory,
        limits: Limits,
        gate: Gate,
        metrics: CallMetrics,
    ) -> None:
        self._policy = policy
        self._desk = desk
        self._approving = Approving(policy, oversight)
        self._limits = limits
        self._keys = JobKeys(inventory, desk)
        self._streams = JobStreams(limits, gate.closing, metrics)

    async def CreateJob(self, request: jobs_pb2.CreateJobRequest, context: Context) -> jobs_pb2.Job:
        """Checks what depends on the request alone before anything that depends on the key, as Sign does."""
        asked = draft(request, self._limits, time.time())
        calls.current().items += len(asked.items.inputs)
        policy, caller = self._policy(), calls.principal().name
        key = await self._keys.choose(policy, caller, asked)
        spec = JobSpec(
            caller=caller,
            request_id=asked.request_id,
            kind=Kind(key, asked.algorithm, asked.encoding),
            priority=max(asked.priority, policy.highest_priority(caller)),
            labels=asked.labels,
            deadline=asked.deadline,
            retention=asked.retention,
            approval=bool(policy.approvers_for(caller, key)),
            created_by=calls.person(),
        )
        with blame("items"):
            return job_message(await self._desk.create(spec, asked.items, seal=request.seal))

    async def AppendItems(
        self, request: jobs_pb2.AppendItemsRequest, context: Context
    ) -> jobs_pb2.AppendItemsResponse:
        name = job_fields.job_name(request.name, "name")
        offset = job_fields.offset(request.offset, "offset")
        inputs.check_some(len(request.items), "items")
        caller = calls.principal().name
        job = await self._desk.job(caller, name)
        items = inputs.checked(request.items, job.spec.kind.algorithm, "items", before=offset)
        calls.current().items += len(items.inputs)
        with blame("items", offset="offset"):
            job = await self._desk.append(caller, name, offset, items)
        return jobs_pb2.AppendItemsResponse(committed=job.count)

    async def SealJob(self, request: jobs_pb2.SealJobRequest, context: Context) -> jobs_pb2.Job:
        name = job_fields.job_name(request.name, "name")
        count = job_fields.offset(request.item_count, "item_count")
        policy, caller = self._policy(), calls.principal().name
        kind = (await self._desk.job(caller, name)).spec.kind
        approval = bool(policy.approvers_for(caller, kind.key))
        with blame("item_count"):
            return job_message(await self._desk.seal(caller, name, count, approval=approval))

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Context) -> jobs_pb2.Job:
        name = job_fields.job_name(request.name, "name")
        if is_approver():
            return await self._approving.get(name)
        return job_message(await self._desk.job(calls.principal().name, name))

    async def ListJobs(
        self, request: jobs_pb2.ListJobsRequest, context: Context
    ) -> jobs_pb2.ListJobsResponse:
        size = convert.page_size(request.page_size)
        wanted, caller = job_filter(request), calls.principal().name
        before = job_pages.before(request.page_token, caller, wanted)
        if is_approver():
            return await self._approving.list(wanted, before, size)
        jobs = await self._desk.jobs(caller, wanted, before=before, limit=size + 1)
        return job_pages.page(jobs, size, caller, wanted)

    async def WatchJob(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes by itself
        self, request: jobs_pb2.WatchJobRequest, context: Context
    ) -> None:
        name = job_fields.job_name(request.name, "name")
        if is_approver():
            await self._streams.send(self._approving.watch(name), seen_by_approver, context)
            return
        changes = self._desk.watch(calls.principal().name, name)
        await self._streams.send(changes, job_message, context)

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Context) -> jobs_pb2.Job:
        name = job_fields.job_name(request.name, "name")
        return job_message(await self._desk.cancel(calls.principal().name, name))

    async def ReadResults(  # type: ignore[override]  # as WatchJob
        self, request: jobs_pb2.ReadResultsRequest, context: Context
    ) -> None:
        name = job_fields.job_name(request.name, "name")
        offset = job_fields.offset(request.offset, "offset")
        blocks = self._desk.results(calls.principal().name, name, offset, wait=request.wait)
        origin = self._desk.log_origin
        with blame("offset"):
            await self._streams.send(blocks, lambda block: results_message(block, origin), context)

    async def DeleteJob(
        self, request: jobs_pb2.DeleteJobRequest, context: Context
    ) -> jobs_pb2.DeleteJobResponse:
        await self._desk.delete(calls.principal().name, job_fields.job_name(request.name, "name"))
        return jobs_pb2.DeleteJobResponse()

    async def ApproveJob(self, request: jobs_pb2.ApproveJobRequest, context: Context) -> jobs_pb2.Job:
        name = job_fields.job_name(request.name, "name")
        items_hash = job_fields.items_hash(request.items_hash, "items_hash")
        with blame("items_hash"):
            return await self._approving.decide(name, items_hash, "")

    async def RejectJob(self, request: jobs_pb2.RejectJobRequest, context: Context) -> jobs_pb2.Job:
        name = job_fields.job_name(request.name, "name")
        reason = job_fields.reason(request.reason, "reason")
        return await self._approving.decide(name, None, reason)
