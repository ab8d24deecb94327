"""Jobs as callers deal with them: quotas, watching, results as they come, and what is told when they go."""

import asyncio
import time
from dataclasses import replace

import pytest
from dispatch_fakes import KEY, TIMEOUT
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from segeld.audit.leaf import Commitments
from segeld.dispatch.diskroom import DiskRoom
from segeld.dispatch.jobchange import JobChange
from segeld.dispatch.jobdesk import JobDesk
from segeld.dispatch.metrics import JobMetrics
from segeld.dispatch.upkeep import Upkeep
from segeld.jobqueue.sqlite import FILE, SqliteStore
from segeld.jobqueue.store_faults import StoreFull
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Fault, Reason
from segeld.model.job import Failure, Items, JobSpec
from segeld.model.job_state import JobState
from segeld.model.kind import Kind
from segeld.model.priority import Priority


def spec(request_id: str, *, caller: str = "a", seconds: float = 1000, retention: float = 60) -> JobSpec:
    kind = Kind(KEY, Algorithm.RSA_PKCS1_SHA256, EcdsaEncoding.DER)
    return JobSpec(caller, request_id, kind, Priority.NORMAL, (), time.time() + seconds, retention)


def items(count: int) -> Items:
    return Items(tuple(number.to_bytes(32, "big") for number in range(count)))


@pytest.fixture
async def store(tmp_path):
    store = await SqliteStore.open(tmp_path / FILE, Commitments(bytes(32)))
    yield store
    await store.aclose()


@pytest.fixture
def build(store, dispatcher, tmp_path):
    """A desk over a real database; the dispatcher's board is there, and signs nothing."""

    def build(**limits) -> JobDesk:
        wanted = {"jobs_per_caller": 3, "items_per_caller": 100, "items_per_job": 50, **limits}
        room = DiskRoom(tmp_path, nothing, margin=0)
        change = JobChange(dispatcher.jobs, dispatcher.news)
        return JobDesk(store, change, dispatcher.news, room, log_origin="segel/test", **wanted)

    return build


async def nothing() -> int:
    return 0


async def everything() -> int:
    return 1 << 60


async def refusal(work) -> Fault:
    with pytest.raises(Fault) as refused:
        await work
    return refused.value


async def test_a_caller_has_so_many_jobs_and_a_repetition_needs_no_room(build) -> None:
    desk = build()
    jobs = [await desk.create(spec(f"r{number}"), items(1), seal=False) for number in range(3)]
    fault = await refusal(desk.create(spec("r3"), items(1), seal=False))
    assert (fault.reason, fault.facts["maximum"]) == (Reason.CALLER_QUOTA, "3")
    assert fault.retry_after
    assert (await desk.create(spec("r0"), items(1), seal=False)).name == jobs[0].name
    await desk.create(spec("r3", caller="b"), items(1), seal=False)
    await desk.cancel("a", jobs[0].name)
    await desk.create(spec("r3"), items(1), seal=False)


async def test_a_caller_has_so_many_items_and_a_repetition_needs_no_room(build) -> None:
    desk = build()
    one = await desk.create(spec("r0"), items(50), seal=False)
    two = await desk.create(spec("r1"), items(40), seal=False)
    fault = await refusal(desk.append("a", two.name, 40, items(11)))
    assert (fault.reason, fault.facts["maximum"]) == (Reason.CALLER_QUOTA, "100")
    assert (await desk.append("a", two.name, 0, items(40))).count == 40
    assert (await desk.append("a", one.name, 0, items(50))).count == 50
    assert (await desk.append("a", two.name, 40, items(10))).count == 50


async def test_calls_at_the_same_moment_get_no_more(build, store) -> None:
    desk = build()
    calls = (desk.create(spec(f"r{number}"), items(30), seal=False) for number in range(60))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    made = [one for one in answers if not isinstance(one, Fault)]
    assert len(made) == 3
    assert await store.usage("a") == (3, 90)
    calls = (desk.append("a", job.name, 30, items(10)) for job in made)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, Fault) for one in answers].count(False) == 1
    assert await store.usage("a") == (3, 100)


@pytest.mark.parametrize("way", ["create", "append"])
async def test_a_job_has_so_many_items(build, way) -> None:
    desk = build()
    if way == "create":
        fault = await refusal(desk.create(spec("r"), items(51), seal=False))
    else:
        job = await desk.create(spec("r"), items(50), seal=False)
        fault = await refusal(desk.append("a", job.name, 50, items(1)))
    assert fault.reason is Reason.JOB_TOO_LARGE


