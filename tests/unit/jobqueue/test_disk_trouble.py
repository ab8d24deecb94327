"""A disk that is full, or fails: what was acknowledged is kept, what was not left no trace, and it works again."""

import apsw
import pytest
from flaky_disk import FlakyDisk
from store_fakes import COMMITMENTS, MANY, Handy, claim, hold, items, part, request, signature, soon, spec

from segeld.jobqueue.sqlite import SqliteStore
from segeld.jobqueue.store_faults import StoreBroken, StoreFull
from segeld.model.faults import Fault
from segeld.model.job import JobFilter
from segeld.model.job_state import JobState
from segeld.model.names import JobName

ERRORS = {apsw.FullError: StoreFull, apsw.IOError: StoreBroken}


class Stubborn:
    """Asks again, once the disk works again; counts how often it had to."""

    def __init__(self, disk: FlakyDisk, fault: type[Exception]) -> None:
        self.disk, self.fault, self.refused = disk, fault, 0

    async def __call__(self, ask):
        try:
            return await ask()
        except self.fault:
            self.refused += 1
            self.disk.heal()
            return await ask()


async def life_of_a_job(store: Handy, insist: Stubborn) -> None:
    job, _ = await insist(lambda: store.create_job(spec(), items(10), seal=False))
    job = await insist(lambda: store.append_items("office", job.name, 10, items(290, 10), limit=MANY))
    job = await insist(lambda: store.seal_job("office", job.name, 300))
    assert len((await store.block(job.id, 0)).waiting) == 256
    for first, count in ((0, 100), (100, 156), (256, 44)):
        taken = await insist(lambda first=first, count=count: store.take(job, first, count))
        numbers = range(first, first + count)
        settled = await insist(
            lambda taken=taken, numbers=numbers: store.bring(taken, *map(signature, numbers))
        )
        assert settled.jobs[0].signed == first + count
    asked = await insist(lambda: store.claim(claim(part(request(), 0, 1))))
    await insist(lambda: store.bring(asked.id, signature(0)))


async def check_it_was_lived(store: Handy) -> None:
    (job,) = await store.jobs("office", JobFilter(), before=None, limit=9)
    assert (job.state, job.signed) == (JobState.SUCCEEDED, 300)
    assert [found.value for found in await store.all_results(job)] == [signature(n) for n in range(300)]
    assert await store.recover(lambda _: 3, 0.0) == 0
    assert len(await store.leaves(0, 99)) == await store.leaf_count()
    (verdict,) = (await store.claim(claim(part(request(), 0, 1)))).verdicts
    assert [ended.value for _, ended in verdict.ended] == [signature(0)]


@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("error", ERRORS)
async def test_wherever_it_fails_nothing_acknowledged_is_lost(memory_path, disk, error, lasting):
    operation = 0
    while True:
        operation += 1
        path = memory_path / f"{operation}.db"
        store = Handy(await SqliteStore.open(path, COMMITMENTS, vfs=disk.name))
        disk.fail_at(operation, error, lasting=lasting)
        insist = Stubborn(disk, ERRORS[error])
        await life_of_a_job(store, insist)
        assert store.trouble is None
        reached = disk.operations >= operation
        await store.aclose()
        disk.heal()
        again = Handy(await SqliteStore.open(path, COMMITMENTS, vfs=disk.name))
        await check_it_was_lived(again)
        await again.aclose()
        if not reached:
            break
        assert insist.refused <= 1
    assert operation > 40


async def test_trouble_is_told_when_it_comes_and_when_it_goes(open_store, disk):
    told = []
    store = await open_store(vfs=disk.name, told=told.append)
    await store.sealed(1, "before")
    disk.fail_at(1, apsw.FullError, lasting=True)
    for _ in range(2):
        with pytest.raises(StoreFull):
            await store.sealed(1)
    assert store.trouble == "the disk is full"
    assert [job.spec.request_id for job in await store.signable(0, 9)] == ["before"]  # reading goes on
    disk.heal()
    await store.sealed(1)
    assert store.trouble is None
    await store.leaf_count()
    assert told == ["the disk is full", None]


async def test_what_writes_nothing_does_not_end_the_trouble(open_store, disk):
    told = []
    store = await open_store(vfs=disk.name, told=told.append)
    disk.fail_at(1, apsw.FullError, lasting=True)
    with pytest.raises(StoreFull):
        await store.sealed(1)
    await store.tidy(1.0)  # an upkeep that finds nothing to do
    with pytest.raises(Fault):
        await store.cancel_job("office", JobName.new(), "office")
    assert store.trouble == "the disk is full"
    disk.heal()
    await store.tidy(1.0)
    assert store.trouble == "the disk is full"
    await store.set_setting("any", b"thing")
    await store.leaf_count()
    assert told == ["the disk is full", None]


async def test_of_what_is_written_together_only_what_does_not_fit_fails(store):
    """An error of one operation is its own: the others are done one by one."""

    def broken(db):
        db.execute("INSERT INTO remains (job) VALUES (77)")
        raise RuntimeError("a fault of the program")

    release = await hold(store)
    waits = [
        soon(store.sealed(1, "a")),
        soon(store._writing.ask(broken)),
        soon(store.sealed(1, "b")),
    ]
    release()
    assert (await waits[0]).spec.request_id == "a"
    with pytest.raises(RuntimeError):
        await waits[1]
    assert (await waits[2]).spec.request_id == "b"
    left = await store._reading.ask(lambda db: db.execute("SELECT count(*) FROM remains").get)
    assert left == 0
