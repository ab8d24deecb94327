"""Orders end exactly once, whatever happens to workers, callers and time."""

import asyncio
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from segeld.dispatch.dispatcher import Dispatcher
from segeld.dispatch.lanes import MAX_OCTETS
from segeld.dispatch.metrics import DispatchMetrics
from segeld.ipc.framing import FrameError
from segeld.ipc.worker_wire import Failed, ItemFailed, Remedy, Signed
from segeld.model.algorithm import Algorithm, EcdsaEncoding, KeyKind
from segeld.model.deadline import Deadline
from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord, Order
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState
from segeld.supervisor.worker_handle import WorkerFailed, WorkerLost

KEY = KeyName(bytes(32))
TOKEN = TokenName("payroll")
OTHER = TokenName("letters")
TIMEOUT = 5


@dataclass
class FakeTokens:
    state: TokenState = TokenState.ACTIVE
    bad: int = 0
    holders: tuple[TokenName, ...] = (TOKEN,)

    def key(self, name):
        if name != KEY:
            return None
        holders = tuple((token, self.state) for token in self.holders)
        return KeyRecord(KEY, KeyKind.RSA_2048, b"", (), holders, None, "")

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
    sessions: int = 1
    killed: str = ""

    async def sign(self, key, algorithm, encoding, *, urgent, deadlines, inputs, patience):
        if self.ended.is_set():
            raise WorkerLost("ended before", sent=False)
        self.given.append(inputs)
        self.deadlines = deadlines
        self.arrived.set()
        step = self.script.pop(0) if self.script else None
        if isinstance(step, asyncio.Event):
            await step.wait()
        if isinstance(step, str):
            self.kill(step)
        if isinstance(step, Exception):
            raise step
        if self.ended.is_set():
            raise WorkerLost("killed")
        outcomes = step(inputs) if callable(step) else tuple(b"signed " + data for data in inputs)
        return Signed(1, outcomes, 1000)

    @property
    def why(self):
        return self.killed

    def kill(self, why):
        self.killed = self.killed or why
        self.ended.set()
        self.leaving.set()


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture
def dispatcher(tokens) -> Dispatcher:
    return Dispatcher(lambda: tokens, DispatchMetrics(CollectorRegistry()), queue=100, queue_per_caller=50)


@pytest.fixture
def logged():
    """Log events as data: a traceback is not written out, which would read files."""
    with capture_logs() as events:
        yield events


@pytest.fixture
async def serving(dispatcher):
    """Starts workers; ends their serving afterwards."""
    tasks: list[tuple[FakeWorker, asyncio.Task[None]]] = []

    def start(*script, token: TokenName = TOKEN, sessions: int = 1) -> FakeWorker:
        worker = FakeWorker(script=list(script), sessions=sessions)
        tasks.append((worker, asyncio.create_task(dispatcher.serve(token, worker))))
        worker.serving = tasks[-1][1]
        return worker

    yield start
    for worker, task in tasks:
        worker.kill("the test is over")
        await asyncio.wait({task}, timeout=TIMEOUT)
        assert task.done()


def order(
    count: int = 1,
    *,
    caller: str = "a",
    seconds: float = TIMEOUT,
    algorithm: Algorithm = Algorithm.RSA_PKCS1_SHA256,
    size: int = 32,
) -> Order:
    inputs = tuple(number.to_bytes(size, "big") for number in range(count))
    return Order(caller, KEY, algorithm, EcdsaEncoding.DER, inputs, Deadline.after(seconds), "r")


def reasons(outcomes) -> list[Reason | None]:
    return [outcome.reason if isinstance(outcome, Fault) else None for outcome in outcomes]


def failing(reason: Reason, remedy: Remedy, *, certain: bool):
    """The first input fails so; if that ends the worker, the others are not begun."""

    def fail(inputs):
        first = ItemFailed(reason, 5, remedy, certain)
        rest = first if remedy is Remedy.ITEM else ItemFailed(reason, 5, remedy, True, begun=False)
        return (first, *(rest for _ in inputs[1:]))

    return fail


def refusing(*, certain: bool = True):
    return failing(Reason.DEVICE_ERROR, Remedy.REPLACE, certain=certain)


def spent(inputs):
    """All that a worker answers after its end was decided elsewhere."""
    return tuple(ItemFailed(Reason.DEVICE_ERROR, 5, Remedy.REPLACE, True, begun=False) for _ in inputs)


async def ended(worker: FakeWorker) -> None:
    await asyncio.wait_for(asyncio.shield(worker.serving), TIMEOUT)


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


async def test_one_order_ends_two_workers_and_then_is_told_why(dispatcher, serving) -> None:
    first = serving(refusing())
    signing = asyncio.create_task(dispatcher.sign(order()))
    await ended(first)
    second, third = serving(refusing()), serving(refusing())
    (fault,) = await asyncio.wait_for(signing, TIMEOUT)
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
    faults = await asyncio.wait_for(signing, TIMEOUT)
    assert reasons(faults) == [Reason.DEVICE_ERROR] * 5
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
    wanted = [Reason.SIGNATURE_SELF_CHECK_FAILED, None, None]
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == wanted


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
    (fault,) = await dispatcher.sign(order(seconds=0.01))
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
