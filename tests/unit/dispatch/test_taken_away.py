"""What was accepted is checked again at dispatch, whatever was taken away, over a real database and restarts."""

# ruff: noqa: ASYNC110 - each turn of the loop is what is waited for

import asyncio
import time
from contextlib import suppress

import pytest
from dispatch_fakes import KEY, TIMEOUT, TOKEN, FakeTokens, FakeWorker, order, reasons
from prometheus_client import CollectorRegistry

from segeld.audit.leaf import Commitments
from segeld.dispatch.dispatcher import Dispatcher, Quotas
from segeld.dispatch.jobchange import JobChange
from segeld.dispatch.metrics import DispatchMetrics
from segeld.dispatch.oversight import Oversight
from segeld.dispatch.withdrawal import Withdrawal
from segeld.jobqueue.sqlite import FILE, SqliteStore
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.job import Items, JobSpec
from segeld.model.job_state import FINAL, JobState
from segeld.model.kind import Kind
from segeld.model.names import KeyName
from segeld.model.principal import Principal, Role
from segeld.model.priority import Priority
from segeld.office.policy_desk import PolicyDesk

KIND = Kind(KEY, Algorithm.RSA_PKCS1_SHA256, EcdsaEncoding.DER)
OTHER_KEY = KeyName(b"\x01" * 32)
COUNT = 5
SITI = Principal("siti", Role.OFFICER, "email:siti")
HELD = {"revoked": "held: its caller was revoked"}
WITHDRAWN = "held: the grant was withdrawn"


def toml(on_revoke: str, keys=(KEY, OTHER_KEY), algorithm="RSA_PKCS1_SHA256", caller=True, more="") -> str:
    names = ", ".join(f'"{key}"' for key in keys)
    mine = f"""
[[callers]]
name = "a"
sans = ["dns:a"]
on_revoke = "{on_revoke}"
[[callers.grants]]
keys = [{names}]
algorithms = ["{algorithm}"]
"""
    return f"""{mine if caller else ""}
[[callers]]
name = "b"
sans = ["dns:b"]
[[callers.grants]]
keys = ["*"]
[[officers]]
name = "siti"
sans = ["email:siti"]
[[officers]]
name = "rahmat"
sans = ["email:rahmat"]
{more}"""


AFTER = {
    "revoked": None,
    "the grant of one key": {"keys": (OTHER_KEY,)},
    "an algorithm": {"algorithm": "RSA_PSS_SHA256"},
    "the caller wholly": {"caller": False},
}


