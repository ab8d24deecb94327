"""Orders end exactly once, whatever happens to callers and time."""

import asyncio

import pytest
from dispatch_fakes import (
    TIMEOUT,
    failing,
    order,
    reasons,
    values,
)

from segeld.dispatch.lanes import MAX_OCTETS
from segeld.ipc.worker_wire import ItemFailed, Remedy
from segeld.model.algorithm import Algorithm
from segeld.model.faults import Fault, Reason
from segeld.model.token_state import TokenState


@pytest.mark.parametrize("count", [1, 8, 9, 50])
async def test_each_input_gets_its_own_signature_in_order(dispatcher, serving, count) -> None:
    serving()
    one = order(count)
    assert values(await dispatcher.sign(one)) == tuple(b"signed " + data for data in one.inputs)


async def test_a_chunk_of_long_messages_fits_into_a_frame(dispatcher, serving) -> None:
    worker = serving()
    for _ in range(3):  # it is measured to be fast: chunks would be long
        wanted = order(50, algorithm=Algorithm.ED25519, size=60_000)
        assert reasons(await asyncio.wait_for(dispatcher.sign(wanted), TIMEOUT)) == [None] * 50
    assert max(sum(map(len, inputs)) for inputs in worker.given) <= MAX_OCTETS
    assert max(map(len, worker.given)) > 8


async def test_each_session_has_a_chunk_and_one_waits(dispatcher, serving) -> None:
    hold = asyncio.Event()
    worker = serving(*[hold] * 100, sessions=3)
    signing = [asyncio.create_task(dispatcher.sign(order(9, caller=str(number)))) for number in range(9)]
    while len(worker.given) < 4:
        worker.arrived.clear()
        await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    await asyncio.sleep(0)
    assert len(worker.given) == 4
    hold.set()
    for one in signing:
        assert reasons(await asyncio.wait_for(one, TIMEOUT)) == [None] * 9


async def test_each_input_has_its_own_deadline_at_the_worker(dispatcher, serving) -> None:
    short, long = order(seconds=1), order(seconds=TIMEOUT)
    signing = [asyncio.create_task(dispatcher.sign(one)) for one in (short, long)]
    await asyncio.sleep(0)
    worker = serving()
    await asyncio.gather(*signing)
    assert worker.deadlines == (short.deadline.at, long.deadline.at)


async def test_nothing_is_handed_out_after_its_deadline(dispatcher, serving) -> None:
    late, good = order(seconds=0.0), order()
    signing = [asyncio.create_task(dispatcher.sign(one)) for one in (late, good)]
    worker = serving()
    assert [reasons(await one) for one in signing] == [[Reason.DEADLINE_PASSED], [None]]
    assert sum(map(len, worker.given)) == 1


async def test_time_that_ran_out_while_no_worker_was_ready_is_told_as_that(dispatcher, tokens) -> None:
    tokens.state = TokenState.RECOVERING
    (fault,) = (await dispatcher.sign(order(seconds=0.01))).outcomes
    assert (fault.reason, fault.retry_after) == (Reason.TOKEN_RECOVERING, 5.0)
    assert "its token is being recovered; try again" in fault.text
    assert fault.facts["token"] == "tokens/payroll"


async def test_a_failed_input_fails_alone(dispatcher, serving) -> None:
    def second_fails(inputs):
        failed = ItemFailed(Reason.ALGORITHM_NOT_SUPPORTED, 0x70, Remedy.ITEM, certain=True)
        return (b"one", failed, b"three")

    serving(second_fails)
    assert reasons(await dispatcher.sign(order(3))) == [None, Reason.ALGORITHM_NOT_SUPPORTED, None]


async def test_a_bad_signature_is_counted_and_never_released(dispatcher, serving, tokens) -> None:
    serving(failing(Reason.SIGNATURE_SELF_CHECK_FAILED, Remedy.ITEM, certain=False))
    assert reasons(await dispatcher.sign(order())) == [Reason.SIGNATURE_SELF_CHECK_FAILED]
    assert tokens.bad == 1


async def test_without_a_worker_the_time_runs_out_and_nothing_is_signed(dispatcher) -> None:
    assert reasons(await dispatcher.sign(order(2, seconds=0.01))) == [Reason.DEADLINE_PASSED] * 2


