"""A real keeper process: it lends a PIN to one worker at a time, and gives it to nobody after a refusal."""

import asyncio

import pytest
from keeper_rig import SERIAL, TIMEOUT, TOKEN, WorkerEnd

from segeld.ipc import framing, pin_wire
from segeld.ipc.pin_wire import LoginOutcome
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.model.secret import Pin


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
    await keeper.forget(TOKEN, (SERIAL,))
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
    await keeper.forget(TOKEN)
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
    assert len(guard.of(SERIAL).refused) == 1
    worker = await borrow()
    assert (await worker.receive())[0] == b"654321"
    worker.answer(LoginOutcome.OK)
    await worker.lent()
    with pytest.raises(Fault, match="refused this PIN before"):
        await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)


async def logged_in(worker: WorkerEnd) -> WorkerEnd:
    await worker.receive()
    worker.answer(LoginOutcome.OK)
    await worker.lent()
    return worker


def reaffirms(worker: WorkerEnd) -> None:
    worker.ours.sendall(framing.encode(pin_wire.Reaffirm()))


async def test_who_asks_for_one_signature_while_the_pin_is_changed_gets_the_new_one(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker, other = await logged_in(await borrow()), await logged_in(await borrow())
    reaffirms(worker)
    assert (await worker.receive())[0] == b"123456"
    freezing = asyncio.create_task(keeper.freeze(TOKEN))
    await keeper.hold(TokenName("another"), Pin(b"1"), None)  # answered after it
    assert not freezing.done(), "somebody logs in with the old one"
    worker.answer(LoginOutcome.OK)
    await asyncio.wait_for(freezing, TIMEOUT)
    reaffirms(worker)
    reaffirms(other)
    await keeper.hold(TokenName("another"), Pin(b"1"), None)
    await keeper.changed(TOKEN, SERIAL, Pin(b"123456"), Pin(b"654321"))
    for each in (worker, other):
        with pytest.raises(BlockingIOError):
            each.ours.recv(1)
    await keeper.thaw(TOKEN)
    for each in (worker, other):
        assert (await each.receive())[0] == b"654321"
        each.answer(LoginOutcome.OK)


async def test_what_a_keeper_was_to_freeze_when_it_died_is_said(keeper, borrow) -> None:
    await keeper.hold(TOKEN, Pin(b"123456"), SERIAL)
    worker = await borrow()
    await worker.receive()
    freezing = asyncio.create_task(keeper.freeze(TOKEN))
    await asyncio.sleep(0)
    keeper._process.kill()
    with pytest.raises(Fault) as gone:
        await asyncio.wait_for(freezing, TIMEOUT)
    assert gone.value.reason is Reason.TOKEN_RECOVERING


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
    await keeper.forget(TOKEN)
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
