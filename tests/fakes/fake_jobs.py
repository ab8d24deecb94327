"""`segel.v1.Jobs` in memory, as its proto says, with hooks that break and refuse."""

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import grpc.aio
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from segel.v1 import jobs_pb2, jobs_pb2_grpc, resources_pb2, signing_pb2, signing_pb2_grpc

Job = jobs_pb2.Job
ORIGIN = "segel.test/log"
PAGE = 100
ENDED = (Job.STATE_SUCCEEDED, Job.STATE_FAILED, Job.STATE_CANCELLED, Job.STATE_EXPIRED, Job.STATE_REJECTED)


def refusal(
    code: str, reason: str, text: str = "No", *, retry_after: float | None = None, **facts: str
) -> status_pb2.Status:
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="segel", metadata=facts)]
    if retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMicroseconds(int(retry_after * 1e6))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = [any_pb2.Any() for _ in details]
    for one, detail in zip(packed, details, strict=True):
        one.Pack(detail)
    return status_pb2.Status(code=code_pb2.Code.Value(code), message=text, details=packed)


async def refuse(context: grpc.aio.ServicerContext, status: status_pb2.Status) -> None:
    code = next(one for one in grpc.StatusCode if one.value[0] == status.code)
    await context.abort(code, status.message, (("grpc-status-details-bin", status.SerializeToString()),))


async def hang_up(context: grpc.aio.ServicerContext) -> None:
    """What a client sees of a connection that broke."""
    await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


@dataclass
class Record:
    job: Job
    create: jobs_pb2.CreateJobRequest
    items: list[signing_pb2.SignInput] = field(default_factory=list)
    results: list[signing_pb2.SignResult] = field(default_factory=list)


Hook = Callable[[str, int, grpc.aio.ServicerContext], Awaitable[None]]


async def nothing(_name: str, _count: int, _context: grpc.aio.ServicerContext) -> None: ...


