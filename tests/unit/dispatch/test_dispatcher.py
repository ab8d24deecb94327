"""Orders end exactly once, whatever happens to workers, callers and time."""

import asyncio
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from segeld.dispatch.dispatcher import Dispatcher
from segeld.dispatch.metrics import DispatchMetrics
from segeld.ipc.worker_wire import ItemFailed, Remedy, Signed
from segeld.model.algorithm import Algorithm, EcdsaEncoding, KeyKind
from segeld.model.deadline import Deadline
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Order
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState
from segeld.supervisor.worker_handle import WorkerLost

KEY = KeyName(bytes(32))
TOKEN = TokenName("payroll")
TIMEOUT = 5


@dataclass
class FakeTokens:
    state: TokenState = TokenState.ACTIVE
    bad: int = 0

    def key(self, name):
        if name != KEY:
            return None
        return KeyRecord(KEY, KeyKind.RSA_2048, b"", (), ((TOKEN, self.state),), None, "")

    def names_on(self, token):
        return frozenset({KEY})

    def patience_of(self, token):
        return 1.0

    def note_bad_signature(self, token):
        self.bad += 1


@dataclass
class FakeWorker:
    """Answers chunks when it is told to; remembers what it was given."""

    pid: int = 1
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    given: list[tuple[bytes, ...]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    script: list = field(default_factory=list)
    killed: str = ""

    async def sign(self, key, algorithm, encoding, *, urgent, deadline, inputs, patience):
        if self.ended.is_set():
            raise WorkerLost("ended before")
        self.given.append(inputs)
        self.arrived.set()
        step = self.script.pop(0) if self.script else None
        if isinstance(step, asyncio.Event):
            await step.wait()
        if isinstance(step, str):
            self.kill(step)
        if self.ended.is_set():
            raise WorkerLost("killed")
        outcomes = step(inputs) if callable(step) else tuple(b"signed " + data for data in inputs)
        return Signed(1, outcomes, 1000)

    def kill(self, why):
        self.killed = why
        self.ended.set()
        self.leaving.set()


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture
def dispatcher(tokens) -> Dispatcher:
    return Dispatcher(lambda: tokens, DispatchMetrics(CollectorRegistry()), queue=100, queue_per_caller=50)


@pytest.fixture
async def serving(dispatcher):
    """Starts workers; ends their serving afterwards."""
    tasks: list[tuple[FakeWorker, asyncio.Task[None]]] = []

    def start(*script) -> FakeWorker:
        worker = FakeWorker(script=list(script))
        tasks.append((worker, asyncio.create_task(dispatcher.serve(TOKEN, worker))))
        return worker

    yield start
    for worker, task in tasks:
        worker.kill("the test is over")
        await asyncio.wait_for(task, TIMEOUT)


def order(count: int = 1, *, caller: str = "a", seconds: float = TIMEOUT) -> Order:
    inputs = tuple(number.to_bytes(32, "big") for number in range(count))
    return Order(
        caller, KEY, Algorithm.RSA_PKCS1_SHA256, EcdsaEncoding.DER, inputs, Deadline.after(seconds), "r"
    )


def reasons(outcomes) -> list[Reason | None]:
    return [outcome.reason if isinstance(outcome, Fault) else None for outcome in outcomes]


def failing(reason: Reason, remedy: Remedy, *, certain: bool):
    return lambda inputs: tuple(ItemFailed(reason, 5, remedy, certain) for _ in inputs)


@pytest.mark.parametrize("count", [1, 8, 9, 50])
async def test_each_input_gets_its_own_signature_in_order(dispatcher, serving, count) -> None:
    serving()
    one = order(count)
    assert await dispatcher.sign(one) == tuple(b"signed " + data for data in one.inputs)


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


async def test_what_surely_was_not_signed_may_be_tried_without_end(dispatcher, serving) -> None:
    workers = [serving(failing(Reason.DEVICE_ERROR, Remedy.REPLACE, certain=True)) for _ in range(5)]
    serving()
    assert reasons(await dispatcher.sign(order())) == [None]
    assert all(worker.killed or not worker.given for worker in workers)


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
    await asyncio.wait_for(dispatcher.drained(), TIMEOUT)
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
