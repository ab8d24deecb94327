"""Bytes that change on the disk: refused, or found when they are read; never a wrong answer."""

import random

import pytest
from store_fakes import COMMITMENTS, DAY, FAILED, HOUR, Handy, claim, items, part, request, signature, spec

from segeld.jobqueue.claims import Unknown
from segeld.jobqueue.sqlite import DatabaseDamaged, DatabaseRefused, SqliteStore, tidying
from segeld.jobqueue.store_faults import StoreBroken
from segeld.model.faults import Fault
from segeld.model.job import JobFilter


async def fill(store):
    """A job that ended, one half way, an answer, a claim."""
    done, _ = await store.create_job(spec("done"), items(300, ids=True), seal=True)
    for first in range(0, 300, 50):
        await store.sign(done, first, 50)
    half = await store.sealed(300, "half")
    await store.sign(half, 0, 20)
    await store.bring(await store.take(half, 20, 2), FAILED, Unknown())
    asked = await store.claim(claim(part(request(), 0, 1)))
    await store.bring(asked.id, signature(0))
    await store.take(half, 40, 5)
    return done, half


async def see(store, jobs) -> list:
    """All that can be read; an error where something cannot."""
    seen = []

    async def look(question):
        try:
            seen.append(await question)
        except Fault as fault:
            seen.append(fault)

    for job in jobs:
        await look(store.job("office", job.name))
        for offset in range(0, 300, 30):
            await look(store.results("office", job.name, offset))
        await look(store.block(job.id, 0))
    await look(store.leaves(0, 99))
    await look(store.jobs("office", JobFilter(), before=None, limit=9))
    return seen


@pytest.mark.parametrize("seed", range(4))
async def test_a_byte_that_changes_is_never_a_wrong_answer(tmp_path, seed):
    path = tmp_path / "segel.db"
    store = Handy(await SqliteStore.open(path, COMMITMENTS))
    jobs = await fill(store)
    good = await see(store, jobs)
    await store.aclose()
    sound = path.read_bytes()
    chance = random.Random(seed)
    refused = found = 0
    for number in range(40):
        broken = bytearray(sound)
        place = chance.randrange(len(broken))
        if number % 4 == 0:
            place = place // 4096 * 4096 + chance.randrange(8)  # what says how a page is made up
        broken[place] ^= chance.randrange(1, 256)
        path.write_bytes(broken)
        try:
            store = Handy(await SqliteStore.open(path, COMMITMENTS))
        except (DatabaseRefused, StoreBroken):
            refused += 1
            continue
        try:
            for was, now in zip(good, await see(store, jobs), strict=True):
                assert now == was or isinstance(now, Fault)
                found += isinstance(now, StoreBroken)
        finally:
            await store.aclose()
    assert refused
    assert found


async def test_a_damaged_database_is_refused_in_a_sentence(open_store, database):
    await (await open_store()).aclose()
    database.write_bytes(b"no database at all" * 1000)
    with pytest.raises(DatabaseDamaged, match="segeld restore"):
        await open_store()


async def test_a_row_that_is_damaged_is_said_until_the_daemon_starts_again(store):
    told = store.trouble
    job = await store.sealed(300)
    await store._writing.ask(lambda db: db.execute("UPDATE block SET items = x'00' WHERE id & 511 = 0"))
    with pytest.raises(StoreBroken):
        await store.block(job.id, 0)
    assert told is None
    assert "damaged" in store.trouble
    await store.sealed(1, "other")  # the rest goes on
    assert "damaged" in store.trouble


async def test_a_job_whose_row_was_changed_is_not_believed(store):
    job = await store.sealed(3)
    await store._writing.ask(lambda db: db.execute("UPDATE job SET caller = 'other'"))
    with pytest.raises(StoreBroken):
        await store.job("other", job.name)


async def damage(store, *jobs) -> None:
    """As a bit that flips in the row of each."""
    for job in jobs:
        change = f"UPDATE job SET reason = 'changed' WHERE id = {job.id}"
        await store._writing.ask(lambda db, change=change: db.execute(change))


async def test_a_damaged_job_keeps_none_of_the_others_from_the_queue(store):
    jobs = [await store.sealed(1, f"r{number}") for number in range(5)]
    await damage(store, jobs[0], jobs[1], jobs[3])
    assert [job.id for job in await store.signable(0, 1)] == [jobs[2].id]
    assert f"job {jobs[0].id}" in store.trouble
    assert [job.id for job in await store.signable(jobs[2].id, 1)] == [jobs[4].id]


async def test_damaged_jobs_do_not_stop_upkeep_of_the_others(store, monkeypatch):
    monkeypatch.setattr(tidying, "SLICE", 1)
    past = [await store.sealed(1, f"past{number}") for number in range(2)]
    never = [(await store.create_job(spec(f"open{number}"), items(1), seal=False))[0] for number in range(2)]
    over = [await store.sealed(1, f"over{number}", retention=HOUR) for number in range(2)]
    soon = [await store.sealed(1, f"soon{number}", retention=99 * HOUR) for number in range(2)]
    for job in (*over, *soon):
        await store.sign(job, 0, 1)
    await damage(store, past[0], never[0], over[0], soon[0])
    at = never[0].created + 30 * HOUR
    done = await store.tidy(at)
    assert [job.id for job in done.ended] == [never[1].id]
    assert [job.id for job in done.removed] == [over[1].id]
    assert [job.id for job in done.unread] == [soon[1].id]
    assert [job.id for job in (await store.tidy(past[1].spec.deadline)).ended] == [past[1].id]
    assert "damaged" in store.trouble


async def test_an_earlier_outcome_that_is_damaged_stops_no_settlement(store):
    job = await store.sealed(1)
    first = await store.claim(claim(part(request(), 0, 1)))
    second = await store.claim(claim(part(request(), 0, 1), part(job.id, 0, 1)))
    await store.bring(first.id, signature(0))
    await store._writing.ask(lambda db: db.execute("UPDATE answer_piece SET data = zeroblob(36)"))
    settled = await store.bring(second.id, signature(0), signature(1))
    assert settled.jobs[0].signed == 1
    assert "damaged" in store.trouble
    with pytest.raises(StoreBroken):
        await store.claim(claim(part(request(), 0, 1)))


async def test_an_answer_that_was_changed_is_not_believed(store):
    claimed = await store.claim(claim(part(request(expires=DAY), 0, 1), at=1.0))
    await store.bring(claimed.id, signature(0))
    change = "UPDATE answer SET data = zeroblob(36)"
    await store._writing.ask(lambda db: db.execute(change))
    with pytest.raises(StoreBroken):
        await store.claim(claim(part(request(), 0, 1), at=1.0))
