"""The writer's thread: what queued is one transaction, whoever left, and nobody else writes."""

import asyncio
import subprocess
import sys

import pytest
from store_fakes import claim, digest, hold, items, part, request, signature, soon, spec

from segeld.jobqueue import codec
from segeld.jobqueue.claims import StaleClaim
from segeld.jobqueue.codec import Outcomes, Run
from segeld.jobqueue.sqlite import DatabaseInUse, desk
from segeld.jobqueue.sqlite.desk import Closed
from segeld.model.faults import Fault, Reason


async def queued(store, count: int) -> None:
    """Returns when so much waits for the writer."""
    while store._writing._queue.qsize() < count:  # noqa: ASYNC110  # a queue of threads tells nobody
        await asyncio.sleep(0)


@pytest.mark.parametrize(("together", "transactions"), [(desk.MAX_TOGETHER, 1), (10, 5)])
async def test_what_queued_during_a_commit_is_the_next_transaction_up_to_a_limit(
    open_store, disk, monkeypatch, together, transactions
):
    monkeypatch.setattr(desk, "MAX_TOGETHER", together)
    store = await open_store(vfs=disk.name)
    await store.sealed(1, "first")  # the first write makes the WAL, which is synced by itself
    release = await hold(store)
    before = disk.syncs
    waits = [soon(store.sealed(1, f"r{number}")) for number in range(50)]
    await queued(store, 50)
    release()
    await asyncio.gather(*waits)
    assert disk.syncs - before == transactions


async def test_a_refusal_is_its_own_and_spoils_no_other(store):
    job = await store.sealed(2)
    release = await hold(store)
    waits = [
        soon(store.take(job, 0, 1)),
        soon(store.cancel_job("other", job.name, "other")),
        soon(store.bring(12345, signature(0))),
        soon(store.take(job, 1, 1)),
    ]
    await queued(store, 4)
    release()
    taken, refused, stale, second = await asyncio.gather(*waits, return_exceptions=True)
    assert (taken, second) == (0, 1)
    assert refused.reason is Reason.JOB_NOT_FOUND
    assert isinstance(stale, StaleClaim)


async def test_a_refusal_that_wrote_something_leaves_no_trace(store):
    def refuse(db):
        db.execute("INSERT INTO remains (job) VALUES (77)")
        raise Fault(Reason.JOB_STATE, "too late")

    release = await hold(store)
    waits = [soon(store.sealed(1)), soon(store._writing.ask(refuse))]
    await queued(store, 2)
    release()
    job, fault = await asyncio.gather(*waits, return_exceptions=True)
    assert job.count == 1
    assert fault.reason is Reason.JOB_STATE
    assert await store._reading.ask(lambda db: db.execute("SELECT count(*) FROM remains").get) == 0


async def test_what_was_queued_is_done_though_nobody_waits_any_more(store):
    release = await hold(store)
    gone, stays = soon(store.sealed(1, "gone")), soon(store.sealed(1, "stays"))
    await queued(store, 2)
    gone.cancel()
    await asyncio.wait({gone})
    release()
    await stays
    assert [job.spec.request_id for job in await store.signable(0, 9)] == ["gone", "stays"]


async def test_a_read_sees_what_was_written_before(store):
    for number in range(50):
        job = await store.sealed(1, f"r{number}")
        assert await store.job("office", job.name) == job


async def test_a_slow_reader_delays_no_writer(store):
    release = await hold(type("Reads", (), {"_writing": store._reading})())
    claimed = await store.claim(claim(part(request(), 0, 1)))
    await store.bring(claimed.id, signature(0))
    release()
    assert await store.leaf_count() == 2


async def test_who_brings_more_than_may_wait_waits_to_bring_it(open_store, monkeypatch):
    monkeypatch.setattr(desk, "MAX_WAITING", 4)
    store = await open_store()
    release = await hold(store)
    waits = [soon(store.sealed(1, f"r{number}")) for number in range(20)]
    await queued(store, 3)
    for _ in range(100):
        await asyncio.sleep(0)
    assert store._writing._queue.qsize() == 3
    release()
    assert len(await asyncio.gather(*waits)) == 20