async def test_a_worker_lost_after_the_deadline_keeps_nobody_waiting(dispatcher, serving) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    late = asyncio.create_task(dispatcher.sign(order(seconds=0.05)))
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    await asyncio.wait({late}, timeout=0.1)
    worker.kill("hangs")
    hold.set()
    assert reasons(await asyncio.wait_for(late, TIMEOUT)) == [Reason.DEADLINE_PASSED]


async def test_a_caller_that_goes_away_leaves_nothing_behind(dispatcher, serving) -> None:
    signing = asyncio.create_task(dispatcher.sign(order(20, caller="gone")))
    await asyncio.sleep(0)
    signing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await signing
    worker = serving()
    assert reasons(await dispatcher.sign(order())) == [None]
    assert sum(len(inputs) for inputs in worker.given) == 1


async def test_a_caller_that_goes_away_does_not_disturb_the_chunk_it_shared(dispatcher, serving) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    leaving = asyncio.create_task(dispatcher.sign(order()))
    staying = asyncio.create_task(dispatcher.sign(order()))
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    leaving.cancel()
    hold.set()
    assert reasons(await staying) == [None]


async def test_the_queue_is_bounded_for_one_caller_and_for_all(dispatcher) -> None:
    waiting = [asyncio.create_task(dispatcher.sign(order(50, caller=caller, seconds=0.2))) for caller in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(Fault) as mine:
        await dispatcher.sign(order(1, caller="a"))
    with pytest.raises(Fault) as all_of_us:
        await dispatcher.sign(order(1, caller="c"))
    assert (mine.value.reason, all_of_us.value.reason) == (Reason.CALLER_QUOTA, Reason.QUEUE_FULL)
    assert mine.value.retry_after
    assert mine.value.facts["caller"] == "a"
    assert all_of_us.value.retry_after
    await asyncio.gather(*waiting)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (TokenState.INACTIVE, Reason.TOKEN_NOT_ACTIVE),
        (TokenState.LOCKED, Reason.TOKEN_LOCKED),
        (TokenState.QUARANTINED, Reason.TOKEN_QUARANTINED),
        (TokenState.ABSENT, Reason.TOKEN_NOT_PRESENT),
        (TokenState.FAILED, Reason.DEVICE_ERROR),
    ],
)
async def test_a_token_that_will_not_sign_soon_is_refused_at_once_also_to_those_who_wait(
    dispatcher, tokens, state, reason
) -> None:
    waiting = asyncio.create_task(dispatcher.sign(order()))
    await asyncio.sleep(0)
    tokens.state = state
    dispatcher.review()
    assert reasons(await waiting) == [reason]
    with pytest.raises(Fault) as refused:
        await dispatcher.sign(order())
    assert refused.value.reason is reason
    assert "payroll" in refused.value.text or "token" in refused.value.text


async def test_work_waits_for_a_token_that_comes_back(dispatcher, tokens, serving) -> None:
    tokens.state = TokenState.RECOVERING
    waiting = asyncio.create_task(dispatcher.sign(order()))
    await asyncio.sleep(0)
    dispatcher.review()
    assert not waiting.done()
    serving()
    assert reasons(await waiting) == [None]


async def test_a_small_order_is_not_kept_waiting_by_a_large_one(dispatcher, serving) -> None:
    hold = asyncio.Event()
    worker = serving(hold, hold)
    large = asyncio.create_task(dispatcher.sign(order(50, caller="bulk")))
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    assert reasons(await asyncio.wait_for(dispatcher.sign(order(caller="official")), TIMEOUT)) == [None]
    hold.set()
    assert reasons(await large) == [None] * 50


async def test_stopping_refuses_new_orders_and_lets_the_others_end(dispatcher, serving) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    taken = asyncio.create_task(dispatcher.sign(order()))
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    dispatcher.begin_stop()
    with pytest.raises(Fault) as refused:
        await dispatcher.sign(order())
    assert refused.value.reason is Reason.DAEMON_STOPPING
    hold.set()
    assert reasons(await taken) == [None]


async def test_a_retiring_worker_finishes_what_it_holds_and_gets_nothing_new(dispatcher, serving) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    taken = asyncio.create_task(dispatcher.sign(order()))
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    worker.leaving.set()
    later = asyncio.create_task(dispatcher.sign(order(2, seconds=0.05)))
    hold.set()
    assert reasons(await taken) == [None]
    assert reasons(await later) == [Reason.DEADLINE_PASSED] * 2
