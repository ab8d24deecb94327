"""Jobs that wait for a yes: to exactly these items, decided once."""

import time

import pytest
from store_fakes import HOUR, acts, items, refused, spec

from segeld.model.faults import Reason
from segeld.model.job_state import JobState
from segeld.model.names import JobName
from segeld.model.person import Person


async def test_an_approved_job_is_queued(store):
    job = await store.sealed(3, approval=True)
    approved = await store.decide_job(job.name, "head", job.items_hash, "")
    assert approved.state is JobState.QUEUED
    assert [(act.what, act.who) for act in await acts(store)] == [("job approved", "head")]
    assert (approved.decided_by, approved.decided) == ("head", pytest.approx(time.time(), abs=60))


@pytest.mark.parametrize("yes", [True, False])
async def test_an_answer_that_was_lost_is_given_again_and_decided_once(store, yes):
    job = await store.sealed(3, approval=True)
    decided = await store.decide_job(job.name, "head", job.items_hash if yes else None, "no")
    assert await store.decide_job(job.name, "head", job.items_hash if yes else None, "no") == decided
    assert len(await acts(store)) == 1
    await refused(store.decide_job(job.name, "head", None if yes else job.items_hash, ""), Reason.JOB_STATE)
    await refused(store.decide_job(job.name, "deputy", job.items_hash if yes else None, ""), Reason.JOB_STATE)


async def test_who_created_a_job_is_kept_with_it_whatever_becomes_of_it(store):
    by = Person("office", "dns:office.example", b"c" * 32)
    job = await store.sealed(3, approval=True, created_by=by)
    assert (await store.any_job(job.name)).spec.created_by == by
    decided = await store.decide_job(job.name, "head", job.items_hash, "")
    assert decided.spec.created_by == by
    assert (await store.pause_job(job.name, "siti")).spec.created_by == by
    again, made = await store.create_job(
        spec(approval=True, created_by=Person("office", "email:o", b"d" * 32)), items(3), seal=True
    )
    assert (again.spec.created_by, made) == (by, False)  # whoever repeats it has not created it


async def test_approval_is_of_exactly_these_items(store):
    job = await store.sealed(3, approval=True)
    await refused(store.decide_job(job.name, "head", bytes(32), ""), Reason.ITEMS_CHANGED)
    assert (await store.job("office", job.name)).state is JobState.HELD


async def test_a_rejected_job_has_ended_and_has_no_results(store):
    job = await store.sealed(3, approval=True)
    rejected = await store.decide_job(job.name, "head", None, "Wrong month.")
    assert (rejected.state, rejected.reason) == (JobState.REJECTED, "Wrong month.")
    assert [(act.what, act.who) for act in await acts(store)] == [("job rejected", "head")]
    await refused(store.results("office", job.name, 0), Reason.JOB_STATE)


async def test_only_held_jobs_are_decided(store):
    job = await store.sealed(1)
    await refused(store.decide_job(job.name, "head", job.items_hash, ""), Reason.JOB_STATE)
    await refused(store.decide_job(JobName.new(), "head", None, ""), Reason.JOB_NOT_FOUND)


@pytest.mark.parametrize("told_at", ["creation", "sealing", "both"])
async def test_a_job_is_held_if_approval_is_wanted_when_it_is_created_or_sealed(store, told_at):
    job, _ = await store.create_job(spec(approval=told_at != "sealing"), items(2), seal=False)
    sealed = await store.seal_job("office", job.name, 2, approval=told_at != "creation")
    assert (sealed.state, sealed.reason) == (JobState.HELD, "It waits for an approver.")
    assert (await store.seal_job("office", job.name, 2)).state is JobState.HELD
    assert await store.signable(0, 9) == ()


async def test_a_held_job_expires_at_its_deadline(store):
    await store.sealed(2, approval=True, deadline=time.time() + HOUR)
    (ended,) = (await store.tidy(time.time() + 2 * HOUR)).ended
    assert (ended.state, ended.signed) == (JobState.EXPIRED, 0)
    await refused(store.decide_job(ended.name, "head", ended.items_hash, ""), Reason.JOB_STATE)
