"""What is kept of tokens: there after a restart, one with its leaf, or not at all."""

import pytest
from office_fakes import FakeRecords

from segeld.model.activation import Limits
from segeld.model.faults import Fault
from segeld.model.names import TokenName
from segeld.model.quarantine import Quarantine
from segeld.office.token_records import TokenRecords

SEAL, OTHER = TokenName("seal"), TokenName("seal-2")
OPEN = Quarantine(1_800_000_000.5, "wayan", "the reader was found open")


async def read(store: FakeRecords) -> TokenRecords:
    records = TokenRecords()
    await records.load(store)
    return records


async def test_a_quarantine_is_there_after_a_restart_with_who_when_and_why() -> None:
    store = FakeRecords()
    await (await read(store)).isolate(SEAL, OPEN)
    again = await read(store)
    assert again.quarantine(SEAL) == OPEN
    assert again.quarantine(OTHER) is None
    await again.release(SEAL, "made", "release")
    assert (await read(store)).quarantine(SEAL) is None
    assert store.acts("tokens/seal") == [("token quarantine", "wayan"), ("token release", "made")]
    assert [leaf.facts for leaf in store.leaves] == [{"reason": OPEN.why}, {"by": "release"}]
    assert not store.kept


async def test_the_daemons_own_is_by_nobody() -> None:
    store = FakeRecords()
    await (await read(store)).isolate(SEAL, Quarantine(1.0, "", "bad signatures"))
    assert (await read(store)).quarantine(SEAL).by == ""
    assert store.acts("tokens/seal") == [("token quarantine", "")]


async def test_what_cannot_be_written_has_not_happened() -> None:
    store = FakeRecords()
    records = await read(store)
    store.broken = True
    with pytest.raises(Fault):
        await records.isolate(SEAL, OPEN)
    with pytest.raises(Fault):
        await records.limit(SEAL, "wayan", Limits(60.0, None))
    assert records.quarantine(SEAL) is None
    assert records.limited_by(SEAL) == ""
    store.broken = False
    await records.isolate(SEAL, OPEN)
    store.broken = True
    with pytest.raises(Fault):
        await records.release(SEAL, "made", "release")
    assert records.quarantine(SEAL) == OPEN


async def test_limits_and_a_quarantine_do_not_touch_each_other() -> None:
    store = FakeRecords()
    records = await read(store)
    await records.limit(SEAL, "wayan", Limits(3600.0, 500))
    await records.isolate(SEAL, OPEN)
    await records.release(SEAL, "made", "activation")
    again = await read(store)
    assert (again.limited_by(SEAL), again.limited_by(OTHER)) == ("wayan", "")
    assert store.leaves[0].facts == {"seconds": "3600", "signatures": "500"}
    await again.unlimit(SEAL, "made")
    assert (await read(store)).limited_by(SEAL) == ""
    assert not store.kept
