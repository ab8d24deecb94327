"""What is done with a job as a whole: cancel, delete, pause, resume."""

import time

import pytest
from store_fakes import HOUR, acts, claim, items, part, refused, signature, spec

from segeld.jobqueue.claims import NotBegun, Unknown
from segeld.model.faults import Reason
from segeld.model.job import JobFilter, Signature
from segeld.model.job_state import JobState
from segeld.model.names import JobName


@pytest.mark.parametrize("approval", [False, True])
async def test_a_job_that_waits_is_cancelled_at_once(store, approval):
    job = await store.sealed(3, approval=approval)
    cancelled = await store.cancel_job("office", job.name, "officer-a")
    assert cancelled.state is JobState.CANCELLED
    assert cancelled.ended is not None
    assert cancelled.expires == pytest.approx(cancelled.ended + cancelled.spec.retention)
    assert await store.cancel_job("office", job.name, "office") == cancelled


async def test_a_job_that_a_token_holds_ends_when_the_token_is_done(store):
    job = await store.sealed(3)
    claim, other = await store.take(job, 0, 1), await store.take(job, 1, 1)
    assert (await store.cancel_job("office", job.name, "office")).state is JobState.ENDING
    assert (await store.cancel_job("office", job.name, "office")).state is JobState.ENDING
    (now,) = (await store.bring(claim, signature(0))).jobs
    assert now.state is JobState.ENDING
    (now,) = (await store.bring(other, Unknown())).jobs
    assert (now.state, now.signed, now.failed) == (JobState.CANCELLED, 1, 0)
    first, *rest = await store.all_results(job)
    assert isinstance(first, Signature)
    assert [outcome.reason for outcome in rest] == [Reason.CANCELLED] * 2


async def test_a_job_that_ended_cannot_be_cancelled(store):
    job = await store.sealed(1)
    await store.sign(job, 0, 1)
    await refused(store.cancel_job("office", job.name, "office"), Reason.JOB_STATE)


async def test_who_cancelled_is_in_the_log_once(store):
    job = await store.sealed(3)
    await store.cancel_job("office", job.name, "officer-a")
    await store.cancel_job("office", job.name, "officer-b")
    (act,) = await acts(store)
    assert (act.what, act.who, act.subject) == ("job cancelled", "officer-a", str(job.name))
    assert act.facts["items"] == "3"


async def test_a_deleted_job_is_gone_with_its_request_id(store):
    job = await store.sealed(300)
    await refused(store.delete_job("office", job.name), Reason.JOB_STATE)
    await store.cancel_job("office", job.name, "office")
    await store.delete_job("office", job.name)
    await refused(store.job("office", job.name), Reason.JOB_NOT_FOUND)
    await refused(store.create_job(spec(), items(300), seal=True), Reason.IDEMPOTENCY_MISMATCH)
    await store.tidy(time.time())
    assert await store.jobs("office", JobFilter(), before=None, limit=9) == ()


async def test_an_open_job_can_be_deleted(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    await store.delete_job("office", job.name)
    await refused(store.job("office", job.name), Reason.JOB_NOT_FOUND)


async def test_of_a_paused_job_nothing_is_granted_and_what_a_token_holds_is_finished(store):
    job = await store.sealed(3)
    held = await store.take(job, 0, 1)
    paused = await store.pause_job(job.name, "siti")
    assert (paused.state, paused.reason) == (JobState.PAUSED, "Paused by siti.")
    claimed = await store.claim(claim(part(job.id, 1, 1)))
    (verdict,) = claimed.verdicts
    assert (verdict.later, verdict.fault.reason) == (True, Reason.JOB_STATE)
    assert (await store.signable(0, 9), await store.block(job.id, 0)) == ((), None)
    (now,) = (await store.bring(held, signature(0))).jobs
    assert (now.state, now.signed) == (JobState.PAUSED, 1)
    assert [found.value for found in await store.all_results(job)] == [signature(0)]
    assert (await store.usage("office"), await store.items_unsigned()) == ((1, 3), 2)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_resumed_job_goes_on_where_it_was(store, begun):
    job = await store.sealed(2)
    if begun:
        await store.sign(job, 0, 1)
    before = await store.job("office", job.name)
    await store.pause_job(job.name, "siti")
    resumed = await store.resume_job(job.name, "wayan")
    assert resumed == before
    assert resumed.state is (JobState.RUNNING if begun else JobState.QUEUED)
    assert [found.id for found in await store.signable(0, 9)] == [job.id]
    await store.sign(job, int(begun), 1)
    assert [(act.what, act.who) for act in await acts(store)] == [
        ("job paused", "siti"),
        ("job resumed", "wayan"),
    ]


async def test_pausing_and_resuming_are_done_and_recorded_once(store):
    job = await store.sealed(1)
    assert await store.pause_job(job.name, "siti") == await store.pause_job(job.name, "wayan")
    assert await store.resume_job(job.name, "siti") == await store.resume_job(job.name, "siti")
    assert len(await acts(store)) == 2


async def test_the_last_items_of_a_paused_job_end_it(store):
    job = await store.sealed(1)
    held = await store.take(job, 0, 1)
    await store.pause_job(job.name, "siti")
    (ended,) = (await store.bring(held, signature(0))).jobs
    assert (ended.state, ended.reason) == (JobState.SUCCEEDED, "")


async def test_a_paused_job_can_be_cancelled_and_expires(store):
    held, late = await store.sealed(2, "held"), await store.sealed(2, "late", deadline=time.time() + HOUR)
    taken = await store.take(held, 0, 1)
    for job in (held, late):
        await store.pause_job(job.name, "siti")
    assert (await store.cancel_job("office", held.name, "office")).state is JobState.ENDING
    (ended,) = (await store.bring(taken, NotBegun())).jobs
    assert ended.state is JobState.CANCELLED
    (ended,) = (await store.tidy(time.time() + 2 * HOUR)).ended
    assert (ended.name, ended.state) == (late.name, JobState.EXPIRED)


@pytest.mark.parametrize("state", ["open", "held", "succeeded"])
async def test_only_what_is_queued_or_running_is_paused_and_only_what_is_paused_resumed(store, state):
    if state == "open":
        job, _ = await store.create_job(spec(), items(1), seal=False)
    else:
        job = await store.sealed(1, approval=state == "held")
    if state == "succeeded":
        await store.sign(job, 0, 1)
    await refused(store.pause_job(job.name, "siti"), Reason.JOB_STATE)
    await refused(store.resume_job(job.name, "siti"), Reason.JOB_STATE)
    await refused(store.pause_job(JobName.new(), "siti"), Reason.JOB_NOT_FOUND)


async def test_a_pause_outlives_a_restart(store, reopen):
    job = await store.sealed(2)
    paused = await store.pause_job(job.name, "siti")
    store = await reopen()
    assert await store.any_job(job.name) == paused
    assert await store.signable(0, 9) == ()


async def test_an_officer_cancels_whosever_job_it_is_and_says_why(store):
    job = await store.sealed(2, caller="other")
    cancelled = await store.cancel_any(job.name, "siti", "made twice")
    assert (cancelled.state, cancelled.reason) == (JobState.CANCELLED, "Cancelled by siti: made twice")
    (act,) = await acts(store)
    assert (act.what, act.who, act.facts["text"]) == ("job cancelled", "siti", "made twice")
