"""A real keeper process and the file beside it: what a token refused is known after every restart, whatever was killed."""

import asyncio
import errno
import os
import signal

import pytest
from keeper_rig import SERIAL, TOKEN, borrowing, pin_file

from segeld.ipc.keeper_wire import NotLent, Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.faults import Fault
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.supervisor import guard_file
from segeld.supervisor.guard import Guard, so_of
from segeld.supervisor.keeper_handle import KeeperHandle

OPEN = os.open
SO = so_of(SERIAL)


async def test_a_refusal_is_known_after_every_restart(tmp_path) -> None:
    """Daemons one after another, each with a keeper of its own and the same stale PIN: one login."""
    logins = 0
    for _ in range(5):
        keeper = await KeeperHandle.start(Guard(tmp_path / "pin-guard"))
        try:
            async with borrowing(keeper) as borrow:
                path = str(pin_file(tmp_path, b"123456"))
                await keeper.hold_file(TOKEN, path, None, by_officer=False)  # no token was seen yet
                worker = await borrow()
                if logins == 0:
                    await worker.receive()
                    logins += 1
                    worker.answer(LoginOutcome.REFUSED, 0xA0)
                    assert (await worker.lent()).outcome is LoginOutcome.REFUSED
                else:
                    lent = await worker.lent()
                    assert (lent.outcome, lent.why) == (None, NotLent.REFUSED)
        finally:
            await keeper.close()
    content = (tmp_path / "pin-guard").read_bytes()
    assert b"123456" not in content
    assert (tmp_path / "pin-guard").stat().st_mode & 0o777 == 0o600


async def test_a_keeper_killed_in_a_login_leaves_the_attempt_open_in_the_file(tmp_path) -> None:
    for expected in (None, None, NotLent.OPEN):
        keeper = await KeeperHandle.start(Guard(tmp_path / "pin-guard"))
        try:
            async with borrowing(keeper) as borrow:
                path = str(pin_file(tmp_path, b"123456"))
                await keeper.hold_file(TOKEN, path, None, by_officer=False)
                worker = await borrow()
                if expected is not None:
                    assert (await worker.lent()).why is expected
                    return
                await worker.receive()
                os.kill(keeper.pid, signal.SIGKILL)
                with pytest.raises(Fault, match="keeper process"):
                    await worker.lent()
        finally:
            await keeper.close()


