"""While nothing can be recorded new work is refused; but not for ever, when nobody is left who would notice the end."""

import asyncio

import pytest
from dispatch_fakes import TIMEOUT, order, reasons

from segeld.dispatch import ledger
from segeld.model.faults import Fault, Reason


async def give_up(dispatcher) -> None:
    """The only order that waits ends with its deadline, while nothing can be recorded."""
    try:
        signed = await dispatcher.sign(order(seconds=0.2))
    except Fault as fault:
        assert fault.reason is Reason.STORAGE_FULL  # noqa: PT017 - as a whole, or its one input
    else:
        assert reasons(signed) == [Reason.STORAGE_FULL]


async def test_new_work_is_refused_at_once_while_the_trouble_is_fresh(dispatcher, serving, queue) -> None:
    serving()
    queue.full = True
    await give_up(dispatcher)
    with pytest.raises(Fault) as refused:
        await asyncio.wait_for(dispatcher.sign(order()), TIMEOUT)
    assert refused.value.reason is Reason.STORAGE_FULL
    assert refused.value.retry_after


async def test_the_next_to_come_finds_that_it_is_over(dispatcher, serving, queue, monkeypatch) -> None:
    monkeypatch.setattr(ledger, "_BELIEVED", 0.3)
    serving()
    queue.full = True
    await give_up(dispatcher)
    queue.full = False

    async def sign_at_last():
        while True:
            try:
                return await dispatcher.sign(order())
            except Fault:
                await asyncio.sleep(0.02)

    assert reasons(await asyncio.wait_for(sign_at_last(), TIMEOUT)) == [None]
    assert dispatcher.trouble is None