async def test_new_items_are_refused_when_the_disk_has_no_room_for_their_signatures(
    store, dispatcher, tmp_path
) -> None:
    room = DiskRoom(tmp_path, nothing, margin=1 << 62)
    desk = JobDesk(
        store,
        JobChange(dispatcher.jobs, dispatcher.news),
        dispatcher.news,
        room,
        log_origin="",
        jobs_per_caller=1,
        items_per_caller=1,
        items_per_job=1,
    )
    with pytest.raises(StoreFull):
        await desk.create(spec("r"), items(1), seal=False)
    with pytest.raises(StoreFull):
        await DiskRoom(tmp_path, everything, margin=0).require(1)


async def test_a_sealed_job_is_known_to_the_dispatcher_and_a_cancelled_one_is_not(build, dispatcher) -> None:
    desk = build()
    job = await desk.create(spec("r"), items(5), seal=False)
    assert len(dispatcher.jobs) == 0
    await desk.seal("a", job.name, 5, approval=False)
    assert len(dispatcher.jobs) == 1
    await desk.cancel("a", job.name)
    assert len(dispatcher.jobs) == 0


async def test_a_watcher_sees_where_a_job_is_and_how_it_ends(build) -> None:
    desk = build()
    job = await desk.create(spec("r"), items(5), seal=True)
    seen = []

    async def watch():
        seen.extend([each.state async for each in desk.watch("a", job.name)])

    watching = asyncio.create_task(watch())
    while not desk._news._watchers:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await desk.cancel("a", job.name)
    await asyncio.wait_for(watching, TIMEOUT)
    assert seen[-1] is JobState.CANCELLED
    assert seen[0] in (JobState.QUEUED, JobState.CANCELLED)


async def test_who_does_not_wait_gets_what_there_is_and_who_waits_gets_the_rest(build) -> None:
    desk = build()
    job = await desk.create(spec("r"), items(5), seal=True)
    assert [each async for each in desk.results("a", job.name, 0, wait=False)] == []
    found = []

    async def read():
        found.extend([each async for each in desk.results("a", job.name, 2, wait=True)])

    reading = asyncio.create_task(read())
    while not desk._news._watchers:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await desk.cancel("a", job.name)
    await asyncio.wait_for(reading, TIMEOUT)
    ((first, outcomes),) = [(each.first, each.outcomes) for each in found]
    assert first == 2
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Failure)] == [Reason.CANCELLED] * 3


async def test_whoever_goes_on_from_an_offset_has_read_what_comes_before(build, store) -> None:
    desk = build()
    job = await desk.create(spec("r"), items(5), seal=True)
    await desk.cancel("a", job.name)
    async for _ in desk.results("a", job.name, 3, wait=False):
        pass
    assert (await store.job("a", job.name)).read == 3
    async for _ in desk.results("a", job.name, 0, wait=False):
        pass
    assert (await store.job("a", job.name)).read == 3


class Rounds:
    """A store of which only `tidy` is asked."""

    def __init__(self, done) -> None:
        self.done = done

    async def tidy(self, at):
        return self.done


async def test_results_that_nobody_read_go_with_a_warning_before_and_after(build, dispatcher, store) -> None:
    from segeld.jobqueue.store import Upkeep as Done

    desk = build()
    job = replace(await desk.create(spec("r"), items(5), seal=True), signed=4, failed=1, read=2, expires=1e12)
    registry = CollectorRegistry()
    metrics = JobMetrics(registry)
    with capture_logs() as logged:
        upkeep = Upkeep(Rounds(Done((), (), (job,))), dispatcher.jobs, dispatcher.news, metrics)
        await upkeep._round()
        await upkeep._round()
        assert [event["event"] for event in logged] == ["results that nobody read will be removed soon"]
        assert registry.get_sample_value("segel_jobs_unread_expiring") == 1
        upkeep._store.done = Done((), (job, replace(job, id=99, read=5)), ())
        await upkeep._round()
    assert [event["event"] for event in logged][1:] == ["results removed that nobody read"]
    assert logged[-1]["unread"] == 3
    assert registry.get_sample_value("segel_results_removed_unread_total") == 3
    assert registry.get_sample_value("segel_jobs_unread_expiring") == 0


async def test_a_job_whose_deadline_passed_ends_and_its_watchers_are_told(build, store, dispatcher) -> None:
    desk = build()
    job = await desk.create(spec("r", seconds=0.05), items(5), seal=True)
    assert len(dispatcher.jobs) == 1
    upkeep = Upkeep(store, dispatcher.jobs, dispatcher.news, JobMetrics(CollectorRegistry()))
    with dispatcher.news.watching(job.id) as watcher:
        while not watcher._ended.is_set():
            await upkeep._round()
            await asyncio.sleep(0.01)
        assert (await watcher.next()).state is JobState.EXPIRED
    assert len(dispatcher.jobs) == 0
