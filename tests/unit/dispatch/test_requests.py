"""A request with an id is signed once: its repetitions join it, or are answered with what was signed before."""

# ruff: noqa: ASYNC110 - each turn of the loop is what is waited for

import asyncio

import pytest
from dispatch_fakes import TIMEOUT, order, reasons, values

from segeld.dispatch.ticket import content_of
from segeld.model.faults import Fault, Reason


def signed_inputs(queue) -> int:
    return sum(len(entry) for kind, entry in queue.log if kind == "claim")


async def test_a_repetition_gets_the_same_signatures_and_nothing_is_signed(
    dispatcher, serving, queue
) -> None:
    worker = serving()
    first = await dispatcher.sign(order(3, request_id="r1"))
    second = await dispatcher.sign(order(3, request_id="r1"))
    assert second == first
    assert values(second)
    assert sum(map(len, worker.given)) == 3
    assert signed_inputs(queue) == 3


async def test_another_callers_request_of_the_same_id_is_another(dispatcher, serving) -> None:
    worker = serving()
    await dispatcher.sign(order(request_id="r1", caller="a"))
    await dispatcher.sign(order(request_id="r1", caller="b"))
    assert sum(map(len, worker.given)) == 2


async def test_requests_without_id_are_signed_each_time(dispatcher, serving) -> None:
    worker = serving()
    for _ in range(2):
        await dispatcher.sign(order())
    assert sum(map(len, worker.given)) == 2


@pytest.mark.parametrize("while_it_is_served", [True, False])
async def test_the_same_id_for_other_inputs_is_refused(dispatcher, serving, while_it_is_served) -> None:
    first = asyncio.create_task(dispatcher.sign(order(1, request_id="r1")))
    await asyncio.sleep(0)
    if not while_it_is_served:
        serving()
        await first
    if while_it_is_served:
        with pytest.raises(Fault) as refused:
            await dispatcher.sign(order(2, request_id="r1"))
        assert refused.value.reason is Reason.IDEMPOTENCY_MISMATCH
        serving()
    else:
        answer = await dispatcher.sign(order(2, request_id="r1"))
        assert reasons(answer) == [Reason.IDEMPOTENCY_MISMATCH] * 2
    assert reasons(await first) == [None]


async def test_repetitions_that_come_together_share_one_signature(dispatcher, serving) -> None:
    signing = [asyncio.create_task(dispatcher.sign(order(2, request_id="r1"))) for _ in range(5)]
    await asyncio.sleep(0)
    worker = serving()
    answers = await asyncio.gather(*signing)
    assert len(set(answers)) == 1
    assert sum(map(len, worker.given)) == 2