class Daemon:
    """As much of it as decides what is signed. `crash` ends it, and what it did not do is left."""

    def __init__(self, folder, tokens) -> None:
        self.folder, self.tokens = folder, tokens

    async def start(self) -> None:
        self.store = await SqliteStore.open(self.folder / FILE, Commitments(bytes(32)))
        self.desk = PolicyDesk(self.folder / "policy.toml")
        await self.desk.load(self.store)
        await self.desk.begin()
        self.dispatcher = Dispatcher(
            lambda: self.tokens,
            self.desk.current,
            self.store,
            DispatchMetrics(CollectorRegistry()),
            Quotas(queue=1000, queue_per_caller=500, answers_retention=60),
            log_origin="segel/test",
            recorded=lambda leaf: None,
            revoked=self.desk.shut_out.is_revoked,
        )
        change = JobChange(self.dispatcher.jobs, self.dispatcher.news)
        self.change = change
        oversight = Oversight(self.store, change, self.dispatcher.news)
        self.withdrawal = Withdrawal(oversight, self.desk.condemned, self.desk.lost)
        self.dispatcher.jobs.on_withheld = self.withdrawal.look
        self.desk.changed += [self.dispatcher.review_callers, self.withdrawal.look]
        await self.dispatcher.jobs.start()
        self.tasks = [asyncio.create_task(self.dispatcher.jobs.run())]
        self.worker = None

    def withdraw(self) -> None:
        """From now on what is to be cancelled is cancelled."""
        self.tasks.append(asyncio.create_task(self.withdrawal.run()))

    def serve(self) -> FakeWorker:
        self.worker = FakeWorker()
        self.tasks.append(asyncio.create_task(self.dispatcher.serve(TOKEN, self.worker)))
        return self.worker

    async def crash(self) -> None:
        if self.worker is not None:
            self.worker.kill("the test is over")
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT):
                await self.dispatcher.drained()
        await self.store.aclose()

    async def submit(self, caller: str) -> str:
        spec = JobSpec(caller, f"r-{caller}", KIND, Priority.NORMAL, (), time.time() + 1000, 60)
        items = Items(tuple(number.to_bytes(32, "big") for number in range(COUNT)))
        job, _ = await self.store.create_job(spec, items, seal=True)
        self.dispatcher.jobs.add(job)
        return job.name

    async def shown(self, name):
        return self.change.shown(await self.store.any_job(name))

    async def ended(self, name):
        async with asyncio.timeout(TIMEOUT):
            while (job := await self.shown(name)).state not in FINAL:
                await asyncio.sleep(0)
        return job

    async def apply(self, text: str) -> None:
        kept = self.desk.document()
        await self.desk.apply(text, kept.hash, kept.number, "siti", "rahmat")

    async def take_away(self, what: str, on_revoke: str) -> None:
        if what == "revoked":
            await self.desk.shut_out.revoke("a", SITI, "stolen")
        else:
            await self.apply(toml(on_revoke, **AFTER[what]))

    async def give_back(self, what: str, on_revoke: str) -> None:
        if what == "revoked":
            await self.desk.shut_out.unrevoke(
                "a", self.desk.shut_out.require_revoked("a").stamp, "siti", "rahmat"
            )
        else:
            await self.apply(toml(on_revoke))


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture
async def daemon(tmp_path, tokens):
    made: list[Daemon] = []

    async def start(text: str) -> Daemon:
        (tmp_path / "policy.toml").write_text(text)
        daemon = Daemon(tmp_path, tokens)
        await daemon.start()
        made.append(daemon)
        return daemon

    yield start
    for each in made:
        await each.crash()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("what", AFTER)
async def test_what_is_held_is_not_signed_and_goes_on_when_it_is_given_back(daemon, what, restart) -> None:
    running = await daemon(toml("hold"))
    mine, others = await running.submit("a"), await running.submit("b")
    await running.take_away(what, "hold")
    if restart:
        await running.crash()
        await running.start()
    running.withdraw()
    worker = running.serve()
    assert (await running.ended(others)).signed == COUNT
    waits = await running.shown(mine)
    assert (waits.state, waits.signed) == (JobState.QUEUED, 0)
    assert waits.reason == HELD.get(what, WITHDRAWN)
    assert sum(map(len, worker.given)) == COUNT
    await running.give_back(what, "hold")
    assert (await running.ended(mine)).signed == COUNT


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("what", AFTER)
async def test_what_is_to_be_cancelled_is_whatever_was_taken_away(daemon, what, restart) -> None:
    running = await daemon(toml("cancel"))
    mine, others = await running.submit("a"), await running.submit("b")
    if not restart:
        running.withdraw()
    await running.take_away(what, "cancel")
    if restart:  # before anything was cancelled
        await running.crash()
        await running.start()
        running.withdraw()
    worker = running.serve()
    ended = await running.ended(mine)
    why = "its caller was revoked" if what == "revoked" else "the grant was withdrawn"
    assert (ended.state, ended.reason) == (JobState.CANCELLED, f"Cancelled by the policy: {why}")
    assert (await running.ended(others)).signed == COUNT
    assert sum(map(len, worker.given)) == COUNT
    await running.give_back(what, "cancel")
    assert (await running.shown(mine)).state is JobState.CANCELLED


