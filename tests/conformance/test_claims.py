"""From the queue to a token: what waits, what is granted, and what is refused."""

import time
from dataclasses import replace

import pytest
from store_fakes import (
    FAILED,
    claim,
    items,
    leaf,
    part,
    request,
    signature,
)

from segeld.audit.leaf import (
    PartRange,
)
from segeld.jobqueue.claims import (
    MAX_CLAIM_ITEMS,
    MAX_CLAIM_PARTS,
    Granted,
    NotBegun,
    Refused,
    Unknown,
)
from segeld.model.faults import Reason
from segeld.model.job_state import JobState


async def test_the_first_claim_makes_a_job_run(store):
    job = await store.sealed(3)
    await store.take(job, 0, 1)
    job = await store.job("office", job.name)
    assert job.state is JobState.RUNNING
    assert job.started is not None


async def test_a_block_shows_what_waits_and_what_was_lost(store):
    job = await store.sealed(10)
    assert (await store.block(job.id, 0)).waiting == tuple(range(10))
    held = await store.take(job, 0, 2)
    await store.bring(await store.take(job, 2, 3), signature(2), Unknown(), NotBegun())
    block = await store.block(job.id, 0)
    assert (block.first, block.inputs) == (0, items(10).inputs)
    assert (block.waiting, block.lost) == ((3, 4, 5, 6, 7, 8, 9), (3,))
    await store.bring(held, NotBegun(), FAILED)
    await store.bring(await store.take(job, 3, 1), Unknown())
    block = await store.block(job.id, 0)
    assert (block.waiting, block.lost) == ((0, 3, 4, 5, 6, 7, 8, 9), (3, 3))


async def test_what_has_ended_or_is_held_waits_in_no_block(store):
    job = await store.sealed(600)
    for first in (0, 256, 512):
        await store.sign(job, first, 10)
        await store.take(job, first + 20, 10)
        block = await store.block(job.id, first)
        waiting = tuple(offset for offset in block.waiting if offset < first + 40)
        assert waiting == tuple(range(first + 10, first + 20)) + tuple(range(first + 30, first + 40))


async def test_the_next_block_in_which_something_waits_is_found(store):
    job = await store.sealed(800)
    await store.sign(job, 0, 256)
    await store.take(job, 256, 256)
    for offset in (0, 255, 256, 511, 512, 600):
        assert (await store.block(job.id, offset)).first == 512
    assert (await store.block(job.id, 799)).first == 768
    assert await store.block(job.id, 800) is None
    await store.take(job, 768, 32)
    assert await store.block(job.id, 768) is None


async def test_nothing_waits_in_a_job_that_may_not_be_signed(store):
    job = await store.sealed(3, approval=True)
    assert await store.block(job.id, 0) is None
    assert await store.block(12345, 0) is None


async def test_signable_jobs_are_listed_from_the_oldest(store):
    jobs = [await store.sealed(1, f"r{number}") for number in range(4)]
    await store.sealed(1, "held", approval=True)
    await store.take(jobs[1], 0, 1)
    await store.sign(jobs[2], 0, 1)
    assert [job.name for job in await store.signable(0, 9)] == [jobs[number].name for number in (0, 1, 3)]
    assert [job.name for job in await store.signable(jobs[0].id, 1)] == [jobs[1].name]


@pytest.mark.parametrize("how", ["cancelled", "late", "gone", "held"])
async def test_nothing_of_a_job_that_may_not_be_signed_is_claimed(store, how):
    job = await store.sealed(3, approval=how == "held")
    at = job.spec.deadline if how == "late" else time.time()
    if how in ("cancelled", "gone"):
        await store.cancel_job("office", job.name, "office")
    if how == "gone":
        await store.delete_job("office", job.name)
    before = await store.leaf_count()
    claimed = await store.claim(claim(part(job.id, 0, 1), at=at))
    reasons = {"late": Reason.DEADLINE_PASSED, "gone": Reason.JOB_NOT_FOUND}
    assert claimed.id == -1
    assert claimed.verdicts[0].fault.reason is reasons.get(how, Reason.JOB_STATE)
    assert await store.leaf_count() == before


async def test_only_granted_parts_are_claimed(store):
    good, bad = await store.sealed(2, "good"), await store.sealed(2, "bad")
    await store.cancel_job("office", bad.name, "office")
    claimed = await store.claim(claim(part(bad.id, 0, 2), part(good.id, 1, 1)))
    assert [type(verdict) for verdict in claimed.verdicts] == [Refused, Granted]
    assert (await leaf(store, claimed.id)).parts == (PartRange(good.name.token, 1, 1),)
    (now,) = (await store.bring(claimed.id, signature(1))).jobs
    assert (now.name, now.signed) == (good.name, 1)


async def test_an_item_is_never_in_two_claims(store):
    job = await store.sealed(5)
    await store.take(job, 1, 2)
    await store.sign(job, 4, 1)
    before = await store.leaf_count()
    for first, count in ((0, 2), (2, 1), (4, 1), (3, 3)):
        with pytest.raises(ValueError, match="do not all wait"):
            await store.take(job, first, count)
    assert await store.leaf_count() == before


async def test_a_claim_is_no_larger_than_its_leaves(store):
    job = await store.sealed(MAX_CLAIM_ITEMS + 1)
    with pytest.raises(ValueError, match="more"):
        await store.take(job, 0, MAX_CLAIM_ITEMS + 1)
    with pytest.raises(ValueError, match="more"):
        await store.claim(claim(*[part(None, 0, 1)] * (MAX_CLAIM_PARTS + 1)))
    taken = await store.take(job, 0, MAX_CLAIM_ITEMS)
    worst = replace(FAILED, reason=max(Reason, key=len))
    await store.bring(taken, *[worst] * MAX_CLAIM_ITEMS)
    parts = [part(request(f"{number:0128}"), 0, 1) for number in range(MAX_CLAIM_PARTS)]
    assert (await store.claim(claim(*parts))).id >= 0


async def test_two_parts_of_one_job_share_a_claim(store):
    job = await store.sealed(4)
    claimed = await store.claim(claim(part(job.id, 0, 1), part(job.id, 2, 2)))
    (now,) = (await store.bring(claimed.id, signature(0), signature(2), FAILED)).jobs
    assert (now.signed, now.failed) == (2, 1)
    assert (await store.block(job.id, 0)).waiting == (1,)
