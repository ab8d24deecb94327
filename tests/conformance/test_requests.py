"""Interactive requests with an id: what was signed for one is known until it expires, and the first outcome stands."""

import hashlib
import time
from dataclasses import replace

import pytest
from store_fakes import (
    DAY,
    FAILED,
    claim,
    leaf,
    part,
    request,
    signature,
)

from segeld.audit.leaf import (
    NOT_BEGUN,
    UNKNOWN,
)
from segeld.jobqueue.claims import (
    Claimed,
    Granted,
    Known,
    NotBegun,
    Unknown,
)
from segeld.model.faults import Reason
from segeld.model.job import Receipt, Signature


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
