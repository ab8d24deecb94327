"""Jobs in the dispatcher: loaded block by block, signed whatever happens, given up when they end."""

# ruff: noqa: ASYNC110 - each turn of the loop is what is waited for

import asyncio
import time
from dataclasses import replace

import pytest
from dispatch_fakes import KEY, TIMEOUT, failing, order, reasons, refusing
from prometheus_client import CollectorRegistry

from segeld.dispatch import breaker, verdicts
from segeld.dispatch.dispatcher import Dispatcher, Quotas
from segeld.dispatch.jobboard import OPEN_JOBS
from segeld.dispatch.jobwork import LOW_WATER
from segeld.dispatch.metrics import DispatchMetrics
from segeld.ipc.worker_wire import Remedy
from segeld.jobqueue.claims import Unknown
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Reason
from segeld.model.job import BLOCK, JobSpec, Signature
from segeld.model.job_state import FINAL, JobState
from segeld.model.kind import Kind
from segeld.model.priority import Priority
from segeld.model.token_state import TokenState
from segeld.supervisor.worker_handle import WorkerLost

KIND = Kind(KEY, Algorithm.RSA_PKCS1_SHA256, EcdsaEncoding.DER)


def spec(caller: str = "a", *, priority: Priority = Priority.NORMAL, seconds: float = 1000) -> JobSpec:
    return JobSpec(caller, "r", KIND, priority, (), time.time() + seconds, 60)


def inputs(count: int) -> tuple[bytes, ...]:
    return tuple(number.to_bytes(32, "big") for number in range(count))


@pytest.fixture
async def loading(dispatcher):
    task = asyncio.create_task(dispatcher.jobs.run())
    yield
    task.cancel()


async def ended(queue, job):
    async with asyncio.timeout(TIMEOUT):
        while queue.jobs[job.id].state not in FINAL:
            await asyncio.sleep(0)
    return queue.jobs[job.id]


@pytest.mark.parametrize("count", [1, BLOCK, BLOCK + 1, 1500])
async def test_every_item_is_signed_once(dispatcher, serving, queue, loading, count) -> None:
    worker = serving()
    job = queue.add(spec(), inputs(count))
    dispatcher.jobs.add(job)
    assert (await ended(queue, job)).state is JobState.SUCCEEDED
    assert sorted(data for chunk in worker.given for data in chunk) == list(inputs(count))
    assert all(isinstance(outcome, Signature) for outcome in queue.outcomes[job.id].values())
    assert len(dispatcher.jobs) == 0


async def test_of_a_large_job_only_a_few_blocks_are_in_memory(dispatcher, serving, queue, loading) -> None:
    hold = asyncio.Event()
    worker = serving(*[hold] * 1000)
    job = queue.add(spec(), inputs(20 * BLOCK))
    dispatcher.jobs.add(job)
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(queue.loads) * BLOCK <= LOW_WATER + 2 * BLOCK
    hold.set()
    assert (await ended(queue, job)).signed == 20 * BLOCK


async def test_an_earlier_runs_jobs_go_on(dispatcher, serving, queue, loading) -> None:
    jobs = [queue.add(spec(caller), inputs(20)) for caller in "abc"]
    queue.outcomes[jobs[0].id][3] = Signature(b"made before", None)
    await dispatcher.jobs.start()
    worker = serving()
    for job in jobs:
        assert (await ended(queue, job)).state is JobState.SUCCEEDED
    assert sum(map(len, worker.given)) == 59
    assert queue.outcomes[jobs[0].id][3].value == b"made before"


async def test_a_job_waits_for_a_token_that_cannot_sign(dispatcher, serving, queue, tokens, loading) -> None:
    tokens.state = TokenState.LOCKED
    job = queue.add(spec(), inputs(5))
    dispatcher.jobs.add(job)
    for _ in range(20):
        await asyncio.sleep(0)
    dispatcher.review()
    assert queue.jobs[job.id].state is JobState.QUEUED
    tokens.state = TokenState.ACTIVE
    dispatcher.review()
    serving()
    assert (await ended(queue, job)).state is JobState.SUCCEEDED


async def test_an_item_whose_workers_are_lost_three_times_fails_alone(
    dispatcher, serving, queue, loading
) -> None:
    job = queue.add(spec(), inputs(1))
    dispatcher.jobs.add(job)
    for _ in range(3):
        worker = serving("crashed")
        await asyncio.wait_for(asyncio.shield(worker.serving), TIMEOUT)
    await dispatcher.drained()
    assert (await ended(queue, job)).failed == 1
    assert [outcomes[0] for kind, outcomes in queue.log if kind == "settle"][:2] == [Unknown(), Unknown()]


async def test_a_key_that_must_not_be_tried_again_is_not(dispatcher, serving, queue, rules, loading) -> None:
    rules.tries = 1
    job = queue.add(spec(), inputs(3))
    dispatcher.jobs.add(job)
    serving("crashed")
    assert (await ended(queue, job)).failed == 3


