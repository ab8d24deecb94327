"""A full disk under a real daemon: what was accepted is kept, reading goes on, and it goes on by itself."""

import hashlib
import resource
import subprocess
import sys
import time
from pathlib import Path

import crash_log
import grpc
import pytest
from crash_calls import Caller, reason_of, reason_of_call
from crash_jobs import JobMaker
from crash_journal import Journal
from crash_requests import P256
from crash_run import served_in
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from served import PATIENCE, Served, wait_until

from segel.v1 import jobs_pb2, signing_pb2

REASONS = {"STORAGE_FULL", "STORAGE_UNAVAILABLE"}
OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")
MEGABYTE = 1024 * 1024
SERVICES = ("segel.v1.Signing", "segel.v1.Jobs")


class FileSizes:
    """No file may grow any more: for everybody, on every system."""

    launcher = ()

    def __init__(self, served: Served) -> None:
        self.served = served

    def fill(self) -> None:
        largest = max(file.stat().st_size for file in self.served.state.glob("segel.db*"))
        self._limit(largest)

    def make_room(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        _, hard = resource.prlimit(self.served.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.served.pid, resource.RLIMIT_FSIZE, (size, hard))


class SmallDisk:
    """A disk of its own, where the system lets us mount one for a process and what it starts."""

    def __init__(self, served: Served) -> None:
        self.served = served

    @property
    def ballast(self) -> Path:
        return Path(f"/proc/{self.served.pid}/root{self.served.state}/ballast")

    def fill(self) -> None:
        with self.ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(MEGABYTE)) == MEGABYTE:
                    pass
                while True:
                    file.write(bytes(512))
            except OSError:
                return

    def make_room(self) -> None:
        self.ballast.unlink()


def can_mount() -> bool:
    try:
        done = subprocess.run(
            [*OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


WAYS = [FileSizes, SmallDisk] if can_mount() else [FileSizes]


@pytest.fixture(params=WAYS)
def disk(request, bed, tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    script = f'mount -t tmpfs -o size=160m,mode=700 tmpfs {tmp_path}/state && exec "$@"'
    launcher = (*OWN_MOUNTS, "sh", "-c", script, "sh") if request.param is SmallDisk else ()
    with served_in(tmp_path, bed, launcher=launcher) as served:
        served.start()
        served.wait_ready()
        yield request.param(served)


def refusal(error: grpc.aio.AioRpcError) -> tuple[str, float]:
    """Reason, and seconds after which to try again."""
    raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(raw)
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in status.details)
    assert len(status.message) > 20
    return reason_of(status), retry.retry_delay.ToTimedelta().total_seconds()


async def is_serving(caller: Caller, service: str) -> bool:
    stub = health_pb2_grpc.HealthStub(caller.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
    return answer.status == health_pb2.HealthCheckResponse.SERVING


async def until(holds) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await holds():
        assert time.monotonic() < deadline


async def test_a_full_disk_loses_nothing_and_is_got_over_by_itself(disk) -> None:
    import random

    served, journal = disk.served, Journal()
    caller = Caller("backoffice", served.target, served.tls("backoffice"))
    maker = JobMaker(caller, served.key_name, journal, random.Random(1), "job")
    vkey = _key_of(served)
    maker.sizes = (6_000,)
    story = maker.new()
    await maker.upload(story)
    maker.sizes = (300,)
    open_story = maker.new()
    opened = await caller.jobs.CreateJob(
        jobs_pb2.CreateJobRequest(
            request_id=open_story.request_id, key=served.key_name, algorithm=P256, items=_inputs(open_story, 0, 100)
        )
    )

    async def begun() -> bool:
        return (await maker.look(story)).signed_count > 300

    await until(begun)
    disk.fill()
    wait_until(lambda: "segel_store_trouble 1.0" in served.metrics(), served.tail)

    refused = {}
    one = signing_pb2.SignRequest(
        key=served.key_name,
        algorithm=P256,
        inputs=[signing_pb2.SignInput(digest=hashlib.sha256(b"one").digest())],
        request_id="one",
    )
    calls = {
        "Sign": lambda: caller.signing.Sign(one, timeout=5),
        "CreateJob": lambda: caller.jobs.CreateJob(
            jobs_pb2.CreateJobRequest(
                request_id="new", key=served.key_name, algorithm=P256, items=_inputs(story, 0, 200), seal=True
            )
        ),
        "AppendItems": lambda: caller.jobs.AppendItems(
            jobs_pb2.AppendItemsRequest(name=opened.name, offset=100, items=_inputs(open_story, 100, 300))
        ),
    }
    for name, call in calls.items():
        try:
            answer = await call()
        except grpc.aio.AioRpcError as error:
            refused[name] = refusal(error)
        else:  # what came too late to be refused as a whole
            refused[name] = (reason_of(answer.results[0].error), 1.0)
    assert {reason for reason, _ in refused.values()} <= REASONS
    assert all(retry > 0 for _, retry in refused.values())
    for service in SERVICES:
        await until(lambda service=service: _not(is_serving(caller, service)))

    job = await maker.look(story)
    assert 300 < job.signed_count < len(story.digests)
    seen = 0
    async for part in caller.jobs.ReadResults(jobs_pb2.ReadResultsRequest(name=story.name, wait=False)):
        for result in part.results:
            journal.note(story, seen, (result.signature, result.leaf_index, result.leaf_position))
            seen += 1
    assert seen > 0
    assert (await maker.look(story)).signed_count == job.signed_count  # nothing goes on without record

    disk.make_room()
    await maker.read(story)
    await maker.see(story)
    assert story.state == "STATE_SUCCEEDED 6000+0 of 6000"
    assert await caller.insist(lambda: _signed(caller, one))
    await caller.insist(calls["AppendItems"])
    seal = jobs_pb2.SealJobRequest(name=opened.name, item_count=300)
    await caller.insist(lambda: caller.jobs.SealJob(seal))
    open_story.name = opened.name
    await maker.read(open_story)
    for service in SERVICES:
        await until(lambda service=service: is_serving(caller, service))
    await caller.channel.close()
    folder = _copy_of_log(served)
    assert served.stop() == 0
    log = crash_log.Log.read(folder, vkey)
    crash_log.check_journal(log, journal)
    assert journal.wrong == []
    assert log.signatures == 6_301
    assert "Traceback" not in served.tail(10**6)


async def _signed(caller: Caller, request: signing_pb2.SignRequest) -> bool:
    answer = await caller.signing.Sign(request, timeout=PATIENCE)
    assert answer.results[0].signature, reason_of(answer.results[0].error)
    return True


async def _not(answer) -> bool:
    return not await answer


def _inputs(story, first: int, after: int) -> list[signing_pb2.SignInput]:
    return [signing_pb2.SignInput(digest=digest) for digest in story.digests[first:after]]


def _state(served: Served) -> Path:
    """The state folder as the daemon sees it."""
    return Path(f"/proc/{served.pid}/root{served.state}")


def _key_of(served: Served) -> str:
    return (_state(served) / "audit" / "key.pub").read_text().strip()


def _copy_of_log(served: Served) -> Path:
    """With the daemon goes its disk: the log is copied when all of it is published."""
    import shutil

    wait_until(lambda: "segel_audit_behind_seconds 0.0" in served.metrics(), served.metrics)
    return Path(shutil.copytree(_state(served) / "audit", served.folder / "audit"))


