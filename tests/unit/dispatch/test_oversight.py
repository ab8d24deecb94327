"""Jobs of every caller over a real database: decided, paused, and cancelled when their caller was revoked for good."""

import asyncio
import time
from contextlib import suppress

import pytest
from dispatch_fakes import KEY, TIMEOUT

from segeld.audit.leaf import Commitments
from segeld.dispatch.diskroom import DiskRoom
from segeld.dispatch.jobchange import JobChange
from segeld.dispatch.jobdesk import JobDesk
from segeld.dispatch.oversight import REMEMBERED, Oversight
from segeld.dispatch.withdrawal import Withdrawal
from segeld.jobqueue.sqlite import FILE, SqliteStore
from segeld.jobqueue.store_faults import StoreBroken
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.faults import Fault, Reason
from segeld.model.job import Items, JobFilter, JobSpec
from segeld.model.job_state import JobState
from segeld.model.kind import Kind
from segeld.model.person import Person
from segeld.model.priority import Priority
from segeld.model.token_state import TokenState


def spec(request_id: str, caller: str = "a", *, approval: bool = False, by: Person | None = None) -> JobSpec:
    kind = Kind(KEY, Algorithm.RSA_PKCS1_SHA256, EcdsaEncoding.DER)
    return JobSpec(caller, request_id, kind, Priority.NORMAL, (), time.time() + 1000, 60, approval, by)


def person(name: str) -> Person:
    return Person(name, f"email:{name}", name.encode().ljust(32))


ITEMS = Items(tuple(number.to_bytes(32, "big") for number in range(3)))


@pytest.fixture
async def store(tmp_path):
    store = await SqliteStore.open(tmp_path / FILE, Commitments(bytes(32)))
    yield store
    await store.aclose()


@pytest.fixture
def told() -> list:
    return []


@pytest.fixture
def change(dispatcher, told) -> JobChange:
    return JobChange(dispatcher.jobs, dispatcher.news, told.append)


@pytest.fixture
def oversight(store, change, dispatcher) -> Oversight:
    return Oversight(store, change, dispatcher.news)


@pytest.fixture
def desk(store, change, dispatcher, tmp_path) -> JobDesk:
    async def none() -> int:
        return 0

    return JobDesk(
        store,
        change,
        dispatcher.news,
        DiskRoom(tmp_path, none, margin=0),
        log_origin="segel/test",
        jobs_per_caller=100,
        items_per_caller=10_000,
        items_per_job=100,
    )


def revoked(caller, kind) -> str:
    return "its caller was revoked"


def may(caller, key) -> bool:
    return caller == "a"


async def refusal(call) -> Fault:
    with pytest.raises(Fault) as caught:
        await call
    return caught.value


async def test_who_approves_is_told_once_of_each_job_that_waits(desk, told) -> None:
    held = await desk.create(spec("held", approval=True), ITEMS, seal=True)
    await desk.create(spec("queued"), ITEMS, seal=True)
    later = await desk.create(spec("later"), ITEMS, seal=False)
    await desk.seal("a", later.name, 3, approval=True)
    assert [job.name for job in told] == [held.name, later.name]


async def test_an_approved_job_is_known_to_the_dispatcher_and_a_rejected_one_is_not(
    desk, oversight, dispatcher
) -> None:
    yes, no = [await desk.create(spec(each, approval=True), ITEMS, seal=True) for each in ("yes", "no")]
    assert len(dispatcher.jobs) == 0
    await oversight.decide(yes.name, person("head"), may, yes.items_hash, "")
    await oversight.decide(no.name, person("head"), may, None, "why")
    assert len(dispatcher.jobs) == 1


async def test_nobody_approves_what_is_anothers_to_approve_or_his_own(desk, oversight) -> None:
    foreign = await desk.create(spec("f", "b", approval=True), ITEMS, seal=True)
    own = await desk.create(spec("o", "a", approval=True), ITEMS, seal=True)
    fault = await refusal(oversight.decide(foreign.name, person("head"), may, foreign.items_hash, ""))
    assert fault.reason is Reason.JOB_NOT_FOUND
    fault = await refusal(oversight.decide(own.name, person("a"), may, own.items_hash, ""))
    assert fault.reason is Reason.SECOND_PERSON_REQUIRED


@pytest.mark.parametrize(
    "who",
    [
        Person("head", "dns:office", b"another".ljust(32)),
        Person("head", "email:head", b"office".ljust(32)),
    ],
    ids=["the same SAN", "the same certificate"],
)
@pytest.mark.parametrize("yes", [True, False])
async def test_a_san_or_certificate_that_became_an_approvers_decides_on_nothing_of_its_own(
    desk, oversight, store, who, yes
) -> None:
    by = Person("a", "dns:office", b"office".ljust(32))
    job = await desk.create(spec("r", approval=True, by=by), ITEMS, seal=True)
    fault = await refusal(oversight.decide(job.name, who, may, job.items_hash if yes else None, "no"))
    assert fault.reason is Reason.SECOND_PERSON_REQUIRED
    assert "with the same certificate or SAN" in fault.text
    assert (await store.any_job(job.name)).state is JobState.HELD
    await oversight.decide(job.name, person("head"), may, job.items_hash, "")