async def test_closing_waits_for_what_was_begun(open_store):
    store = await open_store()
    waits = [soon(store.sealed(1, f"r{number}")) for number in range(20)]
    await queued(store, 1)
    await asyncio.sleep(0)
    await store.aclose()
    assert len(await asyncio.gather(*waits)) == 20
    with pytest.raises(Closed):
        await store.sealed(1)
    assert len(await (await open_store()).signable(0, 99)) == 20


async def test_closing_leaves_one_file_and_the_lock(store, database):
    await store.sealed(1)
    await store.aclose()
    assert sorted(file.name for file in database.parent.iterdir()) == ["segel.db", "segel.db.lock"]


async def test_a_second_daemon_is_refused(store, open_store):
    await store.sealed(1)
    with pytest.raises(DatabaseInUse, match="in use"):
        await open_store()
    await store.sealed(1, "another")


KILLED = """
import asyncio, sys, os, signal, pathlib
from store_fakes import COMMITMENTS, Handy, signature
from segeld.jobqueue.sqlite import SqliteStore
async def main():
    store = Handy(await SqliteStore.open(pathlib.Path(sys.argv[1]), COMMITMENTS))
    job = await store.sealed(5)
    await store.sign(job, 0, 2)
    await store.take(job, 2, 2)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def test_a_daemon_that_was_killed_leaves_what_it_answered(open_store, database):
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", KILLED, str(database)],
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert killed.returncode == -9
    store = await open_store()
    (job,) = await store.signable(0, 9)
    assert (job.count, job.signed) == (5, 2)
    assert (await store.block(job.id, 0)).waiting == (4,)
    assert await store.recover(lambda _: 3, 1.0) == 1
    assert (await store.block(job.id, 0)).lost == (2, 3)


async def test_outcomes_of_a_finished_block_lie_in_its_row_alone(store):
    job = await store.sealed(300)
    for first in range(0, 250, 50):
        await store.sign(job, first, 50)
    count = "SELECT count(*) FROM piece"
    assert await store._reading.ask(lambda db: db.execute(count).get) == 5
    await store.sign(job, 250, 50)
    assert await store._reading.ask(lambda db: db.execute(count).get) == 0
    assert len(await store.all_results(job)) == 300


async def test_of_two_outcomes_that_were_written_before_anybody_looked_the_first_stands(store):
    claimed = await store.claim(claim(part(request(), 0, 1)))
    await store.bring(claimed.id, signature(0))

    def write_another(db):
        answer = db.execute("SELECT id FROM answer").get
        blob = codec.encode_outcomes(answer, Outcomes((Run(0, 9, 0, (b"another",)),)))
        db.execute("INSERT INTO answer_piece (answer, data) VALUES (?, ?)", (answer, blob))

    await store._writing.ask(write_another)
    (verdict,) = (await store.claim(claim(part(request(), 0, 1)))).verdicts
    assert [ended.value for _, ended in verdict.ended] == [signature(0)]


async def test_a_large_job_that_was_deleted_goes_in_slices_and_its_room_is_used_again(store, database):
    for number in range(3):
        job, _ = await store.create_job(spec(f"r{number}"), items(0), seal=False)
        inputs = tuple(map(digest, range(30_000)))
        await store.append_items("office", job.name, 0, type(items(0))(inputs), limit=30_000)
        await store.delete_job("office", job.name)
        await store.tidy(1.0)
        pages = await store._reading.ask(lambda db: db.pragma("page_count"))
        first = pages if not number else first  # noqa: F821  # set in the first round
    left = "SELECT (SELECT count(*) FROM block) + (SELECT count(*) FROM remains)"
    assert await store._reading.ask(lambda db: db.execute(left).get) == 0
    assert pages <= first + 10