@dataclass
class FakeJobs(jobs_pb2_grpc.JobsServicer):
    signs: bool = True
    """Whether jobs are signed at once when they are sealed."""
    held: bool = False
    """Whether sealing leads to HELD."""
    before: Hook = nothing
    """Called with the method, the number of its call from 1, and the context; before anything is done."""
    after: Hook = nothing
    """The same when it is done, before it is answered; for streams, after each message."""
    records: dict[str, Record] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    appends: list[tuple[int, int]] = field(default_factory=list)
    """Offset and count of those that were taken or compared."""
    sizes: list[int] = field(default_factory=list)
    block: int = 256
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def only(self) -> Record:
        (record,) = self.records.values()
        return record

    async def _meet(self, name: str, context: grpc.aio.ServicerContext) -> int:
        self.calls.append(name)
        count = self.calls.count(name)
        await self.before(name, count, context)
        return count

    async def _find(self, name: str, context: grpc.aio.ServicerContext) -> Record:
        if name not in self.records:
            await refuse(context, refusal("NOT_FOUND", "JOB_NOT_FOUND", f"no such job {name}, or not yours"))
        return self.records[name]

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(condition), 60)

    async def CreateJob(self, request, context):  # noqa: N802
        count = await self._meet("CreateJob", context)
        there = next((r for r in self.records.values() if r.job.request_id == request.request_id), None)
        if there is None:
            job = Job(
                name=f"jobs/{uuid.uuid4().hex}",
                state=Job.STATE_OPEN,
                key=request.key,
                algorithm=request.algorithm,
                ecdsa_encoding=request.ecdsa_encoding,
                priority=request.priority,
                labels=request.labels,
                request_id=request.request_id,
            )
            job.create_time.GetCurrentTime()
            job.deadline.CopyFrom(request.deadline)
            there = self.records[job.name] = Record(job, request, list(request.items))
            job.item_count = len(there.items)
            if request.seal:
                await self.seal(there)
        else:
            one, two = there.create, request
            same = all(
                getattr(one, name) == getattr(two, name)
                for name in ("key", "algorithm", "ecdsa_encoding", "priority", "labels", "retention")
            )
            if not same or there.items[: len(two.items)] != list(two.items):
                await refuse(context, refusal("ALREADY_EXISTS", "IDEMPOTENCY_MISMATCH"))
        await self.after("CreateJob", count, context)
        return there.job

    async def AppendItems(self, request, context):  # noqa: N802
        count = await self._meet("AppendItems", context)
        record = await self._find(request.name, context)
        self.sizes.append(request.ByteSize())
        there, end = len(record.items), request.offset + len(request.items)
        if end <= there:
            if record.items[request.offset : end] != list(request.items):
                await refuse(context, refusal("ALREADY_EXISTS", "IDEMPOTENCY_MISMATCH"))
        elif record.job.state != Job.STATE_OPEN:
            await refuse(context, refusal("FAILED_PRECONDITION", "JOB_STATE", "the job takes no items"))
        elif request.offset != there:
            await refuse(
                context, refusal("OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE", "not there", committed=str(there))
            )
        else:
            record.items.extend(request.items)
            record.job.item_count = len(record.items)
        self.appends.append((request.offset, len(request.items)))
        await self.after("AppendItems", count, context)
        return jobs_pb2.AppendItemsResponse(committed=len(record.items))

    async def seal(self, record: Record) -> None:
        job = record.job
        job.state = Job.STATE_HELD if self.held else Job.STATE_QUEUED
        job.seal_time.GetCurrentTime()
        job.items_hash = hashlib.sha256(b"".join(i.SerializeToString() for i in record.items)).digest()
        if self.signs and not self.held:
            await self.sign(record, len(record.items))
        await self.notify()

    async def sign(self, record: Record, count: int, *, failing: tuple[int, ...] = ()) -> None:
        """Signs the next `count` items."""
        job = record.job
        job.state = Job.STATE_RUNNING
        for _ in range(count):
            at = len(record.results)
            item = record.items[at]
            result = signing_pb2.SignResult(id=item.id)
            if at in failing:
                result.error.CopyFrom(refusal("UNAVAILABLE", "WORKER_LOST", "the worker was lost"))
                job.failed_count += 1
            else:
                result.signature = b"sig:" + (item.digest or item.message)
                result.leaf_index, result.leaf_position = 7 + at // 256, at % 256
                job.signed_count += 1
            record.results.append(result)
        if len(record.results) == len(record.items):
            job.state = Job.STATE_FAILED if job.failed_count else Job.STATE_SUCCEEDED
            job.end_time.GetCurrentTime()
        await self.notify()

    async def SealJob(self, request, context):  # noqa: N802
        count = await self._meet("SealJob", context)
        record = await self._find(request.name, context)
        if request.item_count != len(record.items):
            there = str(len(record.items))
            await refuse(context, refusal("OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE", committed=there))
        if record.job.state == Job.STATE_OPEN:
            await self.seal(record)
        elif not record.job.HasField("seal_time"):
            await refuse(context, refusal("FAILED_PRECONDITION", "JOB_STATE", "the job has ended"))
        await self.after("SealJob", count, context)
        return record.job

    async def GetJob(self, request, context):  # noqa: N802
        await self._meet("GetJob", context)
        return (await self._find(request.name, context)).job

    async def ListJobs(self, request, context):  # noqa: N802
        await self._meet("ListJobs", context)
        wanted = [
            record.job
            for record in reversed(self.records.values())
            if (not request.states or record.job.state in request.states)
            and request.key in ("", record.job.key)
            and request.request_id in ("", record.job.request_id)
            and dict(request.labels).items() <= dict(record.job.labels).items()
        ]
        at = int(request.page_token or 0)
        end = at + min(request.page_size or PAGE, PAGE)
        return jobs_pb2.ListJobsResponse(
            jobs=wanted[at:end], next_page_token=str(end) if end < len(wanted) else ""
        )

    async def WatchJob(self, request, context):  # noqa: N802
        count = await self._meet("WatchJob", context)
        record = await self._find(request.name, context)
        last = None
        while True:
            async with self.changed:
                await self.changed.wait_for(lambda last=last: record.job != last)
            last = Job.FromString(record.job.SerializeToString())
            yield last
            if last.state in ENDED:
                return
            await self.after("WatchJob", count, context)

    async def ReadResults(self, request, context):  # noqa: N802
        count = await self._meet("ReadResults", context)
        record = await self._find(request.name, context)
        if record.job.state in (Job.STATE_OPEN, Job.STATE_HELD, Job.STATE_REJECTED):
            await refuse(context, refusal("FAILED_PRECONDITION", "JOB_STATE", "the job has no results"))
        if request.offset > len(record.items):
            await refuse(context, refusal("OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE"))
        record.job.read_offset = max(record.job.read_offset, request.offset)
        at = request.offset
        while True:
            end = min(len(record.results), (at // self.block + 1) * self.block)
            if end > at:
                yield jobs_pb2.ReadResultsResponse(
                    offset=at, results=record.results[at:end], log_origin=ORIGIN
                )
                at = end
                await self.after("ReadResults", count, context)
            elif not request.wait or record.job.state in ENDED:
                return
            else:
                async with self.changed:
                    await self.changed.wait_for(
                        lambda at=at: len(record.results) > at or record.job.state in ENDED
                    )

    async def CancelJob(self, request, context):  # noqa: N802
        await self._meet("CancelJob", context)
        record = await self._find(request.name, context)
        if record.job.state in ENDED and record.job.state != Job.STATE_CANCELLED:
            await refuse(context, refusal("FAILED_PRECONDITION", "JOB_STATE", "the job has ended"))
        for item in record.items[len(record.results) :]:
            result = signing_pb2.SignResult(id=item.id)
            result.error.CopyFrom(refusal("CANCELLED", "CANCELLED", "the job was cancelled"))
            record.results.append(result)
            record.job.failed_count += 1
        record.job.state = Job.STATE_CANCELLED
        await self.notify()
        return record.job

    async def DeleteJob(self, request, context):  # noqa: N802
        await self._meet("DeleteJob", context)
        record = await self._find(request.name, context)
        if record.job.state not in (*ENDED, Job.STATE_OPEN):
            await refuse(context, refusal("FAILED_PRECONDITION", "JOB_STATE", "the job has not ended"))
        del self.records[request.name]
        return jobs_pb2.DeleteJobResponse()

    async def ApproveJob(self, request, context):  # noqa: N802
        await self._meet("ApproveJob", context)
        record = await self._find(request.name, context)
        if request.items_hash != record.job.items_hash:
            await refuse(context, refusal("FAILED_PRECONDITION", "ITEMS_CHANGED"))
        await self._decide(record, context, Job.STATE_QUEUED, "")
        if self.signs:
            await self.sign(record, len(record.items))
        return record.job

    async def RejectJob(self, request, context):  # noqa: N802
        await self._meet("RejectJob", context)
        record = await self._find(request.name, context)
        await self._decide(record, context, Job.STATE_REJECTED, request.reason)
        return record.job

    async def _decide(self, record, context, state, reason):
        if record.job.state == state == Job.STATE_REJECTED:
            return
        if record.job.state != Job.STATE_HELD:
            await refuse(context, refusal("FAILED_PRECONDITION", "JOB_STATE", "the job is not held"))
        record.job.state, record.job.state_reason = state, reason
        await self.notify()


class FakeKeys(signing_pb2_grpc.SigningServicer):
    """Keys by alias and by name."""

    def __init__(self, *keys: resources_pb2.Key) -> None:
        self.keys = {name: key for key in keys for name in (key.name, *key.aliases)}

    async def GetKey(self, request, context):  # noqa: N802
        if request.name not in self.keys:
            await refuse(context, refusal("NOT_FOUND", "KEY_NOT_FOUND", "No such key"))
        return self.keys[request.name]

    async def ListKeys(self, request, context):  # noqa: N802
        keys = {key.name: key for key in self.keys.values()}
        return signing_pb2.ListKeysResponse(keys=keys.values())
