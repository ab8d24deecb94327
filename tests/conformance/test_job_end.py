"""How jobs end by themselves, and what is left of them: expiry, results, removal."""

import time

import pytest
from store_fakes import DAY, FAILED, HOUR, acts, items, refused, signature, spec

from segeld.jobqueue.claims import NotBegun
from segeld.model.faults import Reason
from segeld.model.job import Failure
from segeld.model.job_state import JobState


async def test_a_jobs_id_is_never_used_again(store, reopen):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    await store.delete_job("office", job.name)
    store = await reopen()
    again, _ = await store.create_job(spec("again"), items(3), seal=False)
    assert again.id > job.id


@pytest.mark.parametrize("approval", [False, True])
async def test_jobs_past_their_deadline_expire(store, approval):
    job = await store.sealed(3, approval=approval)
    before = job.spec.deadline - 1
    assert (await store.tidy(before)).ended == ()
    (ended,) = (await store.tidy(job.spec.deadline)).ended
    assert (ended.name, ended.state) == (job.name, JobState.EXPIRED)
    assert [outcome.reason for outcome in await store.all_results(job)] == [Reason.DEADLINE_PASSED] * 3
    assert [(act.what, act.who) for act in await acts(store)] == [("job expired", "")]


async def test_a_job_that_a_token_holds_expires_when_the_token_is_done(store):
    job = await store.sealed(2)
    claim = await store.take(job, 0, 1)
    (ending,) = (await store.tidy(job.spec.deadline)).ended
    assert ending.state is JobState.ENDING
    assert (await store.tidy(job.spec.deadline)).ended == ()
    (now,) = (await store.bring(claim, NotBegun())).jobs
    assert now.state is JobState.EXPIRED


async def test_a_job_that_is_never_sealed_expires(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    (ended,) = (await store.tidy(time.time() + 25 * HOUR)).ended
    assert (ended.name, ended.state) == (job.name, JobState.EXPIRED)


async def test_a_job_is_removed_when_its_time_is_over(store):
    job = await store.sealed(3, retention=10 * DAY)
    await store.sign(job, 0, 3)
    ended = (await store.job("office", job.name)).ended
    assert (await store.tidy(ended + 6 * DAY)).unread == ()
    soon = await store.tidy(ended + 8 * DAY)
    assert ([unread.name for unread in soon.unread], soon.removed) == ([job.name], ())
    removed = await store.tidy(ended + 11 * DAY)
    assert [gone.name for gone in removed.removed] == [job.name]
    await refused(store.job("office", job.name), Reason.JOB_NOT_FOUND)
    await refused(store.create_job(spec(), items(3), seal=True), Reason.IDEMPOTENCY_MISMATCH)
    await store.tidy(ended + 11 * DAY + 8 * DAY)
    assert (await store.create_job(spec(), items(3), seal=True))[1]


async def test_results_that_were_read_are_no_warning(store):
    job = await store.sealed(3, retention=DAY)
    await store.sign(job, 0, 3)
    await store.note_read("office", job.name, 3)
    assert (await store.tidy(time.time())).unread == ()


async def test_how_far_results_were_read_never_goes_back(store):
    job = await store.sealed(3)
    for offset, read in ((2, 2), (1, 2), (99, 3)):
        await store.note_read("office", job.name, offset)
        assert (await store.job("office", job.name)).read == read


async def test_results_come_by_blocks_up_to_the_first_item_that_has_none(store):
    job = await store.sealed(600)
    assert (await store.results("office", job.name, 0)).outcomes == ()
    await store.sign(job, 0, 256)
    await store.sign(job, 256, 10)
    await store.sign(job, 300, 20)
    assert len((await store.results("office", job.name, 5)).outcomes) == 251
    assert len((await store.results("office", job.name, 256)).outcomes) == 10
    assert (await store.results("office", job.name, 266)).outcomes == ()
    assert len((await store.results("office", job.name, 310)).outcomes) == 10
    assert (await store.results("office", job.name, 600)).outcomes == ()
    await refused(store.results("office", job.name, 601), Reason.OFFSET_OUT_OF_RANGE)


async def test_results_carry_the_items_ids(store):
    job, _ = await store.create_job(spec(), items(3, ids=True), seal=True)
    await store.sign(job, 0, 3)
    assert (await store.results("office", job.name, 1)).ids == ("letter-1", "letter-2")


@pytest.mark.parametrize("approval", [False, True])
async def test_a_job_that_was_not_begun_has_no_results(store, approval):
    job, _ = await store.create_job(spec(approval=approval), items(3), seal=approval)
    await refused(store.results("office", job.name, 0), Reason.JOB_STATE)


async def test_failures_are_results_too(store):
    job = await store.sealed(2)
    await store.bring(await store.take(job, 0, 2), signature(0), FAILED)
    signed, failed = await store.all_results(job)
    assert signed.value == signature(0)
    assert failed == Failure(FAILED.reason, FAILED.text)
