"""What is said of the store's doings, in the same transaction: leaves, receipts, records, settings."""

import hashlib

import pytest
from store_fakes import (
    COMMITMENTS,
    FAILED,
    KEY,
    TOKEN,
    claim,
    digest,
    leaf,
    part,
    request,
    signature,
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
    encode,
)
from segeld.jobqueue.claims import (
    Granted,
    NotBegun,
    Unknown,
)
from segeld.model.job import Receipt, Signature


def committed(*numbers: int) -> list[bytes]:
    return [COMMITMENTS.of(digest(number)) for number in numbers]


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
        await store.keep({"policy": b"b"}, Intent(1, "x" * 70_000, bytes(32), 1, "seal", (), bytes(32)))
    assert await store.records("policy") == {"policy": b"a"}


async def test_settings_are_kept(store, reopen):
    assert await store.setting("origin") is None
    await store.set_setting("origin", b"a")
    await store.set_setting("origin", b"b")
    assert await (await reopen()).setting("origin") == b"b"
