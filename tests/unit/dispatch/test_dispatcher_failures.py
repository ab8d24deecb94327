"""Workers that fail, end or answer nonsense: no input is lost, and no order stops the others."""

import asyncio

import pytest
from dispatch_fakes import (
    OTHER,
    TIMEOUT,
    TOKEN,
    FakeWorker,
    ended,
    failing,
    order,
    reasons,
    refusing,
    spent,
)

from segeld.ipc.framing import FrameError
from segeld.ipc.worker_wire import Failed, Remedy
from segeld.model.algorithm import Algorithm
from segeld.model.faults import Fault, Reason
from segeld.supervisor.worker_handle import WorkerFailed, WorkerLost


async def test_a_lost_worker_is_replaced_and_its_chunk_signed_by_the_next(dispatcher, serving) -> None:
    first = serving("crashed")
    signing = asyncio.create_task(dispatcher.sign(order(3)))
    await asyncio.wait_for(first.ended.wait(), TIMEOUT)
    assert not signing.done()
    serving()
    assert reasons(await signing) == [None] * 3


async def test_an_input_that_kills_three_workers_is_given_up(dispatcher, serving) -> None:
    for _ in range(3):
        serving("crashed")
    assert reasons(await dispatcher.sign(order())) == [Reason.WORKER_LOST]


async def test_one_order_ends_two_workers_and_then_is_told_why(dispatcher, serving) -> None:
    first = serving(refusing())
    signing = asyncio.create_task(dispatcher.sign(order()))
    await ended(first)
    second, third = serving(refusing()), serving(refusing())
    (fault,) = (await asyncio.wait_for(signing, TIMEOUT)).outcomes
    assert fault.reason is Reason.DEVICE_ERROR
    assert "twice on exactly this input" in fault.text
    assert "no signature was released" in fault.text
    assert fault.facts == {"token": "tokens/payroll", "ckr": "0x5"}
    assert len(second.given) + len(third.given) == 1


async def test_the_rest_of_an_order_that_ended_two_workers_ends_with_it(dispatcher, serving) -> None:
    first = serving(refusing(certain=False))
    signing = asyncio.create_task(dispatcher.sign(order(5)))
    await ended(first)
    second, third = serving(refusing(certain=False)), serving()
    ended_with = await asyncio.wait_for(signing, TIMEOUT)
    faults = ended_with.outcomes
    assert reasons(ended_with) == [Reason.DEVICE_ERROR] * 5
    assert ["exactly this input" in fault.text for fault in faults] == [True] + [False] * 4
    assert "is not known" in faults[0].text
    assert len(second.given) + len(third.given) == 1


async def test_an_order_is_not_blamed_for_sessions_that_all_failed_at_once(dispatcher, serving) -> None:
    stale = [serving(refusing()) for _ in range(4)]
    signing = [asyncio.create_task(dispatcher.sign(order(caller=caller))) for caller in "abcd"]
    for worker in stale:
        await ended(worker)
    serving()
    for one in signing:
        assert reasons(await asyncio.wait_for(one, TIMEOUT)) == [None]
    assert reasons(await dispatcher.sign(order())) == [None]


async def test_a_suspect_that_signs_the_next_time_goes_on_as_before(dispatcher, serving) -> None:
    first = serving(refusing())
    signing = asyncio.create_task(dispatcher.sign(order(20)))
    await ended(first)
    serving()
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [None] * 20


async def test_a_suspect_is_tried_by_another_worker_once_that_one_was_seen_to_sign(
    dispatcher, serving
) -> None:
    first = serving(refusing())
    suspect = asyncio.create_task(dispatcher.sign(order()))
    await asyncio.wait_for(first.arrived.wait(), TIMEOUT)
    hold = asyncio.Event()
    second = serving(hold)
    await ended(first)
    seen = asyncio.create_task(dispatcher.sign(order(2, caller="b")))
    await asyncio.wait_for(second.arrived.wait(), TIMEOUT)
    hold.set()
    assert reasons(await asyncio.wait_for(suspect, TIMEOUT)) == [None]
    assert reasons(await seen) == [None] * 2


async def test_a_suspect_is_tried_by_another_token_at_once(dispatcher, serving, tokens) -> None:
    tokens.holders = (TOKEN, OTHER)
    first = serving(refusing())
    suspect = asyncio.create_task(dispatcher.sign(order()))
    await asyncio.wait_for(first.arrived.wait(), TIMEOUT)
    serving(token=OTHER)
    assert reasons(await asyncio.wait_for(suspect, TIMEOUT)) == [None]


async def test_what_was_not_begun_is_never_counted(dispatcher, serving) -> None:
    signing = asyncio.create_task(dispatcher.sign(order(3)))
    for _ in range(5):
        await ended(serving(spent))
    serving()
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [None] * 3


