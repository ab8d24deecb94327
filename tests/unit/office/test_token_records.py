"""What is kept of tokens: there after a restart, one with its leaf, or not at all."""

import pytest
from office_fakes import FakeRecords

from segeld.model.activation import Limits
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import Remembered, TokenKey
from segeld.model.names import KeyName, TokenName
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


HELD = Remembered(
    "0042",
    "Seal",
    (
        TokenKey(
            label="seal-2026",
            cka_id=b"\1",
            kind=KeyKind.ED25519,
            name=KeyName.of(b"a"),
            public_key=b"a",
            chain=(),
            unusable=Reason.KEY_UNUSABLE,
            trouble="A probe signature with it failed.",
            always_authenticate=True,
            weak=("It can be extracted (EXTRACTABLE).",),
            certificates=(b"own", b"issuer"),
        ),
        TokenKey("other", b"\2", None, KeyName.of(b"b"), b"b", (), None, ""),
    ),
)


async def test_the_keys_of_a_token_are_there_after_a_restart_with_all_that_is_public_of_them() -> None:
    store = FakeRecords()
    await (await read(store)).remember(SEAL, HELD)
    records = await read(store)
    assert records.remembered() == {SEAL: HELD}
    assert records.quarantine(SEAL) is None
    await records.remember(SEAL, Remembered("0042", "Seal", HELD.keys[1:]))
    await records.remember(SEAL, None)
    assert (await read(store)).remembered() == {}
    assert not store.kept
    assert [(leaf.what, leaf.facts) for leaf in store.leaves] == [
        (
            "token keys seen",
            {"serial": "0042", "keys": "2", "new": ", ".join(sorted(str(key.name) for key in HELD.keys))},
        ),
        ("token keys seen", {"serial": "0042", "keys": "1", "gone": str(KeyName.of(b"a"))}),
        ("token keys forgotten", {"serial": "0042", "keys": "0", "gone": str(KeyName.of(b"b"))}),
    ]


async def test_a_leaf_does_not_grow_with_the_keys_of_a_token() -> None:
    store = FakeRecords()
    keys = tuple(
        TokenKey("", b"", None, KeyName.of(word), word, (), None, "")
        for word in (str(number).encode() for number in range(3000))
    )
    await (await read(store)).remember(SEAL, Remembered("0042", "Seal", keys))
    named = store.leaves[0].facts["new"].split(", ")
    assert (len(named), named[-1]) == (9, "and 2992 more")
    assert len((await read(store)).remembered()[SEAL].keys) == 3000


async def test_keys_that_cannot_be_written_down_are_not_remembered_and_hide_no_quarantine() -> None:
    store = FakeRecords()
    records = await read(store)
    await records.isolate(SEAL, OPEN)
    store.broken = True
    with pytest.raises(Fault):
        await records.remember(SEAL, HELD)
    assert records.remembered() == {}
    store.broken = False
    await records.remember(SEAL, HELD)
    store.kept["token-keys/seal"] = b"\xc1"
    store.kept["token-keys/seal-2"] = b"\x93\x01"
    again = await read(store)
    assert again.remembered() == {}
    assert again.quarantine(SEAL) == OPEN
