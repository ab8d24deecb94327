"""Jobs once they are there: followed, read, decided about; and receipts beside signatures."""

import asyncio
import hashlib
import itertools

import pytest
from fake_jobs import ORIGIN, hang_up, refusal, refuse

import segel
from segel import JobState, errors
from segel.v1 import jobs_pb2

KEY = "keys/seal"
DIGESTS = [hashlib.sha256(bytes([at % 256, at // 256])).digest() for at in range(700)]


@pytest.fixture
async def job(daemon, client):
    daemon.jobs.signs = False
    return await client.jobs.create(KEY, DIGESTS, request_id="r")


def signature(at: int) -> segel.Signature:
    return segel.Signature(b"sig:" + DIGESTS[at], "", at, ORIGIN, 7 + at // 256, at % 256)


async def test_results_follow_the_job_to_its_end(daemon, job):
    daemon.jobs.block = 100
    reading = asyncio.create_task(collect(job.results()))
    for count in (1, 255, 300, 144):
        await daemon.jobs.sign(daemon.jobs.only, count, failing=(5,))
    results = await reading
    assert [result.index for result in results] == list(range(700))
    assert results[4] == signature(4)
    assert results[699] == signature(699)
    assert isinstance(results[5], segel.Failure)
    assert results[5].error.reason == "WORKER_LOST"
    assert daemon.jobs.only.job.read_offset == 700
    assert (await job.refresh()).state is JobState.FAILED


async def collect(rows):
    return [one async for one in rows]


@pytest.mark.parametrize("offset", [0, 1, 255, 256, 257, 511, 699, 700])
async def test_results_from_any_offset(offset, daemon, job):
    await daemon.jobs.sign(daemon.jobs.only, 700)
    assert await collect(job.results(offset)) == [signature(at) for at in range(offset, 700)]


async def test_results_past_the_end(daemon, job):
    await daemon.jobs.sign(daemon.jobs.only, 700)
    with pytest.raises(errors.OffsetMismatch):
        await collect(job.results(701))


async def test_what_there_is(daemon, job):
    await daemon.jobs.sign(daemon.jobs.only, 300)
    assert await collect(job.results(wait=False)) == [signature(at) for at in range(300)]


async def test_results_survive_breaks_after_every_message(daemon, job):
    daemon.jobs.block = 50

    async def hook(name, _count, context):
        if name == "ReadResults":
            await hang_up(context)

    daemon.jobs.after = hook
    await daemon.jobs.sign(daemon.jobs.only, 700)
    assert await collect(job.results()) == [signature(at) for at in range(700)]
    assert daemon.jobs.calls.count("ReadResults") >= 14


async def test_results_wait_for_an_approver(daemon, client):
    daemon.jobs.held = True
    job = await client.jobs.create(KEY, DIGESTS)
    assert job.info.state is JobState.HELD
    with pytest.raises(errors.JobStateError):
        await collect(job.results(wait=False))
    reading = asyncio.create_task(collect(job.results()))
    await daemon.jobs.until(lambda: True)
    with pytest.raises(errors.ItemsChanged):
        await job.approve(b"other")
    await job.approve(job.info.items_hash)
    assert len(await reading) == 700


async def test_a_rejected_job_has_no_results(daemon, client):
    daemon.jobs.held = True
    job = await client.jobs.create(KEY, DIGESTS)
    rejected = await job.reject("wrong month")
    assert (rejected.state, rejected.state_reason) == (JobState.REJECTED, "wrong month")
    with pytest.raises(errors.JobStateError):
        await collect(job.results())


async def test_watch_reconnects_and_ends_with_the_job(daemon, job):
    async def hook(name, count, context):
        if name == "WatchJob" and count <= 2:
            await hang_up(context)

    daemon.jobs.after = hook
    states = []
    async for info in job.watch():
        states.append(info.state)
        if info.state is not JobState.SUCCEEDED and len(states) > 2:
            await daemon.jobs.sign(daemon.jobs.only, 350)
    assert states[0] is JobState.QUEUED
    assert states[-1] is JobState.SUCCEEDED
    assert job.info.signed_count == 700


async def test_watch_goes_on_after_a_restart(daemon, job):
    watching = job.watch()
    assert (await anext(watching)).state is JobState.QUEUED
    await daemon.stop()
    await daemon.jobs.sign(daemon.jobs.only, 700)
    await daemon.start()
    assert (await anext(watching)).state is JobState.SUCCEEDED


async def test_wait(daemon, job):
    with pytest.raises(TimeoutError):
        await job.wait(0.01)
    waiting = asyncio.create_task(job.wait())
    await daemon.jobs.sign(daemon.jobs.only, 700)
    assert (await waiting).state is JobState.SUCCEEDED


async def test_cancel_and_delete(daemon, client, job):
    await daemon.jobs.sign(daemon.jobs.only, 10)
    with pytest.raises(errors.JobStateError):
        await job.delete()
    assert (await job.cancel()).state is JobState.CANCELLED
    results = await collect(job.results())
    assert [type(result) for result in results] == [segel.Signature] * 10 + [segel.Failure] * 690
    await job.delete()
    with pytest.raises(errors.JobNotFound):
        await client.jobs.get(job.name)


async def test_list_and_open(daemon, client):
    for at in range(230):
        await client.jobs.create(KEY, DIGESTS[:1], request_id=f"r{at}", labels={"half": str(at % 2)})
    everything = await collect(client.jobs.list())
    assert [job.request_id for job in everything] == [f"r{at}" for at in reversed(range(230))]
    assert len(await collect(client.jobs.list(labels={"half": "1"}))) == 115
    assert len(await collect(client.jobs.list(limit=150))) == 150
    assert await collect(client.jobs.list(states=["running"])) == []
    (one,) = await collect(client.jobs.list(request_id="r7", states=[JobState.SUCCEEDED]))
    assert (await client.jobs.open(one.name.removeprefix("jobs/"))).info == one
    with pytest.raises(ValueError):
        client.jobs.list(states=["nonsense"]) and await collect(client.jobs.list(states=["nonsense"]))


async def test_a_state_of_a_newer_daemon_is_unknown(daemon, client, job):
    daemon.jobs.only.job.state = 99
    assert (await job.refresh()).state is JobState.UNKNOWN
    assert not JobState.UNKNOWN.is_final


def test_states_are_those_of_the_wire():
    wire = {name.removeprefix("STATE_").lower() for name in jobs_pb2.Job.State.keys()} - {"unspecified"}  # noqa: SIM118
    assert {str(state) for state in JobState} - {"unknown"} == wire


async def test_refusals_for_now_are_waited_out_while_reading(daemon, job):
    async def hook(name, count, context):
        if name == "ReadResults" and count == 1:
            await refuse(context, refusal("RESOURCE_EXHAUSTED", "QUEUE_FULL", retry_after=0.01))

    daemon.jobs.before = hook
    await daemon.jobs.sign(daemon.jobs.only, 700)
    assert len(await collect(job.results())) == 700


async def test_receipts_beside_signatures(daemon, signer, kit):
    async def answer(request):
        batch = kit.signed(request)
        batch.response.log_origin = ORIGIN
        for position, result in enumerate(batch.response.results):
            result.leaf_index, result.leaf_position = 41, position
        return batch

    daemon.answer = answer
    (one, two) = await signer.sign_digests(DIGESTS[:2])
    assert one == segel.Signature(b"sig:" + DIGESTS[0], "", None, ORIGIN, 41, 0)
    assert (two.log_origin, two.leaf_index, two.leaf_position) == (ORIGIN, 41, 1)
    assert await signer.sign_digest(DIGESTS[0]) == b"sig:" + DIGESTS[0]


async def test_without_await(daemon, tls):
    def use():
        with segel.BlockingClient.connect(daemon.target, tls=tls) as client:
            job = client.jobs.create(KEY, iter(DIGESTS), request_id="r")
            assert job.wait().state is JobState.SUCCEEDED
            assert [info.state for info in job.watch()] == [JobState.SUCCEEDED]
            assert list(job.results()) == [signature(at) for at in range(700)]
            assert list(itertools.islice(job.results(3), 2)) == [signature(3), signature(4)]
            assert [one.name for one in client.jobs.list()] == [job.name]
            assert client.jobs.open(job.name).info == job.refresh()
            job.delete()
            with pytest.raises(errors.JobNotFound):
                client.jobs.get(job.name)
            left = job.results()
        with pytest.raises(errors.ClientClosed):
            next(left)

    await asyncio.to_thread(use)