async def test_a_cancelled_job_is_not_begun_any_more(dispatcher, serving, queue, loading) -> None:
    hold = asyncio.Event()
    worker = serving(hold, hold)
    job = queue.add(spec(), inputs(1000))
    dispatcher.jobs.add(job)
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    for _ in range(20):
        await asyncio.sleep(0)
    queue.jobs[job.id] = replace(queue.jobs[job.id], state=JobState.ENDING)
    dispatcher.jobs.changed(queue.jobs[job.id])
    hold.set()
    await dispatcher.drained()
    assert sum(map(len, worker.given)) == 16  # two chunks of eight
    assert len(queue.outcomes[job.id]) == 16
    assert len(dispatcher.jobs) == 0


async def test_a_job_past_its_deadline_is_not_begun(dispatcher, serving, queue, loading) -> None:
    worker = serving()
    job = queue.add(spec(seconds=-1), inputs(10))
    dispatcher.jobs.add(job)
    for _ in range(50):
        await asyncio.sleep(0)
    assert worker.given == []


async def test_stopping_begins_nothing_more_of_jobs_and_records_what_was_begun(
    dispatcher, serving, queue, loading
) -> None:
    hold = asyncio.Event()
    worker = serving(hold, hold)
    job = queue.add(spec(), inputs(1000))
    dispatcher.jobs.add(job)
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    dispatcher.begin_stop()
    hold.set()
    await asyncio.wait_for(dispatcher.drained(), TIMEOUT)
    for _ in range(20):
        await asyncio.sleep(0)
    begun = sum(map(len, worker.given))
    assert begun <= 16
    assert len(queue.outcomes[job.id]) == begun
    assert not queue.claims


async def test_an_official_is_served_while_a_job_runs(dispatcher, serving, queue, loading) -> None:
    hold = asyncio.Event()
    worker = serving(hold, hold)
    job = queue.add(spec("bulk"), inputs(1000))
    dispatcher.jobs.add(job)
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    for _ in range(20):
        await asyncio.sleep(0)
    assert reasons(await asyncio.wait_for(dispatcher.sign(order(caller="official")), TIMEOUT)) == [None]
    hold.set()
    await ended(queue, job)


async def test_callers_share_a_token_by_their_weights(tokens, rules, queue, serving) -> None:
    rules.weights = {"a": 1, "b": 3}
    dispatcher = Dispatcher(
        lambda: tokens,
        lambda: rules,
        queue,
        DispatchMetrics(CollectorRegistry()),
        Quotas(100, 50, 60),
        log_origin="segel/test",
        recorded=lambda leaf: None,
    )
    from dispatch_fakes import TOKEN, FakeWorker

    loading = asyncio.create_task(dispatcher.jobs.run())
    jobs = {caller: queue.add(spec(caller), inputs(20_000)) for caller in "ab"}
    for job in jobs.values():
        dispatcher.jobs.add(job)
    worker = FakeWorker(item_ns=2_000_000)
    feeding = asyncio.create_task(dispatcher.serve(TOKEN, worker))
    while sum(len(queue.outcomes[job.id]) for job in jobs.values()) < 2_000:
        await asyncio.sleep(0)
    done = {caller: len(queue.outcomes[job.id]) for caller, job in jobs.items()}
    assert 2.7 < done["b"] / done["a"] < 3.3
    worker.kill("the test is over")
    await feeding
    loading.cancel()


async def test_a_low_job_gives_way_to_a_normal_one_and_still_goes_on(
    dispatcher, serving, queue, loading
) -> None:
    low = queue.add(spec("a", priority=Priority.LOW), inputs(4000))
    normal = queue.add(spec("b"), inputs(4000))
    for job in (low, normal):
        dispatcher.jobs.add(job)
    for _ in range(20):
        await asyncio.sleep(0)
    serving().item_ns = 2_000_000
    assert (await ended(queue, normal)).state is JobState.SUCCEEDED
    assert 0 < len(queue.outcomes[low.id]) < 3000
    await ended(queue, low)


async def test_of_many_jobs_of_one_line_only_a_few_are_in_memory(dispatcher, queue, loading) -> None:
    jobs = [queue.add(spec(), inputs(300)) for _ in range(20)]
    for job in jobs:
        dispatcher.jobs.add(job)
        dispatcher.jobs.changed(job)
    for _ in range(200):
        await asyncio.sleep(0)
    assert {job for job, _ in queue.loads} == {job.id for job in jobs[:OPEN_JOBS]}


async def test_long_messages_are_bounded_in_memory_by_octets(dispatcher, queue, loading) -> None:
    job = queue.add(spec(), tuple(bytes(64 * 1024) for _ in range(2000)))
    dispatcher.jobs.add(job)
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(queue.loads) == 1


