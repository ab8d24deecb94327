"""How jobs are made: create, append, seal."""

import hashlib
from dataclasses import replace

import pytest
from store_fakes import ED25519, MANY, digest, items, refused, spec

from segeld.model.faults import Reason
from segeld.model.job import Items
from segeld.model.job_state import JobState
from segeld.model.names import JobName
from segeld.model.priority import Priority


async def test_a_new_job_is_open_and_has_its_first_items(store):
    job, new = await store.create_job(spec(), items(3), seal=False)
    assert new
    assert (job.state, job.count, job.sealed, job.items_hash) == (JobState.OPEN, 3, None, b"")
    assert job.expires is not None
    assert await store.job("office", job.name) == job


async def test_a_job_can_be_sealed_as_it_is_made(store):
    job, _ = await store.create_job(spec(), items(3), seal=True)
    assert (job.state, job.count, job.expires) == (JobState.QUEUED, 3, None)


async def test_a_job_cannot_be_sealed_without_items(store):
    await refused(store.create_job(spec(), Items(), seal=True), Reason.BATCH_EMPTY)
    assert await store.usage("office") == (0, 0)


async def test_the_same_request_finds_the_same_job(store):
    job, _ = await store.create_job(spec(), items(3), seal=True)
    assert await store.create_job(spec(deadline=1e12), items(3), seal=True) == (job, False)


async def test_a_request_that_is_repeated_to_seal_seals(store):
    await store.create_job(spec(), items(3), seal=False)
    job, new = await store.create_job(spec(), items(3), seal=True)
    assert (job.state, new) == (JobState.QUEUED, False)


async def test_a_repetition_may_bring_the_first_items_of_a_longer_job(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    job = await store.append_items("office", job.name, 3, items(2, 3), limit=MANY)
    assert await store.create_job(spec(), items(3), seal=False) == (job, False)
    await refused(store.create_job(spec(), items(3), seal=True), Reason.IDEMPOTENCY_MISMATCH)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": replace(spec().kind, key=type(spec().kind.key)(b"x" * 32))},
        {"priority": Priority.LOW},
        {"labels": (("month", "november"),)},
        {"retention": 1.0},
    ],
)
async def test_the_same_request_id_with_another_header_is_a_mistake(store, changes):
    await store.create_job(spec(), items(1), seal=True)
    await refused(store.create_job(spec(**changes), items(1), seal=True), Reason.IDEMPOTENCY_MISMATCH)


@pytest.mark.parametrize("other", [items(3, 1), items(4), items(2), items(3, ids=True)])
async def test_the_same_request_id_with_other_items_is_a_mistake(store, other):
    await store.create_job(spec(), items(3), seal=True)
    await refused(store.create_job(spec(), other, seal=True), Reason.IDEMPOTENCY_MISMATCH)


async def test_request_ids_of_two_callers_have_nothing_to_do_with_each_other(store):
    one, _ = await store.create_job(spec(), items(1), seal=True)
    two, new = await store.create_job(spec(caller="other"), items(2), seal=True)
    assert new
    assert one.name != two.name


async def test_items_are_appended_in_calls_of_any_size(store):
    job, _ = await store.create_job(spec(), Items(), seal=False)
    for first, count in ((0, 1), (1, 255), (256, 300), (556, 1000), (1556, 4)):
        job = await store.append_items("office", job.name, first, items(count, first), limit=MANY)
        assert job.count == first + count
    whole, _ = await store.create_job(spec("whole"), items(1560), seal=True)
    assert (await store.seal_job("office", job.name, 1560)).items_hash == whole.items_hash
    block = await store.block(job.id, 300)
    assert block.inputs == items(256, 256).inputs


async def test_the_items_hash_is_a_chain_over_blocks(store):
    job, _ = await store.create_job(spec(), items(300), seal=True)
    chain = bytes(32)
    for first, end in ((0, 256), (256, 300)):
        block = hashlib.sha256(b"".join(map(digest, range(first, end)))).digest()
        chain = hashlib.sha256(chain + block).digest()
    assert job.items_hash == chain


