"""A full disk under a real daemon: what was accepted is kept, reading goes on, and it goes on by itself."""

import hashlib
import random
import shutil

import crash_log
import grpc
import pytest
from crash_calls import Caller, reason_of, until
from crash_jobs import JobMaker
from crash_journal import Journal
from crash_requests import P256
from crash_run import served_in
from full_disks import seen_by, ways
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from served import PATIENCE, wait_until

from segel.v1 import jobs_pb2, signing_pb2

REASONS = {"STORAGE_FULL", "STORAGE_UNAVAILABLE"}
SERVICES = ("segel.v1.Signing", "segel.v1.Jobs")
ITEMS, MORE = 6_000, 300


@pytest.fixture(params=ways())
def disk(request, bed, tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with served_in(tmp_path, bed, launcher=request.param.launcher(state)) as served:
        served.start()
        served.wait_ready()
        yield request.param(served)


@pytest.fixture
async def work(disk):
    made = Work(disk.served)
    yield made
    await made.caller.channel.close()


class Work:
    """A job that is being signed, one that is being handed over, and what more a client wants."""

    def __init__(self, served) -> None:
        self.served, self.journal = served, Journal()
        self.caller = Caller("backoffice", served.target, served.tls("backoffice"))
        self.maker = JobMaker(self.caller, served.key_name, self.journal, random.Random(1), "job")
        self.maker.sizes = (ITEMS,)
        self.sealed = self.maker.new()
        self.maker.sizes = (MORE,)
        self.open = self.maker.new()

    def create(self, story, count: int, *, seal: bool = False):
        request = jobs_pb2.CreateJobRequest(
            request_id=story.request_id,
            key=self.served.key_name,
            algorithm=P256,
            items=_inputs(story, 0, count),
            seal=seal,
        )
        return self.caller.jobs.CreateJob(request, timeout=PATIENCE)

    def create_another(self):
        return self.create(self.maker.new(), MORE, seal=True)

    def append(self):
        items = _inputs(self.open, 100, MORE)
        request = jobs_pb2.AppendItemsRequest(name=self.open.name, offset=100, items=items)
        return self.caller.jobs.AppendItems(request, timeout=PATIENCE)

    def seal(self):
        request = jobs_pb2.SealJobRequest(name=self.open.name, item_count=MORE)
        return self.caller.jobs.SealJob(request, timeout=PATIENCE)

    async def sign(self, seconds: float = 5.0) -> str:
        """Why it was not signed; empty if it was."""
        inputs = [signing_pb2.SignInput(digest=hashlib.sha256(b"one").digest())]
        request = signing_pb2.SignRequest(
            key=self.served.key_name, algorithm=P256, inputs=inputs, request_id="one"
        )
        answer = await self.caller.signing.Sign(request, timeout=seconds)
        return reason_of(answer.results[0].error)

    async def is_serving(self, service: str) -> bool:
        stub = health_pb2_grpc.HealthStub(self.caller.channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    async def read_what_there_is(self) -> int:
        """Results of the job that is being signed, without waiting for more."""
        seen = 0
        asked = jobs_pb2.ReadResultsRequest(name=self.sealed.name, wait=False)
        async for part in self.caller.jobs.ReadResults(asked):
            for result in part.results:
                told = (result.signature, result.leaf_index, result.leaf_position)
                self.journal.note(self.sealed, seen, told)
                seen += 1
        return seen


async def test_a_full_disk_loses_nothing_and_is_got_over_by_itself(disk, work) -> None:
    served, maker = disk.served, work.maker
    vkey = (seen_by(served) / "audit" / "key.pub").read_text().strip()
    await maker.upload(work.sealed)
    work.open.name = (await work.create(work.open, 100)).name

    async def begun() -> bool:
        return (await maker.look(work.sealed)).signed_count > 300

    await until(begun)
    disk.fill()
    wait_until(lambda: "segel_store_trouble 1.0" in served.metrics(), served.tail)

    for call in (work.create_another, work.append):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call()
        assert _says_why_and_when(refused.value) in REASONS
    try:
        assert await work.sign() in REASONS
    except grpc.aio.AioRpcError as error:
        assert _says_why_and_when(error) in REASONS  # noqa: PT017 - as a whole, or its one input
    for service in SERVICES:
        await until(lambda service=service: _not(work.is_serving(service)))
    signed = (await maker.look(work.sealed)).signed_count
    assert 300 < signed < ITEMS
    assert await work.read_what_there_is() > 0
    assert (await maker.look(work.sealed)).signed_count == signed  # nothing goes on without record

    disk.make_room()
    await maker.read(work.sealed)
    await maker.see(work.sealed)
    assert work.sealed.state == f"STATE_SUCCEEDED {ITEMS}+0 of {ITEMS}"
    assert await work.caller.insist(lambda: work.sign(PATIENCE)) == ""
    await work.caller.insist(work.append)
    await work.caller.insist(work.seal)
    await maker.read(work.open)
    for service in SERVICES:
        await until(lambda service=service: work.is_serving(service))

    # With the daemon goes its disk: the log is copied when all of it is published.
    wait_until(lambda: "segel_audit_behind_seconds 0.0\n" in served.metrics(), served.metrics)
    folder = shutil.copytree(seen_by(served) / "audit", served.folder / "audit")
    assert served.stop() == 0
    log = crash_log.Log.read(folder, vkey)
    crash_log.check_journal(log, work.journal)
    assert work.journal.wrong == []
    assert log.signatures == ITEMS + MORE + 1
    assert "Traceback" not in served.tail(10**6)


def _says_why_and_when(error: grpc.aio.AioRpcError) -> str:
    """The reason."""
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    assert retry.retry_delay.ToTimedelta().total_seconds() > 0
    assert status.message.endswith(".")
    return reason_of(status)


async def _not(answer) -> bool:
    return not await answer


def _inputs(story, first: int, after: int) -> list[signing_pb2.SignInput]:
    return [signing_pb2.SignInput(digest=digest) for digest in story.digests[first:after]]