async def test_a_caller_whose_items_all_fail_takes_no_more_than_its_share(
    dispatcher, serving, queue, loading
) -> None:
    wrong = tuple(b"bad" + data[3:] for data in inputs(2000))
    for job in (queue.add(spec("bad"), wrong), queue.add(spec("good"), inputs(2000))):
        dispatcher.jobs.add(job)
    for _ in range(20):
        await asyncio.sleep(0)
    served = []

    def sign(given):
        served.append(given[0][:3] == b"bad")
        if served[-1]:
            return failing(Reason.DEVICE_ERROR, Remedy.ITEM, certain=True)(given)
        return tuple(b"signed" for _ in given)

    serving(*[sign] * 400).item_ns = 20_000_000
    while len(served) < 100:
        await asyncio.sleep(0)
    assert 30 < served.count(True) < 70


async def test_a_job_goes_on_when_its_algorithm_is_asked_for_again(
    dispatcher, serving, queue, loading, monkeypatch
) -> None:
    monkeypatch.setattr(breaker, "PAUSE", 0.2)
    monkeypatch.setattr(verdicts, "PAUSE", 0.2)
    job = queue.add(spec(), inputs(5))
    dispatcher.jobs.add(job)
    for _ in range(2):
        await asyncio.wait_for(asyncio.shield(serving(refusing()).serving), TIMEOUT)
        await dispatcher.drained()
    serving()
    assert (await ended(queue, job)).state in FINAL


async def test_a_suspect_is_tried_by_a_worker_that_began_before_its_blame_was_written(
    dispatcher, serving, queue, loading
) -> None:
    job = queue.add(spec(), inputs(5))
    dispatcher.jobs.add(job)
    queue.hold = asyncio.Event()
    first = serving(refusing(certain=False))
    await asyncio.wait_for(first.ended.wait(), TIMEOUT)
    serving()
    for _ in range(20):
        await asyncio.sleep(0)
    queue.hold.set()
    assert (await ended(queue, job)).state is JobState.SUCCEEDED


async def test_urgent_work_goes_on_beside_a_worker_that_hangs_with_a_job(
    dispatcher, serving, queue, loading
) -> None:
    hang = asyncio.Event()
    first = serving(hang)
    job = queue.add(spec("bulk"), inputs(4))
    dispatcher.jobs.add(job)
    await asyncio.wait_for(first.arrived.wait(), TIMEOUT)
    second = serving()
    second.item_ns = 4_000_000
    for _ in range(60):
        assert reasons(await asyncio.wait_for(dispatcher.sign(order(caller="official")), TIMEOUT)) == [None]
    hang.set()


async def test_a_job_whose_caller_has_no_grant_any_more_waits(
    dispatcher, serving, queue, rules, loading
) -> None:
    rules.withdrawn.add("a")
    worker = serving()
    queue.add(spec("a"), inputs(5))
    kept = queue.add(spec("b"), inputs(5))
    await dispatcher.jobs.start()
    await ended(queue, kept)
    assert sum(map(len, worker.given)) == 5
    assert queue.jobs[1].state is JobState.QUEUED


async def test_a_block_that_cannot_be_read_keeps_no_other_job_waiting(
    dispatcher, serving, queue, loading
) -> None:
    bad, good = queue.add(spec("bad"), inputs(5)), queue.add(spec("good"), inputs(5))
    queue.damaged.add(bad.id)
    serving()
    for job in (bad, good):
        dispatcher.jobs.add(job)
    assert (await ended(queue, good)).state is JobState.SUCCEEDED
    assert queue.jobs[bad.id].state is JobState.QUEUED


async def test_stopping_is_not_held_up_by_a_suspect(dispatcher, serving, queue, loading) -> None:
    job = queue.add(spec(), inputs(500))
    dispatcher.jobs.add(job)
    first = serving(refusing(certain=False))
    await asyncio.wait_for(asyncio.shield(first.serving), TIMEOUT)
    await dispatcher.drained()
    dispatcher.begin_stop()
    worker = serving()
    for _ in range(50):
        await asyncio.sleep(0)
    assert worker.given == []


async def test_an_item_that_crashes_its_workers_takes_no_neighbours_along(
    dispatcher, serving, queue, loading
) -> None:
    job = queue.add(spec(), inputs(64))
    dispatcher.jobs.add(job)
    poison = inputs(64)[20]

    def sign(given):
        if poison in given:
            raise WorkerLost("crashed")
        return tuple(b"signed" for _ in given)

    while queue.jobs[job.id].state not in FINAL:
        worker = serving(*[sign] * 100)
        while not worker.ended.is_set() and queue.jobs[job.id].state not in FINAL:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert (queue.jobs[job.id].signed, queue.jobs[job.id].failed) == (63, 1)
