"""Bytes that change on the disk: refused, or found when they are read; never a wrong answer."""

import random

import pytest
from store_fakes import COMMITMENTS, DAY, FAILED, Handy, claim, items, part, request, signature, spec

from segeld.jobqueue.sqlite import DatabaseDamaged, DatabaseRefused, SqliteStore
from segeld.jobqueue.store import StoreBroken, Unknown
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
    for _ in range(40):
        broken = bytearray(sound)
        broken[chance.randrange(len(broken))] ^= chance.randrange(1, 256)
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


async def test_an_answer_that_was_changed_is_not_believed(store):
    claimed = await store.claim(claim(part(request(expires=DAY), 0, 1), at=1.0))
    await store.bring(claimed.id, signature(0))
    change = "UPDATE answer SET data = zeroblob(36)"
    await store._writing.ask(lambda db: db.execute(change))
    with pytest.raises(StoreBroken):
        await store.claim(claim(part(request(), 0, 1), at=1.0))
