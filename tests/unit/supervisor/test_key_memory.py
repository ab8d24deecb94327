"""Keys that were seen are known after a restart, before their token is there; and nothing is signed because of that."""

import asyncio

import pytest
from keyring_desk import FAILED, TIMEOUT, TOKEN, Desk, device, found, name
from office_fakes import FakeRecords

from segeld.ipc.worker_wire import FoundKey
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Reason
from segeld.office.token_records import TokenRecords


@pytest.fixture
async def store() -> FakeRecords:
    return FakeRecords()


async def start(store: FakeRecords) -> Desk:
    """The next start of the daemon: nothing has been seen yet."""
    records = TokenRecords()
    await records.load(store)
    desk = Desk(records)
    desk.device = None
    desk.ring.recall()
    return desk


async def after_login(store: FakeRecords, *words: str, serial: str = "0042") -> Desk:
    desk = await start(store)
    desk.device = device(serial)
    await desk.know(*words)
    return desk


def known(desk: Desk) -> set:
    return {key.name for key in desk.ring.keys}


async def written(desk: Desk) -> None:
    await asyncio.wait_for(desk.memory._writing, TIMEOUT)


async def test_what_was_found_after_a_login_is_known_after_a_restart_and_is_not_used(store) -> None:
    before = await start(store)
    before.device = device()
    key = FoundKey("seal", b"\1", KeyKind.P_384, b"a", (), True, bits=384, attributes=("EXTRACTABLE",))
    await before.ring.know(before.worker, (key, found("b")), logged_in=True)
    desk = await start(store)
    assert set(desk.ring.keys) == set(before.ring.keys)
    assert desk.ring.keys[0].weak or desk.ring.keys[1].weak
    assert not desk.ring.looked_through
    assert desk.ring.names == desk.ring.unproved == frozenset()
    assert desk.worker.signed == []


async def test_it_is_written_once_and_again_only_when_it_changed(store) -> None:
    await after_login(store, "a", "b")
    await after_login(store, "b", "a")
    again = await start(store)
    again.device = device()
    await again.see("a")
    await again.know("a", "b")
    assert store.acts(str(TOKEN)) == [("token keys seen", "")]
    assert store.leaves[0].facts["keys"] == "2"
    await after_login(store, "a")
    assert store.acts(str(TOKEN)) == [("token keys seen", "")] * 2
    assert store.leaves[1].facts == {"serial": "0042", "keys": "1", "gone": str(name("b"))}
    assert known(await start(store)) == {name("a")}


async def test_what_a_token_hides_before_a_login_stays_known_until_it_was_looked_through(store) -> None:
    await after_login(store, "a", "b")
    desk = await start(store)
    desk.device = device()
    await desk.see("a")
    assert known(desk) == {name("a"), name("b")}
    assert name("b") not in desk.ring.names
    await desk.know("a")
    assert known(desk) == {name("a")}
    assert known(await start(store)) == {name("a")}


async def test_a_key_that_wants_its_pin_each_time_does_so_before_the_next_login_too(store) -> None:
    before = await start(store)
    before.device = device()
    await before.ring.know(
        before.worker, (FoundKey("a", b"a", KeyKind.P_256, b"a", (), True),), logged_in=True
    )
    desk = await start(store)
    desk.device = device()
    await desk.see("a")
    assert [key.always_authenticate for key in desk.ring.keys] == [True]


async def test_what_a_token_shows_to_anybody_is_remembered_if_nobody_has_logged_in_yet(store) -> None:
    first = await start(store)
    first.device = device()
    await first.see("a")
    assert known(await start(store)) == {name("a")}


async def test_why_a_key_is_unusable_is_remembered(store) -> None:
    before = await start(store)
    before.device, before.worker.outcome = device(), FAILED
    await before.know("a")
    (key,) = (await start(store)).ring.keys
    assert key.unusable is Reason.KEY_UNUSABLE
    assert "probe signature" in key.trouble


async def test_a_destroyed_key_is_forgotten_at_once(store) -> None:
    desk = await after_login(store, "a", "b")
    await desk.ring.drop(name("a"))
    assert known(desk) == desk.ring.names == {name("b")}
    assert known(await start(store)) == {name("b")}
    await desk.ring.drop(name("b"))
    assert not store.kept


async def test_the_end_of_a_proof_does_not_bring_a_destroyed_key_back(store) -> None:
    desk = await start(store)
    desk.device, desk.barred = device(), {name("b")}
    await desk.know("a", "b")
    dropped: list[asyncio.Task] = []
    desk.barred = set()
    desk.meanwhile = lambda: dropped.append(asyncio.create_task(desk.ring.drop(name("a"))))
    await desk.review()
    await asyncio.wait_for(dropped[0], TIMEOUT)
    assert known(desk) == desk.ring.names == {name("b")}
    assert known(await start(store)) == {name("b")}


async def test_an_erased_token_is_forgotten(store) -> None:
    desk = await after_login(store, "a")
    desk.ring.forget()
    assert known(desk) == set()
    await written(desk)
    assert known(await start(store)) == set()
    assert not store.kept
    assert store.acts(str(TOKEN))[-1] == ("token keys forgotten", "")


async def test_another_device_in_its_place_does_not_hold_them(store) -> None:
    await after_login(store, "a")
    desk = await start(store)
    desk.device = device("0043")
    await desk.see("b")
    assert known(desk) == {name("b")}
    assert [key.name for key in desk.ring.away] == [name("a")]
    again = await start(store)  # the first is still the one that is remembered
    assert known(again) == {name("a")}
    await desk.know("b")
    assert desk.ring.away == ()
    assert known(await start(store)) == {name("b")}


async def test_nor_does_it_within_one_run(store) -> None:
    desk = await after_login(store, "a")
    desk.device, desk.worker = device("0043"), None
    await desk.see("b")
    assert known(desk) == {name("b")}
    assert [key.name for key in desk.ring.away] == [name("a")]
    assert not desk.ring.looked_through


async def test_a_disk_that_is_full_keeps_no_token_from_signing_and_is_tried_again(store) -> None:
    store.broken = True
    desk = await after_login(store, "a")
    assert desk.ring.names == {name("a")}
    assert not store.kept
    store.broken = False
    await written(desk)
    assert known(await start(store)) == {name("a")}


async def test_what_was_forgotten_while_it_could_not_be_written_is_not_written_afterwards(store) -> None:
    desk = await after_login(store, "a")
    store.broken = True
    await desk.know("a")
    desk.ring.forget()
    await asyncio.sleep(0)
    assert known(desk) == set()
    desk.ring.expect()
    await desk.know("b")
    store.broken = False
    await written(desk)
    assert known(await start(store)) == {name("b")}


async def test_a_record_that_cannot_be_read_is_as_if_it_were_not_there(store) -> None:
    await after_login(store, "a")
    (record,) = store.kept
    store.kept[record] = b"\x00"
    assert known(await start(store)) == set()
    await after_login(store, "a")
    assert known(await start(store)) == {name("a")}