async def test_messages_are_hashed_each_for_itself_and_end_a_block_by_their_length(store):
    messages = (b"a" * 65_536,) * 5 + (b"", b"b")
    job, _ = await store.create_job(spec(kind=ED25519), Items(messages), seal=True)
    chain = bytes(32)
    for block in (messages[:4], messages[4:]):
        hashes = b"".join(hashlib.sha256(message).digest() for message in block)
        chain = hashlib.sha256(chain + hashlib.sha256(hashes).digest()).digest()
    assert job.items_hash == chain
    assert (await store.block(job.id, 4)).inputs == messages[4:]


async def test_an_append_that_is_repeated_changes_nothing(store):
    job, _ = await store.create_job(spec(), Items(), seal=False)
    before = await store.append_items("office", job.name, 0, items(300), limit=MANY)
    assert await store.append_items("office", job.name, 100, items(150, 100), limit=MANY) == before
    sealed = await store.seal_job("office", job.name, 300)
    assert await store.append_items("office", job.name, 0, items(300), limit=MANY) == sealed


@pytest.mark.parametrize("offset", [-1, 2, 4])
async def test_a_gap_or_an_overlap_is_refused_and_says_how_many_are_there(store, offset):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    fault = await refused(
        store.append_items("office", job.name, offset, items(2, offset + 5), limit=MANY),
        Reason.OFFSET_OUT_OF_RANGE,
    )
    assert fault.facts["committed"] == "3"


async def test_other_items_where_some_are_already_are_refused(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    await refused(
        store.append_items("office", job.name, 1, items(2, 7), limit=MANY), Reason.IDEMPOTENCY_MISMATCH
    )
    await refused(
        store.append_items("office", job.name, 0, items(3, ids=True), limit=MANY), Reason.IDEMPOTENCY_MISMATCH
    )


async def test_a_job_that_is_sealed_takes_no_more_items(store):
    job = await store.sealed(3)
    await refused(store.append_items("office", job.name, 3, items(1, 3), limit=MANY), Reason.JOB_STATE)


async def test_a_job_grows_to_its_limit_and_no_further(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    await refused(store.append_items("office", job.name, 3, items(2, 3), limit=4), Reason.JOB_TOO_LARGE)
    assert (await store.append_items("office", job.name, 3, items(1, 3), limit=4)).count == 4


async def test_sealing_again_changes_nothing(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    sealed = await store.seal_job("office", job.name, 3)
    assert sealed.state is JobState.QUEUED
    assert await store.seal_job("office", job.name, 3) == sealed


async def test_sealing_asks_for_the_right_number_of_items(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    fault = await refused(store.seal_job("office", job.name, 4), Reason.OFFSET_OUT_OF_RANGE)
    assert fault.facts["committed"] == "3"
    empty, _ = await store.create_job(spec("empty"), Items(), seal=False)
    await refused(store.seal_job("office", empty.name, 0), Reason.BATCH_EMPTY)


async def test_a_job_that_was_cancelled_open_cannot_be_sealed(store):
    job, _ = await store.create_job(spec(), items(3), seal=False)
    await store.cancel_job("office", job.name, "office")
    await refused(store.seal_job("office", job.name, 3), Reason.JOB_STATE)


async def test_a_job_that_wants_approval_is_held(store):
    assert (await store.sealed(1, approval=True)).state is JobState.HELD


async def test_another_callers_job_is_not_there(store):
    job, _ = await store.create_job(spec(), items(1), seal=False)
    for name, caller in ((job.name, "other"), (JobName.new(), "office")):
        for call in (
            store.job(caller, name),
            store.append_items(caller, name, 1, items(1), limit=MANY),
            store.seal_job(caller, name, 1),
            store.cancel_job(caller, name, caller),
            store.delete_job(caller, name),
            store.results(caller, name, 0),
            store.note_read(caller, name, 0),
        ):
            await refused(call, Reason.JOB_NOT_FOUND)


async def test_what_was_answered_survives_a_restart(store, reopen):
    job, _ = await store.create_job(spec(labels=(("a", "b"),)), items(300, ids=True), seal=True)
    again = await reopen()
    assert await again.job("office", job.name) == job
    assert (await again.block(job.id, 299)).inputs == items(44, 256).inputs
