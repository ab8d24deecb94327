"""What the policy, a revocation, a pause or an activation's limits let through: asked again whenever it matters."""

# ruff: noqa: ASYNC110 - each turn of the loop is what is waited for

import asyncio
import random
import time
from dataclasses import replace

import pytest
from dispatch_fakes import KEY, TIMEOUT, order, reasons
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from segeld.dispatch.dispatcher import Dispatcher, Quotas
from segeld.dispatch.jobboard import OPEN_JOBS
from segeld.dispatch.metrics import DispatchMetrics
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Reason
from segeld.model.job import BLOCK, JobSpec
from segeld.model.job_state import FINAL, JobState
from segeld.model.kind import Kind
from segeld.model.priority import Priority
from segeld.supervisor.worker_handle import WorkerLost

KIND = Kind(KEY, Algorithm.RSA_PKCS1_SHA256, EcdsaEncoding.DER)


@pytest.fixture
def revoked() -> set[str]:
    return set()


@pytest.fixture
def dispatcher(tokens, rules, queue, revoked) -> Dispatcher:
    return build(tokens, rules, queue, revoked)


def build(tokens, rules, queue, revoked) -> Dispatcher:
    return Dispatcher(
        lambda: tokens,
        lambda: rules,
        queue,
        DispatchMetrics(CollectorRegistry()),
        Quotas(queue=10_000, queue_per_caller=5_000, answers_retention=60),
        log_origin="segel/test",
        recorded=lambda leaf: None,
        revoked=revoked.__contains__,
    )


@pytest.fixture
async def loading(dispatcher):
    task = asyncio.create_task(dispatcher.jobs.run())
    yield
    task.cancel()


def spec(caller: str = "a", **fields) -> JobSpec:
    return JobSpec(caller, "r", KIND, Priority.NORMAL, (), time.time() + 1000, 60, **fields)


def inputs(count: int) -> tuple[bytes, ...]:
    return tuple(number.to_bytes(32, "big") for number in range(count))


async def turns(count: int = 200) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def ended(queue, job):
    async with asyncio.timeout(TIMEOUT):
        while queue.jobs[job.id].state not in FINAL:
            await asyncio.sleep(0)
    return queue.jobs[job.id]


def pause(dispatcher, queue, job) -> None:
    queue.jobs[job.id] = replace(queue.jobs[job.id], state=JobState.PAUSED, reason="Paused by siti.")
    dispatcher.jobs.changed(queue.jobs[job.id])


def resume(dispatcher, queue, job) -> None:
    queue.jobs[job.id] = replace(queue.jobs[job.id], state=JobState.RUNNING, reason="")
    dispatcher.jobs.add(queue.jobs[job.id])
    dispatcher.jobs.changed(queue.jobs[job.id])


async def test_a_job_whose_key_no_token_holds_says_so(dispatcher, queue, tokens, monkeypatch) -> None:
    job = queue.add(spec(), inputs(3))
    dispatcher.jobs.add(job)
    assert dispatcher.jobs.why(job) == ""
    monkeypatch.setattr(tokens, "key", lambda name: None)
    assert "No token that was seen holds its key" in dispatcher.jobs.why(job)


@pytest.mark.parametrize("why", ["grant", "revoked"])
async def test_a_job_waits_while_it_is_not_permitted_and_goes_on_afterwards(
    dispatcher, serving, queue, rules, revoked, loading, why
) -> None:
    away = rules.withdrawn if why == "grant" else revoked
    away.add("a")
    job, other = queue.add(spec(), inputs(3 * BLOCK)), queue.add(spec("b"), inputs(3))
    for each in (job, other):
        dispatcher.jobs.add(each)
    serving()
    assert (await ended(queue, other)).state is JobState.SUCCEEDED
    assert queue.jobs[job.id].state is JobState.QUEUED
    expected = "the grant was withdrawn" if why == "grant" else "its caller was revoked"
    assert dispatcher.jobs.why(job) == f"held: {expected}"
    away.clear()
    dispatcher.review_callers()
    assert dispatcher.jobs.why(job) == ""
    assert (await ended(queue, job)).signed == 3 * BLOCK


