"""What is remembered of PINs: by device, whatever it is called; forgotten when an officer wants that, and not by halves."""

import asyncio
from pathlib import Path

import pytest

from segeld.ipc.keeper_wire import Device, Record
from segeld.ipc.keeper_wire import Guard as Frame
from segeld.model.names import TokenName
from segeld.supervisor.guard import Guard, trouble

A, B = TokenName("a"), TokenName("b")
SERIAL = "0815"
REFUSED = Record(refused=(b"x",))


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "pin-guard"


async def said(path: Path, *tokens: TokenName) -> str | None:
    return await asyncio.to_thread(trouble, path, tokens)


async def loaded(path: Path) -> Guard:
    guard = Guard(path)
    await guard.load()
    return guard


async def test_what_was_kept_is_there_after_a_restart_and_a_keeper_is_told_of_it(path) -> None:
    guard = await loaded(path)
    assert await guard.begin(str(A), SERIAL, Record(open={b"x": 1}), b"x") is None
    assert (await loaded(path)).of(SERIAL) == Record(open={b"x": 1})
    assert await guard.keep(str(A), SERIAL, REFUSED) is None
    first, *devices = (await loaded(path)).frames()
    assert first == Frame(guard._content.key, lost=False)
    assert devices == [Device(SERIAL, REFUSED)]


async def test_an_officer_clears_the_device_under_whatever_name(path) -> None:
    guard = await loaded(path)
    await guard.keep(str(A), SERIAL, REFUSED)
    await guard.keep(str(A), "elsewhere", REFUSED)
    assert await guard.clear(B, None) == ((), None)  # it was never there
    assert guard.of(SERIAL) == REFUSED
    assert await guard.clear(B, SERIAL) == ((SERIAL,), None)  # it is there now: A was renamed
    assert (guard.of(SERIAL), guard.of("elsewhere")) == (Record(), REFUSED)
    assert await guard.clear(A, None) == ((SERIAL, "elsewhere"), None)
    assert (await loaded(path)).of("elsewhere") == Record()


async def test_an_attempt_that_is_under_way_stays_open_when_an_officer_clears_the_device(path) -> None:
    guard = await loaded(path)
    under_way = Record(refused=(b"y",), open={b"x": 2, b"z": 1})
    assert await guard.begin(str(A), SERIAL, under_way, b"x") is None
    await guard.clear(A, SERIAL)
    assert guard.of(SERIAL) == (await loaded(path)).of(SERIAL) == Record(open={b"x": 1})
    await guard.keep(str(A), SERIAL, Record(open={b"x": 1}))  # its worker died: it is over
    await guard.clear(A, SERIAL)
    assert guard.of(SERIAL) == Record()
    await guard.begin(str(A), SERIAL, under_way, b"x")
    list(guard.frames())  # the keeper died with it: another one begins
    await guard.clear(A, SERIAL)
    assert guard.of(SERIAL) == Record()


async def test_what_could_not_be_cleared_for_good_counts_still(path) -> None:
    guard = await loaded(path)
    await guard.keep(str(A), SERIAL, REFUSED)
    away = path.parent.rename(path.parent.with_name("away"))
    serials, why = await guard.clear(A, SERIAL)
    assert (serials, "cannot be written" in why) == ((), True)
    assert guard.of(SERIAL) == REFUSED
    away.rename(path.parent)
    await guard.keep(str(B), "other", Record())
    assert (await loaded(path)).of(SERIAL) == REFUSED


async def test_what_becomes_known_while_clearing_fails_is_kept(path) -> None:
    guard = await loaded(path)
    await guard.keep(str(A), SERIAL, REFUSED)
    path.parent.rename(path.parent.with_name("away"))
    more = Record(refused=(b"y",))
    (_, why), _ = await asyncio.gather(guard.clear(A, SERIAL), guard.keep(str(A), SERIAL, more))
    assert why is not None
    assert guard.of(SERIAL) == more


async def test_after_damage_each_token_is_unsure_until_it_took_a_pin(path) -> None:
    path.write_bytes(b"nonsense")
    assert "is damaged" in await said(path, A, B)
    guard = await loaded(path)
    assert guard.is_unsure(A, None)
    assert guard.is_unsure(A, SERIAL)
    assert guard.of(SERIAL) == Record(unsure=True)
    await guard.keep(str(A), SERIAL, Record(refused=(b"x",), unsure=True))  # an officer's wrong PIN
    await guard.clear(A, SERIAL)
    assert guard.is_unsure(A, None), "nobody knows yet what it refused before"
    await guard.keep(str(A), SERIAL, Record())  # it took one
    assert not guard.is_unsure(A, SERIAL)
    assert not guard.is_unsure(A, None)
    assert guard.is_unsure(A, "another device")
    assert await said(path, A) is None
    assert "nothing is known of tokens/b" in await said(path, A, B)
    later = await loaded(path)
    assert (later.is_unsure(A, None), later.is_unsure(B, None)) == (False, True)


async def test_without_a_file_there_is_no_trouble(path) -> None:
    assert await said(path, A) is None
    assert not path.exists()


async def test_nobody_else_may_read_it(path) -> None:
    guard = await loaded(path)
    await guard.keep(str(A), SERIAL, REFUSED)
    path.chmod(0o644)
    assert await said(path, A) is None
    assert path.stat().st_mode & 0o777 == 0o644, "whoever only looks changes nothing"
    await loaded(path)
    assert path.stat().st_mode & 0o777 == 0o600
