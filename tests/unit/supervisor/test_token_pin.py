"""The front's side of a token's PIN: an officer's act is not undone by what began by itself."""

import asyncio
import socket
from types import SimpleNamespace

import pytest
from acts_fake import acts

from segeld.config.schema import PinFile, PinPrompt, Timeouts
from segeld.ipc.keeper_wire import Lent, Record
from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import PinState
from segeld.supervisor.guard import Guard
from segeld.supervisor.login import Logins
from segeld.supervisor.news import News
from segeld.supervisor.pin import TokenPin
from segeld.supervisor.slot import Waiting
from segeld.supervisor.worker_handle import WorkerLost

NAME = TokenName("a")
TIMEOUT = 10
THERE = "4712"
"""The serial number of another worker's token."""


class FakeKeeper:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ended, self.quiet = asyncio.Event(), asyncio.Event()
        self.quiet.set()

    async def hold_descriptor(self, *_, **__) -> None:
        self.asked.append("hold")

    hold_file = hold_descriptor

    async def forget(self, token, devices=()) -> None:
        self.asked.append(" ".join(("forget", *devices)))

    async def freeze(self, token) -> None:
        self.asked.append("freeze")
        await self.quiet.wait()

    async def thaw(self, token) -> None:
        self.asked.append("thaw")

    async def lend(self, token, worker, sock, serial, **_) -> Lent:
        self.asked.append(f"lend to the token {serial}")
        sock.close()
        return Lent(str(token), worker, LoginOutcome.OK, 0, (), serial=serial)


class FakeWorker:
    def __init__(self, serial: str) -> None:
        self.number, self.serial, self.why = 1, serial, ""
        self.ended, self.leaving = asyncio.Event(), asyncio.Event()

    def take_pin_socket(self) -> socket.socket:
        return socket.socket()


def token(tmp_path, keeper, **config) -> tuple[TokenPin, Logins]:
    """Its PIN is held."""
    settings = SimpleNamespace(
        unattended=True, flags_trusted=None, **{"pin": PinPrompt(), "timeouts": Timeouts(), **config}
    )
    host = SimpleNamespace(
        name=NAME,
        config=settings,
        news=News(),
        is_barred=lambda: False,
        info=lambda: SimpleNamespace(serial=THERE, manufacturer=""),
        show_flags=lambda flags: None,
        update=lambda: None,
    )
    pin = TokenPin(host, keeper, Guard(tmp_path / "pin-guard"))
    pin.state = PinState.HELD
    return pin, Logins(host, pin, keeper, acts())


