"""What came of a claim: once, with an outcome for each item, also when the daemon was lost meanwhile."""

import time

import pytest
from store_fakes import (
    FAILED,
    KEY,
    claim,
    items,
    leaf,
    part,
    request,
    signature,
    spec,
)

from segeld.audit.leaf import (
    NOT_BEGUN,
    UNKNOWN,
)
from segeld.jobqueue.claims import (
    NotBegun,
    StaleClaim,
    Unknown,
)
from segeld.model.faults import Reason
from segeld.model.job_state import JobState


async def test_a_claim_is_settled_once(store):
    job = await store.sealed(1)
    claimed = await store.take(job, 0, 1)
    await store.bring(claimed, signature(0))
    before = await store.leaf_count()
    with pytest.raises(StaleClaim):
        await store.bring(claimed, b"another")
    with pytest.raises(StaleClaim):
        await store.bring(12345, b"another")
    assert await store.leaf_count() == before
    assert (await store.all_results(job))[0].value == signature(0)


async def test_a_settlement_with_the_wrong_number_of_outcomes_changes_nothing(store):
    job = await store.sealed(2)
    claimed = await store.take(job, 0, 2)
    with pytest.raises(ValueError, match="number"):
        await store.bring(claimed, signature(0))
    await store.bring(claimed, signature(0), signature(1))


async def test_the_last_outcome_ends_a_job(store):
    job = await store.sealed(300)
    await store.sign(job, 0, 150)
    (now,) = (await store.sign(job, 150, 150)).jobs
    assert (now.state, now.signed, now.failed) == (JobState.SUCCEEDED, 300, 0)
    assert now.expires == pytest.approx(now.ended + now.spec.retention)
    assert [found.value for found in await store.all_results(job)] == [signature(n) for n in range(300)]


async def test_a_job_with_a_failure_fails(store):
    job = await store.sealed(2)
    await store.bring(await store.take(job, 0, 1), FAILED)
    (now,) = (await store.sign(job, 1, 1)).jobs
    assert (now.state, now.signed, now.failed) == (JobState.FAILED, 1, 1)
    assert now.reason


async def test_an_item_that_is_lost_too_often_fails(store):
    job = await store.sealed(2)
    for attempt in (1, 2, 3):
        settled = await store.bring(await store.take(job, 0, 2), NotBegun(), Unknown())
        assert settled.exhausted == ((1,) if attempt == 3 else ())
    assert (await leaf(store, settled.leaf)).unsigned == ((0, NOT_BEGUN), (1, "WORKER_LOST"))
    assert (settled.jobs[0].failed, (await store.block(job.id, 0)).waiting) == (1, (0,))
    await store.sign(job, 0, 1)
    assert (await store.all_results(job))[1].reason is Reason.WORKER_LOST


async def test_a_key_may_allow_a_single_attempt(store):
    job = await store.sealed(1)
    settled = await store.bring(await store.take(job, 0, 1), Unknown(), attempts=1)
    assert (settled.exhausted, settled.jobs[0].state) == ((0,), JobState.FAILED)
    claimed = await store.claim(claim(part(None, 0, 1)))
    assert (await store.bring(claimed.id, Unknown(), attempts=1)).exhausted == (0,)


async def test_lost_attempts_are_forgotten_when_the_item_ends(store):
    job = await store.sealed(2)
    await store.bring(await store.take(job, 0, 1), Unknown())
    await store.sign(job, 0, 1)
    assert (await store.block(job.id, 0)).lost == ()


async def test_recovery_settles_what_an_earlier_run_left(store, reopen):
    job, other = await store.sealed(3, "a"), await store.sealed(3, "b")
    await store.take(job, 0, 2)
    claimed = await store.claim(claim(part(other.id, 2, 1), part(request(), 0, 1)))
    asked = []
    store = await reopen()

    def attempts(key):
        asked.append(key)
        return 3

    assert await store.recover(attempts, time.time()) == 2
    assert asked == [KEY, KEY]
    assert (await store.block(job.id, 0)).lost == (0, 1)
    assert (await leaf(store, claimed.id + 2)).unsigned == ((0, UNKNOWN), (1, UNKNOWN))
    assert await store.recover(attempts, time.time()) == 0
    with pytest.raises(StaleClaim):
        await store.bring(claimed.id, signature(2), signature(0))


async def test_recovery_ends_a_job_that_was_ending(store, reopen):
    job = await store.sealed(3)
    await store.take(job, 0, 2)
    await store.cancel_job("office", job.name, "office")
    store = await reopen()
    await store.recover(lambda _: 3, time.time())
    assert (await store.job("office", job.name)).state is JobState.CANCELLED


async def test_a_claim_over_two_blocks_comes_back_to_both(store):
    job, _ = await store.create_job(spec(), items(520), seal=True)
    await store.sign(job, 200, 320)
    await store.sign(job, 0, 200)
    assert [found.value for found in await store.all_results(job)] == [signature(n) for n in range(520)]