async def test_a_token_that_says_each_time_that_it_is_gone_is_not_asked_for_ever(dispatcher, serving) -> None:
    signing = asyncio.create_task(dispatcher.sign(order()))
    for _ in range(3):
        await ended(serving(failing(Reason.TOKEN_NOT_PRESENT, Remedy.ABSENT, certain=True)))
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [Reason.WORKER_LOST]


async def test_who_orders_what_fails_again_and_again_stops_nobody_else(dispatcher, serving) -> None:
    pss, workers = Algorithm.RSA_PSS_SHA256, []

    async def poison() -> Fault:
        signing = asyncio.create_task(dispatcher.sign(order(algorithm=pss)))
        while not signing.done():
            workers.append(serving(refusing()))
            serve = workers[-1].serving
            await asyncio.wait({signing, serve}, return_when=asyncio.FIRST_COMPLETED, timeout=TIMEOUT)
        return signing

    assert reasons((await poison()).result()) == [Reason.DEVICE_ERROR]
    assert sum(len(worker.given) for worker in workers) == 2
    for _ in range(3):
        with pytest.raises(Fault) as refused:
            await dispatcher.sign(order(algorithm=pss))
        assert refused.value.reason is Reason.DEVICE_ERROR
        assert "RSA_PSS_SHA256" in refused.value.text
        assert refused.value.retry_after > 500
    workers[-1].script.clear()
    serving()
    assert reasons(await dispatcher.sign(order())) == [None]


async def test_what_one_token_fails_at_goes_to_the_other(dispatcher, serving, tokens) -> None:
    tokens.holders = (TOKEN, OTHER)
    for _ in range(2):
        waiting = asyncio.create_task(dispatcher.sign(order()))
        await ended(serving(refusing()))
        assert reasons(await asyncio.wait_for(_with(serving(token=OTHER), waiting), TIMEOUT)) == [None]
    sick, healthy = serving(refusing()), serving(token=OTHER)
    for _ in range(3):
        assert reasons(await dispatcher.sign(order())) == [None]
    assert sick.given == []
    assert len(healthy.given) >= 1


async def _with(worker: FakeWorker, waiting):
    """The result, and then that worker's end."""
    outcome = await waiting
    worker.kill("it was here for one order")
    await ended(worker)
    return outcome


@pytest.mark.parametrize("times", [1, 5])
async def test_what_was_never_sent_is_not_counted(dispatcher, serving, times) -> None:
    signing = asyncio.create_task(dispatcher.sign(order()))
    for _ in range(times):
        await ended(serving(WorkerLost("ended before", sent=False)))
    serving()
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [None]


@pytest.mark.parametrize(
    "step",
    [
        FrameError("too long"),
        RuntimeError("a mistake"),
        WorkerFailed(Failed(1, Reason.INTERNAL, 5, Remedy.ITEM, "no")),
        lambda inputs: (b"one",) * (len(inputs) + 1),
        lambda inputs: (),
    ],
    ids=["frame", "mistake", "failed", "too many", "too few"],
)
async def test_whatever_a_chunk_ends_with_its_inputs_are_not_lost(dispatcher, serving, logged, step) -> None:
    first = serving(step)
    signing = asyncio.create_task(dispatcher.sign(order(3)))
    await ended(first)
    assert first.killed
    assert [event["event"] for event in logged if event["event"].startswith("chunk ")]
    serving()
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [None] * 3


async def test_a_mistake_that_each_worker_makes_is_given_up(dispatcher, serving, logged) -> None:
    for _ in range(3):
        serving(FrameError("too long"))
    assert reasons(await asyncio.wait_for(dispatcher.sign(order()), TIMEOUT)) == [Reason.WORKER_LOST]


async def test_a_serving_that_is_cancelled_puts_back_what_it_held(dispatcher, serving) -> None:
    first = serving(asyncio.Event())
    signing = asyncio.create_task(dispatcher.sign(order(3)))
    await asyncio.wait_for(first.arrived.wait(), TIMEOUT)
    first.serving.cancel()
    await asyncio.wait({first.serving}, timeout=TIMEOUT)
    assert first.killed
    serving()
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [None] * 3


async def test_a_bad_signature_that_cannot_be_noted_loses_no_input(
    dispatcher, serving, logged, tokens
) -> None:
    def note(token):
        raise RuntimeError("a mistake")

    tokens.note_bad_signature = note
    first = serving(failing(Reason.SIGNATURE_SELF_CHECK_FAILED, Remedy.ITEM, certain=False))
    signing = asyncio.create_task(dispatcher.sign(order(3)))
    await ended(first)
    serving()
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [None] * 3
