"""The schema: its states are the model's, its versions lead to each other, its files are in the package."""

import hashlib
import re
from pathlib import Path

import apsw
import pytest
from store_fakes import COMMITMENTS, Handy, signature

from segeld.jobqueue.codec import checksum_of
from segeld.jobqueue.sqlite import DatabaseDamaged, DatabaseTooNew, SqliteStore
from segeld.jobqueue.sqlite.migrate import migrate, migrations
from segeld.model.job import JobFilter
from segeld.model.job_state import FINAL, SIGNABLE, JobState
from segeld.model.person import Person

RELEASED = {
    1: "e044d76e16e36ce518b4a7a8bea142f817067a611798c81f728033722ca85e9c",
    2: "093d9884e23ead5fda9be69edb068e34c8de410665f15309039e13c26d4562c8",
    3: "3c4069b1589f9ddd0f0e4737a174eabd38ccaf14f4a6447574aea3ba863a859b",
    4: "cd0c16b07efe0f08e1efec06d4ecb249af05e8595e6c07ade79fb2bf572f4535",
}
"""SHA-256 of each migration. One that was released is never changed: add another."""
VERSION_1 = Path(__file__).with_name("version_1.sql")
STEPS = migrations()


def states_of(pattern: str) -> set[str]:
    found = re.search(pattern, "\n".join(migrations()), re.DOTALL)
    assert found is not None
    return set(re.findall(r"'(\w+)'", found.group(1)))


def test_the_database_knows_the_states_of_the_model():
    """A pause is a mark on the state in which the job goes on."""
    assert states_of(r"state TEXT NOT NULL CHECK \(state IN \((.*?)\)\)") == set(JobState) - {JobState.PAUSED}
    assert states_of(r"paused = 1 AND state IN \(([^)]*)\)") == set(SIGNABLE)


def test_the_database_knows_which_states_are_final():
    assert states_of(r"\(\(state IN \(([^)]*)\)\) = \(ended") == set(FINAL)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'done'",
        "state = 'succeeded'",
        "state = 'ending'",
        "signed = 4",
        "signed = -1",
        "read = 4",
        "ended = 1.0",
        "items_hash = x'00'",
        "started = 1.0, state = 'open'",
        "paused = 0",
        "paused = 1, state = 'held'",
        "decided_by = 'head'",
        "decided_by = '', decided = 1.0",
        "decided = 1.0",
        "created_by = 'dns:a'",
        "created_by = '', created_with = x''",
        "created_with = x'00'",
    ],
)
async def test_a_job_that_cannot_be_is_refused(store, database, change):
    job = await store.sealed(3)
    with pytest.raises(apsw.ConstraintError):
        apsw.Connection(str(database)).execute(f"UPDATE job SET {change} WHERE id = {job.id}")


@pytest.mark.parametrize("version", RELEASED)
def test_a_released_migration_is_as_it_was(version):
    assert hashlib.sha256(migrations()[version - 1].encode()).hexdigest() == RELEASED[version]


async def test_a_database_of_version_1_is_read(database):
    db = apsw.Connection(str(database))
    db.execute(VERSION_1.read_text())
    db.close()
    store = Handy(await SqliteStore.open(database, COMMITMENTS))
    (job,) = await store.signable(0, 9)
    assert (job.count, job.signed, job.spec.request_id) == (5, 2, "from-version-1")
    assert [found.value for found in await store.all_results(job)] == [signature(0), signature(1)]
    assert await store.recover(lambda _: 3, 0.0) == 1
    assert (await store.block(job.id, 0)).waiting == (2, 3, 4)
    assert (await store.usage("office"), await store.items_unsigned()) == ((1, 5), 3)
    await store.aclose()


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_jobs_of_an_older_database_are_paused_and_decided(database, version):
    """Their checksums are over fewer columns, until something of the new ones is written."""
    db = apsw.Connection(str(database))
    db.execute(VERSION_1.read_text())
    migrate(db, database, STEPS[:version])
    db.close()
    store = Handy(await SqliteStore.open(database, COMMITMENTS))
    await store.recover(lambda _: 3, 0.0)
    (job,) = await store.signable(0, 9)
    paused = await store.pause_job(job.name, "siti")
    await store.aclose()
    store = Handy(await SqliteStore.open(database, COMMITMENTS))
    assert await store.any_job(job.name) == paused
    assert (await store.resume_job(job.name, "siti")).state is JobState.RUNNING
    assert [found.value for found in await store.all_results(job)] == [signature(0), signature(1)]
    await store.aclose()