async def test_a_job_stops_when_its_grant_is_withdrawn_midway_and_watchers_are_told(
    dispatcher, serving, queue, rules, loading
) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    job = queue.add(spec(), inputs(2 * BLOCK))
    dispatcher.jobs.add(job)
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    with dispatcher.news.watching(job.id) as watcher:
        rules.withdrawn.add("a")
        dispatcher.review_callers()
        assert (await asyncio.wait_for(watcher.next(), TIMEOUT)).id == job.id
    hold.set()
    await turns()
    begun = sum(map(len, worker.given))
    assert begun < 2 * BLOCK
    assert queue.jobs[job.id].signed == begun
    rules.withdrawn.clear()
    dispatcher.review_callers()
    assert (await ended(queue, job)).signed == 2 * BLOCK
    given_out = [data for chunk in worker.given for data in chunk]
    assert len(given_out) == len(set(given_out))


async def test_what_is_in_a_lane_is_looked_at_again_before_it_is_dispatched(
    dispatcher, serving, queue, rules, revoked, loading
) -> None:
    """Without being told: the policy alone has changed."""
    job = queue.add(spec(), inputs(5))
    dispatcher.jobs.add(job)
    await turns()
    signing = asyncio.create_task(dispatcher.sign(order(2, caller="a")))
    await turns()
    revoked.add("a")
    worker = serving()
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [Reason.CALLER_REVOKED] * 2
    await turns()
    assert worker.given == []
    assert dispatcher.jobs.why(job) == "held: its caller was revoked"
    revoked.clear()
    dispatcher.review_callers()
    assert (await ended(queue, job)).signed == 5


@pytest.mark.parametrize("why", ["revoked", "grant", "approval"])
async def test_orders_that_wait_end_when_they_are_not_allowed_any_more(
    dispatcher, rules, revoked, why
) -> None:
    signing = asyncio.create_task(dispatcher.sign(order(2, caller="a")))
    other = asyncio.create_task(dispatcher.sign(order(1, caller="b")))
    await turns()
    if why == "revoked":
        revoked.add("a")
    elif why == "grant":
        rules.withdrawn.add("a")
    else:
        rules.approvers["a"] = frozenset({"dewi"})
    dispatcher.review_callers()
    reason = {
        "revoked": Reason.CALLER_REVOKED,
        "grant": Reason.KEY_NOT_FOUND,
        "approval": Reason.APPROVAL_REQUIRED,
    }[why]
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [reason] * 2
    assert not other.done()
    other.cancel()


async def test_a_job_that_was_approved_is_signed_with_a_key_that_wants_approval(
    dispatcher, serving, queue, rules, loading
) -> None:
    rules.approvers["a"] = frozenset({"dewi"})
    job = queue.add(spec(approval=True), inputs(5))
    dispatcher.jobs.add(job)
    serving()
    assert (await ended(queue, job)).signed == 5


async def test_a_paused_job_begins_nothing_and_loses_nothing(dispatcher, serving, queue, loading) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    job = queue.add(spec(), inputs(3 * BLOCK))
    dispatcher.jobs.add(job)
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    pause(dispatcher, queue, job)
    hold.set()
    await turns()
    begun = sum(map(len, worker.given))
    assert 0 < begun < 3 * BLOCK
    assert queue.jobs[job.id].signed == begun
    assert dispatcher.waiting({KEY}) == 3 * BLOCK - begun
    resume(dispatcher, queue, job)
    assert (await ended(queue, job)).signed == 3 * BLOCK
    given_out = [data for chunk in worker.given for data in chunk]
    assert sorted(given_out) == list(inputs(3 * BLOCK))


async def test_a_pause_that_the_store_knows_first_costs_nothing(dispatcher, serving, queue, loading) -> None:
    """A chunk on its way to be claimed is refused, and waits."""
    job = queue.add(spec(), inputs(5))
    dispatcher.jobs.add(job)
    await turns()
    queue.jobs[job.id] = replace(queue.jobs[job.id], state=JobState.PAUSED)
    worker = serving()
    await turns()
    assert worker.given == []
    pause(dispatcher, queue, job)
    resume(dispatcher, queue, job)
    assert (await ended(queue, job)).signed == 5


async def test_items_that_come_back_while_their_job_is_paused_are_signed_when_it_is_resumed(
    dispatcher, serving, queue, loading
) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    job = queue.add(spec(), inputs(2 * BLOCK))
    dispatcher.jobs.add(job)
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    pause(dispatcher, queue, job)
    worker.kill("as the test wants it")
    hold.set()
    await asyncio.wait_for(asyncio.shield(worker.serving), TIMEOUT)
    await dispatcher.drained()
    signed = queue.jobs[job.id].signed
    other = serving()
    await turns()
    assert (queue.jobs[job.id].signed, other.given) == (signed, [])
    resume(dispatcher, queue, job)
    assert (await ended(queue, job)).signed == 2 * BLOCK


