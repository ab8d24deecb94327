"""A daemon that is asked to stop under load loses no chunk; one that is killed still knows what it has answered."""

import asyncio
import os
import random
import signal

import crash_log
import pytest
from crash_calls import Caller, Refused, reason_of, until
from crash_jobs import JobMaker
from crash_journal import Journal
from crash_requests import Requests

ITEMS = 5_000


@pytest.fixture
def started(served):
    served.start()
    served.wait_ready()
    served.warm()
    return served


@pytest.fixture
async def caller(started):
    made = Caller("backoffice", started.target, started.tls("backoffice"))
    yield made
    await made.channel.close()


def vkey(served) -> str:
    return (served.state / "audit" / "key.pub").read_text().strip()


def log_of(served) -> crash_log.Log:
    """Stops the daemon, which publishes everything."""
    assert served.stop() == 0, served.tail()
    return crash_log.Log.read(served.state / "audit", vkey(served))


async def test_sigterm_during_a_job_leaves_no_outcome_unknown(started, caller) -> None:
    journal = Journal()
    maker = JobMaker(caller, started.key_name, journal, random.Random(1), "job")
    maker.sizes = (ITEMS,)
    story = maker.new()
    await maker.upload(story)
    for least in (1, 1_000, 2_000):

        async def gone_on(least: int = least) -> bool:
            return (await maker.look(story)).signed_count > least

        await until(gone_on)
        assert await asyncio.to_thread(started.stop) == 0, started.tail()
        log = crash_log.Log.read(started.state / "audit", vkey(started))
        assert log.unfinished == []
        assert log.signatures < ITEMS
        started.start()
    await maker.read(story)
    await maker.see(story)
    assert story.state == f"STATE_SUCCEEDED {ITEMS}+0 of {ITEMS}"
    log = await asyncio.to_thread(log_of, started)
    crash_log.check_journal(log, journal)
    assert journal.wrong == []
    whys = {attempt.why for tried in log.attempts.values() for each in tried.values() for attempt in each}
    assert whys <= {"", "NOT_BEGUN"}
    assert log.signatures == ITEMS


async def test_sigterm_answers_what_was_begun_and_refuses_the_rest(started, caller) -> None:
    """Interactive requests: each is answered in full, or refused so that it is sent again."""
    journal, stop = Journal(), asyncio.Event()
    clients = [
        Requests(caller, started.key_name, journal, random.Random(number), f"call-{number}")
        for number in range(6)
    ]
    running = [asyncio.create_task(client.run_calls(stop)) for client in clients]
    for _ in range(3):

        async def gone_on(before: int = len(journal.asked)) -> bool:
            return len(journal.asked) >= before + 30

        await until(gone_on)
        os.kill(started.pid, signal.SIGTERM)
        assert await asyncio.to_thread(started.process.wait) == 0, started.tail()
        await asyncio.to_thread(started.settle)
        started.start()
    stop.set()
    await asyncio.gather(*running)
    log = await asyncio.to_thread(log_of, started)
    crash_log.check_journal(log, journal)
    assert journal.wrong == []
    assert all(asked.answered for asked in journal.asked)
    whys = {attempt.why for tried in log.attempts.values() for each in tried.values() for attempt in each}
    assert "UNKNOWN" not in whys


async def test_an_answer_outlives_the_daemon(started, caller) -> None:
    journal = Journal()
    client = Requests(caller, started.key_name, journal, random.Random(1), "call")
    asked = [client.new() for _ in range(5)]
    for one in asked:
        await client.until_answered(one)
    await asyncio.to_thread(started.kill)
    started.start()
    for one in asked:
        await client.until_answered(one)
    assert journal.wrong == []  # the journal compares octets and receipts
    log = await asyncio.to_thread(log_of, started)
    assert log.signatures == sum(len(one.digests) for one in asked)
    crash_log.check_journal(log, journal)
    assert journal.wrong == []
    attempts = [each for tried in log.attempts.values() for each in tried.values()]
    assert [len(each) for each in attempts] == [1] * log.signatures


async def test_an_id_belongs_to_its_content_even_after_a_restart(started, caller) -> None:
    client = Requests(caller, started.key_name, Journal(), random.Random(1), "call")
    asked = client.new()
    await client.until_answered(asked)
    await asyncio.to_thread(started.kill)
    started.start()
    other = client.message(asked)
    other.inputs[0].digest = bytes(32)

    async def ask():
        answer = await caller.signing.Sign(other, timeout=30)
        reasons = {reason_of(result.error) for result in answer.results}
        assert all(result.WhichOneof("outcome") == "error" for result in answer.results)
        return reasons

    try:
        reasons = await caller.insist(ask)
    except Refused as refused:
        reasons = {refused.reason}
    assert reasons == {"IDEMPOTENCY_MISMATCH"}
    log = await asyncio.to_thread(log_of, started)
    assert log.signatures == len(asked.digests)


async def test_duplicates_at_once_are_one_signature(started, caller) -> None:
    journal = Journal()
    client = Requests(caller, started.key_name, journal, random.Random(1), "call")
    others = [Caller("backoffice", started.target, started.tls("backoffice")) for _ in range(3)]
    asked = client.new()
    asks = [
        Requests(other, started.key_name, journal, random.Random(1), "call").until_answered(asked)
        for other in (caller, *others)
        for _ in range(5)
    ]
    await asyncio.gather(*asks)
    for other in others:
        await other.channel.close()
    assert journal.wrong == []
    log = await asyncio.to_thread(log_of, started)
    assert log.signatures == len(asked.digests)


async def test_a_request_id_is_its_callers_own(started, caller) -> None:
    """Another caller's request with the same id is another request."""
    journal = Journal()
    registry = Caller("registry", started.target, started.tls("registry"))
    mine = Requests(caller, started.key_name, journal, random.Random(1), "call")
    theirs = Requests(registry, started.key_name, journal, random.Random(1), "call")
    one, two = mine.new(), theirs.new()
    await mine.until_answered(one)
    await theirs.until_answered(two)
    await registry.channel.close()
    assert one.request_id == two.request_id
    assert not {told[0] for told in one.got.values()} & {told[0] for told in two.got.values()}
    log = await asyncio.to_thread(log_of, started)
    crash_log.check_journal(log, journal)
    assert journal.wrong == []


async def test_a_job_that_is_made_again_after_a_crash_is_the_one_that_is_there(started, caller) -> None:
    journal = Journal()
    maker = JobMaker(caller, started.key_name, journal, random.Random(1), "job")
    maker.sizes = (300,)
    story = maker.new()
    await maker.upload(story)
    first = story.name
    await asyncio.to_thread(started.kill)
    started.start()
    story.committed = 0  # a client that was restarted too, and knows only its request
    await maker.upload(story)
    assert story.name == first
    await maker.read(story)
    log = await asyncio.to_thread(log_of, started)
    crash_log.check_journal(log, journal)
    assert journal.wrong == []
    assert log.signatures == 300