async def test_a_database_of_version_3_is_read_with_all_that_it_says_of_a_job(database):
    """As its segeld wrote it: paused, decided, and with a checksum over no column of version 4."""
    db = apsw.Connection(str(database))
    db.execute(VERSION_1.read_text())
    migrate(db, database, STEPS[:3])
    row = "name, caller, request_id, key, algorithm, encoding, priority, labels, deadline, retention, approval, state, towards"
    more = "reason, count, signed, failed, read, chain, items_hash, created, sealed, started, ended, expires"
    db.execute("UPDATE job SET paused = 1, decided_by = 'head', decided = 7.0")
    number, *values = next(db.execute(f"SELECT id, {row}, {more}, paused, decided_by, decided FROM job"))
    assert len(values) == 28
    db.execute("UPDATE job SET checksum = ?", (checksum_of(number, tuple(values)),))
    db.close()
    store = Handy(await SqliteStore.open(database, COMMITMENTS))
    (job,) = (await store.all_jobs(JobFilter(), before=None, limit=9)).jobs
    assert (job.state, job.decided_by, job.decided) == (JobState.PAUSED, "head", 7.0)
    assert job.spec.created_by is None
    assert (await store.resume_job(job.name, "siti")).decided_by == "head"
    by = Person("office", "dns:office", b"c" * 32)
    fresh = await store.sealed(3, "fresh", created_by=by)
    await store.aclose()
    store = Handy(await SqliteStore.open(database, COMMITMENTS))
    assert (await store.any_job(job.name)).decided_by == "head"
    assert (await store.any_job(fresh.name)).spec.created_by == by
    await store.aclose()


def test_migrations_are_applied_from_where_the_database_is(database):
    db = apsw.Connection(str(database))
    steps = ["CREATE TABLE a (b)", "ALTER TABLE a ADD COLUMN c", "ALTER TABLE a ADD COLUMN d"]
    migrate(db, database, steps[:1])
    migrate(db, database, steps)
    assert db.pragma("user_version") == 3
    db.execute("INSERT INTO a (b, c, d) VALUES (1, 2, 3)")


def test_a_migration_that_fails_changes_nothing(database):
    db = apsw.Connection(str(database))
    migrate(db, database, ["CREATE TABLE a (b)"])
    with pytest.raises(apsw.SQLError):
        migrate(db, database, ["", "DROP TABLE a", "nonsense"])
    assert db.pragma("user_version") == 1
    db.execute("SELECT * FROM a")


async def test_a_database_of_a_newer_segeld_is_refused(open_store, database):
    await (await open_store()).aclose()
    with apsw.Connection(str(database)) as db:
        db.pragma("user_version", 99)
    db.close()
    with pytest.raises(DatabaseTooNew, match="schema 99"):
        await open_store()


async def test_a_database_of_something_else_is_refused(open_store, database):
    with apsw.Connection(str(database)) as db:
        db.execute("CREATE TABLE a (b)")
    db.close()
    before = database.read_bytes()
    with pytest.raises(DatabaseDamaged, match="not a database of segel"):
        await open_store()
    assert database.read_bytes() == before


async def test_only_its_user_can_read_it(store, database):
    await store.sealed(1)
    for file in database.parent.iterdir():
        assert not file.stat().st_mode & 0o077, file


def test_the_migrations_are_part_of_the_package():
    assert migrations()
    assert "CREATE TABLE job" in migrations()[0]
