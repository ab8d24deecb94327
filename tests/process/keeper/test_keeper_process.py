"""A real keeper process: it lends a PIN to one worker at a time, and gives it to nobody after a refusal."""

import asyncio
import os
import signal
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from segeld.ipc import framing, pin_wire
from segeld.ipc.keeper_wire import NotLent, Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.supervisor import keeper_handle
from segeld.supervisor.guard import Guard, damage
from segeld.supervisor.keeper_handle import KeeperHandle

TOKEN = TokenName("payroll")
SERIAL = "0815"
TIMEOUT = 10


@dataclass
class WorkerEnd:
    """The worker's end of a PIN socket, in this test's hands."""

    number: int
    ours: socket.socket
    lending: asyncio.Task

    async def receive(self) -> tuple[bytes, bool]:
        reader = framing.FrameReader()
        while True:
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.ours, 4096), TIMEOUT)
            assert data, "the keeper hung up"
            for frame in reader.feed(data):
                login = framing.decode(pin_wire.FROM_KEEPER, frame)
                with pin_wire.unwrap(login.pin) as pin, pin.view() as view:
                    return bytes(view), login.by_officer

    def answer(self, outcome: LoginOutcome, ckr: int = 0, flags: tuple[str, ...] = ()) -> None:
        self.ours.sendall(framing.encode(pin_wire.LoginEnded(outcome, ckr, flags)))

    async def lent(self):
        return await asyncio.wait_for(self.lending, TIMEOUT)


@pytest.fixture
def guard(tmp_path):
    return Guard(tmp_path / "pin-guard")


@pytest.fixture
async def keeper(guard):
    handle = await KeeperHandle.start(guard, [TOKEN])
    yield handle
    await handle.close()


@pytest.fixture
async def borrow(keeper):
    """Asks for a lend; gives the worker's end."""
    async with borrowing(keeper) as ask:
        yield ask


@asynccontextmanager
async def borrowing(keeper):
    ends: list[WorkerEnd] = []

    async def ask() -> WorkerEnd:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        lending = asyncio.create_task(keeper.lend(TOKEN, len(ends) + 1, theirs, SERIAL, trusted=True))
        ends.append(WorkerEnd(len(ends) + 1, ours, lending))
        await asyncio.sleep(0)
        return ends[-1]

    yield ask
    for end in ends:
        end.ours.close()
        end.lending.cancel()


def pin_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "pin"
    path.write_bytes(content)
    path.chmod(mode)
    return path


