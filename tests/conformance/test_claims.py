"""From the queue to a token and back: claim, settle, recover, and the leaves of both."""

import hashlib
import time
from dataclasses import replace

import pytest
from store_fakes import (
    COMMITMENTS,
    DAY,
    FAILED,
    KEY,
    TOKEN,
    claim,
    digest,
    items,
    part,
    request,
    signature,
    spec,
)

from segeld.audit.leaf import (
    NOT_BEGUN,
    UNKNOWN,
    Act,
    BadLeaf,
    Intent,
    Opened,
    Outcome,
    PartRange,
    decode,
    encode,
)
from segeld.jobqueue.store import (
    MAX_CLAIM_ITEMS,
    MAX_CLAIM_PARTS,
    Claimed,
    Granted,
    Known,
    NotBegun,
    Refused,
    StaleClaim,
    Unknown,
)
from segeld.model.faults import Reason
from segeld.model.job import Receipt, Signature
from segeld.model.job_state import JobState


async def leaf(store, index: int):
    (data,) = await store.leaves(index, 1)
    return decode(data)


def committed(*numbers: int) -> list[bytes]:
    return [COMMITMENTS.of(digest(number)) for number in numbers]


async def test_the_first_claim_makes_a_job_run(store):
    job = await store.sealed(3)
    await store.take(job, 0, 1)
    job = await store.job("office", job.name)
    assert job.state is JobState.RUNNING
    assert job.started is not None


async def test_a_claim_writes_its_intent(store):
    job = await store.sealed(5)
    claimed = await store.claim(
        claim(part(job.id, 1, 2), part(None, 7, 1), part(request("q"), 0, 1), at=12.5)
    )
    assert claimed.verdicts == (Granted(),) * 3
    assert await leaf(store, claimed.id) == Intent(
        12_500,
        "office",
        KEY.fingerprint,
        7,
        str(TOKEN),
        (PartRange(job.name.token, 1, 2), PartRange(b"", 7, 1), PartRange(b"q", 0, 1)),
        COMMITMENTS.of_list(committed(1, 2, 7, 0)),
    )


async def test_a_settlement_writes_the_outcome(store):
    job = await store.sealed(4)
    claimed = await store.take(job, 0, 4)
    settled = await store.bring(claimed, signature(0), Unknown(), NotBegun(), FAILED, at=3.25)
    assert await leaf(store, settled.leaf) == Outcome(
        3_250,
        claimed,
        b"".join(committed(0, 1, 2, 3)),
        hashlib.sha256(signature(0)).digest(),
        ((1, UNKNOWN), (2, NOT_BEGUN), (3, "DEVICE_ERROR")),
    )


async def test_leaves_are_numbered_without_a_gap(store, reopen):
    job = await store.sealed(3)
    assert await store.leaf_count() == 0
    first = await store.take(job, 0, 1)
    settled = await store.bring(first, signature(0))
    store = await reopen()
    second = await store.take(job, 1, 1)
    assert (first, settled.leaf, second) == (0, 1, 2)
    assert await store.leaf_count() == 3


async def test_leaves_that_the_log_has_are_forgotten_but_for_the_last(store, reopen):
    job = await store.sealed(9)
    for number in range(9):
        await store.sign(job, number, 1)
    await store.trim_leaves(10)
    assert await store.leaves(9, 1) == ()
    assert len(await store.leaves(10, 99)) == 8
    await store.trim_leaves(99)
    store = await reopen()
    assert await store.leaf_count() == 18
    assert len(await store.leaves(17, 99)) == 1
    assert await store.leaves(18, 99) == ()


async def test_leaves_begin_anew_for_a_new_log(store):
    job = await store.sealed(2)
    await store.sign(job, 0, 1)
    asked = await store.claim(claim(part(request(), 0, 1)))
    opened = Opened(1, "segel/new", "the last checkpoint of the old one")
    with pytest.raises(ValueError, match="recover first"):
        await store.restart_leaves(opened)
    await store.bring(asked.id, signature(0))
    await store.restart_leaves(opened)
    assert await store.leaf_count() == 1
    assert await leaf(store, 0) == opened
    assert await store.take(job, 1, 1) == 1
    assert (await store.claim(claim(part(request("other"), 0, 1)))).id == 2


async def test_receipts_say_where_the_log_has_it(store):
    job = await store.sealed(600)
    await store.bring(await store.take(job, 0, 1), signature(0))
    settled = await store.bring(
        await store.take(job, 250, 10), NotBegun(), *(signature(number) for number in range(251, 260))
    )
    (found,) = (await store.results("office", job.name, 257)).outcomes[:1]
    assert found == Signature(signature(257), Receipt(settled.leaf, 7))


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