async def test_a_pin_that_is_taken_back_while_the_keeper_restarts_does_not_come_back(tmp_path) -> None:
    restarted, keeper = asyncio.Event(), FakeKeeper()

    async def start() -> FakeKeeper:
        await restarted.wait()
        return keeper

    pin, logins = token(tmp_path, start, pin=PinFile(tmp_path / "pin"))
    logging_in = asyncio.create_task(logins.log_in(FakeWorker("1")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    taking_back = asyncio.create_task(pin.forget())
    await asyncio.sleep(0)
    restarted.set()
    with pytest.raises(Waiting):
        await asyncio.wait_for(logging_in, TIMEOUT)
    await asyncio.wait_for(taking_back, TIMEOUT)
    assert (pin.state, keeper.asked) == (PinState.MISSING, [f"forget {THERE}"])


async def test_what_was_to_be_read_by_itself_is_not_after_an_officers_act(tmp_path) -> None:
    restarted, keeper = asyncio.Event(), FakeKeeper()

    async def start() -> FakeKeeper:
        await restarted.wait()
        return keeper

    pin, _ = token(tmp_path, start, pin=PinFile(tmp_path / "pin"))
    taking_back = asyncio.create_task(pin.forget())
    await asyncio.sleep(0)
    reading = asyncio.create_task(pin.hold_configured())
    await asyncio.sleep(0)
    again = asyncio.create_task(pin.forget())
    await asyncio.sleep(0)
    restarted.set()
    await asyncio.wait_for(asyncio.gather(taking_back, reading, again), TIMEOUT)
    assert (pin.state, keeper.asked) == (PinState.MISSING, [f"forget {THERE}"] * 2)


async def test_an_attempt_is_of_the_token_that_this_worker_has_opened(tmp_path) -> None:
    keeper = FakeKeeper()

    async def there() -> FakeKeeper:
        return keeper

    pin, logins = token(tmp_path, there)
    pin.held_by = keeper
    await asyncio.wait_for(logins.log_in(FakeWorker("4711")), TIMEOUT)
    assert (keeper.asked, pin.bound) == (["lend to the token 4711"], "4711")


@pytest.mark.parametrize("held", [True, False])
async def test_a_worker_in_whose_place_another_one_is_to_come_does_not_log_in_any_more(
    tmp_path, held
) -> None:
    keeper = FakeKeeper()

    async def there() -> FakeKeeper:
        return keeper

    pin, logins = token(tmp_path, there)
    pin.held_by = keeper
    if not held:
        pin.gone()
    worker = FakeWorker("4711")
    logging_in = asyncio.create_task(logins.log_in(worker))
    if held:
        await logins._turn.acquire()
    await asyncio.sleep(0)
    worker.leaving.set()
    if held:
        logins._turn.release()
    with pytest.raises(WorkerLost):
        await asyncio.wait_for(logging_in, TIMEOUT)
    assert keeper.asked == []


async def test_an_officer_is_told_if_what_was_refused_counts_still_and_the_pin_is_wiped_all_the_same(
    tmp_path,
) -> None:
    keeper = FakeKeeper()

    async def there() -> FakeKeeper:
        return keeper

    (tmp_path / "state").mkdir()
    pin, _ = token(tmp_path / "state", there)
    await pin._guard.load()
    await pin._guard.keep(str(NAME), THERE, Record(refused=(b"x",)))
    away = (tmp_path / "state").rename(tmp_path / "away")
    told = await pin.forget()
    assert told.reason is Reason.STORAGE_UNAVAILABLE
    assert "segelctl token deactivate a" in told.text
    away.rename(tmp_path / "state")
    assert await pin.forget(refused_too=False) is None
    assert pin._guard.of(THERE) == Record(refused=(b"x",)), "the end of a term forgets nothing"
    assert await pin.forget() is None
    assert pin._guard.of(THERE) == Record()
    assert keeper.asked == ["forget", "forget", f"forget {THERE}"]


async def test_no_pin_is_tried_with_a_token_in_quarantine_one_that_was_typed_neither(tmp_path) -> None:
    keeper = FakeKeeper()

    async def there() -> FakeKeeper:
        return keeper

    pin, logins = token(tmp_path, there)
    pin.held_by = keeper
    logins._host.is_barred = lambda: True
    worker = FakeWorker(THERE)
    for attempt in (logins.log_in_once(worker, THERE), logins.log_in_typed(worker, THERE, Pin(b"123456"))):
        with pytest.raises(Fault) as refused:
            await attempt
        assert refused.value.reason is Reason.TOKEN_QUARANTINED
    assert keeper.asked == []


async def test_the_old_pin_is_lent_to_nobody_while_it_is_exchanged_whatever_comes_of_that(tmp_path) -> None:
    keeper = FakeKeeper()

    async def there() -> FakeKeeper:
        return keeper

    _, logins = token(tmp_path, there)

    async def exchange() -> None:
        async with logins.alone():
            assert keeper.asked == ["freeze"]
            raise WorkerLost("it died in it")

    with pytest.raises(WorkerLost):
        await exchange()
    assert keeper.asked == ["freeze", "thaw"]


async def test_a_pin_is_not_exchanged_while_somebody_logs_in_with_the_old_one(tmp_path) -> None:
    keeper = FakeKeeper()
    keeper.quiet.clear()

    async def there() -> FakeKeeper:
        return keeper

    _, logins = token(tmp_path, there, timeouts=Timeouts(login=0.01, operation=0.01))
    with pytest.raises(Fault, match="Nothing was changed") as busy:
        await logins.alone().__aenter__()
    assert busy.value.reason is Reason.TOKEN_BUSY
    assert keeper.asked == ["freeze", "thaw"]