async def test_the_first_may_leave_and_those_who_joined_are_answered(dispatcher, serving) -> None:
    first, second = (asyncio.create_task(dispatcher.sign(order(request_id="r1"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    serving()
    assert reasons(await asyncio.wait_for(second, TIMEOUT)) == [None]


async def test_a_request_whose_inputs_failed_is_tried_again(dispatcher, serving) -> None:
    def fails(inputs):
        from dispatch_fakes import failing

        from segeld.ipc.worker_wire import Remedy

        return failing(Reason.DEVICE_ERROR, Remedy.ITEM, certain=True)(inputs)

    serving(fails)
    assert reasons(await dispatcher.sign(order(request_id="r1"))) == [Reason.DEVICE_ERROR]
    assert reasons(await dispatcher.sign(order(request_id="r1"))) == [None]


async def test_only_what_has_no_signature_yet_is_signed_again(dispatcher, serving, queue) -> None:
    """As after a crash between two chunks of one request."""
    one = order(4, request_id="r1")
    worker = serving()
    before = await dispatcher.sign(one)
    kept = queue.requests["a", "r1"]["signed"]
    del kept[1], kept[3]
    again = await dispatcher.sign(order(4, request_id="r1"))
    assert reasons(again) == [None] * 4
    assert [again.outcomes[n] == before.outcomes[n] for n in range(4)] == [True, False, True, False]
    assert sum(map(len, worker.given)) == 6


async def test_attempts_of_an_earlier_run_count(dispatcher, serving, queue) -> None:
    serving()
    await dispatcher.sign(order(2, request_id="r1"))
    kept = queue.requests["a", "r1"]
    kept["signed"].clear()
    kept["lost"] = [0, 0, 0, 1]
    assert reasons(await dispatcher.sign(order(2, request_id="r1"))) == [Reason.WORKER_LOST, None]


async def test_nothing_is_released_before_its_outcome_is_durable(dispatcher, serving, queue) -> None:
    queue.hold = asyncio.Event()
    worker = serving()
    signing = asyncio.create_task(dispatcher.sign(order()))
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not signing.done()
    assert [kind for kind, _ in queue.log] == ["claim"]
    queue.hold.set()
    assert reasons(await signing) == [None]
    assert [kind for kind, _ in queue.log] == ["claim", "settle"]


async def test_nothing_is_signed_that_is_not_claimed(dispatcher, serving, queue) -> None:
    queue.full = True
    worker = serving()
    (outcome,) = (await dispatcher.sign(order(seconds=0.3))).outcomes
    assert outcome.reason is Reason.STORAGE_FULL
    assert worker.given == []
    with pytest.raises(Fault) as refused:
        await dispatcher.sign(order())
    assert refused.value.reason is Reason.STORAGE_FULL
    assert refused.value.retry_after


async def test_what_was_signed_while_the_disk_was_full_is_recorded_when_there_is_room(
    dispatcher, serving, queue
) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    signing = asyncio.create_task(dispatcher.sign(order()))
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    queue.full = True
    hold.set()
    while dispatcher.trouble is None:
        await asyncio.sleep(0)
    assert not signing.done()
    queue.full = False
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [None]
    assert dispatcher.trouble is None
    assert sum(map(len, worker.given)) == 1


async def test_a_repetition_joins_even_if_the_first_was_given_up_while_a_worker_held_it(
    dispatcher, serving
) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    first = asyncio.create_task(dispatcher.sign(order(2, request_id="r1")))
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(dispatcher.sign(order(2, request_id="r1")))
    await asyncio.sleep(0)
    hold.set()
    assert reasons(await asyncio.wait_for(second, TIMEOUT)) == [None] * 2
    assert sum(map(len, worker.given)) == 2


async def test_what_comes_back_unsigned_after_everybody_left_waits_for_who_comes_again(
    dispatcher, serving
) -> None:
    hold = asyncio.Event()
    worker = serving(hold)
    first = asyncio.create_task(dispatcher.sign(order(2, request_id="r1")))
    await asyncio.wait_for(worker.arrived.wait(), TIMEOUT)
    first.cancel()
    second = asyncio.create_task(dispatcher.sign(order(2, request_id="r1")))
    await asyncio.sleep(0)
    second.cancel()
    worker.kill("crashed")
    await asyncio.wait_for(asyncio.shield(worker.serving), TIMEOUT)
    await dispatcher.drained()
    assert not dispatcher._requests._tickets
    fresh = serving()
    assert reasons(await asyncio.wait_for(dispatcher.sign(order(2, request_id="r1")), TIMEOUT)) == [None] * 2
    assert sum(map(len, fresh.given)) == 2


async def test_who_joins_brings_its_own_time(dispatcher, serving) -> None:
    first = asyncio.create_task(dispatcher.sign(order(request_id="r1", seconds=0.05)))
    await asyncio.sleep(0)
    second = asyncio.create_task(dispatcher.sign(order(request_id="r1")))
    await asyncio.wait({first}, timeout=1)
    with pytest.raises(Fault) as late:
        await first
    assert late.value.reason is Reason.DEADLINE_PASSED
    serving()
    assert reasons(await asyncio.wait_for(second, TIMEOUT)) == [None]


async def test_lost_attempts_of_an_earlier_run_are_counted_once(dispatcher, serving, queue) -> None:
    """However many chunks ask for the same request at the same time."""
    queue.requests["a", "r1"] = {
        "content": content_of(order(40, request_id="r1")),
        "signed": {},
        "lost": list(range(40)),
    }
    serving(sessions=4)
    assert reasons(await dispatcher.sign(order(40, request_id="r1"))) == [None] * 40