async def test_one_worker_after_the_other_gets_the_pin(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    first, second = await borrow(), await borrow()
    assert await first.receive() == (b"123456", True)
    with pytest.raises(BlockingIOError):
        second.ours.recv(1)
    first.answer(LoginOutcome.OK)
    assert (await first.lent()).outcome is LoginOutcome.OK
    assert await second.receive() == (b"123456", False)
    second.answer(LoginOutcome.OK)
    assert (await second.lent()).outcome is LoginOutcome.OK


async def test_a_refused_pin_reaches_no_second_worker_and_is_not_taken_again(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    first, second = await borrow(), await borrow()
    await first.receive()
    first.answer(LoginOutcome.REFUSED, 0xA0, ("CKF_USER_PIN_COUNT_LOW",))
    lent = await first.lent()
    assert (lent.outcome, lent.ckr, lent.flags) == (LoginOutcome.REFUSED, 0xA0, ("CKF_USER_PIN_COUNT_LOW",))
    assert (await second.lent()).outcome is None
    with pytest.raises(BlockingIOError):
        second.ours.recv(1)
    with pytest.raises(Fault, match="refused this PIN before") as refused:
        await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    assert refused.value.reason is Reason.PIN_REFUSED_BEFORE
    await keeper.forget(TOKEN, refused_too=True)
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)


async def test_a_worker_that_dies_during_its_login_leaves_one_more_attempt(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    for _ in range(2):
        worker = await borrow()
        await worker.receive()
        worker.ours.close()
        assert (await worker.lent()).died
    third = await borrow()
    lent = await third.lent()
    assert (lent.outcome, lent.died) == (None, False)


async def test_a_worker_that_speaks_out_of_turn_loses_its_socket_and_nobody_else_does(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    first, second = await borrow(), await borrow()
    await first.receive()
    second.answer(LoginOutcome.OK)
    assert (await second.lent()).died
    first.answer(LoginOutcome.OK)
    assert (await first.lent()).outcome is LoginOutcome.OK


async def test_a_refusal_is_known_after_every_restart(tmp_path) -> None:
    """Daemons one after another, each with a keeper of its own and the same stale PIN: one login."""
    logins = 0
    for _ in range(5):
        keeper = await KeeperHandle.start(Guard(tmp_path / "pin-guard"), [TOKEN])
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
        keeper = await KeeperHandle.start(Guard(tmp_path / "pin-guard"), [TOKEN])
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
    keeper = await KeeperHandle.start(guard, [TOKEN])
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
    keeper = await KeeperHandle.start(Guard(path), [TOKEN])
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
    assert after.frame(TOKEN).records == {SERIAL: Record()}


async def test_a_worker_that_is_logged_in_may_ask_again(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker, other = await borrow(), await borrow()
    await worker.receive()
    worker.answer(LoginOutcome.OK)
    await worker.lent()
    await other.receive()
    worker.ours.sendall(framing.encode(pin_wire.Reaffirm()))
    other.answer(LoginOutcome.OK)
    await other.lent()
    assert await worker.receive() == (b"123456", False)
    worker.answer(LoginOutcome.OK)
    await keeper.forget(TOKEN, refused_too=False)
    worker.ours.sendall(framing.encode(pin_wire.Reaffirm()))
    data = await asyncio.get_running_loop().sock_recv(worker.ours, 4096)
    (frame,) = framing.FrameReader().feed(data)
    assert framing.decode(pin_wire.FROM_KEEPER, frame) == pin_wire.Denied()


async def test_a_worker_that_was_not_logged_in_may_not_ask(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker = await borrow()
    worker.ours.sendall(framing.encode(pin_wire.Reaffirm()))
    assert (await worker.lent()).died


async def test_a_changed_pin_is_lent_from_then_on(keeper, borrow, guard) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    await keeper.changed(TOKEN, SERIAL, Pin(b"123456"), Pin(b"654321"))
    assert len(guard.frame(TOKEN).records[SERIAL].refused) == 1
    worker = await borrow()
    assert (await worker.receive())[0] == b"654321"
    worker.answer(LoginOutcome.OK)
    await worker.lent()
    with pytest.raises(Fault, match="refused this PIN before"):
        await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)


async def test_a_pin_file_is_read_by_the_keeper(keeper, borrow, tmp_path) -> None:
    await keeper.hold_file(TOKEN, str(pin_file(tmp_path, b"123456\n")), SERIAL, by_officer=False)
    worker = await borrow()
    assert await worker.receive() == (b"123456", False)


@pytest.mark.parametrize(
    ("content", "mode", "reason", "text"),
    [
        (b"123456", 0o640, Reason.FIELD_INVALID, "mode 0640.*chmod 600"),
        (b"123456", 0o604, Reason.FIELD_INVALID, "mode 0604"),
        (b"", 0o600, Reason.PIN_LENGTH, "no usable PIN"),
    ],
)
async def test_an_unsafe_or_empty_pin_file_is_refused(keeper, tmp_path, content, mode, reason, text) -> None:
    with pytest.raises(Fault, match=text) as refused:
        await keeper.hold_file(TOKEN, str(pin_file(tmp_path, content, mode)), SERIAL, by_officer=False)
    assert refused.value.reason is reason
    assert "123456" not in refused.value.text


async def test_a_missing_pin_file_and_a_link_are_refused(keeper, tmp_path, missing) -> None:
    with pytest.raises(Fault, match="No such file"):
        await keeper.hold_file(TOKEN, str(missing), SERIAL, by_officer=False)
    link = tmp_path / "link"
    link.symlink_to(pin_file(tmp_path, b"123456"))
    with pytest.raises(Fault, match="cannot be read"):
        await keeper.hold_file(TOKEN, str(link), SERIAL, by_officer=False)


async def test_a_descriptor_is_read_once(tmp_path, guard) -> None:
    descriptor = os.open(pin_file(tmp_path, b"123456\n"), os.O_RDONLY)
    keeper = await KeeperHandle.start(guard, [TOKEN], [descriptor])
    os.close(descriptor)
    try:
        await keeper.hold_descriptor(TOKEN, descriptor, SERIAL, by_officer=False)
        with pytest.raises(Fault, match="was read before"):
            await keeper.hold_descriptor(TOKEN, descriptor, SERIAL, by_officer=False)
    finally:
        await keeper.close()


async def test_it_shows_its_name_and_leaves_no_core(keeper) -> None:
    await keeper.forget(TOKEN, refused_too=False)  # it has started when it answers
    process = Path("/proc") / str(keeper.pid)
    assert process.joinpath("cmdline").read_bytes().startswith(b"segeld: keeper")
    limits = process.joinpath("limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
    assert "NoNewPrivs:\t1" in process.joinpath("status").read_text()


async def test_when_it_is_killed_everybody_who_waits_is_told(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker = await borrow()
    await worker.receive()
    os.kill(keeper.pid, signal.SIGKILL)
    with pytest.raises(Fault, match="keeper process is being restarted"):
        await worker.lent()
    with pytest.raises(Fault, match="keeper process is being restarted"):
        await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)


async def test_its_memory_is_not_readable_by_others_of_the_same_user(keeper) -> None:
    await keeper.forget(TOKEN, refused_too=False)
    memory = os.stat(f"/proc/{keeper.pid}/mem")  # noqa: PTH116  # quick, and no file of a disk
    assert memory.st_uid == 0  # by PR_SET_DUMPABLE, whoever runs it


async def flood(worker: WorkerEnd) -> None:
    frames = framing.encode(pin_wire.Reaffirm()) * 100
    while True:
        await asyncio.get_running_loop().sock_sendall(worker.ours, frames)


async def test_a_worker_that_asks_and_never_reads_stops_nobody(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker = await borrow()
    await worker.receive()
    worker.answer(LoginOutcome.OK)
    await worker.lent()
    await keeper.forget(TOKEN, refused_too=False)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):  # it is given up when its own socket is full
        await asyncio.wait_for(flood(worker), TIMEOUT)
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)


async def test_a_worker_that_was_ended_is_given_up_although_something_holds_its_socket(
    keeper, borrow
) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker = await borrow()
    await worker.receive()
    lent = await asyncio.wait_for(keeper.severed(TOKEN, worker.number, worker.lending), TIMEOUT)
    assert lent.died
    assert await (await borrow()).receive() == (b"123456", False)


async def test_a_keeper_that_hangs_is_ended_with_the_login_that_waits_for_it(
    keeper, borrow, monkeypatch
) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker = await borrow()
    await worker.receive()
    monkeypatch.setattr(keeper_handle, "_PATIENCE", 0.1)
    os.kill(keeper.pid, signal.SIGSTOP)
    with pytest.raises(Fault, match="keeper process is being restarted"):
        await asyncio.wait_for(keeper.severed(TOKEN, worker.number, worker.lending), TIMEOUT)


async def test_an_answer_that_nobody_waits_for_any_more_is_not_taken_for_the_next_ones(
    keeper, missing
) -> None:
    os.kill(keeper.pid, signal.SIGSTOP)
    impatient = asyncio.create_task(keeper.forget(TOKEN, refused_too=False))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    impatient.cancel()
    holding = asyncio.create_task(keeper.hold_file(TOKEN, str(missing), SERIAL, by_officer=True))
    await asyncio.wait({impatient})
    os.kill(keeper.pid, signal.SIGCONT)
    with pytest.raises(Fault, match="No such file"):
        await holding


async def test_an_officer_who_does_not_wait_leaves_a_pin_that_is_held_or_is_not(keeper, borrow) -> None:
    """What was typed is wiped here only when it is on its way."""
    os.kill(keeper.pid, signal.SIGSTOP)
    first = asyncio.create_task(keeper.forget(TOKEN, refused_too=False))
    impatient = asyncio.create_task(keeper.hold(TOKEN, Pin(b"123456"), SERIAL))
    await asyncio.sleep(0)
    impatient.cancel()
    os.kill(keeper.pid, signal.SIGCONT)
    await asyncio.wait({first, impatient})
    await keeper.hold_pad(TOKEN)  # it still listens


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
    assert list(guard.frame(TOKEN).records[SERIAL].open.values()) == [1]


async def test_the_guard_follows_no_link_and_lets_nobody_else_read(tmp_path) -> None:
    path = tmp_path / "pin-guard"
    guard = Guard(path)
    await guard.load()
    await guard.keep(TOKEN, SERIAL, Record(refused=(b"x",)))
    path.chmod(0o644)
    again = Guard(path)
    await again.load()
    assert path.stat().st_mode & 0o777 == 0o600
    assert again.frame(TOKEN).records == {SERIAL: Record(refused=(b"x",))}
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    linked = Guard(path)
    await linked.load()
    assert linked.lost
    path.unlink()
    os.mkfifo(path)
    assert damage(path) == "it is no regular file"


async def test_an_attempt_that_could_not_be_written_down_is_not_written_later(tmp_path) -> None:
    """Nothing was tried, so nothing is open, whatever else is written when there is room again."""
    folder = tmp_path / "state"
    folder.mkdir()
    guard = Guard(folder / "pin-guard")
    keeper = await KeeperHandle.start(guard, [TOKEN])
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
    assert later.frame(TOKEN).records.get(SERIAL, Record()) == Record()
