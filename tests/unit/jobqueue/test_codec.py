"""What the database's blobs are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeld.jobqueue import codec
from segeld.jobqueue.codec import ClaimedChunk, ClaimedPart, Damaged, Fail, Outcomes, Run
from segeld.model.faults import Reason
from segeld.model.job import Failure, Items, Receipt, Signature

OWNERS = st.integers(0, 2**63 - 1)
ITEMS = st.lists(st.tuples(st.binary(max_size=70), st.text(max_size=5)), max_size=9).map(
    lambda pairs: Items(tuple(data for data, _ in pairs), tuple(name for _, name in pairs))
)


@given(OWNERS, ITEMS)
def test_items_come_back_as_they_were(owner, items):
    assert codec.decode_items(owner, codec.encode_items(owner, items)) == items


@given(OWNERS, ITEMS, st.data())
def test_one_flipped_bit_is_found(owner, items, data):
    blob = bytearray(codec.encode_items(owner, items))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Damaged):
        codec.decode_items(owner, bytes(blob))


@given(OWNERS, OWNERS, ITEMS)
def test_a_blob_is_valid_in_its_own_row_only(owner, other, items):
    if owner != other:
        with pytest.raises(Damaged):
            codec.decode_items(other, codec.encode_items(owner, items))


@pytest.mark.parametrize(
    "blob", [b"", b"abc", codec.seal(1, b""), codec.seal(1, b"\xc1"), codec.seal(1, b"\x90")]
)
def test_what_is_no_blob_of_ours_is_damage(blob):
    for decode in (codec.decode_items, codec.decode_claim):
        with pytest.raises(Damaged):
            decode(1, blob)


def test_outcomes_are_merged_in_the_order_of_the_items():
    late = Outcomes((Run(4, 9, 1, (b"e", b"f")),), (Fail(6, Reason.DEVICE_ERROR, "no"),))
    early = Outcomes((Run(0, 7, 0, (b"a",)),), (Fail(1, Reason.WORKER_LOST, "lost"),))
    whole = codec.merged([late, early])
    assert whole.count == 5
    assert codec.offsets(whole) == {0, 1, 4, 5, 6}
    assert codec.decode_outcomes(3, codec.encode_outcomes(3, whole)) == whole
    assert codec.ended(whole, 0) == {
        0: Signature(b"a", Receipt(7, 0)),
        1: Failure(Reason.WORKER_LOST, "lost"),
        4: Signature(b"e", Receipt(9, 1)),
        5: Signature(b"f", Receipt(9, 2)),
        6: Failure(Reason.DEVICE_ERROR, "no"),
    }


def test_claims_come_back_as_they_were():
    chunk = ClaimedChunk(b"k" * 32, (ClaimedPart(1, 0, 2, 3), ClaimedPart(0, 4, 5, 6)), b"c" * 64)
    assert codec.decode_claim(8, codec.encode_claim(8, chunk)) == chunk