async def test_no_login_is_tried_that_cannot_be_written_down(tmp_path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    guard = Guard(folder / "pin-guard")
    keeper = await KeeperHandle.start(guard)
    try:
        async with borrowing(keeper) as borrow:
            await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
            folder.rename(tmp_path / "away")
            worker = await borrow()
            lent = await worker.lent()
            assert (lent.outcome, lent.why) == (None, NotLent.UNRECORDED)
            assert "cannot be written" in lent.text
            with pytest.raises(BlockingIOError):
                worker.ours.recv(1)
            (tmp_path / "away").rename(folder)
            worker = await borrow()  # the PIN is still held
            assert await worker.receive() == (b"123456", True)
    finally:
        await keeper.close()


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\0" * 400])
async def test_a_damaged_guard_lets_only_an_officer_try(tmp_path, damage) -> None:
    path = tmp_path / "pin-guard"
    path.write_bytes(damage)
    keeper = await KeeperHandle.start(Guard(path))
    try:
        async with borrowing(keeper) as borrow:
            await keeper.hold_file(TOKEN, str(pin_file(tmp_path, b"123456")), SERIAL, by_officer=False)
            worker = await borrow()
            assert (await worker.lent()).why is NotLent.UNKNOWN
            await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
            worker = await borrow()
            await worker.receive()
            worker.answer(LoginOutcome.OK)
            await worker.lent()
    finally:
        await keeper.close()
    after = Guard(path)
    await after.load()
    assert after.of(SERIAL) == Record()


async def test_an_attempt_that_begins_with_a_change_of_the_pin_is_not_written_over(
    keeper, borrow, guard
) -> None:
    """The keeper tells of both at once, and the attempt is the later one."""
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    os.kill(keeper.pid, signal.SIGSTOP)
    changing = asyncio.create_task(keeper.changed(TOKEN, SERIAL, Pin(b"123456"), Pin(b"654321")))
    for _ in range(3):
        await asyncio.sleep(0)
    worker = await borrow()
    os.kill(keeper.pid, signal.SIGCONT)
    await changing
    await worker.receive()
    assert list(guard.of(SERIAL).open.values()) == [1]


async def test_an_attempt_that_could_not_be_written_down_is_not_written_later(tmp_path) -> None:
    """Nothing was tried, so nothing is open, whatever else is written when there is room again."""
    folder = tmp_path / "state"
    folder.mkdir()
    guard = Guard(folder / "pin-guard")
    keeper = await KeeperHandle.start(guard)
    try:
        async with borrowing(keeper) as borrow:
            await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
            folder.rename(tmp_path / "away")
            worker = await borrow()
            assert (await worker.lent()).why is NotLent.UNRECORDED
            (tmp_path / "away").rename(folder)
            assert await guard.keep("tokens/other", "1", Record()) is None
    finally:
        await keeper.close()
    later = Guard(folder / "pin-guard")
    await later.load()
    assert later.of(SERIAL) == Record()


async def test_a_refusal_is_known_after_a_restart_although_the_disk_was_full(tmp_path, monkeypatch) -> None:
    """The attempt took the room for it. The keeper is killed as soon as the front has heard of the refusal."""
    guard = Guard(tmp_path / "pin-guard")
    keeper = await KeeperHandle.start(guard)
    try:
        async with borrowing(keeper) as borrow:
            await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
            worker = await borrow()
            await worker.receive()
            with monkeypatch.context() as full:
                full.setattr(guard_file.os, "open", no_new_files)
                worker.answer(LoginOutcome.REFUSED, 0xA0)
                await worker.lent()
                os.kill(keeper.pid, signal.SIGKILL)
    finally:
        await keeper.close()
    later = Guard(tmp_path / "pin-guard")
    await later.load()
    assert (len(later.of(SERIAL).refused), later.of(SERIAL).open) == (1, {})


async def test_an_attempt_without_room_for_its_outcome_is_not_made(tmp_path, monkeypatch) -> None:
    keeper = await KeeperHandle.start(Guard(tmp_path / "pin-guard"))
    try:
        async with borrowing(keeper) as borrow:
            await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
            with monkeypatch.context() as full:
                full.setattr(guard_file.os, "open", no_new_files)
                worker = await borrow()
                lent = await worker.lent()
            assert (lent.why, "No space" in lent.text) == (NotLent.UNRECORDED, True)
            with pytest.raises(BlockingIOError):
                worker.ours.recv(1)
    finally:
        await keeper.close()


def no_new_files(path, flags, *rest) -> int:
    if flags & os.O_CREAT:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return OPEN(path, flags, *rest)


async def test_one_device_under_two_names_is_tried_once(keeper) -> None:
    """The second name's worker waits until it is durable what the device said to the first one's."""
    other = TokenName("other")
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    await keeper.hold(other, Pin(b"123456"), SERIAL)
    async with borrowing(keeper) as borrow:
        first, second = await borrow(), await borrow(other)
        await first.receive()
        first.answer(LoginOutcome.REFUSED, 0xA0)
        assert (await first.lent()).outcome is LoginOutcome.REFUSED
        lent = await second.lent()
        assert (lent.outcome, lent.why) == (None, NotLent.REFUSED)
        with pytest.raises(BlockingIOError):
            second.ours.recv(1)
        await keeper.hold(TOKEN, Pin(b"654321"), SERIAL)
        await keeper.hold(other, Pin(b"654321"), SERIAL)
        first, second = await borrow(), await borrow(other)
        await first.receive()
        first.answer(LoginOutcome.OK)
        await second.receive()  # in its turn


async def test_an_so_pin_that_was_refused_is_known_after_a_restart_until_an_officer_clears_it(
    tmp_path,
) -> None:
    for _ in range(2):
        keeper = await KeeperHandle.start(guard := Guard(tmp_path / "pin-guard"))
        try:
            if not guard.of(SO).refused:
                await keeper.may_send(TOKEN, SO, Pin(b"123456"))
                assert not await keeper.refused(TOKEN, SO, Pin(b"123456"))
            with pytest.raises(Fault, match="refused this PIN before"):
                await keeper.may_send(TOKEN, SO, Pin(b"123456"))
            await keeper.may_send(TOKEN, SO, Pin(b"another"))
            await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)  # the user's may be the same
        finally:
            await keeper.close()
    keeper = await KeeperHandle.start(guard)
    try:
        devices, trouble = await guard.clear(TOKEN, SERIAL)
        assert (SO in devices, trouble) == (True, None)
        await keeper.forget(TOKEN, devices)
        await keeper.may_send(TOKEN, SO, Pin(b"123456"))
    finally:
        await keeper.close()
