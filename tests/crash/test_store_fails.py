"""A disk that fails under the real database: nothing is signed without record, and all of it ends when it works again."""

import asyncio
from collections import Counter

import apsw
import pytest
from crash_calls import until
from dispatch_fakes import TIMEOUT, TOKEN, FakeRules, FakeTokens, FakeWorker, order, reasons
from flaky_disk import FlakyDisk
from prometheus_client import CollectorRegistry
from store_fakes import COMMITMENTS, items, spec

from segeld.audit.leaf import Intent, Outcome, decode
from segeld.dispatch import jobboard, ledger
from segeld.dispatch.dispatcher import Dispatcher, Quotas
from segeld.dispatch.metrics import DispatchMetrics
from segeld.jobqueue.sqlite import SqliteStore
from segeld.model.faults import Fault, Reason
from segeld.model.job_state import JobState
from segeld.model.kind import Kind

ERRORS = {apsw.FullError: Reason.STORAGE_FULL, apsw.IOError: Reason.STORAGE_UNAVAILABLE}
MANY = 1_000


@pytest.fixture
def disk(request):
    made = FlakyDisk(request.node.name)
    yield made
    made.heal()
    made.unregister()


@pytest.fixture(autouse=True)
def _it_tries_often(monkeypatch):
    monkeypatch.setattr(ledger, "_FIRST_PAUSE", 0.005)
    monkeypatch.setattr(jobboard, "_PAUSE", 0.005)
    monkeypatch.setattr(ledger, "_BELIEVED", 0.5)


@pytest.fixture
async def bench(tmp_path, disk):
    made = Bench(await SqliteStore.open(tmp_path / "segel.db", COMMITMENTS, vfs=disk.name))
    yield made
    await made.aclose()


class Bench:
    """A dispatcher on a real store, with one worker that counts what it signs."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.signed: Counter[bytes] = Counter()
        self.dispatcher = Dispatcher(
            FakeTokens,
            FakeRules,
            store,
            DispatchMetrics(CollectorRegistry()),
            Quotas(queue=MANY, queue_per_caller=MANY, answers_retention=60),
            log_origin="segel/test",
            recorded=lambda _: None,
        )
        self.worker = FakeWorker(script=[self._sign] * 10_000)
        self.tasks = [
            asyncio.create_task(self.dispatcher.jobs.run()),
            asyncio.create_task(self.dispatcher.serve(TOKEN, self.worker)),
        ]

    def _sign(self, inputs):
        self.signed.update(inputs)
        return tuple(b"signed " + data for data in inputs)

    async def job(self, name: str, count: int):
        one = order()
        kind = Kind(one.key, one.algorithm, one.encoding)
        job, _ = await self.store.create_job(spec(name, kind=kind), items(count), seal=True)
        self.dispatcher.jobs.add(job)
        return job

    async def state(self, job) -> JobState:
        return (await self.store.job("office", job.name)).state

    async def leaves(self) -> list:
        return [decode(leaf) for leaf in await self.store.leaves(0, MANY)]

    async def aclose(self) -> None:
        self.worker.kill("the test is over")
        await self.dispatcher.drained()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.store.aclose()


@pytest.mark.parametrize("error", ERRORS)
async def test_wherever_it_fails_for_a_while_each_item_is_signed_once(memory_path, disk, error):
    """The nth write or sync fails, and all that follow until the trouble was seen."""
    operation, reached = 0, True
    while reached:
        operation += 1
        path = memory_path / f"{operation}.db"
        bench = Bench(await SqliteStore.open(path, COMMITMENTS, vfs=disk.name))
        job = await bench.job("letters", 300)
        disk.fail_at(operation, error, lasting=True)
        asked = asyncio.create_task(bench.dispatcher.sign(order(9, request_id="one")))

        async def seen(bench=bench, job=job) -> bool:
            return bench.dispatcher.trouble is not None or await bench.state(job) is JobState.SUCCEEDED

        await until(seen, pause=0.002)
        reached = bench.dispatcher.trouble is not None
        disk.heal()

        async def ended(bench=bench, job=job, asked=asked) -> bool:
            done = await bench.state(job) is JobState.SUCCEEDED and asked.done()
            return done and bench.dispatcher.trouble is None

        await until(ended, pause=0.002)
        try:
            assert reasons(asked.result()) == [None] * 9
        except Fault as fault:
            assert fault.reason is ERRORS[error]  # noqa: PT017 - it came when nothing could be recorded
        leaves = await bench.leaves()
        assert sum(len(leaf.signatures) // 32 for leaf in leaves if isinstance(leaf, Outcome)) == sum(
            bench.signed.values()
        )
        assert sum(isinstance(leaf, Intent) for leaf in leaves) == sum(
            isinstance(leaf, Outcome) for leaf in leaves
        )
        # Digests of the job and of the request may be the same: each was signed for one item.
        assert max(bench.signed.values()) <= 2
        await bench.aclose()
    assert operation > 5


@pytest.mark.parametrize("error", ERRORS)
async def test_nothing_is_signed_or_taken_while_it_fails(bench, disk, error):
    disk.fail_at(1, error, lasting=True)
    job = None
    with pytest.raises(Fault):
        job = await bench.job("refused", 5)
    asked = asyncio.create_task(bench.dispatcher.sign(order(3)))

    async def seen() -> bool:
        return bench.dispatcher.trouble is not None

    await until(seen)
    with pytest.raises(Fault) as refused:
        await bench.dispatcher.sign(order(caller="b"))
    assert refused.value.reason is ERRORS[error]
    assert refused.value.retry_after
    assert job is None
    assert not bench.signed
    disk.heal()
    assert reasons(await asyncio.wait_for(asked, TIMEOUT)) == [None] * 3


@pytest.mark.parametrize("error", ERRORS)
async def test_it_is_noticed_that_the_disk_works_again_though_nothing_waits(bench, disk, error):
    """The last that waited gave up while the disk failed: the next one must not be refused for ever."""
    disk.fail_at(1, error, lasting=True)
    given_up = await asyncio.gather(bench.dispatcher.sign(order(seconds=0.3)), return_exceptions=True)
    assert given_up
    disk.heal()

    async def works() -> bool:
        try:
            return reasons(await bench.dispatcher.sign(order())) == [None]
        except Fault as fault:
            assert fault.reason is ERRORS[error]  # noqa: PT017 - until it is noticed
            return False

    await until(works)
