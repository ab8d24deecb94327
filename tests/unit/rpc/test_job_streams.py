"""Watches and results: bounded, as slow as their readers, and no longer than the daemon takes calls."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2
from job_desk import FakeDesk
from prometheus_client import CollectorRegistry

from segel.v1 import jobs_pb2, signing_pb2
from segeld.config.schema import Limits
from segeld.model.faults import Fault, Reason
from segeld.model.job_state import JobState
from segeld.model.names import JobName
from segeld.model.principal import Principal, Role
from segeld.rpc import call as calls
from segeld.rpc.job_streams import JobStreams
from segeld.rpc.metrics import CallMetrics

Watch, Read = jobs_pb2.WatchJobRequest, jobs_pb2.ReadResultsRequest
P256 = 7


@pytest.fixture
async def job(daemon):
    """A started daemon, and the name of a job of so many items."""

    async def make(count=1, **limits):
        daemon.limit(**limits)
        await daemon.start()
        stub = daemon.jobs()
        made = await stub.CreateJob(
            jobs_pb2.CreateJobRequest(request_id="r", key="keys/seal", algorithm=P256)
        )
        for start in range(0, count, 20_000):
            end = min(count, start + 20_000)
            items = [signing_pb2.SignInput(digest=n.to_bytes(32, "big")) for n in range(start, end)]
            await stub.AppendItems(jobs_pb2.AppendItemsRequest(name=made.name, offset=start, items=items))
        return made.name

    return make


async def test_a_watch_tells_every_change_and_ends_with_the_job(daemon, job):
    name = await job()
    watch = daemon.jobs().WatchJob(Watch(name=name))
    assert (await watch.read()).state == jobs_pb2.Job.STATE_OPEN
    await daemon.desk.set(JobName.parse(name), state=JobState.RUNNING, signed=1)
    assert (await watch.read()).signed_count == 1
    await daemon.desk.set(JobName.parse(name), state=JobState.SUCCEEDED)
    assert (await watch.read()).state == jobs_pb2.Job.STATE_SUCCEEDED
    assert await watch.read() is grpc.aio.EOF
    assert await watch.code() is grpc.StatusCode.OK


async def test_results_that_are_waited_for_end_with_the_job(daemon, job):
    name = await job(300)
    reading = daemon.jobs().ReadResults(Read(name=name, offset=256, wait=True))
    assert (await reading.read()).offset == 256
    await daemon.desk.set(JobName.parse(name), state=JobState.SUCCEEDED)
    assert await reading.read() is grpc.aio.EOF


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (Read(offset=301), "OFFSET_OUT_OF_RANGE", "offset"),
        (Read(offset=-1), "FIELD_INVALID", "offset"),
        (Read(name="jobs/x"), "FIELD_INVALID", "name"),
        (Read(name="jobs/" + "0" * 32), "JOB_NOT_FOUND", None),
        (Watch(name="jobs/x"), "FIELD_INVALID", "name"),
        (Watch(name="jobs/" + "0" * 32), "JOB_NOT_FOUND", None),
    ],
)
async def test_a_stream_that_cannot_begin_says_why(daemon, job, status_of, request_, reason, field):
    name = await job(300)
    request_.name = request_.name or name
    stub = daemon.jobs()
    call = stub.ReadResults(request_) if isinstance(request_, Read) else stub.WatchJob(request_)
    status, fields = await status_of(call)
    assert (status.reason, fields) == (reason, [field] if field else [])


@pytest.fixture
def status_of(refusal):
    """How a stream was refused, and the fields at fault."""

    async def find(call):
        refused = await refusal(anext(aiter(call)), call)
        bad = error_details_pb2.BadRequest()
        for packed in refused.status.details:
            packed.Unpack(bad)
        return refused, [violation.field for violation in bad.field_violations]

    return find


@pytest.mark.parametrize("method", ["WatchJob", "ReadResults"])
async def test_another_callers_job_is_not_there(daemon, job, status_of, method):
    name = await job(3)
    stub = daemon.jobs("other")
    call = stub.WatchJob(Watch(name=name)) if method == "WatchJob" else stub.ReadResults(Read(name=name))
    status, _ = await status_of(call)
    assert status.reason == "JOB_NOT_FOUND"


async def test_streams_are_counted_for_each_caller_and_over_all(daemon, job, status_of):
    name = await job(max_watches=3, max_watches_per_caller=2)
    first = daemon.jobs().WatchJob(Watch(name=name))
    second = daemon.jobs().ReadResults(Read(name=name, wait=True))
    await first.read()
    await second.read()
    status, _ = await status_of(daemon.jobs().WatchJob(Watch(name=name)))
    assert (status.code, status.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "CALLER_QUOTA")
    assert daemon.registry.get_sample_value("segel_rpc_watches") == 2
    first.cancel()
    await daemon.desk.closed.wait()
    third = daemon.jobs().WatchJob(Watch(name=name))
    await third.read()


async def test_a_stop_ends_watches_and_readers_at_once(daemon, job):
    name = await job()
    watch = daemon.jobs().WatchJob(Watch(name=name))
    reading = daemon.jobs().ReadResults(Read(name=name, wait=True))
    await watch.read()
    await reading.read()
    async with asyncio.timeout(10):
        await daemon.servers.stop(60)
    for call in (watch, reading):
        with pytest.raises(grpc.aio.AioRpcError, match="shutting down"):
            await call.read()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_that_does_not_read_holds_up_no_stop(daemon, job):
    """Its daemon is stuck in a write: what the transport takes is taken, and no block more was fetched."""
    daemon.desk.sign = lambda _: bytes(512)
    name = await job(100_000)
    call = daemon.jobs().ReadResults(Read(name=name))
    await call.read()
    stuck = asyncio.Event()

    def watch(seen=-1, still=0):
        # No clock says when a writer is stuck: it is, when the loop has gone round often and nothing was fetched.
        now = daemon.desk.fetched
        still = still + 1 if now == seen else 0
        if still == 50:
            stuck.set()
        else:
            asyncio.get_running_loop().call_later(0.01, watch, now, still)

    watch()
    await stuck.wait()
    assert daemon.desk.fetched < 100_000 // 256
    async with asyncio.timeout(20):
        await daemon.servers.stop(60)
    assert daemon.desk.closed.is_set()


class Context:
    """Writes when it is told to."""

    def __init__(self):
        self.writing = asyncio.Event()
        self.go_on = asyncio.Event()
        self.written = []

    async def write(self, message):
        self.writing.set()
        await self.go_on.wait()
        self.go_on.clear()
        self.written.append(message)


@pytest.fixture
def streams():
    calls.begin(calls.Call("m", "id", Principal("backoffice", Role.CALLER, "dns:b")))
    closing = asyncio.Event()
    return JobStreams(Limits(), closing, CallMetrics(CollectorRegistry())), closing


async def test_a_slow_reader_holds_one_block(streams):
    """The next is not even asked for before the last was written."""
    asked = []

    async def blocks():
        for number in range(3):
            asked.append(number)
            yield number

    context = Context()
    sending = asyncio.create_task(streams[0].send(blocks(), lambda number: number, context))
    for number in range(3):
        await context.writing.wait()
        context.writing.clear()
        assert asked == list(range(number + 1))
        context.go_on.set()
    await sending
    assert context.written == [0, 1, 2]


async def test_closing_interrupts_a_write_and_lets_the_source_go(streams):
    desk, context = FakeDesk(), Context()
    job = desk.put(None)
    desk._own = lambda *_: job
    sending = asyncio.create_task(streams[0].send(desk.watch("", job.name), lambda job: job, context))
    await context.writing.wait()
    streams[1].set()
    with pytest.raises(Fault) as caught:
        await sending
    assert caught.value.reason is Reason.DAEMON_STOPPING
    assert desk.closed.is_set()


async def test_a_client_that_goes_lets_the_source_go(daemon, job):
    name = await job()
    call = daemon.jobs().WatchJob(Watch(name=name))
    await call.read()
    call.cancel()
    await daemon.desk.closed.wait()