async def test_what_was_signed_for_a_request_is_known(store, reopen):
    asked = request(count=3)
    claimed = await store.claim(claim(part(asked, 0, 3)))
    settled = await store.bring(claimed.id, signature(0), Unknown(), signature(2))
    store = await reopen()
    again = await store.claim(claim(part(asked, 1, 1)))
    found = tuple((place, Signature(signature(place), Receipt(settled.leaf, place))) for place in (0, 2))
    assert again == Claimed(-1, (Known(found, (1,)),))
    told = await store.claim(claim(part(replace(asked, told=True), 1, 1)))
    assert told.verdicts == (Granted(),)


async def test_a_failure_of_a_request_is_not_kept(store):
    claimed = await store.claim(claim(part(request(), 0, 1)))
    await store.bring(claimed.id, FAILED)
    assert (await store.claim(claim(part(request(), 0, 1)))).verdicts == (Granted(),)


async def test_a_request_that_was_lost_too_often_has_failed_until_it_expires(store, reopen):
    asked = request(count=2, expires=1000.0)
    for _ in range(3):
        claimed = await store.claim(claim(part(replace(asked, told=True), 0, 2), at=1.0))
        settled = await store.bring(claimed.id, Unknown(), NotBegun())
    assert settled.exhausted == (0,)
    store = await reopen()
    await store.tidy(999.0)
    (verdict,) = (await store.claim(claim(part(asked, 1, 1), at=999.0))).verdicts
    ((place, failure),) = verdict.ended
    assert (place, failure.reason, verdict.lost) == (0, Reason.WORKER_LOST, ())
    assert (await store.claim(claim(part(asked, 0, 1), at=1000.0))).verdicts == (Granted(),)


async def test_recovery_remembers_what_was_lost_too_often(store, reopen):
    await store.claim(claim(part(request(), 0, 1)))
    store = await reopen()
    await store.recover(lambda _: 1, time.time())
    (verdict,) = (await store.claim(claim(part(request(), 0, 1)))).verdicts
    assert [ended.reason for _, ended in verdict.ended] == [Reason.WORKER_LOST]


async def test_a_failure_of_a_request_gives_no_lost_attempt_back(store):
    asked = request(told=True)
    for outcome in (Unknown(), Unknown(), FAILED):
        claimed = await store.claim(claim(part(asked, 0, 1)))
        assert (await store.bring(claimed.id, outcome)).exhausted == ()
    (verdict,) = (await store.claim(claim(part(request(), 0, 1)))).verdicts
    assert verdict == Known((), (0, 0))
    claimed = await store.claim(claim(part(asked, 0, 1)))
    assert (await store.bring(claimed.id, Unknown())).exhausted == (0,)


async def test_the_first_outcome_of_a_requests_input_stands(store, reopen):
    asked = request(count=4)
    first = await store.claim(claim(part(asked, 0, 4)))
    second = await store.claim(claim(part(None, 9, 1), part(asked, 0, 4)))
    early = await store.bring(first.id, signature(0), FAILED, Unknown(), signature(3))
    late = await store.bring(second.id, signature(9), b"zero", signature(1), signature(2), b"three")
    stands = {place: Signature(signature(place), Receipt(early.leaf, place)) for place in (0, 3)}
    assert early.superseded == ()
    assert late.superseded == ((1, stands[0]), (4, stands[3]))
    brought = (signature(9), b"zero", signature(1), signature(2), b"three")
    assert (await leaf(store, late.leaf)).signatures == b"".join(
        hashlib.sha256(value).digest() for value in brought
    )
    store = await reopen()
    (verdict,) = (await store.claim(claim(part(asked, 0, 1)))).verdicts
    new = {place: Signature(signature(place), Receipt(late.leaf, place + 1)) for place in (1, 2)}
    assert verdict == Known(tuple(sorted((stands | new).items())), ())


@pytest.mark.parametrize(
    ("late", "word"), [(Unknown(), UNKNOWN), (NotBegun(), NOT_BEGUN), (FAILED, "DEVICE_ERROR")]
)
async def test_an_outcome_stands_whatever_comes_later(store, late, word):
    first = await store.claim(claim(part(request(), 0, 1)))
    second = await store.claim(claim(part(request(), 0, 1)))
    early = await store.bring(first.id, signature(0))
    settled = await store.bring(second.id, late, attempts=1)
    stands = ((0, Signature(signature(0), Receipt(early.leaf, 0))),)
    assert (settled.superseded, settled.exhausted) == (stands, ())
    assert (await leaf(store, settled.leaf)).unsigned == ((0, word),)
    assert (await store.claim(claim(part(request(), 0, 1)))).verdicts == (Known(stands, ()),)


async def test_a_signature_comes_too_late_when_no_attempt_was_left(store):
    first = await store.claim(claim(part(request(), 0, 1)))
    second = await store.claim(claim(part(request(), 0, 1)))
    assert (await store.bring(first.id, Unknown(), attempts=1)).exhausted == (0,)
    settled = await store.bring(second.id, signature(0), attempts=1)
    assert [ended.reason for _, ended in settled.superseded] == [Reason.WORKER_LOST]
    (verdict,) = (await store.claim(claim(part(request(), 0, 1)))).verdicts
    assert verdict.ended == settled.superseded