async def test_paused_jobs_keep_no_turn_from_others(dispatcher, serving, queue, loading) -> None:
    jobs = [queue.add(spec(), inputs(2)) for _ in range(OPEN_JOBS + 3)]
    for job in jobs:
        dispatcher.jobs.add(job)
    for job in jobs[:OPEN_JOBS]:
        pause(dispatcher, queue, job)
    serving()
    for job in jobs[OPEN_JOBS:]:
        assert (await ended(queue, job)).signed == 2
    assert {queue.jobs[job.id].state for job in jobs[:OPEN_JOBS]} == {JobState.PAUSED}
    for job in reversed(jobs[:OPEN_JOBS]):
        resume(dispatcher, queue, job)
        assert (await ended(queue, job)).signed == 2


async def test_a_paused_job_that_is_cancelled_leaves(dispatcher, queue, loading) -> None:
    job = queue.add(spec(), inputs(5))
    dispatcher.jobs.add(job)
    pause(dispatcher, queue, job)
    dispatcher.jobs.changed(replace(queue.jobs[job.id], state=JobState.CANCELLED))
    assert len(dispatcher.jobs) == 0


async def test_nothing_is_asked_of_a_token_beyond_what_is_allowed(
    dispatcher, serving, queue, tokens, loading
) -> None:
    tokens.allowed = 7
    job = queue.add(spec(), inputs(20))
    dispatcher.jobs.add(job)
    signing = asyncio.create_task(dispatcher.sign(order(3, caller="b")))
    workers = [serving() for _ in range(3)]
    await turns(500)
    assert sum(len(chunk) for worker in workers for chunk in worker.given) == 7
    assert (tokens.made, tokens.allowed) == (7, 0)
    tokens.allowed = 100
    dispatcher.review()
    await asyncio.wait_for(signing, TIMEOUT)
    assert (await ended(queue, job)).signed == 20


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**32))
def test_several_workers_that_fail_never_make_more_than_is_allowed(allowed, count, seed) -> None:
    from dispatch_fakes import TOKEN, FakeRules, FakeTokens, FakeWorker
    from queue_fake import FakeQueue

    chance = random.Random(seed)

    def answer(data):
        made.extend(data)
        return tuple(b"signed " + each for each in data)

    def step():
        return chance.choice([answer, answer, "crashed", WorkerLost("not sent", sent=False)])

    made: list[bytes] = []

    async def run() -> None:
        tokens, queue = FakeTokens(allowed=allowed), FakeQueue()
        dispatcher = build(tokens, FakeRules(tries=100), queue, set())
        loader = asyncio.create_task(dispatcher.jobs.run())
        job = queue.add(spec(), inputs(30))
        dispatcher.jobs.add(job)
        orders = [asyncio.create_task(dispatcher.sign(order(5, caller=name))) for name in "bc"]
        serving: set[asyncio.Task[None]] = set()
        workers = []
        for _ in range(40):
            while len(serving) < count:
                workers.append(FakeWorker(script=[step() for _ in range(3)]))
                serving.add(asyncio.create_task(dispatcher.serve(TOKEN, workers[-1])))
            await turns(50)
            serving = {task for task in serving if not task.done()}
            if tokens.allowed == 0:
                break
        for worker in workers:
            worker.kill("over")
        await asyncio.wait(serving) if serving else None
        await dispatcher.drained()
        for task in (*orders, loader):
            task.cancel()
        signed = sum(isinstance(each, bytes) for kind, done in queue.log if kind == "settle" for each in done)
        assert signed <= tokens.made <= allowed
        assert tokens.made + tokens.allowed == allowed

    asyncio.run(run())
    assert len(made) <= allowed


async def test_of_very_many_jobs_some_are_reviewed_at_once_and_the_rest_soon(
    dispatcher, queue, rules, monkeypatch
) -> None:
    monkeypatch.setattr("segeld.dispatch.jobboard._REVIEWED_AT_ONCE", 10)
    jobs = [queue.add(spec(), inputs(1)) for _ in range(35)]
    for job in jobs:
        dispatcher.jobs.add(job)
    rules.withdrawn.add("a")
    dispatcher.review_callers()
    assert sum(bool(dispatcher.jobs.why(job)) for job in jobs) == 10
    await turns(5)
    assert all(dispatcher.jobs.why(job) for job in jobs)