async def test_a_job_from_before_is_told_by_its_callers_name(desk, oversight) -> None:
    job = await desk.create(spec("r", approval=True), ITEMS, seal=True)
    assert (await refusal(oversight.decide(job.name, person("a"), may, None, "no"))).reason is (
        Reason.SECOND_PERSON_REQUIRED
    )
    await oversight.decide(job.name, Person("head", "dns:office"), may, job.items_hash, "")


async def test_what_was_decided_is_seen_for_ninety_days(desk, oversight, store, monkeypatch) -> None:
    job = await desk.create(spec("r", approval=True), ITEMS, seal=True)
    await oversight.decide(job.name, person("head"), may, job.items_hash, "")
    assert (await oversight.job_for("head", may, job.name)).state is JobState.QUEUED
    assert (await refusal(oversight.job_for("deputy", may, job.name))).reason is Reason.JOB_NOT_FOUND
    at = time.time()
    monkeypatch.setattr("segeld.dispatch.oversight.time.time", lambda: at + REMEMBERED + 1)
    assert (await refusal(oversight.job_for("head", may, job.name))).reason is Reason.JOB_NOT_FOUND
    assert await oversight.jobs_for("head", may, JobFilter(), before=None, limit=9) == ()


async def test_a_watch_ends_when_somebody_else_decides(desk, oversight) -> None:
    job = await desk.create(spec("r", approval=True), ITEMS, seal=True)
    watch = oversight.watch_for("deputy", may, job.name)
    assert (await anext(watch)).state is JobState.HELD
    await oversight.decide(job.name, person("head"), may, None, "")
    fault = await refusal(asyncio.wait_for(anext(watch), TIMEOUT))
    assert fault.reason is Reason.JOB_NOT_FOUND


async def test_a_call_that_is_given_up_does_not_keep_the_change_from_the_dispatcher(
    desk, store, dispatcher
) -> None:
    job = await desk.create(spec("r"), ITEMS, seal=False)
    sealing = asyncio.create_task(desk.seal("a", job.name, 3, approval=False))
    await asyncio.sleep(0)
    sealing.cancel()
    with suppress(asyncio.CancelledError):
        await sealing
    while not len(dispatcher.jobs):  # noqa: ASYNC110 - the store's thread is what is waited for
        await asyncio.sleep(0.001)
    assert (await store.job("a", job.name)).state is JobState.QUEUED


async def test_the_reason_why_a_job_waits_is_shown(desk, oversight, dispatcher, rules) -> None:
    job = await desk.create(spec("r"), ITEMS, seal=True)
    assert job.reason == ""
    rules.withdrawn.add("a")
    dispatcher.review_callers()
    for shown in (
        await desk.job("a", job.name),
        (await desk.jobs("a", JobFilter(), before=None, limit=1))[0],
        (await oversight.all_jobs(JobFilter(), caller="", before=None, limit=1))[0][0],
        await anext(desk.watch("a", job.name)),
    ):
        assert shown.reason == "held: the grant was withdrawn"


async def test_jobs_of_a_caller_that_was_revoked_for_good_are_cancelled(desk, oversight, store) -> None:
    condemned: set[str] = set()
    withdrawal = Withdrawal(oversight, lambda: condemned, revoked)
    mine = [await desk.create(spec(f"r{number}"), ITEMS, seal=True) for number in range(3)]
    mine.append(await desk.create(spec("held", approval=True), ITEMS, seal=True))
    mine.append(await desk.create(spec("open"), ITEMS, seal=False))
    await oversight.pause(mine[0].name, "siti")
    other = await desk.create(spec("r", "b"), ITEMS, seal=True)
    running = asyncio.create_task(withdrawal.run())
    condemned.add("a")
    withdrawal.look()
    async with asyncio.timeout(TIMEOUT):
        for job in mine:
            async for now in desk.watch("a", job.name):
                assert now.name == job.name
    for job in mine:
        ended = await store.any_job(job.name)
        assert (ended.state, ended.reason) == (
            JobState.CANCELLED,
            "Cancelled by the policy: its caller was revoked",
        )
    assert (await store.any_job(other.name)).state is JobState.QUEUED
    running.cancel()


async def test_a_withdrawal_that_failed_is_tried_again(desk, oversight, store, monkeypatch) -> None:
    monkeypatch.setattr("segeld.dispatch.withdrawal._PAUSE", 0.001)
    job = await desk.create(spec("r"), ITEMS, seal=True)
    failures = iter([StoreBroken(), StoreBroken()])
    cancel = store.cancel_any

    async def failing(*arguments):
        for fault in failures:
            raise fault
        return await cancel(*arguments)

    monkeypatch.setattr(store, "cancel_any", failing)
    running = asyncio.create_task(Withdrawal(oversight, lambda: ["a"], revoked).run())
    async with asyncio.timeout(TIMEOUT):
        async for now in desk.watch("a", job.name):
            last = now
    assert last.state is JobState.CANCELLED
    running.cancel()


@pytest.mark.parametrize("state", [TokenState.INACTIVE, TokenState.ACTIVE])
async def test_a_job_says_what_its_token_waits_for(desk, tokens, state) -> None:
    tokens.state = state
    job = await desk.create(spec("r"), ITEMS, seal=True)
    assert ("segelctl token activate payroll" in job.reason) == (state is TokenState.INACTIVE)
    assert (await desk.job("a", job.name)).reason == job.reason