async def test_one_claim_that_holds_an_input_twice_keeps_one_outcome(store):
    claimed = await store.claim(claim(part(request(), 0, 1), part(request(), 0, 1)))
    settled = await store.bring(claimed.id, signature(0), b"another")
    stands = Signature(signature(0), Receipt(settled.leaf, 0))
    assert settled.superseded == ((1, stands),)
    assert (await store.claim(claim(part(request(), 0, 1)))).verdicts == (Known(((0, stands),), ()),)


async def test_the_same_request_id_with_other_content_is_refused(store):
    claimed = await store.claim(claim(part(request(), 0, 1)))
    other = replace(request(), content=b"d" * 32)
    for _ in range(2):
        (verdict,) = (await store.claim(claim(part(other, 0, 1)))).verdicts
        assert verdict.fault.reason is Reason.IDEMPOTENCY_MISMATCH
        if claimed:
            await store.bring(claimed.id, signature(0))
            claimed = None


async def test_request_ids_belong_to_their_caller(store):
    await store.claim(claim(part(request(), 0, 1)))
    other = replace(request(), caller="other", content=b"d" * 32)
    assert (await store.claim(claim(part(other, 0, 1)))).verdicts == (Granted(),)


async def test_answers_are_kept_until_they_expire(store):
    asked = request(expires=1000.0)
    claimed = await store.claim(claim(part(asked, 0, 1), at=1.0))
    await store.bring(claimed.id, signature(0))
    await store.tidy(999.0)
    assert isinstance((await store.claim(claim(part(asked, 0, 1), at=999.0))).verdicts[0], Known)
    other = replace(asked, content=b"d" * 32, expires=2000.0)
    assert (await store.claim(claim(part(other, 0, 1), at=1000.0))).verdicts == (Granted(),)


async def test_an_answer_that_expires_while_a_token_has_it_does_no_harm(store):
    asked = request(expires=1000.0)
    claimed = await store.claim(claim(part(asked, 0, 2), at=1.0))
    await store.tidy(1001.0)
    other = await store.claim(claim(part(replace(asked, content=b"d" * 32, expires=3000.0), 0, 1), at=1002.0))
    await store.bring(claimed.id, signature(0), Unknown())
    await store.bring(other.id, signature(9))
    (verdict,) = (await store.claim(claim(part(replace(asked, content=b"d" * 32), 0, 1), at=1003.0))).verdicts
    assert [ended.value for _, ended in verdict.ended] == [signature(9)]
    assert verdict.lost == ()


async def test_two_parts_of_one_request_share_its_answer(store):
    asked = request(count=4, expires=time.time() + DAY)
    claimed = await store.claim(claim(part(asked, 0, 1), part(asked, 2, 1)))
    await store.bring(claimed.id, signature(0), signature(2))
    (verdict,) = (await store.claim(claim(part(asked, 1, 1)))).verdicts
    assert [place for place, _ in verdict.ended] == [0, 2]


async def test_a_claim_over_two_blocks_comes_back_to_both(store):
    job, _ = await store.create_job(spec(), items(520), seal=True)
    await store.sign(job, 200, 320)
    await store.sign(job, 0, 200)
    assert [found.value for found in await store.all_results(job)] == [signature(n) for n in range(520)]


async def test_two_parts_of_one_job_share_a_claim(store):
    job = await store.sealed(4)
    claimed = await store.claim(claim(part(job.id, 0, 1), part(job.id, 2, 2)))
    (now,) = (await store.bring(claimed.id, signature(0), signature(2), FAILED)).jobs
    assert (now.signed, now.failed) == (2, 1)
    assert (await store.block(job.id, 0)).waiting == (1,)


async def test_records_are_kept_with_the_leaf_that_says_so(store, reopen):
    act = Act(1, "policy applied", "siti", "", {})
    await store.set_setting("policy", b"not a record")
    first = await store.keep({"policy": b"a", "change/1": b"b", "change/2": b"c"}, act)
    assert await store.keep({"change/1": None, "change/2": b"d"}, act) == first + 1
    store = await reopen()
    assert await store.records("change/") == {"change/2": b"d"}
    assert await store.records("") == {"change/2": b"d", "policy": b"a"}
    assert await store.leaves(first, 2) == (encode(act), encode(act))


async def test_records_are_not_kept_without_their_leaf(store):
    await store.keep({"policy": b"a"}, Act(1, "policy applied", "siti", "", {}))
    with pytest.raises(BadLeaf):
        await store.keep({"policy": b"b"}, Act(1, "x" * 70_000, "siti", "", {}))
    assert await store.records("policy") == {"policy": b"a"}


async def test_settings_are_kept(store, reopen):
    assert await store.setting("origin") is None
    await store.set_setting("origin", b"a")
    await store.set_setting("origin", b"b")
    assert await (await reopen()).setting("origin") == b"b"