@pytest.mark.parametrize("queued", [True, False])
async def test_what_came_in_at_the_same_moment_is_cancelled_too(daemon, queued) -> None:
    """Nobody is told that the policy changed: it is found out when a job comes in, or at dispatch."""
    running = await daemon(toml("cancel"))
    running.withdraw()
    before = [await running.submit("a")] if queued else []
    running.desk.changed.clear()
    await running.take_away("the grant of one key", "cancel")
    after = [] if queued else [await running.submit("a")]
    worker = running.serve()
    for name in before + after:
        assert (await running.ended(name)).state is JobState.CANCELLED
    assert worker.given == []


async def test_of_a_caller_that_loses_one_grant_the_rest_goes_on(daemon) -> None:
    running = await daemon(toml("cancel"))
    mine = await running.submit("a")
    running.withdraw()
    await running.apply(toml("cancel", keys=(KEY,)))
    running.serve()
    assert (await running.ended(mine)).state is JobState.SUCCEEDED


async def test_whoever_is_in_the_policy_again_has_not_left_it(daemon) -> None:
    running = await daemon(toml("cancel"))
    mine = await running.submit("a")
    await running.apply(toml("cancel", caller=False))
    await running.crash()
    await running.start()
    assert list(running.desk.condemned()) == ["a"]
    await running.apply(toml("cancel", caller=False, more="# others change other things meanwhile"))
    assert list(running.desk.condemned()) == ["a"]
    await running.apply(toml("hold"))
    assert list(running.desk.condemned()) == []
    running.withdraw()
    running.serve()
    assert (await running.ended(mine)).state is JobState.SUCCEEDED


@pytest.mark.parametrize("restart", [False, True])
async def test_a_key_that_jobs_may_not_use_any_more_is_not_used_by_those_that_wait(
    daemon, tokens, restart
) -> None:
    tokens.always_authenticate = True
    allowed = toml("hold", more=f'[keys."{KEY}"]\nbulk = true\n')
    running = await daemon(allowed)
    mine = await running.submit("a")
    await running.apply(toml("hold"))
    if restart:
        await running.crash()
        await running.start()
    worker = running.serve()
    signed = await asyncio.wait_for(running.dispatcher.sign(order(2, caller="a")), TIMEOUT)
    assert reasons(signed) == [None, None]  # Sign is not meant
    async with asyncio.timeout(TIMEOUT):
        while not (await running.shown(mine)).reason:
            await asyncio.sleep(0)
    waits = await running.shown(mine)
    assert (waits.state, waits.signed) == (JobState.QUEUED, 0)
    assert "does not let jobs use it" in waits.reason
    assert worker.given == [tuple(number.to_bytes(32, "big") for number in range(2))]
    await running.apply(allowed)
    assert (await running.ended(mine)).signed == COUNT


async def test_jobs_may_use_a_key_that_asks_for_no_pin_whatever_is_said_of_those_that_do(daemon) -> None:
    running = await daemon(toml("hold"))
    mine = await running.submit("a")
    running.serve()
    assert (await running.ended(mine)).signed == COUNT


async def test_an_order_and_a_job_of_one_caller_are_judged_each_by_its_own(daemon, tokens) -> None:
    """They may be in one chunk: what stands against the one does not stand against the other."""
    tokens.always_authenticate = True
    running = await daemon(toml("hold", more=f'[keys."{KEY}"]\nbulk = true\n'))
    mine = await running.submit("a")
    signing = asyncio.create_task(running.dispatcher.sign(order(20, caller="a", priority=Priority.NORMAL)))
    while not running.dispatcher.waiting({KEY}) >= COUNT + 20:
        await asyncio.sleep(0)
    running.desk.changed.clear()  # nobody is told: it is found out at dispatch
    await running.apply(toml("hold"))
    running.serve()
    assert reasons(await asyncio.wait_for(signing, TIMEOUT)) == [None] * 20
    waits = await running.shown(mine)
    assert (waits.state, waits.signed) == (JobState.QUEUED, 0)
