"""Changes end by themselves, and there are never too many of them."""

import asyncio

import pytest
from office_fakes import MADE, WAYAN
from store_fakes import refused

from segeld.model.faults import Fault, Reason
from segeld.office.actions import ApplyPolicy
from segeld.office.change_desk import MAX_OPEN, MAX_OPEN_OCTETS
from segeld.office.change_records import KEPT, MAX_ENDED
from segeld.office.changes import LIFETIME, ChangeState


async def test_it_expires(office):
    change = await office.asked()
    await office.approved()
    office.now += LIFETIME
    assert {each.state for each in office.desk.changes(ended=True)} == {ChangeState.EXPIRED}
    assert office.desk.changes(ended=False) == ()
    await refused(office.desk.approve(1, MADE, change.hash), Reason.CHANGE_STATE)
    await refused(office.desk.run_change(2, WAYAN, {}), Reason.CHANGE_STATE)
    assert "Ask anew" in office.desk.next_step(office.desk.change(1))


async def test_an_expiry_is_written_when_it_comes(office):
    upkeep = asyncio.create_task(office.desk.run())
    await office.asked()
    office.now += LIFETIME
    await office.asked()  # whatever moves wakes it
    async with asyncio.timeout(10):
        while ("change expired", "") not in office.records.acts("changes/1"):
            office.moved.clear()
            await office.moved.wait()
    upkeep.cancel()
    await office.restart()
    assert office.desk.change(1).state is ChangeState.EXPIRED


async def test_an_expiry_that_cannot_be_written_ends_nothing(office, events, monkeypatch):
    monkeypatch.setattr("segeld.office.change_desk.RETRY", 0.0)
    await office.asked()
    office.now += LIFETIME
    office.records.broken = True
    upkeep = asyncio.create_task(office.desk.run())
    async with asyncio.timeout(10):
        while not events:  # noqa: ASYNC110 - nothing says when something was logged
            await asyncio.sleep(0)
        office.records.broken = False
        while ("change expired", "") not in office.records.acts("changes/1"):
            office.moved.clear()
            await office.moved.wait()
    upkeep.cancel()


async def test_too_many_are_refused(office):
    for _ in range(MAX_OPEN):
        await office.asked()
    fault = await refused(office.asked(), Reason.QUEUE_FULL)
    assert "segelctl change list" in fault.text
    await office.desk.reject(1, WAYAN, "")
    await office.asked()


async def test_long_ones_are_bounded_by_what_they_hold(office):
    policy = ApplyPolicy("x" * (MAX_OPEN_OCTETS // 16))
    for _ in range(15):
        await office.asked(policy)
    await refused(office.asked(policy), Reason.QUEUE_FULL)
    await office.asked()


async def test_a_number_never_comes_again(office):
    await office.asked()
    await office.desk.reject(1, WAYAN, "")
    office.now += KEPT + 1
    await office.restart()
    assert (await office.asked()).number == 2
    await refused_now(office, 1)
    await office.restart()
    assert (await office.asked()).number == 3


async def refused_now(office, number: int) -> None:
    """It was kept long enough."""
    with pytest.raises(Fault) as caught:
        office.desk.change(number)
    assert caught.value.reason is Reason.CHANGE_NOT_FOUND


async def test_ended_ones_are_bounded_too(office):
    for _ in range(MAX_ENDED + 5):
        change = await office.asked()
        await office.desk.reject(change.number, WAYAN, "")
    assert len(office.records.kept) == len(office.desk.changes(ended=True))
    assert len(office.records.kept) <= MAX_ENDED + 1
    assert office.desk.changes(ended=True)[0].number == MAX_ENDED + 5
